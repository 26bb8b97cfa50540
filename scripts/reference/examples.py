"""Requests to copy: what is required, and a little more where that explains something."""

from __future__ import annotations

from typing import Any

from reference.contract import Json

# By the field's JSON name. An item of a list has the name of the list.
TEXTS = {
    "account": "billing",
    "endpoint": "https://example.com/hook",
    "eventType": "user.human.added",
    "fullMethod": "/zitadel.session.v2.SessionService/ListSessions",
    "function": "preuserinfo",
    "id": "1002075077371478016",
    "keyId": "1002075077371478017",
    "method": "/zitadel.session.v2.SessionService/ListSessions",
    "name": "my hook",
    "publicKey": "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0K",
    "roles": "EVENT_PUBLISHER",
    "targetId": "1002075077371478016",
}

ID = TEXTS["id"]
EVENT_CONDITION: Json = {"event": {"event": "user.human.added"}}

# By the full name of the request.
WHOLE: dict[str, Json] = {
    "zitadel.action.v2.CreateTargetRequest": {
        "name": "my hook",
        "endpoint": "https://example.com/hook",
        "restWebhook": {"interruptOnError": True},
        "timeout": "10s",
    },
    "zitadel.action.v2beta.CreateTargetRequest": {
        "name": "my hook",
        "endpoint": "https://example.com/hook",
        "restWebhook": {"interruptOnError": True},
        "timeout": "10s",
    },
    "zitadel.action.v2.UpdateTargetRequest": {"id": ID, "timeout": "30s"},
    "zitadel.action.v2beta.UpdateTargetRequest": {"id": ID, "timeout": "30s"},
    "zitadel.action.v2.SetExecutionRequest": {"condition": EVENT_CONDITION, "targets": [ID]},
    "zitadel.action.v2beta.SetExecutionRequest": {"condition": EVENT_CONDITION, "targets": [ID]},
    "zitadel.action.v2.ListTargetsRequest": {
        "pagination": {"limit": 10},
        "sortingColumn": "TARGET_FIELD_NAME_NAME",
    },
    "outrider.v1.PublishEventsRequest": {
        "events": [
            {
                "eventType": "user.human.added",
                "aggregateId": "42",
                "eventPayload": {"userName": "ada"},
            }
        ]
    },
    "outrider.v1.AddEntriesRequest": {
        "entries": [{"kind": "CATALOGUE_KIND_EVENT_TYPE", "name": "invoice.paid"}]
    },
    "outrider.v1.CreateAccountRequest": {"name": "billing", "roles": ["EVENT_PUBLISHER"]},
    "outrider.v1.InterceptRequestRequest": {
        "fullMethod": TEXTS["fullMethod"],
        "userId": "42",
        "headers": {"content-type": {"values": ["application/json"]}},
        "request": {"query": {"limit": 10}},
    },
    "outrider.v1.InterceptResponseRequest": {
        "fullMethod": TEXTS["fullMethod"],
        "userId": "42",
        "request": {"query": {"limit": 10}},
        "response": {"sessions": [{"id": "7"}]},
    },
    "outrider.v1.CallFunctionRequest": {
        "function": "preuserinfo",
        "payload": {"userinfo": {"sub": "42", "name": "Ada"}, "user": {"id": "42"}},
    },
    "outrider.v1.TestTargetRequest": {"targetId": ID, "payload": {"sample": True}},
    "outrider.v1.ListDeliveriesRequest": {"states": ["DELIVERY_STATE_DEAD"], "pageSize": 10},
    "outrider.v1.ReplayDeliveriesRequest": {"states": ["DELIVERY_STATE_DEAD"], "targetId": ID},
    "outrider.v1.RetryDeliveriesRequest": {"states": ["DELIVERY_STATE_RETRYING"], "targetId": ID},
    "outrider.v1.CancelDeliveriesRequest": {"targetId": ID},
}


def example_of(request: str, schema: Json, components: dict[str, Json]) -> Json:
    """A request that satisfies its schema; fields that the schema leaves out are left out."""
    if request not in WHOLE:
        found: Json = value_of(schema, "", components)
        return found
    properties = schema.get("properties", {})
    return {name: value for name, value in WHOLE[request].items() if name in properties}


def value_of(schema: Json, name: str, components: dict[str, Json]) -> Any:
    """The smallest value of a schema; `name` is that of the field."""
    if "$ref" in schema:
        referred = components[schema["$ref"].rpartition("/")[2]]
        return value_of({**referred, **without_reference(schema)}, name, components)
    fixed = allowed_values(schema)
    if fixed:
        return fixed[0]
    match schema.get("type"):
        case "object":
            return object_of(schema, components)
        case "array":
            return [value_of(schema["items"], name, components)] * bool(schema.get("minItems"))
        case "string":
            return text_of(schema, name)
        case other:
            return other == "boolean" or schema.get("minimum", 0)


def allowed_values(schema: Json) -> list[Any]:
    """The values to choose from, if their number is limited."""
    refused = schema.get("not", {}).get("enum", ())
    allowed = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return [value for value in allowed if value not in refused]


def object_of(schema: Json, components: dict[str, Json]) -> Json:
    """Return an object of the required members, and the first member of each required choice."""
    names = list(schema.get("required", ()))
    for choice in [schema, *schema.get("allOf", ())]:
        members = choice.get("oneOf", [])
        if members and "not" not in members[-1]:
            names += members[0]["required"]
    properties = schema.get("properties", {})
    return {name: value_of(properties[name], name, components) for name in names}


def text_of(schema: Json, name: str) -> str:
    """A text that shows what the field is for."""
    if schema.get("format") == "date-time":
        return "2030-01-01T00:00:00Z"
    if "examples" in schema:
        return str(schema["examples"][0])
    return TEXTS.get(name, name or "text")


def without_reference(schema: Json) -> Json:
    """Return the members next to a reference."""
    return {name: value for name, value in schema.items() if name != "$ref"}
