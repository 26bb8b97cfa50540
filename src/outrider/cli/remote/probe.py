"""Send small requests to a server over plain HTTP, without the protobuf runtime."""

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


class ProbeError(Exception):
    """No HTTP response came from that URL."""


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    """A response of any status. `date` is the server's clock, if it sent one."""

    status: int
    text: str
    date: datetime | None


def get(url: str, *, timeout: float = TIMEOUT_S) -> ProbeResponse:
    """One GET, without a proxy and without following anything.

    Raises:
        ProbeError: no HTTP response came within the time.
    """
    return send("GET", url, timeout=timeout)


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = TIMEOUT_S,
) -> ProbeResponse:
    """One request, without a proxy and without following anything.

    Raises:
        ProbeError: no HTTP response came within the time.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirectHandler)
    try:
        request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310 - callers check
        with opener.open(request, timeout=timeout) as response:
            return _parse_response(
                response.status, response.read(MAX_BYTES), response.headers["date"]
            )
    except urllib.error.HTTPError as error:
        with error:
            return _parse_response(error.code, error.read(MAX_BYTES), error.headers["date"])
    except urllib.error.URLError as error:
        raise ProbeError(str(error.reason)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ProbeError(str(error) or type(error).__name__) from None


def is_outrider(url: str) -> bool:
    """Return whether an outrider server answers at that URL."""
    try:
        document = json.loads(get(f"{url}/healthz", timeout=1.0).text)
    except (ProbeError, ValueError):
        return False
    return bool(document == {"status": "ok"})


class _NoRedirectHandler(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing: another server's response tells nothing about this one."""


def _parse_response(status: int, body: bytes, date: str | None) -> ProbeResponse:
    try:
        at = parsedate_to_datetime(date) if date else None
    except ValueError:
        at = None
    return ProbeResponse(status, body.decode("utf-8", "replace").strip(), at)
