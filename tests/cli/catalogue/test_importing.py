"""Methods out of what describes an API: descriptor sets and OpenAPI, in JSON and YAML."""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from zitadel_catalogue import KEPT

from outrider.adapters.json_schema import JsonSchemas
from outrider.cli.catalogue import importing
from outrider.cli.catalogue.importing import InvalidImport, entries_from
from outrider.domain.interception.message import InvalidResponse
from outrider.domain.interception.response_check import check_response

SERVICE = "shop.v1.Orders"
ORDER = {
    "type": "object",
    "required": ["id", "total"],
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "total": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        "note": {"type": "string", "nullable": True, "pattern": "^(?!no).*$"},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Order"}},
    },
}
OK = {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}}


def document(paths: Mapping[str, Any], version: str = "3.0.3") -> dict[str, Any]:
    return {"openapi": version, "paths": paths, "components": {"schemas": {"Order": ORDER}}}


CREATE = {
    "/orders": {
        "post": {
            "operationId": "createOrder",
            "parameters": [{"in": "query", "name": "force", "schema": {"type": "boolean"}}],
            "requestBody": {
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
            },
            "responses": OK,
        }
    }
}


def imported(content: Any, service: str = SERVICE) -> dict[str, Any]:
    """The entries of a document by name."""
    found = entries_from(json.dumps(content).encode(), service)
    return {entry.name: entry for entry in found}


def takes(schema: str, answer: Any) -> bool:
    """Whether a target may answer so."""
    try:
        check_response(json.dumps(answer).encode(), lambda: "{}", JsonSchemas().compile(schema))
    except InvalidResponse:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "operation", "name"),
    [
        ("/orders", {"operationId": "createOrder"}, "createOrder"),
        ("/orders", {"operationId": "orders.create-one"}, "orders_create_one"),
        ("/orders", {"operationId": "2nd"}, "_2nd"),
        ("/orders/{id}/items", {}, "post_orders_id_items"),
        ("/", {"operationId": " "}, "post"),
    ],
)
def test_an_operation_is_named_as_the_gateway_names_it(path, operation, name):
    """
    By its id, or by its method and path.
    """
    assert [f"/{SERVICE}/{name}"] == [*imported(document({path: {"post": operation}}))]


def test_both_messages_are_described():
    """
    Path and query next to the body, which need not be an object.
    """
    entry = imported(document(CREATE))[f"/{SERVICE}/createOrder"]
    request, response = entry.schema_json, entry.response_schema_json
    example = json.loads(entry.example_json)

    assert {"force": True} == example["query"]
    assert ("text", 1.5) == (example["body"]["id"], example["body"]["total"])
    assert takes(request, {"query": {"force": "true"}, "body": {"total": 1}})
    assert takes(request, {"body": {"total": 1, "note": None, "parts": [{"anything": 1}]}})
    assert not takes(request, {"body": {"total": 0}})
    assert not takes(request, {"body": {}})
    assert not takes(request, {"total": 1})
    assert takes(response, {"body": {"id": "1", "total": 1}})
    assert not takes(response, {"body": {"total": 1}})
    assert takes(request, example)
    assert takes(response, json.loads(entry.response_example_json))


def test_bodies_that_are_lists_and_examples_of_the_document():
    """
    What the author wrote says more than what is made up.
    """
    schema = {"type": "array", "items": {"type": "integer"}}
    media = {"schema": schema, "examples": {"some": {"value": [7, 8]}}}
    responses = {"2XX": {"content": {"text/plain": {}, "application/hal+json": media}}}
    operation = {"operationId": "list", "responses": responses}
    entry = imported(document({"/orders": {"get": operation}}, "3.1.0"))[f"/{SERVICE}/list"]

    assert {"body": [7, 8]} == json.loads(entry.response_example_json)
    assert takes(entry.response_schema_json, {"body": [1]})
    assert not takes(entry.response_schema_json, {"body": {"a": 1}})


