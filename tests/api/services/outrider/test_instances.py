"""CreateInstance, ListInstances and DeleteInstance."""

from __future__ import annotations

from typing import Any

import pytest

from api.calls.matching import A_DATE, A_TOKEN, AN_ID, NOW, ListWith, ListWithout
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUEST = {"name": "$unique", "hosts": ["$unique.example"]}
A_NEW_ONE = Call("CreateInstance", REQUEST, keep={"new": "id", "created": "creationDate"})
DELETE = Call("DeleteInstance", {"id": "$new"})
RPCS = {"CreateInstance": REQUEST, "ListInstances": {}, "DeleteInstance": {"id": "2"}}


def creating(**fields: Any) -> Call:
    """A call that is right, but for what is given."""
    return Call("CreateInstance", {**REQUEST, **fields})


def refused(field: str, reason: str) -> ExpectedError:
    """An error of validation."""
    return ExpectedError("invalid_argument", f"invalid {field}: {reason}")


LENGTH = "value length must be between 1 and 200 runes, inclusive"
COUNT = "value must contain between 1 and 100 items, inclusive"
NO_HOST = refused(
    "CreateInstanceRequest.Hosts[1]",
    "value must be a host name or an IP address, without a port",
)
NOT_FOUND = ExpectedError("not_found", "Instance not found", "OUTRIDER-instance")
NAME_TAKEN = ExpectedError("already_exists", "Instance already exists", "OUTRIDER-instance")
HOST_TAKEN = ExpectedError("already_exists", "Host already exists", "OUTRIDER-host")
STAYS = ExpectedError(
    "failed_precondition", "The default instance cannot be deleted", "OUTRIDER-default"
)
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
NEW = {"id": AN_ID, "creationDate": NOW, "token": A_TOKEN}
ODD = ["a:80", "http://a", "*.example", "a b", "bücher.example", "1.2.3"]

ROWS = [
    Row("no name", creating(name=""), refused("CreateInstanceRequest.Name", LENGTH)),
    Row("a long name", creating(name="a" * 201), refused("CreateInstanceRequest.Name", LENGTH)),
    Row("no hosts", creating(hosts=[]), refused("CreateInstanceRequest.Hosts", COUNT)),
    *(
        Row(f"a host like {odd}", creating(hosts=["a-$unique.example", odd]), NO_HOST)
        for odd in ODD
    ),
    Row("a new instance", creating(), NEW),
    Row("a name that is taken", creating(hosts=["other-$unique.example"]), NAME_TAKEN, [A_NEW_ONE]),
    Row(
        "a host that is taken, in another spelling",
        creating(name="other $unique", hosts=["$unique.EXAMPLE."]),
        HOST_TAKEN,
        [A_NEW_ONE],
    ),
    Row("the name of the default instance", creating(name="default"), NAME_TAKEN),
    Row(
        "an instance is listed, its hosts as they are compared",
        Call("ListInstances"),
        {
            "instances": ListWith(
                {
                    "id": "$new",
                    "name": "$unique",
                    "hosts": ["$unique.example", "b-$unique.example"],
                    "creationDate": "$created",
                }
            )
        },
        [
            Call(
                "CreateInstance",
                {**REQUEST, "hosts": ["$unique.EXAMPLE", "B-$unique.example.", "$unique.example"]},
                keep={"new": "id", "created": "creationDate"},
            )
        ],
    ),
    Row(
        "the default instance is listed, without hosts",
        Call("ListInstances"),
        {
            "instances": ListWith(
                {
                    "id": "$instance",
                    "name": "default",
                    "creationDate": A_DATE,
                    "isDefault": True,
                }
            )
        },
    ),
    Row(
        "a deleted instance is not listed",
        Call("ListInstances"),
        {"instances": ListWithout({"id": "$new"})},
        [A_NEW_ONE, DELETE],
    ),
    Row("an instance is deleted", DELETE, {"deletionDate": NOW}, [A_NEW_ONE]),
    Row("an instance is deleted again", DELETE, NOT_FOUND, [A_NEW_ONE, DELETE]),
    Row("what was deleted can be made again", creating(), NEW, [A_NEW_ONE, DELETE]),
    Row("the default instance stays", Call("DeleteInstance", {"id": "$instance"}), STAYS),
    Row("an instance that nobody made", Call("DeleteInstance", {"id": "2"}), NOT_FOUND),
    Row(
        "an empty id",
        Call("DeleteInstance"),
        refused("DeleteInstanceRequest.Id", LENGTH),
        wires=ALL_BUT_REST,
    ),
    *(
        Row(f"{rpc} is not for {caller}", Call(rpc, request, caller), NOT_ALLOWED)
        for rpc, request in RPCS.items()
        for caller in (Caller.ORG_OWNER, Caller.VIEWER, Caller.PUBLISHER)
    ),
]


@each_row(ROWS)
async def test_instances(service: Service, row: Row):
    """
    The operator of the server creates and deletes tenants.
    """
    await check(service, row)
