"""Every call of v2beta, on every wire."""

from __future__ import annotations

from typing import Any

import pytest

from api.calls.matching import is_id, is_signing_key
from api.calls.service import Service
from api.calls.table import Caller
from api.services.zitadel.v2beta.beta import METHODS, answer, ask
from api.wires import Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

EACH_WIRE = pytest.mark.parametrize("wire", list(Wire))
ENDPOINT = "https://receiver.example/hook"
LENGTH = "value length must be between 1 and 1000 runes, inclusive"
NEVER = "0001-01-01T00:00:00Z"
EVENT = {"event": {"event": "user.human.added"}}


def webhook(name: str, **fields: Any) -> dict[str, Any]:
    """What CreateTarget takes."""
    return {"name": name, "endpoint": ENDPOINT, "restWebhook": {}, "timeout": "10s", **fields}


def named(name: str) -> dict[str, Any]:
    """What ListTargets takes to find one test's targets."""
    return {
        "filters": [
            {"targetNameFilter": {"targetName": name, "method": "TEXT_FILTER_METHOD_CONTAINS"}}
        ]
    }


@EACH_WIRE
async def test_a_target_is_created_read_and_deleted(service: Service, unique: str, wire: Wire):
    """
    The life of a target, as an older client leads it.
    """
    request = webhook(unique, restWebhook={"interruptOnError": True})
    created = await ask(service, "CreateTarget", request, wire)
    got = await ask(service, "GetTarget", {"id": created["id"]}, wire)
    deleted = await ask(service, "DeleteTarget", {"id": created["id"]}, wire)
    gone = await answer(service, "GetTarget", {"id": created["id"]}, wire)

    assert is_id(created["id"])
    assert is_signing_key(created["signingKey"])
    assert {"id", "creationDate", "signingKey"} == set(created)
    assert {
        **request,
        **created,
        "changeDate": created["creationDate"],
    } == got["target"]
    assert {"deletionDate"} == set(deleted)
    assert ("not_found", "QUERY-hj5oaniyrz") == (gone.code, gone.detail_id)


@EACH_WIRE
async def test_an_update_changes_what_is_given(service: Service, unique: str, wire: Wire):
    """
    The signing key is answered only when it is new.
    """
    created = await ask(service, "CreateTarget", webhook(unique))
    renamed = await ask(service, "UpdateTarget", {"id": created["id"], "name": f"{unique}-2"}, wire)
    rotation = {"id": created["id"], "expirationSigningKey": "0s", "restCall": {}, "timeout": "3s"}
    rotated = await ask(service, "UpdateTarget", rotation, wire)
    got = await ask(service, "GetTarget", {"id": created["id"]}, wire)

    assert {"changeDate"} == set(renamed)
    assert rotated["signingKey"] != created["signingKey"]
    assert {
        "id": created["id"],
        "creationDate": created["creationDate"],
        "changeDate": rotated["changeDate"],
        "name": f"{unique}-2",
        "restCall": {},
        "timeout": "3s",
        "endpoint": ENDPOINT,
        "signingKey": rotated["signingKey"],
    } == got["target"]


@EACH_WIRE
async def test_targets_are_listed_by_filter_page_and_order(
    service: Service, unique: str, wire: Wire
):
    """
    Pages and filters have their own package in v2beta, and mean the same.
    """
    for suffix in ("b", "a", "c"):
        await ask(service, "CreateTarget", webhook(f"{unique}-{suffix}"))
    request = {
        **named(unique),
        "pagination": {"offset": 1, "limit": 2, "asc": True},
        "sortingColumn": "TARGET_FIELD_NAME_NAME",
    }
    listed = await ask(service, "ListTargets", request, wire)

    assert {"totalResult": "3", "appliedLimit": "2"} == listed["pagination"]
    assert [f"{unique}-b", f"{unique}-c"] == [target["name"] for target in listed["targets"]]


@EACH_WIRE
async def test_targets_are_listed_by_id(service: Service, unique: str, wire: Wire):
    """
    The other filter.
    """
    created = [await ask(service, "CreateTarget", webhook(f"{unique}-{suffix}")) for suffix in "ab"]
    request = {"filters": [{"inTargetIdsFilter": {"targetIds": [created[0]["id"]]}}]}
    listed = await ask(service, "ListTargets", request, wire)

    assert [created[0]["id"]] == [target["id"] for target in listed["targets"]]


@EACH_WIRE
async def test_an_execution_is_set_listed_and_removed(service: Service, unique: str, wire: Wire):
    """
    There is no call to delete one: an empty list does it.
    """
    event_type = f"{unique}.happened"
    await service.ask("PublishEvents", {"events": [{"eventType": event_type}]})
    condition = {"event": {"event": event_type}}
    target = (await ask(service, "CreateTarget", webhook(unique)))["id"]
    found = {"filters": [{"targetFilter": {"targetId": target}}]}
    nothing = await ask(service, "SetExecution", {"condition": condition}, wire)
    done = await ask(service, "SetExecution", {"condition": condition, "targets": [target]}, wire)
    listed = await ask(service, "ListExecutions", found, wire)
    await ask(service, "SetExecution", {"condition": condition}, wire)
    left = await ask(service, "ListExecutions", found, wire)

    assert {"setDate": NEVER} == nothing
    assert [
        {
            "condition": condition,
            "creationDate": done["setDate"],
            "changeDate": done["setDate"],
            "targets": [target],
        }
    ] == listed["executions"]
    assert {"pagination": {"appliedLimit": "100"}} == left


