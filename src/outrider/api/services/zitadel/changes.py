"""Response headers that say what a change took the place of.

ZITADEL's responses have no field for it, and a caller that replaces something must be able to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from outrider.api.rpc.interceptors import Context
from outrider.domain.routing.execution import ExecutionChange

REPLACED = "outrider-replaced"
"""Ids of what was in force before: the targets of an execution, or the key that was active."""

SHADOWS = "outrider-shadows"
"""Ids of executions that do not fire where the one that was set does."""

SHADOWED_BY = "outrider-shadowed-by"
"""Ids of executions that fire in place of the one that was set, for a part of what it matches."""

MAX_BYTES = 1000
"""Of the ids in one header: clients of gRPC take 8 KiB of all of them."""


def report_replaced(ctx: Context, ids: Sequence[str]) -> None:
    """Say what was replaced; nothing: no header."""
    _set(ctx, REPLACED, ids)


def report_change(ctx: Context, change: ExecutionChange) -> None:
    """Say what setting an execution replaced, and what it shadows."""
    report_replaced(ctx, change.replaced)
    _set(ctx, SHADOWS, change.shadowing.shadows)
    _set(ctx, SHADOWED_BY, change.shadowing.shadowed_by)


def id_list(ids: Sequence[str]) -> str:
    """Ids, percent-encoded and divided by commas; `+3` at the end stands for three more."""
    shown: list[str] = []
    size = 0
    for position, name in enumerate(ids):
        encoded = quote(name, safe="/*")
        size += len(encoded) + 1
        if size > MAX_BYTES:
            return ",".join([*shown, f"+{len(ids) - position}"])
        shown.append(encoded)
    return ",".join(shown)


def _set(ctx: Context, name: str, ids: Sequence[str]) -> None:
    if ids:
        ctx.response_headers[name] = id_list(ids)
