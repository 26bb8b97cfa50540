"""Policies of targets, and pausing targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapters.http.connect.test_policy_tls import CA, OTHER, PAIR
from api.calls.matching import NOW
from api.calls.runner import check, each_row
from api.calls.service import Service
from api.calls.steps import (
    EVENT_TYPE,
    KNOWN,
    a_target,
    delete,
    on_event,
    publish,
    set_targets,
)
from api.calls.table import ALL_BUT_REST, Call, Caller, ExpectedError, Row

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_FOUND = ExpectedError("not_found", "Target not found", "QUERY-hj5oaniyrz")
NOT_ALLOWED = ExpectedError("permission_denied", "No matching permissions found", "AUTH-5mWD2")
INSIDE = "embedded message failed validation | caused by: invalid "
RPCS = ("GetTargetPolicy", "SetTargetPolicy", "PauseTarget", "ResumeTarget")

EVERYTHING = {
    "retry": {
        "waits": ["5s", "0s", "604800s", "0.000001s"],
        "jitter": 0.0,
        "maxAge": "315576000000s",
        "finalStatuses": [404, 599],
        "honorRetryAfter": False,
    },
    "maxConcurrency": 2**32 - 1,
    "ratePerSecond": 0.5,
    "ordering": "ORDERING_BY_AGGREGATE",
    "breaker": {"failures": 5, "openFor": "300s"},
    "onUnreachable": "ON_UNREACHABLE_INTERRUPT",
    "checkAsyncStatus": True,
    "onDead": "ON_DEAD_HALT",
    "tls": {"caPem": CA},
    "proxyUrl": "http://user@proxy.example:3128",
}
SECRETS = {
    "headers": {"X-Api-Key": "hidden", "authorization": "Bearer hidden"},
    "tls": {"clientCertPem": PAIR.certificate, "clientKeyPem": PAIR.key},
    "proxyUrl": "http://user:hidden@proxy.example:3128",
}
SHOWN_SECRETS = {
    "headers": {"X-Api-Key": "", "authorization": ""},
    "tls": {"clientCertPem": PAIR.certificate},
    "proxyUrl": "http://user:***@proxy.example:3128",
}


def the(rpc: str, caller: Caller = Caller.ADMIN, target: str = "$target") -> Call:
    """A call about the target; a policy that is set is one with a limit."""
    policy = {"policy": {"maxConcurrency": 1}} if rpc == "SetTargetPolicy" else {}
    return Call(rpc, {"targetId": target, **policy}, caller)


def put(policy: Mapping[str, Any]) -> Call:
    """Set the target's policy; keep the date."""
    request = {"targetId": "$target", "policy": policy}
    return Call("SetTargetPolicy", request, keep={"set": "changeDate"})


GET = the("GetTargetPolicy")
PAUSE = Call("PauseTarget", {"targetId": "$target"}, keep={"paused": "changeDate"})
RESUME = the("ResumeTarget")


def refused(text: str) -> ExpectedError:
    """The error of validation about a policy."""
    return ExpectedError(
        "invalid_argument", f"invalid SetTargetPolicyRequest.Policy: {INSIDE}{text}"
    )


def checked(text: str) -> ExpectedError:
    """An error of the checks that are no rules."""
    return ExpectedError("invalid_argument", f"invalid {text}")


EVERY_RPC = [
    *(Row(f"{rpc} of nobody's target", the(rpc, target="1"), NOT_FOUND) for rpc in RPCS),
    *(
        Row(f"{rpc} of a deleted target", the(rpc), NOT_FOUND, [a_target(), delete()])
        for rpc in RPCS
    ),
    *(
        Row(
            f"{rpc} without an id",
            the(rpc, target=""),
            checked(
                f"{rpc}Request.TargetId: value length must be between 1 and 200 runes, inclusive"
            ),
            wires=ALL_BUT_REST,
        )
        for rpc in RPCS
    ),
    *(
        Row(f"{caller} may not {rpc}", the(rpc, caller, "1"), NOT_ALLOWED)
        for caller in (Caller.ORG_OWNER, Caller.PUBLISHER)
        for rpc in RPCS
    ),
    *(
        Row(f"who may only read may not {rpc}", the(rpc, Caller.VIEWER, "1"), NOT_ALLOWED)
        for rpc in RPCS[1:]
    ),
    Row("who may only read", the(RPCS[0], Caller.VIEWER), {"policy": {}}, [a_target()]),
]

