"""Conditions of lists, as SQL text with placeholders."""

from __future__ import annotations

import json
from collections.abc import Sequence

from outrider.adapters.sql.columns import Connection
from outrider.domain.search import NameFilter, TextMethod

_PATTERNS = {
    TextMethod.STARTS_WITH: "{}%",
    TextMethod.CONTAINS: "%{}%",
    TextMethod.ENDS_WITH: "%{}",
}


class Where:
    """ANDed conditions. The texts are ours, the values go in as parameters."""

    def __init__(self, text: str, *values: object) -> None:
        self._clauses = [text]
        self._values: list[object] = [*values]

    def add(self, clause: str, *values: object) -> None:
        """One more condition."""
        self._clauses.append(clause)
        self._values.extend(values)

    @property
    def text(self) -> str:
        """What follows WHERE."""
        return " AND ".join(f"({each})" for each in self._clauses)

    @property
    def values(self) -> tuple[object, ...]:
        """The parameters, in order."""
        return tuple(self._values)

    def count(self, connection: Connection, table: str) -> int:
        """How many rows of `table` meet the conditions."""
        query = f"SELECT count(*) FROM {table} WHERE {self.text}"  # noqa: S608 - our names
        return int(connection.execute(query, self.values).fetchone()[0])


def order_by(column: str, *, ascending: bool) -> str:
    """Rows that compare equal come in the order of their ids, in the same direction."""
    direction = "ASC" if ascending else "DESC"
    return f"ORDER BY {column} {direction}" + ("" if column == "id" else f", id {direction}")


def one_of(column: str, values: Sequence[str] | Sequence[int]) -> tuple[str, str]:
    """The condition that a column has one of these values, and its parameter.

    One parameter however many values: a request can hold more than SQLite takes parameters.
    """
    return f"{column} IN (SELECT value FROM json_each(?))", json.dumps(values)  # noqa: S608 - our names


def name_clause(wanted: NameFilter) -> tuple[str, str]:
    """The condition on a target's name, and its parameter (sheet, section 2.4)."""
    column, text = (
        ("folded_name", wanted.text.lower())
        if wanted.method.ignores_case
        else ("name", wanted.text)
    )
    exact = TextMethod(wanted.method - wanted.method.ignores_case)
    if exact is TextMethod.EQUALS:
        return f"{column} = ?", text
    # GLOB and not LIKE: SQLite's LIKE ignores the case of ASCII letters.
    escaped = text.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")
    return f"{column} GLOB ?", _PATTERNS[exact].replace("%", "*").format(escaped)
