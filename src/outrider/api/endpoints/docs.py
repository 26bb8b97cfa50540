"""Serve the API reference: `/openapi.json` for programs, `/docs` for people.

Both are generated from the proto files. Neither needs a token, because they contain no more than
the source does.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from outrider.api.asgi.origin import origin_of
from outrider.api.asgi.types import App, Header, Receive, Scope, Send, header, send_response

OPENAPI = "/openapi.json"
DOCS = "/docs"
ROOT = "/"

# Stands in the page where the address belongs at which the caller reaches the server.
ORIGIN_MARK = b"https://outrider.invalid"
# Without a readable Host header.
NO_HOST = b"localhost:8080"

# What callers invent must not take long: this level takes a millisecond, the best one five.
LEVEL = 3

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
    docs_page = Resource(b"text/html; charset=utf-8", page, (PAGE_POLICY,))
    return {
        OPENAPI: document,
        DOCS: docs_page,
        f"{DOCS}/": redirect_to_docs,
        ROOT: redirect_to_docs,
    }


async def redirect_to_docs(scope: Scope, _receive: Receive, send: Send) -> None:
    """Sends browsers to the page."""
    if scope["method"] in {"GET", "HEAD"}:
        await send_response(send, FOUND, ((b"location", DOCS.encode()), REVALIDATE))
    else:
        await send_not_allowed(send)


async def send_not_allowed(send: Send) -> None:
    """There is nothing to do here but read."""
    await send_response(send, NOT_ALLOWED, ((b"allow", b"GET, HEAD"),))


class Resource:
    """A text that is the same for every caller, but for the address of the server in it."""

    def __init__(self, media_type: bytes, body: bytes, headers: tuple[Header, ...] = ()) -> None:
        self._headers = ((b"content-type", media_type), REVALIDATE, VARY, NO_SNIFFING, *headers)
        # Few addresses lead to one server; callers who invent more must not fill the memory.
        self._variant = lru_cache(maxsize=8)(
            lambda origin, gzipped: render_variant(body, origin, gzipped=gzipped)
        )
        self._has_origin = ORIGIN_MARK in body

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """GET and HEAD; 304 when the caller has it already."""
        if scope["method"] not in {"GET", "HEAD"}:
            await send_not_allowed(send)
            return
        gzipped = b"gzip" in (header(scope, b"accept-encoding") or b"")
        origin = origin_of(scope, no_host=NO_HOST) if self._has_origin else NO_HOST
        body, tag = self._variant(origin, gzipped)
        headers = [*self._headers, (b"etag", tag)]
        if tag in (header(scope, b"if-none-match") or b""):
            await send_without_body(send, NOT_MODIFIED, headers)
            return
        if gzipped:
            headers.append((b"content-encoding", b"gzip"))
        if scope["method"] == "HEAD":
            await send_without_body(
                send, OK, [*headers, (b"content-length", str(len(body)).encode())]
            )
        else:
            await send_response(send, OK, headers, body)


def render_variant(body: bytes, origin: bytes, *, gzipped: bool) -> tuple[bytes, bytes]:
    """The text for one address, with its ETag (RFC 9110, section 8.8.3)."""
    text = body.replace(ORIGIN_MARK, origin)
    if gzipped:
        text = gzip.compress(text, LEVEL, mtime=0)
    return text, f'"{sha256(text).hexdigest()[:32]}"'.encode()


async def send_without_body(send: Send, status: int, headers: list[Header]) -> None:
    """An answer without a body, whose headers may speak of one."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
