"""Every filter, sorting and page of lists that ZITADEL's own client library for Python has models for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clients.zitadel_actions import GROWTHS, ActionsClient, connected_client, walk
from clients.zitadel_library import zitadel
from system.server import Server

NAMES = ["a 100%", "B_1", "b-1", "c*[d]"]
MANY = 50


@pytest.fixture
def client(server: Server) -> Iterator[ActionsClient]:
    """The library's part for actions."""
    with connected_client(server) as connected:
        yield connected


def named(text: str, method: str) -> dict[str, Any]:
    """The filter on a target's name."""
    return {"targetNameFilter": {"targetName": text, "method": f"TEXT_FILTER_METHOD_{method}"}}


@pytest.mark.parametrize(
    ("text", "method", "expected"),
    [
        ("b-1", "EQUALS", ["b-1"]),
        ("B-1", "EQUALS", []),
        ("B-1", "EQUALS_IGNORE_CASE", ["b-1"]),
        ("B", "STARTS_WITH", ["B_1"]),
        ("B", "STARTS_WITH_IGNORE_CASE", ["B_1", "b-1"]),
        ("0%", "CONTAINS", ["a 100%"]),
        ("*[D", "CONTAINS_IGNORE_CASE", ["c*[d]"]),
        ("_1", "ENDS_WITH", ["B_1"]),
        ("1", "ENDS_WITH_IGNORE_CASE", ["B_1", "b-1"]),
    ],
)
def test_targets_are_filtered_by_name(client, text, method, expected):
    """
    What means something in SQL's patterns is a letter as any other here.
    """
    for name in NAMES:
        client.target(name)

    assert expected == client.names(named(text, method))


def test_targets_are_filtered_by_ids_and_all_filters_hold(client):
    """
    Unknown ids are no error: their targets may have been deleted.
    """
    ids = [client.target(name) for name in NAMES]
    by_ids = {"inTargetIdsFilter": {"targetIds": [ids[1], ids[2], "1"]}}

    assert ["B_1", "b-1"] == client.names(by_ids)
    assert ["b-1"] == client.names(by_ids, named("b", "STARTS_WITH"))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("UNSPECIFIED", "abc"),
        ("ID", "abc"),
        ("CREATED_DATE", "abc"),
        ("CHANGED_DATE", "bca"),
        ("NAME", "cba"),
        ("TARGET_TYPE", "acb"),
        ("URL", "cab"),
        ("TIMEOUT", "bac"),
        ("INTERRUPT_ON_ERROR", "bac"),
    ],
)
def test_targets_are_sorted_by_every_column(client, column, expected):
    """
    Each column has another order here, so that none is taken for another.
    """
    ends = {"interruptOnError": True}
    host = "http://127.0.0.1:"
    ids = {
        client.target("z", restWebhook={}, timeout="20s", endpoint=f"{host}2"): "a",
        client.target("y", restAsync={}, timeout="3s", endpoint=f"{host}3"): "b",
        client.target("x", restCall=ends, timeout="100s", endpoint=f"{host}1"): "c",
    }
    client.call("update_target", id=next(iter(ids)), timeout="21s")

    def found(*, ascending: bool) -> str:
        sorting = f"TARGET_FIELD_NAME_{column}"
        page = {"asc": ascending}
        listed = client.call("list_targets", sortingColumn=sorting, pagination=page).targets
        return "".join(ids[target.id] for target in listed)

    if column == "INTERRUPT_ON_ERROR":
        assert "c" == found(ascending=True)[-1] == found(ascending=False)[0]
    else:
        assert expected == found(ascending=True) == found(ascending=False)[::-1]


def test_executions_are_sorted_and_paged(client):
    """
    By id, by the first time they were set, by the last.
    """
    target = client.target()
    conditions = {
        "e": {"event": {"all": True}},
        "f": {"function": {"name": "preuserinfo"}},
        "r": {"request": {"all": True}},
    }
    for name in "rfe":
        client.call("set_execution", condition=conditions[name], targets=[target])
    other = client.target("other")
    client.call("set_execution", condition=conditions["r"], targets=[other])

    def found(column: str, **page: Any) -> str:
        sorting = f"EXECUTION_FIELD_NAME_{column}"
        listed = client.call("list_executions", sortingColumn=sorting, pagination=page).executions
        return "".join(
            name
            for execution in listed
            for name, condition in conditions.items()
            if condition == execution.condition.to_dict()
        )

    assert "efr" == found("ID", asc=True) == found("ID")[::-1]
    assert "efr" == found("CREATED_DATE") == found("UNSPECIFIED")
    assert "ref" == found("CHANGED_DATE")
    assert "f" == found("ID", asc=True, offset=1, limit=1)


def test_what_can_be_set_may_be_asked_for_without_a_body(client):
    """
    The library's parameter is optional, and then it sends what it sends.
    """
    api = client.api

    assert 3 == len(api.list_execution_functions().functions)
    assert api.list_execution_methods({}).methods == api.list_execution_methods().methods
    assert api.list_execution_services({}).services == api.list_execution_services().services


def test_a_walk_through_targets_sees_each_once_while_more_are_made(client):
    """
    An inventory must not have gaps.
    """
    made = [client.target(f"walked {number}") for number in range(8)]

    def read(page: dict[str, Any]) -> list[str]:
        return [target.id for target in client.call("list_targets", pagination=page).targets or []]

    seen = walk(read, lambda number: made.append(client.target(f"late {number}")))

    assert 8 + GROWTHS == len(made)
    assert made == seen


def test_a_walk_through_executions_sees_each_once_while_more_are_set(client):
    """
    Also while those that were seen are set again: they stay where they were made.
    """
    target, other = client.target(), client.target("other")
    methods = client.api.list_execution_methods({}).methods[: 8 + GROWTHS]
    made: list[str] = []

    def set_to(method: str, *targets: str) -> None:
        condition = {"request": {"method": method}}
        client.call("set_execution", condition=condition, targets=targets)

    def add() -> None:
        made.append(methods[len(made)])
        set_to(made[-1], target)

    def grow(number: int) -> None:
        add()
        set_to(made[number], other)

    def read(page: dict[str, Any]) -> list[str]:
        sorting = "EXECUTION_FIELD_NAME_CREATED_DATE"
        found = client.call("list_executions", pagination=page, sortingColumn=sorting).executions
        return [execution.condition.request.method for execution in found or []]

    for _ in range(8):
        add()
    seen = walk(read, grow)

    assert methods == made == seen


def test_one_of_many_clients_gets_the_name(server, client):
    """
    Deployments that start together: one has made the target, and the others know that it is there.
    """
    together = threading.Barrier(MANY, timeout=30)

    def create(_: int) -> tuple[int, str | None]:
        with zitadel.Zitadel.with_access_token(server.url, server.token) as connected:
            own = ActionsClient(connected.actions)
            together.wait()
            try:
                own.target("used by all")
            except zitadel.ApiError as error:
                detail = error.response_body["details"][0]
                return error.code, detail["debug"]["id"]
            return 200, None

    with ThreadPoolExecutor(MANY) as threads:
        answers = Counter(threads.map(create, range(MANY)))

    assert {(200, None): 1, (409, "V3-DKcYh"): MANY - 1} == answers
    assert ["used by all"] == client.names()
