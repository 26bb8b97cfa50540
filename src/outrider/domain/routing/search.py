"""The filters and sort columns for lists of executions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from outrider.domain.ids import ExecutionId, TargetId
from outrider.domain.routing.condition import ConditionKind


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
    """A sort column for lists of executions."""

    ID = "id"
    CREATED = "created"
    CHANGED = "changed"
