"""CreateTarget: as in ZITADEL, and how outrider differs."""

from __future__ import annotations

from typing import Any

import pytest

from api.calls.matching import A_SIGNING_KEY, AN_ID, NOW
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import ENDPOINT, a_target, delete, of_type, update, webhook
from api.calls.table import Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATED = {"id": AN_ID, "creationDate": NOW, "signingKey": A_SIGNING_KEY}
NO_TIMEOUT = ExpectedError("invalid_argument", "Target has no timeout", "COMMAND-39f35d8uri")
INVALID_URL = ExpectedError("invalid_argument", "Target has an invalid URL", "COMMAND-1r2k6qo6wg")
DENIED_URL = ExpectedError("invalid_argument", "Errors.Target.DeniedURL", "COMMAND-NcJUKo")
TAKEN = ExpectedError("already_exists", "Errors.Target.AlreadyExists", "V3-DKcYh")


def invalid(field: str, reason: str) -> ExpectedError:
    """An error of validation."""
    return ExpectedError("invalid_argument", f"invalid CreateTargetRequest.{field}: {reason}")


NAME = invalid("Name", "value length must be between 1 and 1000 runes, inclusive")
TIMEOUT = invalid("Timeout", "value must be inside range [0s, 4m30s]")
ENDPOINT_LENGTH = invalid("Endpoint", "value length must be between 1 and 2048 runes, inclusive")
TYPE = invalid("TargetType", "value is required")


def without(*names: str, **fields: Any) -> dict[str, Any]:
    """A request that lacks these."""
    return {name: value for name, value in webhook(**fields).items() if name not in names}


def refused(title: str, request: dict[str, Any], expected: ExpectedError) -> Row:
    """A row that needs nothing before it."""
    return Row(title, Call("CreateTarget", request), expected)


VALIDATION = [
    refused("an empty request fails on its name", {}, NAME),
    refused("an empty name", webhook(name=""), NAME),
    refused("a name of 1001 letters", webhook(name="n" * 1001), NAME),
    refused("a name alone fails on the endpoint", {"name": "n"}, ENDPOINT_LENGTH),
    refused("a webhook without endpoint", without("endpoint"), ENDPOINT_LENGTH),
    refused("a call without endpoint", of_type("restCall", endpoint=""), ENDPOINT_LENGTH),
    refused("an endpoint of 2049 letters", webhook(endpoint=f"{ENDPOINT:x<2049}"), ENDPOINT_LENGTH),
    refused("no type", without("restWebhook"), TYPE),
    refused("the name before the time-out", webhook(name="", timeout="271s"), NAME),
    refused("the time-out before the endpoint", webhook(endpoint="", timeout="271s"), TIMEOUT),
    refused("the endpoint before the type", {"name": "n", "timeout": "1s"}, ENDPOINT_LENGTH),
    refused("a time-out of 271 s", webhook(timeout="271s"), TIMEOUT),
    refused("a time-out just over 270 s", webhook(timeout="270.000000001s"), TIMEOUT),
    refused("a negative time-out", webhook(timeout="-0.000000001s"), TIMEOUT),
]

# In the order in which they are made: each row breaks the next rule too.
CHECKS = [
    refused("validation before the time-out", without("restWebhook", timeout="0s"), TYPE),
    refused("a time-out of 0 s", webhook(timeout="0s"), NO_TIMEOUT),
    refused("the time-out before the URL", webhook(timeout="0s", endpoint="::"), NO_TIMEOUT),
    refused(
        "the time-out before the host", webhook(timeout="0s", endpoint="http://[::1]"), NO_TIMEOUT
    ),
    Row(
        "the URL before the name",
        Call("CreateTarget", webhook(name="target $unique", endpoint="::")),
        INVALID_URL,
        given=[a_target()],
    ),
    Row(
        "the host before the name",
        Call("CreateTarget", webhook(name="target $unique", endpoint="http://127.0.0.1/")),
        DENIED_URL,
        given=[a_target()],
    ),
]

