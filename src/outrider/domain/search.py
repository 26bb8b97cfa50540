"""What lists can be filtered and sorted by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.ids import DeliveryId, EventId, ExecutionId, TargetId
from outrider.domain.routing.condition import ConditionKind


class TextMethod(IntEnum):
    """How a text is compared. The numbers are those of `zitadel.filter.v2.TextFilterMethod`."""

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
        """Whether both sides are lowered first."""
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
    """What targets can be sorted by."""

    ID = "id"
    CREATED = "created"
    CHANGED = "changed"
    NAME = "name"
    TYPE = "type"
    ENDPOINT = "endpoint"
    TIMEOUT = "timeout"
    INTERRUPT = "interrupt"


@dataclass(frozen=True, slots=True)
class ExecutionIdsFilter:
    """Executions with one of these ids; never empty."""

    ids: tuple[ExecutionId, ...]


@dataclass(frozen=True, slots=True)
class KindFilter:
    """Executions of one kind."""

    kind: ConditionKind


@dataclass(frozen=True, slots=True)
class HasTargetFilter:
    """Executions that call this target."""

    target_id: TargetId


ExecutionFilter = ExecutionIdsFilter | KindFilter | HasTargetFilter


class ExecutionSort(Enum):
    """What executions can be sorted by."""

    ID = "id"
    CREATED = "created"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySearch:
    """Which deliveries; conditions are ANDed, None and empty match everything.

    `created_since` is included, `created_until` is not. `before` is the key of the last row of the
    page before this one: newest come first.
    """

    states: tuple[DeliveryState, ...] = ()
    target_id: TargetId | None = None
    event_type: str | None = None
    event_id: EventId | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None
    before: DeliveryId | None = None
    limit: int = 100
