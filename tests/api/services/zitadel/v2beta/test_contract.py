"""v2beta and the web keys in proto/ are the published ones, and v2beta is a part of v2."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from protobuf import DescEnum, DescMessage, DescMethod, DescService, Registry

from api.contract import SERVICES
from outrider.api.rest.routes import Routes, routes_of
from outrider.api.rpc.interceptors import permission_of
from outrider.api.validation.validation import message_checks
from outrider_api.zitadel.action.v2 import action_service_pb as action_v2
from outrider_api.zitadel.action.v2beta import action_service_pb as action_v2beta
from outrider_api.zitadel.webkey.v2 import webkey_service_pb as webkey_v2
from outrider_api.zitadel.webkey.v2beta import webkey_service_pb as webkey_v2beta

PUBLISHED = {
    "zitadel.action.v2beta.ActionService": {
        "CreateTarget": ("action.target.write", ["POST /v2beta/actions/targets"]),
        "UpdateTarget": ("action.target.write", ["POST /v2beta/actions/targets/{id}"]),
        "DeleteTarget": ("action.target.delete", ["DELETE /v2beta/actions/targets/{id}"]),
        "GetTarget": ("action.target.read", ["GET /v2beta/actions/targets/{id}"]),
        "ListTargets": ("action.target.read", ["POST /v2beta/actions/targets/search"]),
        "SetExecution": ("action.execution.write", ["PUT /v2beta/actions/executions"]),
        "ListExecutions": ("action.execution.read", ["POST /v2beta/actions/executions/search"]),
        "ListExecutionFunctions": ("authenticated", ["GET /v2beta/actions/executions/functions"]),
        "ListExecutionMethods": ("authenticated", ["GET /v2beta/actions/executions/methods"]),
        "ListExecutionServices": ("authenticated", ["GET /v2beta/actions/executions/services"]),
    },
    "zitadel.webkey.v2.WebKeyService": {
        "CreateWebKey": ("iam.web_key.write", []),
        "ActivateWebKey": ("iam.web_key.write", []),
        "DeleteWebKey": ("iam.web_key.delete", ["DELETE /v2/web_keys/{id}"]),
        "ListWebKeys": ("iam.web_key.read", ["GET /v2/web_keys"]),
    },
    "zitadel.webkey.v2beta.WebKeyService": {
        "CreateWebKey": ("iam.web_key.write", ["POST /v2beta/web_keys"]),
        "ActivateWebKey": ("iam.web_key.write", ["POST /v2beta/web_keys/{id}/activate"]),
        "DeleteWebKey": ("iam.web_key.delete", ["DELETE /v2beta/web_keys/{id}"]),
        "ListWebKeys": ("iam.web_key.read", ["GET /v2beta/web_keys"]),
    },
}

FILES = [module.desc() for module in (action_v2beta, webkey_v2, webkey_v2beta)]
REGISTRY = Registry(action_v2.desc(), *FILES)
BETA_FILES = [action_v2beta.desc(), webkey_v2beta.desc()]
NEW_SERVICES = [service for file in FILES for service in file.services]
METHODS = [method for service in NEW_SERVICES for method in service.methods]

# What the calls of v2beta are made of. TimestampFilterMethod names its values differently there,
# and no call has it.
SHARED = [
    file
    for service in BETA_FILES
    for file in [service, *service.dependencies]
    if file.name.startswith("zitadel/")
]
PARTS = [message for file in SHARED for message in file.messages]
ENUMS = [enum for file in SHARED for enum in file.enums if enum.name != "TimestampFilterMethod"]

# Fields by number where the numbers are surprising or easily mistaken.
NUMBERS: Mapping[str, Mapping[int, str]] = {
    "action.v2beta.CreateTargetRequest": {
        1: "name",
        2: "rest_webhook",
        3: "rest_call",
        4: "rest_async",
        5: "timeout",
        6: "endpoint",
    },
    "action.v2beta.DeleteTargetResponse": {3: "deletion_date"},
    "action.v2beta.ListTargetsResponse": {1: "pagination", 2: "targets"},
    "action.v2beta.ListExecutionsResponse": {1: "pagination", 2: "executions"},
    "action.v2beta.Target": {
        1: "id",
        2: "creation_date",
        3: "change_date",
        4: "name",
        5: "rest_webhook",
        6: "rest_call",
        7: "rest_async",
        8: "timeout",
        9: "endpoint",
        10: "signing_key",
    },
    **{
        f"webkey.{version}.{name}": numbers
        for version in ("v2", "v2beta")
        for name, numbers in {
            "CreateWebKeyRequest": {1: "rsa", 2: "ecdsa", 3: "ed25519"},
            "CreateWebKeyResponse": {1: "id", 2: "creation_date"},
            "ActivateWebKeyResponse": {3: "change_date"},
            "DeleteWebKeyResponse": {3: "deletion_date"},
            "WebKey": {
                1: "id",
                2: "creation_date",
                3: "change_date",
                4: "state",
                5: "rsa",
                6: "ecdsa",
                7: "ed25519",
            },
        }.items()
    },
}


def test_services_permissions_and_routes_are_the_published_ones():
    """
    Web keys of v2 have no route to create or activate; clients of REST use v2beta for that.
    """
    served = {
        service.type_name: {
            method.name: (permission_of(method), templates(service, method))
            for method in service.methods
        }
        for service in NEW_SERVICES
    }
    assert PUBLISHED == served


def templates(service: DescService, method: DescMethod) -> list[str]:
    """Verbs and templates of a method's routes."""
    return [
        f"{route.verb} /{'/'.join(route.segments)}"
        for route in routes_of(service)
        if route.procedure.endswith(f"/{method.name}")
    ]


