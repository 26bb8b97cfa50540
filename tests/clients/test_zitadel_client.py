"""What ZITADEL's own client library for Python does with ActionService beyond the daily calls.

Public keys above all, whose bytes the library leaves to its users as Base64; and every filter,
sorting and page that its models can say.
"""

from __future__ import annotations

import base64
import importlib
import threading
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from system.server import Server

with warnings.catch_warnings():
    # The library imports a part of its dependency that is deprecated; it is the library's to mend.
    # The dependency puts a filter of its own in front of all others when it is imported.
    importlib.import_module("authlib.deprecate")
    warnings.filterwarnings("ignore", message="authlib.jose module is deprecated")
    import zitadel_client as zitadel
    from zitadel_client import models

PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""
KEY = base64.b64encode(PEM.encode()).decode()
FINGERPRINT = "SHA256:XNJS+wzokyQ2+vjM0QQJgbie5K1rn+niorfnGqyyfNM"
ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
SOON, LATER = "2098-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
NAMES = ["a 100%", "B_1", "b-1", "c*[d]"]
PREFIX = "ActionService"
MANY = 50
GROWTHS = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """One for all tests here."""
    running = Server(tmp_path_factory.mktemp("server") / "data")
    try:
        yield await running.ready()
    finally:
        running.kill()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """With a token as people keep them in their settings; it leaves no target behind."""
    with zitadel.Zitadel.with_access_token(server.url, server.token) as connected:
        client = Client(connected.actions)
        yield client
        for target in client.ask("list_targets").targets or []:
            client.ask("delete_target", id=target.id)


class Client:
    """The library's part for actions; requests are given as the API's reference shows them."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def ask(self, call: str, **request: Any) -> Any:
        """Make the call with a request of the library's own models."""
        name = "".join(word.capitalize() for word in call.split("_"))
        model = getattr(models, f"{PREFIX}{name}Request")
        return getattr(self._api, call)(model.from_dict(request))

    def target(self, name: str = "audit", **fields: Any) -> str:
        """The id of a new target."""
        wanted = {"name": name, "endpoint": "http://127.0.0.1:1/hook", "timeout": "10s"}
        kind = {} if "restCall" in fields or "restAsync" in fields else {"restWebhook": {}}
        return self.ask("create_target", **wanted | kind | fields).id

    def add(self, target: str, **fields: Any) -> str:
        """The id of a new public key."""
        request = {"targetId": target, "publicKey": KEY, **fields}
        return self.ask("add_public_key", **request).key_id

    def keys(self, target: str, *filters: dict[str, Any], **fields: Any) -> list[Any]:
        """Public keys."""
        request = {"targetId": target, "filters": list(filters), **fields}
        return self.ask("list_public_keys", **request).public_keys or []

    def names(self, *filters: dict[str, Any], **fields: Any) -> list[str]:
        """Names of targets, by name."""
        order = {"sortingColumn": "TARGET_FIELD_NAME_NAME", "pagination": {"asc": True}}
        found = self.ask("list_targets", filters=list(filters), **order | fields).targets
        return [each.name for each in found or []]


def refusal(client: Client, call: str, **request: Any) -> tuple[int, str]:
    """The status and the id that a call is refused with."""
    with pytest.raises(zitadel.ApiError) as caught:
        client.ask(call, **request)
    return caught.value.code, caught.value.response_body["details"][0]["debug"]["id"]


def named(text: str, method: str) -> dict[str, Any]:
    """The filter on a target's name."""
    return {"targetNameFilter": {"targetName": text, "method": f"TEXT_FILTER_METHOD_{method}"}}


def expires(method: str, at: str = LATER) -> dict[str, Any]:
    """The filter on a key's expiry."""
    wanted = {"timestamp": at, "method": f"TIMESTAMP_FILTER_METHOD_{method}"}
    return {"expirationDateFilter": wanted}


def test_a_public_key_is_what_was_sent(client):
    """
    Its bytes are Base64 text in the library, both ways; a new key encrypts nothing yet.
    """
    target = client.target()
    added = client.ask("add_public_key", targetId=target, publicKey=KEY, expirationDate=LATER)
    [listed] = client.keys(target)

    assert listed.model_dump(exclude_none=True) == {
        "key_id": added.key_id,
        "public_key": KEY,
        "fingerprint": FINGERPRINT,
        "expiration_date": datetime(2099, 1, 1, tzinfo=UTC),
        "creation_date": added.creation_date,
        "change_date": added.creation_date,
    }
    assert abs(datetime.now(UTC) - added.creation_date) < timedelta(minutes=1)  # noqa: TID251 - the client's clock