READ_AND_SET = [
    Row("a target has the default policy", GET, {"policy": {}}, [a_target()]),
    Row("setting answers when", put({}), {"changeDate": NOW}, [a_target()]),
    Row(
        "a policy without anything was set",
        GET,
        {"policy": {}, "changeDate": "$set"},
        [a_target(), put({})],
    ),
    Row(
        "all that is not secret comes back",
        GET,
        {"policy": EVERYTHING, "changeDate": "$set"},
        [a_target(), put(EVERYTHING)],
    ),
    Row(
        "a policy is replaced whole",
        GET,
        {"policy": {"ratePerSecond": 1000000}, "changeDate": "$set"},
        [a_target(), put(EVERYTHING), put({"ratePerSecond": 1000000})],
    ),
    Row(
        "a breaker without a time is open for a minute",
        GET,
        {"policy": {"breaker": {"failures": 1, "openFor": "60s"}}, "changeDate": "$set"},
        [a_target(), put({"breaker": {"failures": 1, "openFor": "0s"}})],
    ),
    Row(
        "what is zero is the default, jitter and the flag apart",
        GET,
        {"policy": {"retry": {"jitter": 0.0, "honorRetryAfter": True}}, "changeDate": "$set"},
        [
            a_target(),
            put(
                {
                    "retry": {"jitter": 0, "maxAge": "0s", "honorRetryAfter": True},
                    "breaker": {},
                    "tls": {},
                    "ordering": 0,
                }
            ),
        ],
    ),
    Row(
        "secrets are not shown",
        GET,
        {"policy": SHOWN_SECRETS, "changeDate": "$set"},
        [a_target(), put(SECRETS)],
    ),
    Row(
        "what is shown can be set again, and again",
        put(SHOWN_SECRETS),
        {"changeDate": NOW},
        [a_target(), put(SECRETS), put(SHOWN_SECRETS)],
    ),
    Row(
        "what was there once and is not any more",
        put(SHOWN_SECRETS),
        checked("TargetPolicy.Headers[X-Api-Key]: value is required"),
        [a_target(), put(SECRETS), put({})],
    ),
]


def wrong(title: str, policy: Mapping[str, Any], text: str) -> Row:
    """A policy that a rule of the contract refuses."""
    return Row(title, put(policy), refused(text), [a_target()])


def unusable(title: str, policy: Mapping[str, Any], text: str) -> Row:
    """A policy that our own checks refuse."""
    return Row(title, put(policy), checked(text), [a_target()])