@pytest.mark.parametrize("name", NUMBERS)
def test_field_numbers_are_the_published_ones(name: str):
    """
    A number that moved would be read as another field by every client.
    """
    desc = REGISTRY.message(f"zitadel.{name}")
    assert desc is not None
    assert NUMBERS[name] == {field.number: field.name for field in desc.fields}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.parent}/{method.name}")
def test_the_rules_of_every_request_fit_its_fields(method: DescMethod):
    """
    A rule that does not fit would fail every call instead of the wrong ones.
    """
    assert method.method_kind == "unary"
    message_checks(method.input)


def test_no_route_is_one_of_another_service():
    """
    The second one could never be called; building the table refuses that.
    """
    every = {service.type_name: service for service in [*SERVICES, *NEW_SERVICES]}
    routes = Routes(list(every.values()))
    assert {"GET", "POST"} == {route.verb for route in routes.at(("v2beta", "web_keys"))}


@pytest.mark.parametrize("beta", PARTS, ids=lambda desc: desc.type_name)
def test_every_message_of_v2beta_is_a_part_of_the_one_of_v2(beta: DescMessage):
    """
    The handlers read one as the other, which is right exactly as long as this holds.
    """
    v2 = REGISTRY.message(unversioned(beta.type_name))
    assert v2 is not None
    assert shape(beta) == {number: shape(v2)[number] for number in shape(beta)}


@pytest.mark.parametrize("beta", ENUMS, ids=lambda desc: desc.type_name)
def test_every_enum_of_v2beta_has_the_numbers_of_the_one_of_v2(beta: DescEnum):
    """
    Sorting by the name must not become sorting by the endpoint.
    """
    v2 = REGISTRY.enum(unversioned(beta.type_name))
    assert v2 is not None
    assert [(value.name, value.number) for value in v2.values] == [
        (value.name, value.number) for value in beta.values
    ]


def shape(message: DescMessage) -> dict[int, object]:
    """What the bytes of a message mean: by number, the whole field, and the oneof that it is in."""
    oneofs = [oneof.name for oneof in message.proto.oneof_decl]
    found: dict[int, object] = {}
    for field in message.proto.field:
        text = json.loads(unversioned(field.to_json()))
        text.pop("options", None)  # rules are not about bytes
        index = text.pop("oneofIndex", None)
        found[field.number] = text, None if index is None else oneofs[index]
    return found


def unversioned(name: str) -> str:
    """The name of the same thing in v2."""
    return name.replace(".v2beta.", ".v2.")
