"""What rows about interceptions expect, and what they begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.calls.matching import A_DURATION, Like
from api.calls.steps import KNOWN_FUNCTION, KNOWN_METHOD, set_targets
from api.calls.table import Call, ExpectedError

FAILED = ExpectedError("failed_precondition", "Execution failed", "EXEC-dra6yamk98", "$target")
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")


def accepted(target: str = "$target") -> dict[str, Any]:
    """A target that did what it should."""
    return {"targetId": target, "outcome": "OUTCOME_ACCEPTED", "duration": A_DURATION}


def failed(outcome: str, error: str, target: str = "$target") -> dict[str, Any]:
    """A target that did not; its error contains this."""
    text = Like(f"text with {error}", lambda value: isinstance(value, str) and error in value)
    seen = {"outcome": f"OUTCOME_{outcome}", "duration": A_DURATION, "error": text}
    return {"targetId": target, **seen}


def bound(condition: Mapping[str, Any], *targets: Call) -> Sequence[Call]:
    """Targets made in this order, and called in it."""
    names = [f"${name}" for target in targets for name in list(target.keep)[:1]]
    return [KNOWN_METHOD, KNOWN_FUNCTION, *targets, set_targets(condition, names)]
