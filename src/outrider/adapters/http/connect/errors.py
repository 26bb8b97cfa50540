"""Errors of calls that brought no response: each is a sentence for the attempt log."""

from __future__ import annotations

import re

from outrider.adapters.http.connect.lenient import shown
from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.outcome import Outcome

_WHILE = {
    Stage.RESOLVE: "while resolving the host name",
    Stage.PROXY: "while reaching the target through the proxy",
    Stage.CONNECT: "while connecting",
    Stage.TLS: "during the TLS handshake",
    Stage.SEND: "while sending the request",
    Stage.ANSWER: "while waiting for the answer",
}

ONLY_HTTP2 = (
    "the receiver speaks only HTTP/2; let it accept HTTP/1.1 as well, or put a proxy in front of it"
)
_SETTINGS, _GOAWAY, _MAX_FRAME_BYTES = b"\x04", b"\x07", 16384
_GREETINGS = [
    (
        re.compile(rb"[\x15\x16]\x03[\x00-\x04]"),
        "the port speaks TLS: begin the endpoint with https",
    ),
    (re.compile(rb"SSH-"), "that is an SSH server: check the port of the endpoint"),
    (re.compile(rb"220[ -]"), "that is a server of SMTP or FTP: check the port of the endpoint"),
]


def unreachable(stage: Stage, reason: str) -> RequestError:
    """A call that got as far as `stage` and brought no response."""
    return RequestError(Outcome.UNREACHABLE, stage, reason)


def blocked(reason: str) -> RequestError:
    """A call that our own rules stopped before anything was sent to that address."""
    return RequestError(Outcome.BLOCKED, Stage.GUARD, reason)


def proxy_error(reason: str) -> RequestError:
    """A call that a proxy brought to an end: no fault of the target."""
    return unreachable(Stage.PROXY, f"proxy: {reason}")


def as_proxy_error(error: RequestError) -> RequestError:
    """Return the same error with the stage PROXY, for a failure on the way to a proxy."""
    return RequestError(error.outcome, Stage.PROXY, f"proxy: {error.reason}")


def timed_out(stage: Stage, seconds: float, progress: str = "") -> RequestError:
    """A call whose `seconds` were over in `stage`, or more exactly at `progress`."""
    return unreachable(stage, f"time-out after {seconds:.3g} s {progress or _WHILE[stage]}")


def not_http(data: bytes) -> str:
    """Describe a peer that speaks another protocol than HTTP/1, by the first bytes that it sent."""
    if is_http2(data):
        return ONLY_HTTP2
    beginning = f"answer is not HTTP: it begins with {shown(data)}"
    for greeting, explanation in _GREETINGS:
        if greeting.match(data):
            return f"{beginning}; {explanation}"
    return f"{beginning}; check host and port of the endpoint"


def unasked(data: bytes) -> str:
    """Describe a peer that sends before the request, by the first bytes that it sent."""
    if data[:5].upper() == b"HTTP/":
        return f"the receiver answered before the request was sent: {shown(data)}"
    return not_http(data)


def is_http2(data: bytes) -> bool:
    """Return whether these are frames that an HTTP/2 server begins with (RFC 9113, 3.4 and 4.1)."""
    begins_connection = data[3:4] in {_SETTINGS, _GOAWAY} and data[5:9] == bytes(4)
    return begins_connection and int.from_bytes(data[:3]) <= _MAX_FRAME_BYTES
