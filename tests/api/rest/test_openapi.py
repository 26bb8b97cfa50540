"""The OpenAPI document describes what the server does."""

from __future__ import annotations

import importlib
import json
import pkgutil
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from protobuf import DescMethod, DescService

import outrider_api
from api.calls.service import Service, running
from api.wires import HttpRequest
from outrider.api.rest.routes import routes_of

HEALTH = {("GET", "/healthz"), ("GET", "/readyz")}
VERBS = {"get", "post", "put", "delete", "patch"}


@cache
def document() -> Any:
    return json.loads(files("outrider_api").joinpath("openapi.json").read_bytes())


def operations() -> dict[tuple[str, str], Any]:
    """By verb and path."""
    return {
        (verb.upper(), path): operation
        for path, verbs in document()["paths"].items()
        for verb, operation in verbs.items()
        if verb in VERBS
    }


@cache
def services() -> list[DescService]:
    """Every generated service that is called with curl: those with streams are for programs."""
    names = [
        walk_package.name
        for walk_package in pkgutil.walk_packages(outrider_api.__path__, "outrider_api.")
    ]
    modules = (importlib.import_module(name) for name in names if name.endswith("_service_pb"))
    found = [service for module in modules for service in module.desc().services]
    return [
        service for service in found if all(rpc.method_kind == "unary" for rpc in service.methods)
    ]


def methods() -> list[DescMethod]:
    return [method for service in services() for method in service.methods]


def schema(name: str) -> Any:
    return document()["components"]["schemas"][name]


def checker(of: Any) -> Draft202012Validator:
    """Checks values against a schema of the document."""
    return Draft202012Validator({**of, "components": document()["components"]})


def test_it_is_openapi():
    """
    Generators of clients give up at the first mistake.
    """
    assert [] == list(OpenAPIV31SpecValidator(document()).iter_errors())


def test_it_has_every_route_of_every_service_and_no_other():
    """
    A route that is missing in it cannot be found; one that does not exist breaks generated clients.
    """
    connect = {("POST", f"/{method.parent.type_name}/{method.name}") for method in methods()}
    rest = {
        (route.verb, "/" + "/".join(route.segments))
        for service in services()
        for route in routes_of(service)
    }

    assert len(connect) > 40
    assert connect | rest | HEALTH == operations().keys()


async def test_everything_in_it_is_served(tmp_path):
    """
    A call that the server does not know is answered with 404, before a token is asked for.
    """
    async with running(tmp_path) as service:
        statuses = {
            (verb, path): await status_of(service, verb, path) for verb, path in operations()
        }

    expected = {call: 200 if call in HEALTH else 401 for call in operations()}
    assert expected == statuses


async def status_of(service: Service, verb: str, path: str) -> int:
    headers = {"content-type": "application/json"}
    response = await service.client.exchange(HttpRequest(verb, path, headers, b"{}"))
    return response.status


def test_every_operation_says_what_it_needs():
    """
    Who makes a token for a program must know which role it needs.
    """
    declared = {
        operation["operationId"].removesuffix(".connect"): operation["x-permission"]
        for operation in operations().values()
        if "x-permission" in operation
    }

    assert {f"{method.parent.type_name}.{method.name}" for method in methods()} == declared.keys()
    assert declared["zitadel.action.v2.ActionService.CreateTarget"] == "action.target.write"
    assert "" not in declared.values()


def test_names_of_operations_are_used_once():
    """
    They become the names of functions.
    """
    names = [operation["operationId"] for operation in operations().values()]

    assert len(set(names)) == len(names)


def test_comments_arrive():
    """
    They are the documentation, and no descriptor of the running server has them.
    """
    create = operations()["POST", "/v2/actions/targets"]["description"]
    endpoint = schema("zitadel.action.v2.CreateTargetRequest")["properties"]["endpoint"]
    payload = schema("outrider.v1.Event")["properties"]["eventPayload"]

    assert create.startswith("Adds a target. The server chooses its id and its signing key.")
    assert endpoint["description"] == "An absolute http or https URL."
    assert payload["description"].startswith(
        "What happened, up to 512 KiB of JSON, without white space."
    )


TARGET = {"name": "n", "endpoint": "https://example.com", "restAsync": {}}
EVENT = {"eventType": "user.added"}


