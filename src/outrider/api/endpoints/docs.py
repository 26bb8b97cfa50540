"""What callers read about the API: `/openapi.json`, and `/docs`, which shows it to people.

Both are generated from the proto files. Nobody has to log in for them: they say no more than the
source does.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from outrider.api.asgi.origin import origin_of
from outrider.api.asgi.types import App, Header, Receive, Scope, Send, answer, header

OPENAPI = "/openapi.json"
DOCS = "/docs"
ROOT = "/"

# Stands in the page where the address belongs that the caller knows us by.
ORIGIN_MARK = b"https://outrider.invalid"
# Without a readable Host header.
NO_HOST = b"localhost:8080"

OK = 200
FOUND = 302
NOT_MODIFIED = 304
NOT_ALLOWED = 405

# A cache asks each time, and gets an answer without a body until something has changed.
REVALIDATE = (b"cache-control", b"no-cache")
VARY = (b"vary", b"accept-encoding, x-forwarded-proto")
# The page needs its own style and nothing else.
PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
)
NO_SNIFFING = (b"x-content-type-options", b"nosniff")


def docs() -> Mapping[str, App]:
    """The routes by path. `/` leads to the page."""
    generated = files("outrider_api")
    page = generated.joinpath("docs.html").read_bytes()
    document = Resource(b"application/json", generated.joinpath("openapi.json").read_bytes())
    shown = Resource(b"text/html; charset=utf-8", page, (PAGE_POLICY,))
    return {OPENAPI: document, DOCS: shown, f"{DOCS}/": to_docs, ROOT: to_docs}


async def to_docs(scope: Scope, _receive: Receive, send: Send) -> None:
    """Sends browsers to the page."""
    if scope["method"] in {"GET", "HEAD"}:
        await answer(send, FOUND, ((b"location", DOCS.encode()), REVALIDATE))
    else:
        await not_allowed(send)


async def not_allowed(send: Send) -> None:
    """There is nothing to do here but read."""
    await answer(send, NOT_ALLOWED, ((b"allow", b"GET, HEAD"),))


class Resource:
    """A text that is the same for everybody but for the address that they know us by."""

    def __init__(self, media_type: bytes, body: bytes, headers: tuple[Header, ...] = ()) -> None:
        self._headers = ((b"content-type", media_type), REVALIDATE, VARY, NO_SNIFFING, *headers)
        # Few addresses lead to one server; callers who make more up shall not fill the memory.
        self._variant = lru_cache(maxsize=8)(lambda origin, zipped: variant(body, origin, zipped))

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """GET and HEAD; 304 when the caller has it already."""
        if scope["method"] not in {"GET", "HEAD"}:
            await not_allowed(send)
            return
        zipped = b"gzip" in (header(scope, b"accept-encoding") or b"")
        body, tag = self._variant(origin_of(scope, no_host=NO_HOST), zipped)
        headers = [*self._headers, (b"etag", tag)]
        if tag in (header(scope, b"if-none-match") or b""):
            await bare(send, NOT_MODIFIED, headers)
            return
        if zipped:
            headers.append((b"content-encoding", b"gzip"))
        if scope["method"] == "HEAD":
            await bare(send, OK, [*headers, (b"content-length", str(len(body)).encode())])
        else:
            await answer(send, OK, headers, body)


def variant(body: bytes, origin: bytes, zipped: bool) -> tuple[bytes, bytes]:  # noqa: FBT001 - one of the two things that tell variants apart
    """The text for one address, with its ETag (RFC 9110, section 8.8.3)."""
    text = body.replace(ORIGIN_MARK, origin)
    if zipped:
        text = gzip.compress(text, mtime=0)
    return text, f'"{sha256(text).hexdigest()[:32]}"'.encode()


async def bare(send: Send, status: int, headers: list[Header]) -> None:
    """An answer without a body, whose headers may speak of one."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