def test_yaml_says_what_json_says():
    """
    Numbers as names, dates and `no` stay what JSON would have: texts.
    """
    text = """
openapi: 3.1.0
paths:
  /orders/{id}:
    parameters: [{in: path, name: id, required: true, schema: {type: string, enum: [no, on]}}]
    get:
      operationId: getOrder
      responses:
        200:
          content:
            application/json:
              example: {at: 2024-01-02, open: true}
"""
    (entry,) = entries_from(text.encode(), SERVICE)

    assert {"path": {"id": "no"}} == json.loads(entry.example_json)
    assert {"body": {"at": "2024-01-02", "open": True}} == json.loads(entry.response_example_json)
    assert ["no", "on"] == json.loads(entry.schema_json)["properties"]["path"]["properties"]["id"][
        "enum"
    ]


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_the_documents_of_frameworks(write):
    """
    FastAPI's, and our own.
    """
    app = FastAPI()

    @app.put("/items/{item_id}")
    def update(item_id: int, price: float, tags: list[str]) -> dict[str, int]:
        return {"item": item_id}

    (entry,) = entries_from(write(app.openapi()).encode(), "shop.Items")
    own = json.loads(files("outrider_api").joinpath("openapi.json").read_text("utf-8"))
    ours = entries_from(write(own).encode(), "outrider.Api")

    assert "/shop.Items/update_items__item_id__put" == entry.name
    assert takes(entry.schema_json, {"path": {"item_id": "7"}, "query": {}, "body": ["a"]})
    assert not takes(entry.schema_json, {"path": {"item_id": "7"}, "body": [1]})
    assert len(ours) > 100
    for one in ours:
        JsonSchemas().compile(one.schema_json)
        JsonSchemas().compile(one.response_schema_json)


def test_a_descriptor_set_gives_what_protobufs_json_takes():
    """
    For every method of ZITADEL: the example fits the schema, and both fit an entry.
    """
    entries = entries_from(lzma.decompress(KEPT.read_bytes()), "")

    assert 899 == len(entries)
    for entry in entries:
        assert takes(entry.schema_json, json.loads(entry.example_json)), entry.name
        assert takes(entry.response_schema_json, json.loads(entry.response_example_json))


LONG_ENUM = {"type": "string", "enum": [f"value-{number:06}" for number in range(9000)]}


def test_what_is_too_long_is_cut_from_inside():
    """
    The outer parts are checked all the same.
    """
    inner = {"type": "object", "properties": {"kind": LONG_ENUM}}
    content = document(CREATE)
    content["components"]["schemas"] = {
        "Order": {"type": "object", "properties": {"in": {"$ref": "#/components/schemas/In"}}},
        "In": inner,
    }
    entry = imported(content)[f"/{SERVICE}/createOrder"]

    assert len(entry.schema_json) < 65536
    assert takes(entry.schema_json, {"body": {"in": {"kind": "other"}}})
    assert not takes(entry.schema_json, {"body": []})


def test_what_is_too_long_for_one_call_has_no_schema():
    """
    The method can be bound; its answers are not checked.
    """
    content = document(CREATE)
    content["paths"]["/orders"]["post"] = {
        "requestBody": {"content": {"application/json": {"schema": LONG_ENUM}}}
    }
    (entry,) = imported(content).values()

    assert "" == entry.schema_json
    assert entry.response_schema_json


BOMB = "openapi: 3.1.0\na0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("data", "service", "reason"),
    [
        (b"", "", "it has no methods"),
        (b"\xff\xfe", "", "FileDescriptorSet"),
        (b"hello", "", "FileDescriptorSet"),
        (b"{", SERVICE, "is not JSON"),
        (b"openapi: [", SERVICE, "is not YAML"),
        (b"openapi: 3.1.0", SERVICE, "without paths"),
        (b'{"openapi": "3.1.0", "paths": {}}', SERVICE, "it has no methods"),
        (
            b"swagger: '2.0'\npaths: {}",
            SERVICE,
            "its version is swagger 2.0; OpenAPI 3.0 and later",
        ),
        (b"{}", SERVICE, "its version is none"),
        (json.dumps(document(CREATE)).encode(), "", "give one, such as --service"),
        (json.dumps(document(CREATE)).encode(), "no service", "give one, such as --service"),
        (BOMB.encode(), SERVICE, "more than"),
        (b"openapi: &a [*a]", SERVICE, "nested too deep"),
    ],
)
def test_what_cannot_be_imported_says_why(data, service, reason, monkeypatch):
    """
    Also a file of a few lines that is billions of values.
    """
    monkeypatch.setattr(importing, "MAX_NODES", 20_000)
    with pytest.raises(InvalidImport, match=reason):
        entries_from(data, service)


def test_a_descriptor_set_has_its_own_services():
    """
    An option that would be ignored says so.
    """
    with pytest.raises(InvalidImport, match="--service is for OpenAPI"):
        entries_from(lzma.decompress(KEPT.read_bytes()), SERVICE)


def test_two_operations_of_one_name_are_an_error():
    """
    One would take the other's place, and its executions.
    """
    paths = {"/a": {"get": {"operationId": "x.y"}}, "/b": {"put": {"operationId": "x-y"}}}

    with pytest.raises(InvalidImport, match=rf"GET /a and PUT /b are both /{SERVICE}/x_y"):
        imported(document(paths))
