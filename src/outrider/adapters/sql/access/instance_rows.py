"""All rows of an instance in SQL, deleted a bounded number at a time."""

from __future__ import annotations

from outrider.adapters.sql.schema.connection import Connection
from outrider.domain.ids import InstanceId

# Rows of deliveries, by their ids, in tables that know no instance.
_OF_DELIVERIES = ("attempts", "cancel_requests")
# Bodies are long: this many bytes of them count as one row.
_LONG_BODY = 16 * 1024


def delete_rows(connection: Connection, instance: InstanceId, limit: int) -> bool:
    """Delete about `limit` rows of an instance; whether none is left."""
    rest = limit
    # Asked of the schema itself: a table that is added later is not forgotten here.
    tables = dict(connection.execute(connection.dialect.tables_of_instances).fetchall())
    # Targets first: without them no delivery is attempted. Events last: deliveries have their bodies.
    for table in sorted(tables, key=lambda table: (table != "targets", table == "events", table)):
        if table == "deliveries":
            rest -= _delete_deliveries(connection, instance, rest)
        elif table == "events":
            rest -= _delete_events(connection, instance, rest)
        else:
            rest -= _delete_some(connection, table, tables[table], instance, rest)
        if rest <= 0:
            return False
    return True


def _delete_some(
    connection: Connection, table: str, columns: str, instance: InstanceId, limit: int
) -> int:
    return connection.execute(
        f"DELETE FROM {table} WHERE ({columns}) IN"  # noqa: S608 - the schema's own names
        f" (SELECT {columns} FROM {table} WHERE instance_id = ? LIMIT ?)",
        (instance, limit),
    ).rowcount


def _delete_deliveries(connection: Connection, instance: InstanceId, limit: int) -> int:
    numbers = [
        number
        for (number,) in connection.execute(
            "SELECT id FROM deliveries WHERE instance_id = ? LIMIT ?", (instance, limit)
        ).fetchall()
    ]
    clause, value = connection.dialect.one_of("delivery_id", numbers)
    attempts = 0
    for table in _OF_DELIVERIES:
        attempts += connection.execute(f"DELETE FROM {table} WHERE {clause}", (value,)).rowcount  # noqa: S608 - ours
    clause, value = connection.dialect.one_of("id", numbers)
    connection.execute(f"DELETE FROM deliveries WHERE {clause}", (value,))  # noqa: S608 - ours
    return len(numbers) + attempts


def _delete_events(connection: Connection, instance: InstanceId, limit: int) -> int:
    rows = connection.execute(
        "SELECT number, length(body) FROM events WHERE instance_id = ? LIMIT ?", (instance, limit)
    ).fetchall()
    numbers, weight = [], 0
    for number, size in rows:
        numbers.append(number)
        weight += 1 + size // _LONG_BODY
        if weight >= limit:
            break
    clause, value = connection.dialect.one_of("number", numbers)
    connection.execute(f"DELETE FROM events WHERE {clause}", (value,))  # noqa: S608 - ours
    return weight
