"""The worst calls that the API takes: as much work as one caller may give it, of each kind.

Each body is close to a limit (docs/limits.md). `refused` ones go over one, and must cost nothing.
Targets and tokens are the benchmark's; none of these calls needs more than the server's own state.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON: Mapping[str, str] = {"content-type": "application/json"}
PROTO: Mapping[str, str] = {"content-type": "application/proto"}
GRPC_WEB_TEXT: Mapping[str, str] = {"content-type": "application/grpc-web-text"}
CLOUD_EVENT: Mapping[str, str] = {"content-type": "application/cloudevents+json"}
CLOUD_EVENTS: Mapping[str, str] = {"content-type": "application/cloudevents-batch+json"}

_MIB = 1024 * 1024
_LARGEST = 4 * _MIB
_TRACE = f"00-{'1' * 32}-{'1' * 16}-01"
_METHOD = "/stall.v1.Calls/Make"


@dataclass(frozen=True, slots=True)
class StallCall:
    """One call. `body` makes a new one, because it is large; `has_token` is whether it is let in."""

    name: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: Callable[[], bytes] = field(repr=False)
    has_token: bool = True
    is_refused: bool = False


def stall_calls() -> Iterator[StallCall]:
    """Every one, those that are taken first."""
    yield from _accepted()
    yield from _refused()
    yield from _without_token()


def _post(
    name: str, path: str, body: Callable[[], bytes], headers: Mapping[str, str] = JSON, **more: Any
) -> StallCall:
    return StallCall(name, "POST", path, headers, body, **more)


def _accepted() -> Iterator[StallCall]:
    publish, intercept = "/v1/events", "/v1/intercept/request"
    yield _post("publish, 1000 events of 4 KB", publish, lambda: _events(1000, "x" * 3800))
    yield _post("publish, 1000 types", publish, lambda: _events(1000, "", types=1000))
    yield _post("publish, 49 000 values", publish, lambda: _events(10, [{}] * 4_800))
    yield _post("publish, packed", publish, _packed, {**JSON, "content-encoding": "gzip"})
    yield _post("CloudEvents, 1000", publish, lambda: _cloud_events(1000), CLOUD_EVENTS)
    yield _post("intercept, 19 000 values", intercept, lambda: _intercepted([{}] * 19_000))
    yield _post("intercept, one text of 4 MB", intercept, lambda: _intercepted("x" * 4_000_000))
    yield _post("intercept, 1000 headers", intercept, lambda: _intercepted("", headers=1000))
    yield _post(
        "targets by 39 000 ids",
        "/v2/actions/targets/search",
        lambda: _json({"filters": [{"inTargetIdsFilter": {"targetIds": _ids(39_000)}}]}),
    )
    yield _post(
        "targets, a page of 1000",
        "/v2/actions/targets/search",
        lambda: _json({"pagination": {"limit": 1000}}),
    )
    yield _post("deliveries, a page of 1000", "/v1/deliveries/search", lambda: b'{"pageSize":1000}')
    yield _post(
        "events, binary, 1000 of 4 KB",
        "/outrider.v1.EventService/PublishEvents",
        lambda: _binary_events(1000),
        PROTO,
    )


def _refused() -> Iterator[StallCall]:
    events = "/outrider.v1.EventService/PublishEvents"
    yield _post(
        "CloudEvents, a million empty ones",
        "/v1/events",
        lambda: b"[" + b"{}," * 1_390_000 + b"{}]",
        CLOUD_EVENTS,
        is_refused=True,
    )
    yield _post(
        "a CloudEvent with 350 000 attributes",
        "/v1/events",
        lambda: b"{" + b",".join(b'"a%d":1' % number for number in range(350_000)) + b"}",
        CLOUD_EVENT,
        is_refused=True,
    )
    yield _post(
        "two million empty messages",
        events,
        lambda: b"\n\0" * (_LARGEST // 2),
        PROTO,
        is_refused=True,
    )
    yield _post(
        "gzip of 200 000 empty members",
        "/v1/events",
        lambda: gzip.compress(b"", mtime=0) * (_LARGEST // 20),
        {**JSON, "content-encoding": "gzip"},
        is_refused=True,
    )
    yield _post(
        "a million texts of Base64",
        events,
        lambda: b"AA==" * (_LARGEST // 4),
        GRPC_WEB_TEXT,
        is_refused=True,
    )


def _without_token() -> Iterator[StallCall]:
    create = "/v2/actions/targets"
    yield _post("no token, 4 MiB", create, lambda: b"x" * _LARGEST, has_token=False)
    yield _post(
        "no token, an unknown source",
        "/v1/relay/unknown",
        lambda: b"x" * _LARGEST,
        has_token=False,
    )
    yield _post(
        "no token, a long tracestate",
        create,
        lambda: b"{}",
        {**JSON, "traceparent": _TRACE, "tracestate": "a=b," * 3_500},
        has_token=False,
    )
    yield StallCall("no token, a long path", "GET", "/" * 15_000, {}, lambda: b"", has_token=False)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _ids(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def _events(count: int, value: object, types: int = 1) -> bytes:
    events = [
        {"eventType": f"stall.t{number % types}", "eventPayload": {"value": value}}
        for number in range(count)
    ]
    return _json({"events": events})


def _packed() -> bytes:
    return gzip.compress(_events(1000, "x" * 3800))


def _cloud_events(count: int) -> bytes:
    shared = {"specversion": "1.0", "source": "stall", "type": "stall.t0", "data": {"a": 1}}
    return _json([{**shared, "id": str(number)} for number in range(count)])


def _intercepted(value: object, headers: int = 0) -> bytes:
    names = {f"x-h{number}": {"values": ["v" * 100]} for number in range(headers)}
    return _json({"fullMethod": _METHOD, "headers": names, "request": {"value": value}})


def _binary_events(count: int) -> bytes:
    payload = b'{"value":"' + b"x" * 3800 + b'"}'
    event = b":\x08stall.t0" + b"Z" + _varint(len(payload)) + payload
    return (b"\n" + _varint(len(event)) + event) * count


def _varint(number: int) -> bytes:
    octets = b""
    while number > 127:
        octets += bytes([number & 127 | 128])
        number >>= 7
    return octets + bytes([number])
