"""Calls of later releases: known, guarded, validated, and answered with `unimplemented`."""

from __future__ import annotations

from typing import Any

import pytest

from api.calls.runner import check, each_row
from api.calls.service import Service, rpc_named
from api.calls.table import Call, Caller, Refused, Row
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A release that answers one of these takes it out, and adds rows that say how.
LATER: dict[str, dict[str, Any]] = {
    "ReplayDeliveries": {"ids": ["1"]},
    "CancelDelivery": {"id": "1"},
    "GetDeliveryStats": {},
}


def unimplemented(rpc: str) -> Refused:
    """What the generated service says."""
    method = rpc_named(rpc)
    return Refused("unimplemented", f"/{method.parent.type_name}/{rpc} is not implemented")


ROWS = [
    *(Row(rpc, Call(rpc, request), unimplemented(rpc)) for rpc, request in LATER.items()),
    Row(
        "who may not call it is not told that nobody can",
        Call("ReplayDeliveries", LATER["ReplayDeliveries"], Caller.VIEWER),
        Refused("permission_denied", "No matching permissions found", "AUTH-5mWD2"),
    ),
]


@each_row(ROWS)
async def test_later_calls(service: Service, row: Row, wire: Wire):
    """
    A client of a newer contract must see that the server is older, and not that it is broken.
    """
    await check(service, row, wire)
