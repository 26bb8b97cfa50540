"""UpdateTarget: as in ZITADEL, and how outrider differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.calls.matching import NOW, NewKey
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import (
    ENDPOINT,
    a_target,
    create,
    delete,
    of_type,
    set_targets,
    update,
    webhook,
)
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHANGED = {"changeDate": NOW}
UNCHANGED = {"changeDate": "$target_created"}
NO_TIMEOUT = ExpectedError("invalid_argument", "Target has no timeout", "COMMAND-08b39vdi57")
INVALID_URL = ExpectedError("invalid_argument", "Target has an invalid URL", "COMMAND-jsbaera7b6")
DENIED_URL = ExpectedError("invalid_argument", "Errors.Target.DeniedURL", "COMMAND-jKbbu2")
NOT_FOUND = ExpectedError("not_found", "Target not found", "COMMAND-xj14f2cccn")
TAKEN = ExpectedError("already_exists", "Errors.Target.AlreadyExists", "V3-DKcYh")


def invalid(field: str, reason: str) -> ExpectedError:
    """An error of validation."""
    return ExpectedError("invalid_argument", f"invalid UpdateTargetRequest.{field}: {reason}")


ID = invalid("Id", "value length must be between 1 and 200 runes, inclusive")
NAME = invalid("Name", "value length must be between 1 and 1000 runes, inclusive")
TIMEOUT = invalid("Timeout", "value must be inside range [0s, 4m30s]")
ENDPOINT_LENGTH = invalid("Endpoint", "value length must be between 1 and 2048 runes, inclusive")
GRACE = invalid("ExpirationSigningKey", "value must be inside range [0s, 168h0m0s]")


def change(title: str, expected: dict[str, Any] | ExpectedError, **fields: Any) -> Row:
    """A change of a new webhook."""
    return Row(title, Call("UpdateTarget", {"id": "$target", **fields}), expected, [a_target()])


def unknown(title: str, expected: ExpectedError, **fields: Any) -> Row:
    """A change of a target that does not exist."""
    return Row(title, Call("UpdateTarget", {"id": "1", **fields}), expected)


def shown(**fields: Any) -> dict[str, Any]:
    """The answer of GetTarget about the new webhook after the update that was just made."""
    before = {
        "id": "$target",
        "creationDate": "$target_created",
        "changeDate": "$changed",
        "name": "target $unique",
        "restWebhook": {},
        "timeout": "10s",
        "endpoint": ENDPOINT,
        "signingKey": "$target_key",
    }
    if "restCall" in fields or "restAsync" in fields:
        del before["restWebhook"]
    return {"target": {**before, **fields}}


def after(title: str, expected: dict[str, Any], *given: Call) -> Row:
    """What can be read after changes of a new webhook."""
    return Row(title, Call("GetTarget", {"id": "$target"}), expected, [a_target(), *given])


VALIDATION = [
    Row("an empty id", Call("UpdateTarget", {"name": "n"}), ID, wires=ALL_BUT_REST),
    unknown("an id of 201 letters", ID, id="1" * 201),
    unknown("an empty name", NAME, name=""),
    unknown("a name of 1001 letters", NAME, name="n" * 1001),
    unknown("a time-out of 271 s", TIMEOUT, timeout="271s"),
    unknown("a negative time-out", TIMEOUT, timeout="-1s"),
    unknown("an empty endpoint", ENDPOINT_LENGTH, endpoint=""),
    unknown("an endpoint of 2049 letters", ENDPOINT_LENGTH, endpoint=f"{ENDPOINT:x<2049}"),
    unknown("a grace of more than seven days", GRACE, expirationSigningKey="604800.000000001s"),
    unknown("a negative grace", GRACE, expirationSigningKey="-1s"),
    unknown("the id before the name", ID, id="1" * 201, name=""),
    unknown("the name before the time-out", NAME, name="", timeout="271s"),
    unknown("the time-out before the endpoint", TIMEOUT, timeout="271s", endpoint=""),
    unknown(
        "the endpoint before the grace", ENDPOINT_LENGTH, endpoint="", expirationSigningKey="-1s"
    ),
]

# In the order in which they are made: each row breaks the next rule too.
CHECKS = [
    unknown("validation before the time-out", GRACE, timeout="0s", expirationSigningKey="-1s"),
    unknown("a time-out of 0 s, whatever the target", NO_TIMEOUT, timeout="0s"),
    unknown("the time-out before the URL", NO_TIMEOUT, timeout="0s", endpoint="::"),
    unknown("an invalid URL, whatever the target", INVALID_URL, endpoint="::"),
    unknown("a blocked address, whatever the target", DENIED_URL, endpoint="http://10.0.0.1/"),
    unknown("a target that nobody created", NOT_FOUND, name="n"),
    unknown("a target that nobody created and nothing to change", NOT_FOUND),
    unknown("an id that is no number", NOT_FOUND, id="target", name="n"),
    Row(
        "a deleted target",
        Call("UpdateTarget", {"id": "$target", "name": "n"}),
        NOT_FOUND,
        [a_target(), delete()],
    ),
    Row(
        "the target before the name",
        Call("UpdateTarget", {"id": "1", "name": "target $unique"}),
        NOT_FOUND,
        [a_target()],
    ),
    Row(
        "a name that is taken",
        Call("UpdateTarget", {"id": "$target", "name": "OTHER $unique"}),
        TAKEN,
        [a_target(), a_target("other")],
    ),
]

ONE_CHANGE = {
    "the name": {"name": "renamed $unique"},
    "the letters of the name": {"name": "TARGET $unique"},
    "the endpoint": {"endpoint": "https://receiver.example/other"},
    "the time-out": {"timeout": "20s"},
    "the longest time-out": {"timeout": "270s"},
    "the payload type": {"payloadType": "PAYLOAD_TYPE_JWT"},
    "the type": {"restCall": {}},
    "the type and whether it interrupts": {"restCall": {"interruptOnError": True}},
    "whether it interrupts": {"restWebhook": {"interruptOnError": True}},
    "to async": {"restAsync": {}},
}
CHANGES = [
    *(change(title, CHANGED, **fields) for title, fields in ONE_CHANGE.items()),
    *(
        after(f"{title}, as it is read", shown(**fields), update(**fields))
        for title, fields in ONE_CHANGE.items()
    ),
    change("several at once", CHANGED, name="renamed $unique", timeout="1s", restAsync={}),
]

NO_CHANGE = [
    change("nothing", UNCHANGED),
    change("the endpoint that it has", UNCHANGED, endpoint=ENDPOINT),
    change("everything that it has", UNCHANGED, **webhook(name="target $unique")),
    change("payload type unspecified", UNCHANGED, payloadType="PAYLOAD_TYPE_UNSPECIFIED"),
    Row(
        "a payload type cannot be taken back",
        Call("UpdateTarget", {"id": "$target", "payloadType": 0}),
        UNCHANGED,
        [a_target(payloadType="PAYLOAD_TYPE_JWE")],
    ),
    Row(
        "async that is async",
        Call("UpdateTarget", {"id": "$target", "restAsync": {}}),
        UNCHANGED,
        [create(of_type("restAsync"))],
    ),
    Row(
        "the same change again has the date of the first",
        Call("UpdateTarget", {"id": "$target", "timeout": "20s"}),
        {"changeDate": "$changed"},
        [a_target(), update(timeout="20s")],
    ),
    after("nothing is changed", shown(changeDate="$target_created"), update()),
    after(
        "nothing of a change that was refused is kept",
        shown(changeDate="$target_created"),
        a_target("other"),
        replace(update(name="other $unique", timeout="20s", expirationSigningKey="0s"), fails=True),
    ),
]

INTERRUPTS = [
    Row(
        "it stops interrupting right after it was created so",
        Call("GetTarget", {"id": "$target"}),
        shown(name="hook $unique"),
        [
            create(of_type("restWebhook", interrupts=True)),
            update(restWebhook={"interruptOnError": False}),
        ],
    ),
    Row(
        "interrupting that interrupts is no change",
        Call("UpdateTarget", {"id": "$target", "restCall": {"interruptOnError": True}}),
        UNCHANGED,
        [create(of_type("restCall", interrupts=True))],
    ),
    after(
        "nothing that is async interrupts",
        shown(restWebhook={}),
        update(restWebhook={"interruptOnError": True}),
        update(restAsync={}),
        update(restWebhook={}),
    ),
    after(
        "a name alone leaves the type alone",
        shown(name="renamed $unique", restCall={"interruptOnError": True}),
        update(restCall={"interruptOnError": True}),
        update(name="renamed $unique"),
    ),
]

ROTATED = {"changeDate": NOW, "signingKey": NewKey("$target_key")}
ROTATE = Call(
    "UpdateTarget",
    {"id": "$target", "expirationSigningKey": "0s"},
    keep={"changed": "changeDate", "new_key": "signingKey"},
)
KEYS = [
    change("a new key at once", ROTATED, expirationSigningKey="0s"),
    change("a new key, the old one for a second more", ROTATED, expirationSigningKey="1s"),
    change("a new key, the old one for seven days", ROTATED, expirationSigningKey="604800s"),
    change("a new key and a new name", ROTATED, expirationSigningKey="0s", name="new $unique"),
    after("the new key is the one that is read", shown(signingKey="$new_key"), ROTATE),
    Row(
        "a new key once more",
        Call("UpdateTarget", {"id": "$target", "expirationSigningKey": "0s"}),
        {"changeDate": NOW, "signingKey": NewKey("$new_key")},
        [a_target(), ROTATE],
    ),
    Row(
        "an update without it leaves the key alone",
        Call("UpdateTarget", {"id": "$target", "timeout": "20s"}),
        CHANGED,
        [a_target(), ROTATE],
    ),
]

IN_USE = [
    Row(
        "a target that executions call",
        Call("UpdateTarget", {"id": "$target", "name": "renamed $unique"}),
        CHANGED,
        [a_target(), set_targets({"function": {"name": "preuserinfo"}})],
        after=[set_targets({"function": {"name": "preuserinfo"}}, [])],
    ),
]

NOT_ALLOWED = [
    Row(
        f"{caller} may not write, whatever the target",
        Call("UpdateTarget", {"id": "1", "timeout": "0s"}, caller),
        ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2"),
    )
    for caller in (Caller.ORG_OWNER, Caller.VIEWER)
]

ROWS = [*VALIDATION, *CHECKS, *CHANGES, *NO_CHANGE, *INTERRUPTS, *KEYS, *IN_USE, *NOT_ALLOWED]


@each_row(ROWS)
async def test_update_target(service: Service, row: Row):
    """
    Tools that keep targets as code update them again and again, and read the dates.
    """
    await check(service, row)
