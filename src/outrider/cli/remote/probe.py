"""Ask a server something small over plain HTTP, without the protobuf runtime."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

OK = 200
TIMEOUT_S = 5.0
MAX_BYTES = 1024 * 1024


class NoAnswer(Exception):
    """Nothing at that URL speaks HTTP to us."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, of whatever status. `date` is the server's clock, if it says."""

    status: int
    text: str
    date: datetime | None


def get(url: str, *, timeout: float = TIMEOUT_S) -> Answer:
    """One GET, without a proxy and without following anything.

    Raises:
        NoAnswer: no HTTP answer came within the time.
    """
    return send("GET", url, timeout=timeout)


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = TIMEOUT_S,
) -> Answer:
    """One request, without a proxy and without following anything.

    Raises:
        NoAnswer: no HTTP answer came within the time.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Unredirected)
    try:
        request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310 - callers check
        with opener.open(request, timeout=timeout) as answer:
            return _answer(answer.status, answer.read(MAX_BYTES), answer.headers["date"])
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.read(MAX_BYTES), error.headers["date"])
    except urllib.error.URLError as error:
        raise NoAnswer(str(error.reason)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from None


def is_outrider(url: str) -> bool:
    """Whether a server of ours lives there."""
    try:
        said = json.loads(get(f"{url}/healthz", timeout=1.0).text)
    except (NoAnswer, ValueError):
        return False
    return bool(said == {"status": "ok"})


class _Unredirected(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: another server's answer says nothing about this one."""


def _answer(status: int, body: bytes, date: str | None) -> Answer:
    try:
        at = parsedate_to_datetime(date) if date else None
    except ValueError:
        at = None
    return Answer(status, body.decode("utf-8", "replace").strip(), at)
