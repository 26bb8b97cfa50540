"""JSON of the wrong shape is refused in the words of JSON, and a policy may stand for its request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.access.tenants import METHODS
from api.calls.receiver import NOBODY
from api.calls.service import Service
from api.calls.table import Caller
from api.calls.test_json_text import a_target, json_wires
from api.wires import HttpRequest, HttpResponse

pytestmark = pytest.mark.asyncio(loop_scope="module")

PYTHON = re.compile(
    r"<class|'(int|str|dict|list|bool|float|NoneType)'|\b(NoneType|dict|None|True|False|TypeError)\b"
    r"|has no attribute|not iterable|not subscriptable|positional argument|\{'"
)
VALUES: list[Any] = [1, 1.5, True, None, "x", "", [], {}, [1], [None], [{}], {"a": 1}, {"a": None}]
POLICY = {"retry": {"waits": ["5s", "60s"], "jitter": 0.1}, "maxConcurrency": 4}


async def exchange(service: Service, verb: str, path: str, body: str) -> HttpResponse:
    """A request of JSON by the admin."""
    headers = {**service.headers[Caller.ADMIN], "content-type": "application/json"}
    return await service.client.exchange(HttpRequest(verb, path, headers, body.encode()))


async def set_policy(service: Service, face: str, target: str, body: Any) -> HttpResponse:
    """Replace the policy of a target, by REST or by Connect."""
    if face == "rest":
        return await exchange(service, "PUT", f"/v1/targets/{target}/policy", json.dumps(body))
    path = "/outrider.v1.TargetPolicyService/SetTargetPolicy"
    return await exchange(service, "POST", path, json.dumps({"targetId": target, **body}))


async def stored(service: Service, target: str) -> dict[str, Any]:
    return dict((await service.ask("GetTargetPolicy", {"targetId": target}))["policy"])


@json_wires
@pytest.mark.parametrize("spelled", [POLICY, {"max_concurrency": 4, "retry": POLICY["retry"]}])
async def test_a_policy_is_set_with_its_name_or_without(service: Service, face: str, spelled):
    """
    The documented file is a policy alone, and so is what people send.
    """
    for body in (spelled, {"policy": spelled}):
        target = await a_target(service, NOBODY)
        answer = await set_policy(service, face, target, body)

        assert 200 == answer.status, answer.body
        assert POLICY == await stored(service, target)


@json_wires
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"policy": {}, "maxConcurrency": 4}, 'unknown member "maxConcurrency"'),
        ({"maxConcurency": 4, "retry": {}}, "did you mean maxConcurrency?"),
        ({"polcy": {}}, "did you mean policy?"),
        ({"retry": {"wait": []}}, "did you mean waits?"),
        ({"ratePerSecond": -1}, "RatePerSecond: value must be inside range [0, 1000000]"),
        ({}, "Policy: value is required"),
    ],
    ids=str,
)
async def test_a_policy_that_is_wrong_is_refused_all_the_same(
    service: Service, face: str, body, reason
):
    """
    Nothing is lost because it stands at another place. An empty policy is written `{"policy": {}}`.
    """
    target = await a_target(service, NOBODY)
    answer = await set_policy(service, face, target, body)

    assert (400, True) == (answer.status, reason in answer.json()["message"]), answer.body


def wrong_bodies() -> Iterator[tuple[str, str]]:
    """For each procedure: no object, and each field with values of every kind."""
    for method in METHODS:
        if method.method_kind != "unary" or method.parent.type_name.startswith("grpc."):
            continue
        path = f"/{method.parent.type_name}/{method.name}"
        yield from ((path, json.dumps(value)) for value in VALUES if not isinstance(value, dict))
        for field in method.input.fields:
            for value in VALUES:
                yield path, json.dumps({field.json_name: value})


async def test_no_refusal_names_a_type_of_python(service: Service):
    """
    Who sends a number where a list belongs writes JavaScript or Go.
    """
    told = []
    refused = 0
    for path, body in wrong_bodies():
        answer = await exchange(service, "POST", path, body)
        if answer.status == 400:
            refused += 1
            text = answer.json()["message"]
            if PYTHON.search(text):
                told.append((path, body, text))

    assert [] == told
    assert refused > 500


REST_BODIES = ["1", "[]", "null", '"x"', "true", '{"name": 1}', '{"name": {"a": null}}', "{", "\\"]


@pytest.mark.parametrize("body", REST_BODIES)
@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/v2/actions/targets"),
        ("POST", "/v2/actions/targets/1"),
        ("PUT", "/v2/actions/executions"),
        ("PUT", "/v1/targets/1/policy"),
        ("POST", "/v1/events"),
        ("POST", "/v1/catalogue"),
        ("POST", "/v1/intercept/request"),
    ],
)
async def test_nor_does_rest(service: Service, verb: str, path: str, body: str):
    """
    Where the path and the body come together.
    """
    answer = await exchange(service, verb, path, body)

    assert 400 <= answer.status < 500
    assert not PYTHON.search(answer.json()["message"]), answer.json()["message"]


@pytest.mark.parametrize(
    "kind", ["application/cloudevents+json", "application/cloudevents-batch+json"]
)
@pytest.mark.parametrize("body", [*REST_BODIES, "[1]", "[[]]", '{"id": {}}', '[{"type": []}]'])
async def test_nor_do_cloud_events(service: Service, kind: str, body: str):
    """
    They have their own reader.
    """
    headers = {**service.headers[Caller.ADMIN], "content-type": kind}
    answer = await service.client.exchange(
        HttpRequest("POST", "/v1/events", headers, body.encode())
    )

    assert 400 == answer.status
    assert not PYTHON.search(answer.json()["message"]), answer.json()["message"]