@EACH_WIRE
@pytest.mark.parametrize(
    "condition",
    [
        {"request": {"method": "/zitadel.session.v2.SessionService/ListSessions"}},
        {"response": {"service": "zitadel.session.v2.SessionService"}},
        {"request": {"all": True}},
        {"function": {"name": "preuserinfo"}},
        {"event": {"group": "user.human"}},
        {"event": {"all": True}},
    ],
    ids=str,
)
async def test_every_condition_comes_back_as_it_was_set(
    service: Service, unique: str, wire: Wire, condition: dict[str, Any]
):
    """
    A condition is read as v2's and shown as v2beta's.
    """
    target = (await ask(service, "CreateTarget", webhook(unique)))["id"]
    await ask(service, "SetExecution", {"condition": condition, "targets": [target]}, wire)
    request = {
        "filters": [
            {"inConditionsFilter": {"conditions": [condition]}},
            {
                "executionTypeFilter": {
                    "executionType": f"EXECUTION_TYPE_{next(iter(condition)).upper()}"
                }
            },
        ],
        "sortingColumn": "EXECUTION_FIELD_NAME_ID",
    }
    listed = await ask(service, "ListExecutions", request, wire)

    assert [(condition, [target])] == [
        (execution["condition"], execution["targets"]) for execution in listed["executions"]
    ]


@EACH_WIRE
@pytest.mark.parametrize("what", ["functions", "methods", "services"])
async def test_what_conditions_may_name_is_what_v2_says(service: Service, wire: Wire, what: str):
    """
    There is one catalogue.
    """
    rpc = f"ListExecution{what.capitalize()}"
    listed = await ask(service, rpc, {}, wire)

    assert await service.ask(f"zitadel.action.v2.ActionService/{rpc}", {}) == listed
    assert listed[what]


@EACH_WIRE
@pytest.mark.parametrize(
    ("rpc", "request_", "expected"),
    [
        (
            "CreateTarget",
            {},
            (
                "invalid_argument",
                f"invalid CreateTargetRequest.Name: {LENGTH}",
                None,
            ),
        ),
        (
            "CreateTarget",
            {"name": "n", "endpoint": ENDPOINT},
            ("invalid_argument", "invalid CreateTargetRequest.TargetType: value is required", None),
        ),
        (
            "CreateTarget",
            webhook("n", endpoint=f"{ENDPOINT}/{'e' * 1000}"),
            (
                "invalid_argument",
                f"invalid CreateTargetRequest.Endpoint: {LENGTH}",
                None,
            ),
        ),
        (
            "CreateTarget",
            webhook("n", timeout="0s"),
            (
                "invalid_argument",
                "Target has no timeout (COMMAND-39f35d8uri)",
                "COMMAND-39f35d8uri",
            ),
        ),
        (
            "SetExecution",
            {"condition": EVENT, "targets": ["1"]},
            ("not_found", "Target not found (COMMAND-17e8fq1ggk)", "COMMAND-17e8fq1ggk"),
        ),
    ],
    ids=["no name", "no type", "long endpoint", "no timeout", "no target"],
)
async def test_errors_are_the_documented_ones(
    service: Service, wire: Wire, rpc: str, request_: dict[str, Any], expected: tuple[Any, ...]
):
    """
    Messages keep their names, so texts are those of v2; the endpoint may be shorter only.
    """
    result = await answer(service, rpc, request_, wire)

    assert expected == (result.code, result.text, result.detail_id)


@EACH_WIRE
async def test_a_name_is_taken_whatever_made_it(service: Service, unique: str, wire: Wire):
    """
    One namespace for both versions.
    """
    await service.ask("zitadel.action.v2.ActionService/CreateTarget", webhook(unique))
    result = await answer(service, "CreateTarget", webhook(unique.upper()), wire)

    assert "already_exists" == result.code


@EACH_WIRE
@pytest.mark.parametrize("rpc", METHODS)
async def test_who_may_call_what(service: Service, wire: Wire, rpc: str):
    """
    A viewer reads, a publisher only asks what there is, other roles are refused.
    """
    # Ids that do not exist: REST has them in its paths.
    has_id = any(field.name == "id" for field in METHODS[rpc].input.fields)
    request = {"id": "1"} if has_id else {}
    refused = {
        caller: (await answer(service, rpc, request, wire, caller)).code
        for caller in (Caller.VIEWER, Caller.PUBLISHER, Caller.NOBODY, Caller.UNKNOWN)
    }
    writes = rpc in {"CreateTarget", "UpdateTarget", "DeleteTarget", "SetExecution"}
    public = rpc.startswith("ListExecution") and rpc != "ListExecutions"

    assert writes == (refused[Caller.VIEWER] == "permission_denied")
    assert (not public) == (refused[Caller.PUBLISHER] == "permission_denied")
    assert ["unauthenticated"] * 2 == [refused[Caller.NOBODY], refused[Caller.UNKNOWN]]