def test_the_life_of_a_public_key(client):
    """
    Added, active, replaced, inactive, removed.
    """
    target = client.target()
    first, second = client.add(target), client.add(target)
    activated = client.ask("activate_public_key", targetId=target, keyId=first)
    again = client.ask("activate_public_key", targetId=target, keyId=first)
    client.ask("activate_public_key", targetId=target, keyId=second)
    active = {each.key_id: bool(each.active) for each in client.keys(target)}
    refused = refusal(client, "remove_public_key", targetId=target, keyId=second)
    deactivated = client.ask("deactivate_public_key", targetId=target, keyId=second)
    removed = client.ask("remove_public_key", targetId=target, keyId=second)

    assert activated == again
    assert {first: False, second: True} == active
    assert (400, "ErrPublicKeyDeleteActiveKey") == refused
    assert activated.change_date < deactivated.change_date < removed.deletion_date
    assert [first] == [each.key_id for each in client.keys(target)]


def test_removing_what_never_was_has_the_zero_date(client):
    """
    The library reads Go's zero time as a time: it must be one.
    """
    assert ZERO_TIME == client.ask("remove_public_key", targetId="1", keyId="1").deletion_date


@pytest.mark.parametrize(
    ("call", "request_", "expected"),
    [
        ("add_public_key", {"publicKey": "bm8="}, "ErrPublicKeyFormat"),
        ("add_public_key", {"publicKey": KEY, "targetId": "1"}, "ErrTargetNotFound"),
        (
            "add_public_key",
            {"publicKey": KEY, "expirationDate": "2020-01-01T00:00:00Z"},
            "ErrExpirationDateBeforeNow",
        ),
        ("activate_public_key", {"keyId": "1"}, "ErrKeyNotFound"),
        ("deactivate_public_key", {"keyId": "1"}, "ErrKeyNotFound"),
        ("list_public_keys", {"pagination": {"limit": 1001}}, "QUERY-4M0fs"),
        ("list_executions", {"pagination": {"limit": 1001}}, "QUERY-4M0fs"),
    ],
)
def test_a_refusal_has_its_documented_id(client, call, request_, expected):
    """
    Users of the library look for the id, which is all that tells refusals with 400 apart.
    """
    request = request_ if call == "list_executions" else {"targetId": client.target(), **request_}

    assert (400, expected) == refusal(client, call, **request)


def test_public_keys_are_filtered(client):
    """
    By id, by what is active, by expiry; a key that never expires is after every time.
    """
    target = client.target()
    ids = {
        client.add(target): "never",
        client.add(target, expirationDate=SOON): "soon",
        client.add(target, expirationDate=LATER): "later",
    }
    never, soon, later = ids
    client.ask("activate_public_key", targetId=target, keyId=soon)

    def found(*filters: dict[str, Any]) -> set[str]:
        return {ids[each.key_id] for each in client.keys(target, *filters)}

    assert {"never", "later"} == found({"keyIdsFilter": {"ids": [never, later, "1"]}})
    assert {"soon"} == found({"activeFilter": True})
    assert {"never", "later"} == found({"activeFilter": False})
    assert {"later"} == found(expires("EQUALS"))
    assert {"never"} == found(expires("AFTER"))
    assert {"never", "later"} == found(expires("AFTER_OR_EQUALS"))
    assert {"soon"} == found(expires("BEFORE"))
    assert {"soon", "later"} == found(expires("BEFORE_OR_EQUALS"))
    assert {"later"} == found(expires("BEFORE_OR_EQUALS"), {"activeFilter": False})


