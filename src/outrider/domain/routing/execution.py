"""A binding: one condition, an ordered list of targets. It does not run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.ids import ExecutionId, TargetId
from outrider.domain.routing.condition import Condition
from outrider.errors import InvalidRequest, NotFound

MAX_TARGETS = 1000
"""The number of targets that one call may reach (`delivery.MAX_TARGETS`): every event fits into a
call. ZITADEL has no limit (docs/contract.md#deliberate-differences)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One condition and the targets that are called for it, in order.

    `created_at` is when it was set first, `changed_at` when it was set last.
    """

    condition: Condition
    targets: tuple[TargetId, ...]
    created_at: datetime
    changed_at: datetime

    @property
    def id(self) -> ExecutionId:
        """The condition's id."""
        return self.condition.execution_id


def check_target_list(targets: Sequence[TargetId]) -> None:
    """Raise `InvalidRequest` when an entry is empty, or for more than one event can be sent to."""
    if not all(targets):
        raise InvalidRequest("Execution is invalid", "COMMAND-hdm4zl1hmd")
    if len(targets) > MAX_TARGETS:
        raise InvalidRequest(
            f"invalid SetExecutionRequest.Targets: value must contain no more than {MAX_TARGETS}"
            f" item(s), not {len(targets)}: the deliveries of an event are one transaction"
        )


def check_targets_exist(targets: Sequence[TargetId], existing: Collection[TargetId]) -> None:
    """Raise `NotFound` for unknown targets, and for duplicates as ZITADEL does.

    It counts the distinct existing ids against the list's length.
    """
    if len(set(targets) & set(existing)) != len(targets):
        raise NotFound("Target not found", "COMMAND-17e8fq1ggk")
