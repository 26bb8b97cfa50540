"""One transaction, as the use cases see it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from outrider.adapters.sql.columns import Connection, bump_routing_revision
from outrider.adapters.sql.deliveries import SqlDeliveries
from outrider.adapters.sql.events import SqlEvents
from outrider.adapters.sql.executions import SqlExecutions
from outrider.adapters.sql.leases import SqlLeases
from outrider.adapters.sql.public_keys import SqlPublicKeys
from outrider.adapters.sql.secrets import Secrets
from outrider.adapters.sql.targets import SqlTargets
from outrider.adapters.sql.tokens import SqlTokens
from outrider.adapters.sql.web_keys import SqlWebKeys
from outrider.domain.ids import InstanceId


class SqlUnit:
    """`ports.Unit` on one connection. Beginning and committing are the store's business."""

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection = connection
        self.targets = SqlTargets(connection, secrets)
        self.public_keys = SqlPublicKeys(connection)
        self.executions = SqlExecutions(connection)
        self.tokens = SqlTokens(connection)
        self.web_keys = SqlWebKeys(connection, secrets)
        self.events = SqlEvents(connection)
        self.deliveries = SqlDeliveries(connection)
        self.leases = SqlLeases(connection)

    def routing_revision(self) -> int:
        """See the port."""
        return int(self._connection.execute("SELECT value FROM routing_revision").fetchone()[0])

    def add_event_types(self, instance: InstanceId, event_types: Collection[str]) -> None:
        """See the port."""
        added = self._connection.executemany(
            "INSERT INTO event_types (instance_id, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(instance, each) for each in event_types],
        ).rowcount
        # Many calls of one burst bring the same new type: only the first changes anything.
        if added > 0:
            bump_routing_revision(self._connection)

    def event_types(self) -> Mapping[InstanceId, frozenset[str]]:
        """See the port."""
        known: dict[InstanceId, set[str]] = {}
        for instance, name in self._connection.execute("SELECT instance_id, name FROM event_types"):
            known.setdefault(InstanceId(instance), set()).add(name)
        return {instance: frozenset(names) for instance, names in known.items()}