def test_public_keys_are_sorted_and_paged(client):
    """
    Newest first, unless asked for otherwise; the total says how many pages there are.
    """
    target = client.target()
    ids = [client.add(target, expirationDate=each) for each in (LATER, SOON, LATER)]
    client.ask("activate_public_key", targetId=target, keyId=ids[0])

    def found(column: str, **page: Any) -> list[int]:
        listed = client.keys(target, sortingColumn=f"PUBLIC_KEY_FIELD_NAME_{column}", **page)
        return [ids.index(each.key_id) for each in listed]

    page = {"offset": 1, "limit": 1, "asc": True}
    answer = client.ask("list_public_keys", targetId=target, pagination=page)

    assert [2, 1, 0] == [ids.index(each.key_id) for each in client.keys(target)]
    assert [0, 1, 2] == found("CREATION_DATE", pagination={"asc": True})
    assert [0, 2, 1] == found("CHANGE_DATE")
    assert 1 == found("EXPIRATION_DATE", pagination={"asc": True})[0]
    assert [ids[1]] == [each.key_id for each in answer.public_keys]
    assert ("3", "1") == (answer.pagination.total_result, answer.pagination.applied_limit)


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
    Unknown ids are no error: somebody may have deleted them.
    """
    ids = [client.target(name) for name in NAMES]
    wanted = {"inTargetIdsFilter": {"targetIds": [ids[1], ids[2], "1"]}}

    assert ["B_1", "b-1"] == client.names(wanted)
    assert ["b-1"] == client.names(wanted, named("b", "STARTS_WITH"))


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
    Each column has an order of its own here, so that no other is taken for it.
    """
    ends = {"interruptOnError": True}
    host = "http://127.0.0.1:"
    ids = {
        client.target("z", restWebhook={}, timeout="20s", endpoint=f"{host}2"): "a",
        client.target("y", restAsync={}, timeout="3s", endpoint=f"{host}3"): "b",
        client.target("x", restCall=ends, timeout="100s", endpoint=f"{host}1"): "c",
    }
    client.ask("update_target", id=next(iter(ids)), timeout="21s")

    def found(*, ascending: bool) -> str:
        sorting = f"TARGET_FIELD_NAME_{column}"
        page = {"asc": ascending}
        listed = client.ask("list_targets", sortingColumn=sorting, pagination=page).targets
        return "".join(ids[each.id] for each in listed)

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
    for called in "rfe":
        client.ask("set_execution", condition=conditions[called], targets=[target])
    other = client.target("other")
    client.ask("set_execution", condition=conditions["r"], targets=[other])

    def found(column: str, **page: Any) -> str:
        sorting = f"EXECUTION_FIELD_NAME_{column}"
        listed = client.ask("list_executions", sortingColumn=sorting, pagination=page).executions
        return "".join(
            called
            for each in listed
            for called, wanted in conditions.items()
            if wanted == each.condition.to_dict()
        )

    assert "efr" == found("ID", asc=True) == found("ID")[::-1]
    assert "efr" == found("CREATED_DATE") == found("UNSPECIFIED")
    assert "ref" == found("CHANGED_DATE")
    assert "f" == found("ID", asc=True, offset=1, limit=1)


def test_what_can_be_set_may_be_asked_for_without_a_body(client):
    """
    The library's parameter is optional, and then it sends what it sends.
    """
    api = client._api

    assert 3 == len(api.list_execution_functions().functions)
    assert api.list_execution_methods({}).methods == api.list_execution_methods().methods
    assert api.list_execution_services({}).services == api.list_execution_services().services


def walk(read: Callable[[dict[str, Any]], list[str]], grow: Callable[[int], object]) -> list[str]:
    """Read a list page by page, oldest first, while it grows behind the first pages."""
    seen: list[str] = []
    for number in range(20):
        page = read({"offset": len(seen), "limit": 3, "asc": True})
        seen += page
        if len(page) < 3:
            break
        if number < GROWTHS:
            grow(number)
    return seen


def test_a_walk_through_targets_sees_each_once_while_more_are_made(client):
    """
    Who keeps an inventory must not have gaps in it.
    """
    made = [client.target(f"walked {number}") for number in range(8)]

    def read(page: dict[str, Any]) -> list[str]:
        return [target.id for target in client.ask("list_targets", pagination=page).targets or []]

    seen = walk(read, lambda number: made.append(client.target(f"late {number}")))

    assert 8 + GROWTHS == len(made)
    assert made == seen


def test_a_walk_through_public_keys_sees_each_once_while_more_are_added(client):
    """
    The same for keys of a target that somebody rotates meanwhile.
    """
    target = client.target()
    made = [client.add(target) for _ in range(8)]

    def read(page: dict[str, Any]) -> list[str]:
        return [each.key_id for each in client.keys(target, pagination=page)]

    seen = walk(read, lambda _: made.append(client.add(target)))

    assert 8 + GROWTHS == len(made)
    assert made == seen


def test_a_walk_through_executions_sees_each_once_while_more_are_set(client):
    """
    Also while those that were seen are set again: they stay where they were made.
    """
    target, other = client.target(), client.target("other")
    methods = client._api.list_execution_methods({}).methods[: 8 + GROWTHS]
    made: list[str] = []

    def set_to(method: str, *targets: str) -> None:
        condition = {"request": {"method": method}}
        client.ask("set_execution", condition=condition, targets=targets)

    def add() -> None:
        made.append(methods[len(made)])
        set_to(made[-1], target)

    def grow(number: int) -> None:
        add()
        set_to(made[number], other)

    def read(page: dict[str, Any]) -> list[str]:
        sorting = "EXECUTION_FIELD_NAME_CREATED_DATE"
        found = client.ask("list_executions", pagination=page, sortingColumn=sorting).executions
        return [each.condition.request.method for each in found or []]

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
            mine = Client(connected.actions)
            together.wait()
            try:
                mine.target("wanted by all")
            except zitadel.ApiError as refused:
                detail = refused.response_body["details"][0]
                return refused.code, detail["debug"]["id"]
            return 200, None

    with ThreadPoolExecutor(MANY) as threads:
        answers = Counter(threads.map(create, range(MANY)))

    assert {(200, None): 1, (409, "V3-DKcYh"): MANY - 1} == answers
    assert ["wanted by all"] == client.names()