# Not even a change of the network could make these work.
NEVER_VALID = [
    "::",
    "/hook",
    "receiver.example/hook",
    "//receiver.example/hook",
    "ftp://receiver.example/hook",
    "https://",
    "https:///hook",
    "https://name:secret@receiver.example/hook",
    "https://receiver.example/hook#part",
    "https://receiver.example:65536/",
    "https://receiver.example:0/",
    "https://receiver.example:port/",
    "https://[::1/",
    "https://[fe80::1%25eth0]/",
    "https://receiver example/",
    "https://receiver.example/a b",
    " https://receiver.example/",
    "https://receiver.example/\n",
    "https://receiver.example/\u2028",
    "https://receiver.example/\u0000",
    "https://256.256.256.256/",
    " ",
]
# Addresses that the egress profile blocks, in every spelling that a resolver takes.
BLOCKED = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://10.0.0.1/",
    "http://192.168.1.1:8080/hook",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00::1]/",
    "http://224.0.0.1/",
    "https://255.255.255.255/",
]
ENDPOINTS = [
    *(refused(f"the endpoint {url!r}", webhook(endpoint=url), INVALID_URL) for url in NEVER_VALID),
    *(refused(f"the endpoint {url}", webhook(endpoint=url), DENIED_URL) for url in BLOCKED),
]

ACCEPTED = {
    "a webhook": webhook(),
    "a webhook that interrupts": of_type("restWebhook", interrupts=True),
    "a call": of_type("restCall"),
    "a call that interrupts": of_type("restCall", interrupts=True),
    "an async": of_type("restAsync"),
    "payload type JSON": webhook(payloadType="PAYLOAD_TYPE_JSON"),
    "payload type JWT": webhook(payloadType="PAYLOAD_TYPE_JWT"),
    "payload type JWE": webhook(payloadType="PAYLOAD_TYPE_JWE"),
    "a payload type of a later release": webhook(payloadType=77),
    "no time-out": without("timeout"),
    "the longest time-out": webhook(timeout="270s"),
    "a time-out of a microsecond": webhook(timeout="0.000001s"),
    "a name of 1000 signs, each of four bytes": webhook(name=f"{'$unique':\U0001f511<1000}"),
    "an endpoint of 2048 letters": webhook(endpoint=f"{ENDPOINT:x<2048}"),
    "a host that no resolver knows": webhook(endpoint="https://nobody.invalid/hook"),
    "a name that leads to the machine itself": webhook(endpoint="http://localhost:9999/"),
    "an address that everybody may call": webhook(endpoint="http://93.184.215.14:8080/hook?a=b"),
    "capitals in scheme and host": webhook(endpoint="HTTPS://Receiver.Example"),
    "a host with umlauts": webhook(endpoint="https://b\u00fccher.example/"),
}
CREATES = [
    Row(title, Call("CreateTarget", request), CREATED) for title, request in ACCEPTED.items()
]

NAMES = [
    Row(
        "a name that is taken",
        Call("CreateTarget", of_type("restAsync", name="target $unique")),
        TAKEN,
        given=[a_target()],
    ),
    Row(
        "a name that is taken in other letters",
        Call("CreateTarget", webhook(name="\u00c4RGER $unique")),
        TAKEN,
        given=[a_target(name="\u00e4rger $unique")],
    ),
    Row(
        "a name with a space more is another name",
        Call("CreateTarget", webhook(name="target $unique ")),
        CREATED,
        given=[a_target()],
    ),
    Row(
        "deleting frees the name",
        Call("CreateTarget", webhook(name="target $unique")),
        CREATED,
        given=[a_target(), delete()],
    ),
    Row(
        "renaming frees the old name",
        Call("CreateTarget", webhook(name="target $unique")),
        CREATED,
        given=[a_target(), update(name="renamed $unique")],
    ),
    Row(
        "renaming takes the new name",
        Call("CreateTarget", webhook(name="Renamed $unique")),
        TAKEN,
        given=[a_target(), update(name="renamed $unique")],
    ),
]

NOT_ALLOWED = [
    Row(
        "a caller without the permission learns only that, whatever is wrong",
        Call("CreateTarget", {"name": "n"}, Caller.ORG_OWNER),
        ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2"),
    ),
    Row(
        "who may read may not write",
        Call("CreateTarget", webhook(), Caller.VIEWER),
        ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2"),
    ),
]

ROWS = [*VALIDATION, *CHECKS, *ENDPOINTS, *CREATES, *NAMES, *NOT_ALLOWED]


@each_row(ROWS)
async def test_create_target(service: Service, row: Row):
    """
    Programs written for ZITADEL tell these answers apart.
    """
    await check(service, row)
