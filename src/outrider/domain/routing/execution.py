"""A binding: one condition, an ordered list of targets. It does not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.ids import ExecutionId, TargetId, shown_id
from outrider.domain.routing.condition import Condition
from outrider.domain.routing.router import NO_SHADOWING, Shadowing
from outrider.errors import InvalidRequest, NotFound

_MAX_NAMED = 3
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


@dataclass(frozen=True, slots=True)
class ExecutionChange:
    """What came of setting an execution.

    `set_at` is the stored date when the list was the same, None when an empty list was never
    anything else. `replaced` is the former list when it was another one.
    """

    set_at: datetime | None
    replaced: tuple[TargetId, ...] = ()
    shadowing: Shadowing = NO_SHADOWING


def check_target_list(targets: Sequence[TargetId]) -> None:
    """Raise `InvalidRequest` when an entry is empty, or for more than one event can be sent to."""
    if not all(targets):
        position = targets.index(TargetId(""))
        raise InvalidRequest(
            "Execution is invalid",
            "COMMAND-hdm4zl1hmd",
            reason=f"the id of target {position + 1} in the list is empty",
            hint="give ids that `outrider target list` shows",
        )
    if len(targets) > MAX_TARGETS:
        raise InvalidRequest(
            f"invalid SetExecutionRequest.Targets: value must contain no more than {MAX_TARGETS}"
            f" item(s), not {len(targets)}: the deliveries of an event are one transaction",
            hint="spread the targets over executions for narrower conditions",
        )


def check_targets_exist(targets: Sequence[TargetId], existing: Collection[TargetId]) -> None:
    """Raise `NotFound` for unknown targets, and for duplicates as ZITADEL does.

    It counts the distinct existing ids against the list's length.
    """
    missing = [target for target in targets if target not in existing]
    if missing:
        raise _not_bound(
            f"there is no target {', '.join(map(shown_id, missing[:_MAX_NAMED]))} in this instance",
            "give ids that `outrider target list` shows",
        )
    repeated = [target for target, times in Counter(targets).items() if times > 1]
    if repeated:
        raise _not_bound(
            f"target {', '.join(repeated[:_MAX_NAMED])} is in the list more than once",
            "name each target once",
        )


def _not_bound(reason: str, hint: str) -> NotFound:
    return NotFound("Target not found", "COMMAND-17e8fq1ggk", reason=reason, hint=hint)
