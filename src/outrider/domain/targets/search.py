"""The filters and sort columns for lists of targets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from outrider.domain.ids import TargetId


class TextMethod(IntEnum):
    """A comparison of texts. The numbers are those of `zitadel.filter.v2.TextFilterMethod`."""

    EQUALS = 0
    EQUALS_IGNORE_CASE = 1
    STARTS_WITH = 2
    STARTS_WITH_IGNORE_CASE = 3
    CONTAINS = 4
    CONTAINS_IGNORE_CASE = 5
    ENDS_WITH = 6
    ENDS_WITH_IGNORE_CASE = 7

    @property
    def ignores_case(self) -> bool:
        """Return whether both sides are converted to lower case first."""
        return bool(self.value % 2)


@dataclass(frozen=True, slots=True)
class NameFilter:
    """Targets whose name compares so."""

    text: str
    method: TextMethod


@dataclass(frozen=True, slots=True)
class TargetIdsFilter:
    """Targets with one of these ids; never empty."""

    ids: tuple[TargetId, ...]


TargetFilter = NameFilter | TargetIdsFilter


class TargetSort(Enum):
    """A sort column for lists of targets."""

    ID = "id"
    CREATED = "created"
    CHANGED = "changed"
    NAME = "name"
    TYPE = "type"
    ENDPOINT = "endpoint"
    TIMEOUT = "timeout"
    INTERRUPT = "interrupt"
