"""Requests that fit the OpenAPI document, and requests that do not: none of them breaks the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode

from api.calls.service import ADMIN_TOKEN, Service, running
from api.wires import HttpRequest, HttpResponse

ADDRESS = "http://outrider.test"
BROKEN = 500
UNIMPLEMENTED = 501
EXAMPLES = 4

# ZITADEL answers a filter without values with the code `unknown`, and so do we.
LIKE_ZITADEL = '{"code": "unknown", "message": "values array must not be empty'

DOCUMENT = json.loads(files("outrider_api").joinpath("openapi.json").read_bytes())
TAGS = [tag["name"] for tag in DOCUMENT["tags"] if tag["name"] != "health"]


@dataclass(frozen=True)
class RunningService:
    """A service, and the loop that it lives in: the generator of requests knows none."""

    service: Service
    runner: asyncio.Runner

    def exchange(self, request: HttpRequest) -> HttpResponse:
        return self.runner.run(self.service.client.exchange(request))


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RunningService]:
    """One for all: what a request leaves behind is there for the next."""
    with asyncio.Runner() as runner:
        opened = running(tmp_path_factory.mktemp("fuzz"))
        service = runner.run(opened.__aenter__())
        yield RunningService(service, runner)
        runner.run(opened.__aexit__(None, None, None))


def closed(schema: Any) -> Any:
    """The schema without unknown fields: they are ignored, and would be most of what is tried."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        inner["additionalProperties"] = False
    return inner


@cache
def operations() -> list[Any]:
    """Everything that there is to call."""
    document = closed(DOCUMENT)
    return [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]


def request_of(case: Any) -> HttpRequest:
    """What the generator's own transport would send, with the token of the admin."""
    parts = case.as_transport_kwargs(base_url=ADDRESS)
    known = ("method", "url", "headers", "params", "data", "json")
    made = requests.Request(**{name: parts[name] for name in known if name in parts}).prepare()
    given_headers = {name.lower(): value for name, value in made.headers.items()}
    body = made.body or b""
    return HttpRequest(
        made.method or "",
        made.path_url,
        {**given_headers, "accept-encoding": "identity", "authorization": f"Bearer {ADMIN_TOKEN}"},
        body.encode() if isinstance(body, str) else body,
    )


def problems(operation: Any, request: HttpRequest, response: HttpResponse) -> Iterator[str]:
    """What is wrong with an answer."""
    asked = f"{request.method} {request.path} {request.body!r}: {response.status}"
    like_zitadel = json.dumps(response.json()).startswith(LIKE_ZITADEL)
    meant = response.status == UNIMPLEMENTED or like_zitadel
    if response.status >= BROKEN and not meant:
        yield f"{asked} {response.body!r}"
    answers = DOCUMENT["paths"][operation.path][operation.method]["responses"]
    answer = answers.get(str(response.status), answers["default"])
    if "$ref" in answer:
        answer = DOCUMENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    schema = answer["content"]["application/json"]["schema"]
    checker = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    yield from (f"{asked} {error.message}" for error in checker.iter_errors(response.json()))


def cases(operation: Any, mode: GenerationMode) -> list[Any]:
    """Some requests, the same ones each time."""
    project_settings = settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    found: list[Any] = []

    @project_settings
    @given(operation.as_strategy(generation_mode=mode))
    def keep(case: Any) -> None:
        found.append(case)

    keep()
    return found


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
@pytest.mark.parametrize("tag", TAGS)
def test_no_request_breaks_the_server(server, tag, mode):
    """
    Whatever is sent, the caller gets an answer in the shape that the document promises.
    """
    found: list[str] = []
    statuses: list[int] = []

    of_service = [operation for operation in operations() if tag in operation.tags]
    for operation in of_service:
        for case in cases(operation, mode):
            request = request_of(case)
            response = server.exchange(request)
            statuses.append(response.status)
            found.extend(problems(operation, request, response))

    assert [] == found
    assert len(statuses) >= len(of_service)
    assert set() == {401, 403} & set(statuses)
