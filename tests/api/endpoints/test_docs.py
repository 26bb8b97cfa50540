"""The document and the page, as a caller without a token gets them."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from api.asgi_client import Exchange, in_process
from api.calls.service import ADMIN_TOKEN, running
from api.sample import Lines, sample_app
from api.wires import HttpRequest, HttpResponse

ADDRESS = "http://outrider.test"


@pytest.fixture
def exchange() -> Exchange:
    """A caller without a token."""
    app = sample_app(Lines())

    async def at_given_host(scope, receive, send):
        # The carrier has its own host, and what a test gives comes after it.
        hosts = [(name, value) for name, value in scope["headers"] if name == b"host"]
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        await app({**scope, "headers": [hosts[-1], *others]}, receive, send)

    return in_process(at_given_host)


async def get(exchange: Exchange, path: str, method: str = "GET", **headers: str) -> HttpResponse:
    """Header names have underscores here."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await exchange(HttpRequest(method, path, given, b""))


async def page(exchange: Exchange, **headers: str) -> str:
    return (await get(exchange, "/docs", **headers)).body.decode()


def curls(text: str) -> Iterator[list[str]]:
    """The commands of the page, as a shell reads them."""
    for code in re.findall(r"<pre><code>(curl .*?)</code></pre>", text, re.DOTALL):
        one_line = unescape(code).replace("\\\n", "")
        yield shlex.split(one_line.replace("$TOKEN", ADMIN_TOKEN))


def request_of(command: list[str]) -> HttpRequest:
    """What curl would send."""
    method, path, headers, body = "GET", "", {}, ""
    rest = iter(command[1:])
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                headers[name.lower()] = value
            case "-d":
                body = next(rest)
            case address:
                assert address.startswith(ADDRESS)
                path = address.removeprefix(ADDRESS)
    return HttpRequest(method, path, headers, body.encode())


async def test_the_document_is_served_without_a_token(exchange):
    """
    Generators of clients fetch it before they have a token.
    """
    response = await get(exchange, "/openapi.json")

    assert (200, "application/json") == (response.status, response.headers["content-type"])
    assert json.loads(response.body)["openapi"] == "3.1.0"


async def test_the_page_shows_every_call(exchange):
    """
    A call that is not on the page does not exist for its readers.
    """
    document = json.loads((await get(exchange, "/openapi.json")).body)
    shown = set(re.findall(r"</b> ([^<]+)</code>", await page(exchange)))

    assert document["paths"].keys() == shown


async def test_the_page_needs_nothing_from_elsewhere(exchange):
    """
    It must work in a network without a way out, and tell no other server that it was read.
    """
    text = await page(exchange)

    assert [] == re.findall(r"<script|<link|<img|<iframe|\bsrc=|url\(|@import", text)


async def test_every_link_within_the_page_leads_somewhere(exchange):
    """
    Hundreds of links are generated; a reader tries three.
    """
    text = await page(exchange)
    anchors = re.findall(r'id=["\']([^"\']+)', text)

    assert len(set(anchors)) == len(anchors)
    assert set() == set(re.findall(r'href="#([^"]+)', text)) - set(anchors)


async def test_the_examples_of_the_page_work(tmp_path):
    """
    The first thing that a reader does is to copy one of them.
    """
    async with running(tmp_path) as service:
        exchange = service.client.exchange
        statuses = {}
        for command in curls(await page(exchange)):
            request = request_of(command)
            response = await exchange(request)
            statuses[f"{request.method} {request.path}"] = response.status

    works = ["POST /v1/tokens", "POST /v1/events", "POST /v1/deliveries/search", "GET /healthz"]
    works += ["POST /v2/actions/targets", "POST /v2/actions/targets/search"]
    assert dict.fromkeys(works, 200) == {example: statuses[example] for example in works}
    assert set() == {401, 403, 405, 415, 500} & set(statuses.values())


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "actions.example.com:8443"}, "http://actions.example.com:8443"),
        ({"host": "[::1]:8080"}, "http://[::1]:8080"),
        (
            {"host": "actions.example.com", "x_forwarded_proto": "https"},
            "https://actions.example.com",
        ),
        ({"host": "a.example", "x_forwarded_proto": "javascript"}, "http://a.example"),
        ({"host": '"><script>'}, "http://localhost:8080"),
        ({"host": "a.example/path"}, "http://localhost:8080"),
        ({"host": "a.example\n"}, "http://localhost:8080"),
    ],
)
async def test_the_examples_name_the_host_that_the_page_came_from(exchange, headers, origin):
    """
    They work behind a proxy too; and no header is written into the page.
    """
    found = set(re.findall(r"curl (?:-X \w+ )?(.*?)/healthz", await page(exchange, **headers)))

    assert {origin} == found


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_what_the_caller_has_already_is_not_sent_again(exchange, path):
    """
    The page is large, and changes with a new version only.
    """
    first = await get(exchange, path)
    again = await get(exchange, path, if_none_match=first.headers["etag"])
    other = await get(exchange, path, if_none_match='"other"')

    assert (304, b"") == (again.status, again.body)
    assert (200, first.body) == (other.status, other.body)
    assert first.headers["cache-control"] == "no-cache"


async def test_pages_from_two_addresses_are_told_apart(exchange):
    """
    A cache that mixes them up shows commands for another host.
    """
    one = await get(exchange, "/docs", host="one.example")
    other = await get(exchange, "/docs", host="other.example")

    assert one.headers["etag"] != other.headers["etag"]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_it_is_compressed_for_those_who_ask(exchange, path):
    """
    Both are a quarter of a megabyte of text that says similar things often.
    """
    plain = await get(exchange, path)
    zipped = await get(exchange, path, accept_encoding="gzip, br")

    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.body == gzip.decompress(zipped.body)
    assert len(zipped.body) * 5 < len(plain.body)
    assert zipped.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_head_answers_with_the_headers_alone(exchange, path):
    """
    Link checkers and monitors ask so.
    """
    full = await get(exchange, path)
    head = await get(exchange, path, "HEAD")

    assert (200, b"", full.headers) == (head.status, head.body, head.headers)


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/"])
async def test_there_is_nothing_to_write(exchange, path):
    """
    A client with the wrong verb is told which ones there are.
    """
    response = await get(exchange, path, "POST")

    assert (405, "GET, HEAD") == (response.status, response.headers["allow"])


@pytest.mark.parametrize("path", ["/", "/docs/"])
async def test_the_bare_address_leads_to_the_page(exchange, path):
    """
    Who opens the server in a browser wants to know what it is.
    """
    response = await get(exchange, path)

    assert (302, "/docs") == (response.status, response.headers["location"])


async def test_the_page_runs_nothing(exchange):
    """
    Even if an attacker got markup into it, the browser would not run it.
    """
    policy: Any = (await get(exchange, "/docs")).headers["content-security-policy"]

    assert "default-src 'none'" in policy
