"""Many callers at the same time, and lists that grow while a caller pages through them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from itertools import cycle, islice
from typing import Any

import pytest

from api.calls.service import Service
from api.calls.steps import ENDPOINT
from api.calls.table import Caller
from api.wires import Result, Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 50


def target(name: str, **fields: Any) -> dict[str, Any]:
    """A CreateTargetRequest."""
    return {"name": name, "endpoint": ENDPOINT, "restWebhook": {}, **fields}


async def at_once(
    service: Service, rpc: str, requests: Sequence[dict[str, Any]]
) -> list[Result[Any]]:
    """Make all calls at the same time, over one wire after the other."""
    calls: list[Awaitable[Result[Any]]] = [
        service.answer(rpc, request, Caller.ADMIN, wire)
        for request, wire in zip(requests, cycle(Wire), strict=False)
    ]
    return await asyncio.gather(*calls)


def codes(results: Sequence[Result[Any]]) -> dict[str, int]:
    """How many calls ended how."""
    return dict(Counter(result.code for result in results))


async def ready(service: Service, event_type: str, targets: int = 1) -> list[str]:
    """An execution of a new event type; the ids of its targets."""
    await service.ask("PublishEvents", {"events": [{"eventType": event_type}]})
    ids = [
        (await service.ask("CreateTarget", target(f"{event_type} {number}")))["id"]
        for number in range(targets)
    ]
    condition = {"event": {"event": event_type}}
    await service.ask("SetExecution", {"condition": condition, "targets": ids})
    return ids


async def test_one_of_many_gets_the_name(service: Service):
    """
    Two deployments that start together must not both believe that the target is theirs.
    """
    requests = [target(name) for name in islice(cycle(["Audit", "audit", "AUDIT"]), MANY)]
    results = await at_once(service, "CreateTarget", requests)
    found = await service.ask(
        "ListTargets",
        {
            "filters": [
                {
                    "targetNameFilter": {
                        "targetName": "audit",
                        "method": "TEXT_FILTER_METHOD_EQUALS_IGNORE_CASE",
                    }
                }
            ]
        },
    )

    assert {"ok": 1, "already_exists": MANY - 1} == codes(results)
    assert {"V3-DKcYh", None} == {result.detail_id for result in results}
    assert ["1"] == [found["pagination"]["totalResult"]]


async def test_one_of_many_gets_the_new_name(service: Service):
    """
    Renaming takes a name as creating does.
    """
    created = await at_once(service, "CreateTarget", [target(f"old {n}") for n in range(MANY)])
    requests = [{"id": result.message.id, "name": "new"} for result in created]
    results = await at_once(service, "UpdateTarget", requests)

    assert {"ok": 1, "already_exists": MANY - 1} == codes(results)


async def test_one_of_many_publishes_the_event(service: Service):
    """
    A publisher that lost its answer asks again, and its proxy may ask twice.
    """
    await ready(service, "order.paid", targets=2)
    event = {"id": "order 1 paid", "eventType": "order.paid"}
    results = await at_once(service, "PublishEvents", [{"events": [event]}] * MANY)
    answers = [result.message.results[0] for result in results]
    found = await service.ask("ListDeliveries", {"eventId": "order 1 paid"})

    assert {False: 1, True: MANY - 1} == Counter(answer.duplicate for answer in answers)
    assert {2} == {answer.deliveries for answer in answers}
    assert 2 == len(found["deliveries"])


async def test_calls_that_share_events_share_them_out(service: Service):
    """
    Batches that overlap, each in another order: every event is new in one of them.
    """
    await ready(service, "order.sent")
    ids = [f"order {number} sent" for number in range(20)]
    batches = [
        {
            "events": [
                {"id": event_id, "eventType": "order.sent"}
                for event_id in ids[start:] + ids[:start]
            ]
        }
        for start in range(20)
    ]
    results = await at_once(service, "PublishEvents", batches)
    new = Counter(
        event.id for result in results for event in result.message.results if not event.duplicate
    )
    found = await service.ask("ListDeliveries", {"eventType": "order.sent", "pageSize": 1000})

    assert dict.fromkeys(ids, 1) == new
    assert sorted(ids) == sorted(delivery["eventId"] for delivery in found["deliveries"])


async def test_an_event_after_the_answer_finds_the_execution(service: Service):
    """
    Who has set an execution and then publishes expects it to fire, whatever others do meanwhile.
    """

    async def set_and_publish(number: int) -> int:
        event_type = f"order.step{number}"
        await ready(service, event_type)
        answer = await service.ask("PublishEvents", {"events": [{"eventType": event_type}]})
        return int(answer["results"][0]["deliveries"])

    assert [1] * 20 == await asyncio.gather(*map(set_and_publish, range(20)))


async def test_an_execution_set_by_many_is_that_of_one(service: Service):
    """
    Lists are replaced whole and never mixed.
    """
    targets = await ready(service, "order.returned", targets=6)
    condition = {"event": {"event": "order.returned"}}
    lists = [targets[start:] + targets[:start] for start in range(6)]
    requests = [{"condition": condition, "targets": targets} for targets in lists]
    results = await at_once(service, "SetExecution", requests)
    found = await service.ask(
        "ListExecutions", {"filters": [{"inConditionsFilter": {"conditions": [condition]}}]}
    )

    assert {"ok": 6} == codes(results)
    assert found["executions"][0]["targets"] in lists


async def test_a_walk_through_targets_sees_each_once_while_more_are_made(service: Service):
    """
    Oldest first, new rows come behind the walker; offsets stay true.
    """
    for number in range(25):
        await service.ask("CreateTarget", target(f"walked {number:02}"))
    seen: list[str] = []
    while len(seen) < 100:
        page = {"offset": str(len(seen)), "limit": 7, "asc": True}
        search = {"pagination": page, "filters": [named("walked")]}
        found, _ = await asyncio.gather(
            service.ask("ListTargets", search),
            service.ask("CreateTarget", target(f"walked late {len(seen)}")),
        )
        names = [target["name"] for target in found.get("targets", [])]
        seen += names
        if len(names) < 7:
            break

    assert [f"walked {number:02}" for number in range(25)] == seen[:25]
    assert len(set(seen)) == len(seen)


def named(text: str) -> dict[str, Any]:
    """Targets whose names begin so."""
    method = "TEXT_FILTER_METHOD_STARTS_WITH"
    return {"targetNameFilter": {"targetName": text, "method": method}}


async def test_a_walk_through_deliveries_sees_each_once_while_more_are_created(service: Service):
    """
    Newest first, new rows come in front of the walker; a page's token is a position, not a number.
    """
    await ready(service, "order.walked")

    def publishing(first: int, count: int) -> Awaitable[Any]:
        numbers = range(first, first + count)
        events = [{"id": f"walked {n:03}", "eventType": "order.walked"} for n in numbers]
        return service.ask("PublishEvents", {"events": events})

    await publishing(0, 25)
    seen: list[str] = []
    pages: list[int] = []
    token = ""
    while token or not pages:
        search = {"eventType": "order.walked", "pageSize": 7, "pageToken": token}
        found, _ = await asyncio.gather(
            service.ask("ListDeliveries", search), publishing(100 + 10 * len(pages), 3)
        )
        seen += [delivery["eventId"] for delivery in found["deliveries"]]
        pages.append(len(found["deliveries"]))
        token = found.get("nextPageToken", "")
        assert len(pages) < 10

    old = [name for name in seen if name < "walked 100"]
    assert [f"walked {number:03}" for number in reversed(range(25))] == old
    assert len(set(seen)) == len(seen)
    assert {7} == set(pages[:-1])


async def test_every_page_of_a_search_is_part_of_the_whole(service: Service):
    """
    Whatever the size of the pages, put together they are the list.
    """
    for number in range(12):
        await service.ask("CreateTarget", target(f"cut {number:02}", timeout="3s"))

    async def names(**page: Any) -> list[str]:
        search = {
            "pagination": page,
            "filters": [named("cut ")],
            # All are equal here: the order of equal rows has to be the same on every page.
            "sortingColumn": "TARGET_FIELD_NAME_TIMEOUT",
        }
        found = await service.ask("ListTargets", search)
        return [target["name"] for target in found.get("targets", [])]

    for ascending in (True, False):
        whole = await names(asc=ascending)
        for limit in (1, 5, 12, 13):
            cuts = [
                await names(asc=ascending, limit=limit, offset=offset)
                for offset in range(0, 12, limit)
            ]
            assert whole == [name for cut in cuts for name in cut]
        assert 12 == len(whole)
