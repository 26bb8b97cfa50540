"""ZITADEL's own client library for Python, as published, against a running server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clients.zitadel_library import models, zitadel
from system.server import Server

EVENT_TYPE = "user.human.added"
METHOD = "/zitadel.session.v2.SessionService/ListSessions"
SERVICE = "zitadel.session.v2.SessionService"
FUNCTIONS = ["preuserinfo", "preaccesstoken", "presamlresponse"]


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    """A client with the admin token, as a user of the library makes one."""
    with zitadel.Zitadel.with_access_token(server.url, server.token) as connected:
        yield connected.actions


@pytest.fixture(autouse=True)
def clean(server: Server) -> Iterator[None]:
    """No target of one test in the lists of another."""
    yield
    with zitadel.Zitadel.with_access_token(server.url, server.token) as connected:
        for target in all_targets(connected.actions):
            connected.actions.delete_target(models.ActionServiceDeleteTargetRequest(id=target.id))


def all_targets(client: Any) -> list[Any]:
    """Every target, newest first."""
    return client.list_targets(models.ActionServiceListTargetsRequest()).targets or []


def create(client: Any, name: str = "audit", **fields: Any) -> Any:
    """A webhook, unless the fields say otherwise."""
    new_target = {
        "name": name,
        "endpoint": "http://127.0.0.1:1/hook",
        "timeout": "10s",
        "rest_webhook": models.ActionServiceRESTWebhook(interrupt_on_error=True),
    }
    request = models.ActionServiceCreateTargetRequest(**new_target | fields)
    return client.create_target(request)


def get(client: Any, target: str) -> Any:
    """One target."""
    return client.get_target(models.ActionServiceGetTargetRequest(id=target)).target


def event_condition(**fields: Any) -> Any:
    """A condition about events."""
    return models.ActionServiceCondition(event=models.ActionServiceEventExecution(**fields))


def set_execution(client: Any, condition: Any, *targets: str) -> Any:
    """Set the targets of a condition."""
    request = models.ActionServiceSetExecutionRequest(condition=condition, targets=list(targets))
    return client.set_execution(request)


def executions(client: Any, **fields: Any) -> Any:
    """Which executions there are."""
    request = models.ActionServiceListExecutionsRequest(**fields)
    return client.list_executions(request).executions or []


@contextmanager
def fails_with(status: int, code: str, text: str, error_id: str | None) -> Iterator[None]:
    """The documented error, in the form that the library hands on."""
    with pytest.raises(zitadel.ApiError) as caught:
        yield
    body = caught.value.response_body
    every = body.get("details", [])
    details = [detail for detail in every if detail["type"] != "outrider.v1.ReasonDetail"]
    message = text if error_id is None else f"{text} ({error_id})"
    debug = [] if error_id is None else [{"id": error_id, "message": text}]

    assert (status, code, message) == (caught.value.code, body["code"], body["message"])
    assert (
        debug
        == [detail["debug"] for detail in details]
        == [d["debug"] for d in every[: len(debug)]]
    )
    assert error_id is None or every[1]["debug"]["reason"]
    assert ["zitadel.v1.ErrorDetail"] * len(debug) == [detail["type"] for detail in details]
    packed = [base64.b64decode(detail["value"] + "===") for detail in details]
    assert all(error_id.encode() in value and text.encode() in value for value in packed)


def test_a_target_is_what_was_asked_for(client):
    """
    Every field of the answer is one that the library knows, in the form it knows.
    """
    created = create(client, "audit", timeout="1.500s")
    target = get(client, created.id)

    assert target.model_dump(exclude_none=True) == {
        "id": created.id,
        "name": "audit",
        "endpoint": "http://127.0.0.1:1/hook",
        "timeout": "1.500s",
        "rest_webhook": {"interrupt_on_error": True},
        "signing_key": created.signing_key,
        "creation_date": created.creation_date,
        "change_date": created.creation_date,
    }
    assert 36 == len(created.signing_key)
    assert abs(datetime.now(UTC) - created.creation_date) < timedelta(minutes=1)  # noqa: TID251 - the client's clock


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"rest_async": {}}, ("rest_async", {}), id="async"),
        pytest.param(
            {"rest_call": models.ActionServiceRESTCall(interrupt_on_error=False)},
            ("rest_call", {}),
            id="call",
        ),
    ],
)
def test_each_type_comes_back_as_itself(client, fields, expected):
    """
    The library tells types by which field is there.
    """
    target = get(client, create(client, rest_webhook=None, **fields).id)
    dumped = target.model_dump(exclude_none=True)
    types = {name for name in dumped if name.startswith("rest_")}

    assert {expected[0]} == types
    assert expected[1] == dumped[expected[0]]


@pytest.mark.parametrize("payload_type", ["JSON", "JWT", "JWE"])
def test_a_payload_type_is_kept(client, payload_type):
    """
    Newer fields of the contract are in the library, too.
    """
    enum_value = models.ActionServicePayloadType(f"PAYLOAD_TYPE_{payload_type}")
    target = get(client, create(client, payload_type=enum_value).id)

    assert enum_value == target.payload_type


def test_an_update_changes_what_is_given_and_nothing_else(client):
    """
    Partial updates are how the library's users rename a target.
    """
    created = create(client)
    before = get(client, created.id)
    request = models.ActionServiceUpdateTargetRequest(id=created.id, name="renamed")
    updated = client.update_target(request)
    after = get(client, created.id)

    assert updated.signing_key is None
    assert updated.change_date > created.creation_date
    assert after == before.model_copy(
        update={"name": "renamed", "change_date": updated.change_date}
    )


def test_a_key_is_rotated(client):
    """
    The new one is in the answer, and it is the target's from now on.
    """
    created = create(client)
    request = models.ActionServiceUpdateTargetRequest(id=created.id, expiration_signing_key="0s")
    updated = client.update_target(request)

    assert created.signing_key != updated.signing_key
    assert updated.signing_key == get(client, created.id).signing_key


def test_targets_are_listed_page_by_page_and_filtered(client):
    """
    Filters, sorting and pages as the library sends them; numbers of 64 bits come as texts.
    """
    for name in ("b", "a", "c", "other"):
        create(client, f"list {name}" if name != "other" else name)
    name_filter = models.ActionServiceTargetSearchFilter(
        target_name_filter=models.ActionServiceTargetNameFilter(
            target_name="LIST",
            method=models.ActionServiceTextFilterMethod.TEXT_FILTER_METHOD_STARTS_WITH_IGNORE_CASE,
        )
    )
    request = models.ActionServiceListTargetsRequest(
        filters=[name_filter],
        sorting_column=models.ActionServiceTargetFieldName.TARGET_FIELD_NAME_NAME,
        pagination=models.ActionServicePaginationRequest(offset=1, limit=2, asc=True),
    )
    page = client.list_targets(request)

    assert ["list b", "list c"] == [target.name for target in page.targets]
    assert ("3", "2") == (page.pagination.total_result, page.pagination.applied_limit)


def test_an_empty_list_is_a_list_with_nothing_in_it(client):
    """
    The library's optional field stays empty, and its numbers are there.
    """
    answer = client.list_targets(models.ActionServiceListTargetsRequest())

    assert answer.targets is None
    assert "100" == answer.pagination.applied_limit


def test_a_target_is_deleted_once(client):
    """
    The second answer has the date of the first; a target that never was has no date.
    """
    created = create(client)
    request = models.ActionServiceDeleteTargetRequest(id=created.id)
    first = client.delete_target(request)
    second = client.delete_target(request)
    never = client.delete_target(models.ActionServiceDeleteTargetRequest(id="1"))

    assert first.deletion_date is not None
    assert first == second
    assert never.deletion_date is None
    with fails_with(404, "not_found", "Target not found", "QUERY-hj5oaniyrz"):
        get(client, created.id)


def test_an_execution_is_set_listed_and_cleared(client):
    """
    Clearing is setting it to nothing: no other call deletes one.
    """
    first, second = create(client, "first").id, create(client, "second").id
    condition = event_condition(event=EVENT_TYPE)
    answer = set_execution(client, condition, second, first)
    [execution] = executions(client)
    again = set_execution(client, condition, second, first)
    set_execution(client, condition)

    assert condition == execution.condition
    assert [second, first] == execution.targets
    assert answer.set_date == execution.change_date == again.set_date
    assert [] == executions(client)


@pytest.mark.parametrize(
    "condition",
    [
        event_condition(event=EVENT_TYPE),
        event_condition(group="user.human"),
        event_condition(all=True),
        models.ActionServiceCondition(request=models.ActionServiceRequestExecution(method=METHOD)),
        models.ActionServiceCondition(
            request=models.ActionServiceRequestExecution(service=SERVICE)
        ),
        models.ActionServiceCondition(response=models.ActionServiceResponseExecution(all=True)),
        models.ActionServiceCondition(
            function=models.ActionServiceFunctionExecution(name="preuserinfo")
        ),
    ],
    ids=lambda condition: condition.to_json(),
)
def test_every_condition_comes_back_as_it_was_set(client, condition):
    """
    The Terraform provider finds its executions again by comparing conditions.
    """
    target = create(client).id
    set_execution(client, condition, target)
    by_condition = models.ActionServiceExecutionSearchFilter(
        in_conditions_filter=models.ActionServiceInConditionsFilter(conditions=[condition])
    )
    by_target = models.ActionServiceExecutionSearchFilter(
        target_filter=models.ActionServiceTargetFilter(target_id=target)
    )

    assert [condition] == [execution.condition for execution in executions(client)]
    assert [condition] == [
        execution.condition for execution in executions(client, filters=[by_condition])
    ]
    assert [condition] == [
        execution.condition for execution in executions(client, filters=[by_target])
    ]


def test_executions_are_filtered_by_type(client):
    """
    A console shows one kind at a time.
    """
    target = create(client).id
    set_execution(client, event_condition(all=True), target)
    function = models.ActionServiceFunctionExecution(name="preuserinfo")
    set_execution(client, models.ActionServiceCondition(function=function), target)
    kind = models.ActionServiceExecutionType.EXECUTION_TYPE_FUNCTION
    by_type = models.ActionServiceExecutionSearchFilter(
        execution_type_filter=models.ActionServiceExecutionTypeFilter(execution_type=kind)
    )
    found = executions(client, filters=[by_type])

    assert [function] == [execution.condition.function for execution in found]


def test_what_can_be_set_is_listed(client):
    """
    A user interface offers what there is. These calls have an empty request.
    """
    methods = client.list_execution_methods({}).methods
    services = client.list_execution_services({}).services

    assert FUNCTIONS == client.list_execution_functions({}).functions
    assert sorted(methods) == methods
    assert METHOD in methods
    assert sorted(services) == services
    assert SERVICE in services


def test_a_taken_name_is_refused(client):
    """
    In any case of its letters. ZITADEL has no translation of this text.
    """
    create(client, "Audit")
    with fails_with(409, "already_exists", "Errors.Target.AlreadyExists", "V3-DKcYh"):
        create(client, "audit")


def test_bad_input_is_refused_without_a_detail(client):
    """
    An error of validation has no id, and then the library shows no detail.
    """
    text = (
        "invalid CreateTargetRequest.Name: value length must be between 1 and 1000 runes, inclusive"
    )
    with fails_with(400, "invalid_argument", text, None):
        create(client, "")


def test_a_condition_about_nothing_that_exists_is_refused(client):
    """
    A misspelt event type would never match.
    """
    target = create(client).id
    text = "Execution condition is invalid"
    with fails_with(404, "not_found", text, "COMMAND-74aaqj8fv9"):
        set_execution(client, event_condition(event="user.humn.added"), target)


def test_an_execution_of_targets_that_do_not_exist_is_refused(client):
    """
    Not found is the target, not the execution.
    """
    with fails_with(404, "not_found", "Target not found", "COMMAND-17e8fq1ggk"):
        set_execution(client, event_condition(event=EVENT_TYPE), "1")


def test_too_large_a_page_is_refused(client):
    """
    The limit is 1000, as there.
    """
    pagination = models.ActionServicePaginationRequest(limit=1001)
    with fails_with(400, "invalid_argument", "Limit exceeded", "QUERY-4M0fs"):
        client.list_targets(models.ActionServiceListTargetsRequest(pagination=pagination))


def test_a_stranger_is_refused(server):
    """
    The text is ZITADEL's key, which has no translation here.
    """
    with (
        zitadel.Zitadel.with_access_token(server.url, "nobody's token") as stranger,
        fails_with(401, "unauthenticated", "Errors.Token.Invalid", "AUTH-7fs1e"),
    ):
        all_targets(stranger.actions)
