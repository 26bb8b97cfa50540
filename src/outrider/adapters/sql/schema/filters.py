"""Conditions of lists, as SQL text with placeholders."""

from __future__ import annotations

from outrider.adapters.sql.schema.connection import Connection
from outrider.adapters.sql.schema.dialect import Dialect
from outrider.domain.page import Page
from outrider.domain.targets.search import NameFilter, TextMethod

# Whether any text may stand before the text, and after it.
_ANY_TEXT = {
    TextMethod.STARTS_WITH: (False, True),
    TextMethod.CONTAINS: (True, True),
    TextMethod.ENDS_WITH: (True, False),
}
_NUL = "\0"
# True of no row, whatever its parameter.
_NOTHING = "CAST(? AS TEXT) IS NULL"


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
        """The text after WHERE."""
        return " AND ".join(f"({clause})" for clause in self._clauses)

    @property
    def values(self) -> tuple[object, ...]:
        """The parameters, in order."""
        return tuple(self._values)

    def count(self, connection: Connection, table: str) -> int:
        """Return how many rows of `table` meet the conditions."""
        query = f"SELECT count(*) FROM {table} WHERE {self.text}"  # noqa: S608 - our names
        return int(connection.execute(query, self.values).fetchone()[0])

    def total(self, connection: Connection, table: str, page: Page, count: int) -> int:
        """Return how many rows meet the conditions when `page` has `count` of them; 0 when it has none.

        Only after a full page are the rows counted: one that is not full ends the list.
        """
        if count == page.limit:
            return self.count(connection, table)
        return page.offset + count if count else 0


def order_by(column: str, *, ascending: bool) -> str:
    """Rows that compare equal come in the order of their ids, in the same direction."""
    direction = "ASC" if ascending else "DESC"
    return f"ORDER BY {column} {direction}" + ("" if column == "id" else f", id {direction}")


def name_clause(condition: NameFilter, dialect: Dialect) -> tuple[str, str]:
    """The condition on a target's name, and its parameter."""
    method = condition.method
    column, text = (
        ("folded_name", condition.text.lower()) if method.ignores_case else ("name", condition.text)
    )
    if _NUL in text:
        return _NOTHING, text.replace(_NUL, "")
    exact = TextMethod(method - method.ignores_case)
    if exact is TextMethod.EQUALS:
        return f"{column} = ?", text
    before, after = (dialect.any_text * is_open for is_open in _ANY_TEXT[exact])
    return dialect.like.format(column), before + dialect.pattern(text) + after