@pytest.mark.parametrize(
    ("request_name", "value", "valid"),
    [
        ("zitadel.action.v2.CreateTargetRequest", TARGET, True),
        ("zitadel.action.v2.CreateTargetRequest", {**TARGET, "timeout": "1.5s"}, True),
        ("zitadel.action.v2.CreateTargetRequest", {**TARGET, "timeout": "10"}, False),
        ("zitadel.action.v2.CreateTargetRequest", {**TARGET, "timeout": "-1s"}, False),
        ("zitadel.action.v2.CreateTargetRequest", {**TARGET, "name": ""}, False),
        ("zitadel.action.v2.CreateTargetRequest", {**TARGET, "name": "n" * 1001}, False),
        ("zitadel.action.v2.CreateTargetRequest", {**TARGET, "restCall": {}}, False),
        ("zitadel.action.v2.CreateTargetRequest", {**TARGET, "payloadType": "XML"}, False),
        ("zitadel.action.v2.CreateTargetRequest", {"name": "n", "endpoint": "e"}, False),
        ("zitadel.action.v2.CreateTargetRequest", {"endpoint": "e", "restAsync": {}}, False),
        ("zitadel.action.v2.UpdateTargetRequest", {"id": "1"}, True),
        ("zitadel.action.v2.UpdateTargetRequest", {"id": "1", "name": ""}, False),
        ("zitadel.action.v2.ListTargetsRequest", {"pagination": {"offset": "1"}}, True),
        ("zitadel.action.v2.ListTargetsRequest", {"pagination": {"limit": -1}}, False),
        ("zitadel.action.v2.ListTargetsRequest", {"filters": [{}]}, False),
        ("zitadel.action.v2.EventExecution", {"all": True}, True),
        ("zitadel.action.v2.EventExecution", {"all": False}, False),
        ("outrider.v1.PublishEventsRequest", {"events": [EVENT]}, True),
        ("outrider.v1.PublishEventsRequest", {"events": []}, False),
        ("outrider.v1.PublishEventsRequest", {"events": [EVENT] * 1001}, False),
        ("outrider.v1.PublishEventsRequest", {"events": [{"eventType": "a..b"}]}, False),
        ("outrider.v1.ReplayDeliveriesRequest", {"ids": ["1", "1"]}, False),
        ("outrider.v1.ListDeliveriesRequest", {"states": ["DELIVERY_STATE_DEAD"]}, True),
        ("outrider.v1.ListDeliveriesRequest", {"states": ["DELIVERY_STATE_UNSPECIFIED"]}, False),
        ("outrider.v1.ListDeliveriesRequest", {"pageSize": 1001}, False),
        ("outrider.v1.TargetPolicy", {"headers": {"X-Team": "a"}}, True),
        ("outrider.v1.TargetPolicy", {"headers": {"": "a"}}, False),
        ("outrider.v1.SetTargetPolicyRequest", {"targetId": "1"}, False),
    ],
)
def test_the_rules_of_requests_are_in_it(request_name, value, valid):
    """
    A generated client refuses what the server would refuse, and nothing else.
    """
    assert valid is checker(schema(request_name)).is_valid(value)


def test_path_parameters_are_not_in_the_body():
    """
    What is in both places invites to give two different values.
    """
    update = operations()["POST", "/v2/actions/targets/{id}"]
    body = update["requestBody"]["content"]["application/json"]["schema"]

    assert [("id", "path")] == [
        (parameter["name"], parameter["in"]) for parameter in update["parameters"]
    ]
    assert "id" not in body["properties"]
    assert "required" not in body


def test_nothing_is_required_in_an_answer():
    """
    Fields with default values are left out: a strict client would fail at the first zero.
    """
    answers = [
        operation["responses"]["200"]["content"]["application/json"]["schema"]
        for call, operation in operations().items()
        if call not in HEALTH
    ]

    assert [] == [answer for answer in answers if not checker(answer).is_valid({})]
    assert "required" not in schema("zitadel.action.v2.EventExecution.Answer")
    assert checker(schema("outrider.v1.ListEntriesResponse")).is_valid({"entries": [{}]})


def test_every_example_satisfies_its_schema():
    """
    An example that is refused teaches distrust.
    """
    bodies = [
        operation["requestBody"]["content"]["application/json"]
        for operation in operations().values()
        if "requestBody" in operation
    ]

    assert [] == [body for body in bodies if not checker(body["schema"]).is_valid(body["example"])]


def test_errors_have_the_shape_of_their_face():
    """
    REST has the first detail in a separate field; Connect has not.
    """
    assert ["code", "message", "detail", "details"] == list(schema("RestError")["properties"])
    assert ["code", "message", "details"] == list(schema("ConnectError")["properties"])
    for (_, path), operation in operations().items():
        refused = operation["responses"].get("401", {}).get("$ref", "")
        face = "connect" if operation["operationId"].endswith(".connect") else "rest"
        assert path in {"/healthz", "/readyz"} or refused.endswith(f"/{face}.401")


def test_cloud_events_are_media_types_of_the_path_of_events():
    """
    A developer who generates a client finds them, and the examples are what the schemas allow.
    """
    content = operations()["POST", "/v1/events"]["requestBody"]["content"]
    kinds = ["application/cloudevents+json", "application/cloudevents-batch+json"]

    assert ["application/json", *kinds] == list(content)
    assert all(
        checker(content[kind]["schema"]).is_valid(content[kind]["example"]) for kind in kinds
    )