VALIDATION = [
    Row(
        "no policy",
        Call("SetTargetPolicy", {"targetId": "1"}),
        checked("SetTargetPolicyRequest.Policy: value is required"),
    ),
    wrong(
        "a wait of more than a week",
        {"retry": {"waits": ["604800.000001s"]}},
        f"TargetPolicy.Retry: {INSIDE}RetryPolicy.Waits[0]:"
        " value must be inside range [0s, 168h0m0s]",
    ),
    wrong(
        "a jitter of more than all",
        {"retry": {"jitter": 1.1}},
        f"TargetPolicy.Retry: {INSIDE}RetryPolicy.Jitter: value must be inside range [0, 1]",
    ),
    wrong(
        "a rate that is no number",
        {"ratePerSecond": "NaN"},
        "TargetPolicy.RatePerSecond: value must be inside range [0, 1000000]",
    ),
    wrong(
        "an unknown ordering",
        {"ordering": 3},
        "TargetPolicy.Ordering: value must be one of the defined enum values",
    ),
    wrong(
        "an unknown end",
        {"onDead": 3},
        "TargetPolicy.OnDead: value must be one of the defined enum values",
    ),
    wrong(
        "a long proxy",
        {"proxyUrl": "http://" + "p" * 1994},
        "TargetPolicy.ProxyUrl: value length must be at most 2000 runes",
    ),
    unusable(
        "a header of ours",
        {"headers": {"webhook-ID": "1"}},
        "TargetPolicy.Headers[webhook-ID]: outrider or HTTP sets this header: leave it out",
    ),
    unusable(
        "a header in two lines",
        {"headers": {"X-Key": "a\r\nHost: b"}},
        "TargetPolicy.Headers[X-Key]: value must be visible ASCII, with spaces only inside",
    ),
    unusable(
        "a header without a value",
        {"headers": {"X-Key": ""}},
        "TargetPolicy.Headers[X-Key]: value is required",
    ),
    unusable(
        "a proxy that speaks something else",
        {"proxyUrl": "socks5://user:hidden@proxy.example"},
        "TargetPolicy.ProxyUrl: the URL's scheme is neither http nor https",
    ),
    unusable(
        "a certificate that is none",
        {"tls": {"caPem": "hidden"}},
        "TargetPolicy.Tls: ca_pem is not a certificate in PEM",
    ),
    unusable(
        "a key of another certificate",
        {"tls": {"clientCertPem": PAIR.certificate, "clientKeyPem": OTHER.key}},
        "TargetPolicy.Tls: client_key_pem is not the key of the first certificate",
    ),
    unusable(
        "a certificate without its key",
        {"tls": {"clientCertPem": PAIR.certificate}},
        "TlsPolicy.ClientKeyPem: value and TlsPolicy.ClientCertPem must be given together",
    ),
]

FOUND = Call("ListDeliveries", {"eventId": "$unique"}, keep={"published": "deliveries.0.createdAt"})
ONE_PENDING = [
    KNOWN,
    a_target(),
    set_targets(on_event()),
    PAUSE,
    publish({"id": "$unique", "eventType": EVENT_TYPE}),
    FOUND,
]
PAUSES = [
    Row("pausing answers when", PAUSE, {"changeDate": NOW}, [a_target()]),
    Row("a target is paused", GET, {"policy": {}, "pausedAt": "$paused"}, [a_target(), PAUSE]),
    Row(
        "a paused target is paused since then",
        PAUSE,
        {"changeDate": "$paused"},
        [a_target(), PAUSE],
    ),
    Row("resuming answers when", RESUME, {"changeDate": NOW}, [a_target(), PAUSE]),
    Row("a target that is not paused", RESUME, {}, [a_target()]),
    Row(
        "a target that goes on is not paused",
        GET,
        {"policy": {}},
        [a_target(), PAUSE, RESUME],
    ),
    Row(
        "a policy does not end a pause",
        GET,
        {"policy": {"maxConcurrency": 1}, "changeDate": "$set", "pausedAt": "$paused"},
        [a_target(), PAUSE, put({"maxConcurrency": 1})],
    ),
    Row(
        "a pending delivery of a paused target waits, and shows since when it is due",
        Call("ListDeliveries", {"eventId": "$unique", "states": [1], "pageSize": 1}),
        {
            "deliveries": [
                {
                    "id": "$delivery",
                    "eventId": "$unique",
                    "eventType": EVENT_TYPE,
                    "targetId": "$target",
                    "execution": f"event/{EVENT_TYPE}",
                    "state": "DELIVERY_STATE_PENDING",
                    "createdAt": "$published",
                    "nextAttemptAt": "$published",
                }
            ]
        },
        [
            *ONE_PENDING,
            Call("ListDeliveries", {"eventId": "$unique"}, keep={"delivery": "deliveries.0.id"}),
        ],
    ),
]

ROWS = [*EVERY_RPC, *READ_AND_SET, *VALIDATION, *PAUSES]


@each_row(ROWS)
async def test_target_policies(service: Service, row: Row):
    """
    How a target is called is said here, by people and by scripts that read before they write.
    """
    await check(service, row)
