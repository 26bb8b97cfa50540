"""Publishing: what is answered, what is written, and that each id counts once."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from fakes.memory.store import MemoryStore
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.events.event import render_body
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.targets.target import TargetType
from outrider.errors import AlreadyExists, FailedPrecondition, InvalidRequest, OutriderError
from outrider.usecases.delivery.known_events import PublishResult
from outrider.usecases.delivery.publish import PublishEvents
from outrider.usecases.ports.store import LIGHT
from outrider.usecases.routing.routing_table import Routing
from support.builders import (
    ANOTHER_INSTANCE,
    DIGEST,
    INSTANCE,
    a_new_target,
    a_stored_event,
    an_actor,
    an_event,
    an_event_condition,
)
from support.runtime import NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)


@pytest.fixture
async def ids(targets, executions) -> list[str]:
    """Two webhooks, called for `user.human.added` in this order."""
    ids = [(await targets.create(ACTOR, a_new_target(name=name))).id for name in "ab"]
    await executions.set(ACTOR, an_event_condition(), ids)
    return ids


async def log(deliveries, actor=ACTOR):
    """The delivery log, oldest first, with everything."""
    rows, _ = await deliveries.search(actor, DeliverySearch(limit=1000))
    return [await deliveries.get(actor, row.id) for row in reversed(rows)]


async def test_an_event_has_a_delivery_for_each_target(publish, deliveries, ids):
    """
    In the order of the list, with the bytes that will be signed.
    """
    event = an_event()
    results = await publish(ACTOR, [event])
    logged = await log(deliveries)

    assert [PublishResult("event-1", 2, is_duplicate=False)] == results
    assert ids == [delivery.target_id for delivery in logged]
    assert {render_body(event, INSTANCE)} == {delivery.payload for delivery in logged}
    assert {("event-1", "user.human.added", "event/user.human.added")} == {
        (delivery.event_id, delivery.event_type, delivery.execution) for delivery in logged
    }


async def test_the_second_depends_on_the_first(publish, deliveries, ids):
    """
    First attempts happen in list order.
    """
    await publish(ACTOR, [an_event()])

    assert [NOW, None] == [delivery.next_attempt_at for delivery in await log(deliveries)]


async def test_none_depends_on_rest_async(publish, deliveries, targets, executions):
    """
    All are due immediately.
    """
    ids = [
        (await targets.create(ACTOR, a_new_target(name=name, type=TargetType.REST_ASYNC))).id
        for name in "ab"
    ]
    await executions.set(ACTOR, an_event_condition(), ids)
    await publish(ACTOR, [an_event()])

    assert [NOW, NOW] == [delivery.next_attempt_at for delivery in await log(deliveries)]


async def test_one_execution_matches_and_the_broader_ones_do_not(
    publish, deliveries, executions, ids
):
    """
    Their targets are not merged in.
    """
    await executions.set(ACTOR, Condition(ConditionKind.EVENT, Scope.ALL), ids[:1])
    await executions.set(ACTOR, Condition(ConditionKind.EVENT, Scope.GROUP, "user"), ids[1:])
    events = [
        an_event("exact", event_type="user.human.added"),
        an_event("group", event_type="user.human.changed"),
        an_event("all", event_type="org.added"),
    ]
    results = await publish(ACTOR, events)

    assert [2, 1, 1] == [result.deliveries for result in results]
    assert ["event/user.human.added"] * 2 + ["event/user.*", "event"] == [
        delivery.execution for delivery in await log(deliveries)
    ]


async def test_results_are_in_the_order_of_the_request(publish, ids):
    """
    New ones, known ones and unrouted ones in one call.
    """
    await publish(ACTOR, [an_event("known"), an_event("unrouted", event_type="org.added")])
    events = [
        an_event("new"),
        an_event("unrouted", event_type="org.added"),
        an_event("known"),
        an_event("another", event_type="org.added"),
        an_event("new"),
    ]

    assert [
        PublishResult("new", 2, is_duplicate=False),
        PublishResult("unrouted", 0, is_duplicate=True),
        PublishResult("known", 2, is_duplicate=True),
        PublishResult("another", 0, is_duplicate=False),
        PublishResult("new", 2, is_duplicate=True),
    ] == await publish(ACTOR, events)


UNIMPORTANT = {
    "created_at_ns": 7,
    "resource_owner": "another",
    "version": "v3",
    "sequence": 99,
    "user_id": "another",
    "hops": 3,
    "payload_json": '{ "userName" :\t"a&b" }',
}
DIFFERENT = {
    "event_type": "user.human.changed",
    "aggregate_id": "another",
    "aggregate_type": "another",
    "payload_json": '{"userName":"b"}',
}


@pytest.mark.parametrize("changes", [{}, UNIMPORTANT], ids=["as it was", "filled again"])
async def test_a_known_id_makes_no_second_delivery(publish, deliveries, ids, changes):
    """
    The time does not count, nor white space: a publisher that repeats itself may fill them again.
    """
    await publish(ACTOR, [an_event()])
    again = await publish(ACTOR, [replace(an_event(), **changes)])
    logged = await log(deliveries)

    assert [PublishResult("event-1", 2, is_duplicate=True)] == again
    assert 2 == len(logged)
    assert render_body(an_event(), INSTANCE) == logged[0].payload


@pytest.mark.parametrize("changed", DIFFERENT)
async def test_a_known_id_with_another_content_is_refused(publish, deliveries, ids, changed):
    """
    Two events of one id: whichever was answered "duplicate" would be lost.
    """
    await publish(ACTOR, [an_event()])
    other = replace(an_event(), **{changed: DIFFERENT[changed]})
    events = [an_event("first of the call"), an_event(), other, an_event("last of the call")]

    with pytest.raises(AlreadyExists, match=r'^Events\[2\]: the id "event-1" belongs to an event'):
        await publish(ACTOR, events)
    assert {"event-1"} == {delivery.event_id for delivery in await log(deliveries)}
    results = await publish(ACTOR, [events[0], events[3], an_event()])
    assert [False, False, True] == [result.is_duplicate for result in results]


PAYLOADS = [
    None,
    "{}",
    '{"a":1}',
    '{"a":1.0}',
    '{"a":"1"}',
    '{"a":1,"b":2}',
    '{"b":2,"a":1}',
    '{"a":" 1"}',
    '{"a":null}',
]


@pytest.mark.parametrize("second", PAYLOADS)
@pytest.mark.parametrize("first", PAYLOADS)
async def test_payloads_are_the_same_when_their_text_is(publish, first, second):
    """
    `1` and `1.0` differ, and so does another order of members: it is what targets get.
    """
    await publish(ACTOR, [an_event(payload_json=first)])
    again = publish(ACTOR, [an_event(payload_json=second)])
    if first == second:
        assert [True] == [result.is_duplicate for result in await again]
    else:
        with pytest.raises(AlreadyExists):
            await again


async def test_two_contents_under_one_id_in_one_call_are_refused(publish, deliveries, ids):
    """
    The second of them is named, and the first is not stored either.
    """
    events = [an_event("a"), an_event("b"), an_event("a", payload_json=None)]

    with pytest.raises(AlreadyExists, match=r'^Events\[2\]: the id "a" '):
        await publish(ACTOR, events)
    assert [] == await log(deliveries)


async def test_an_event_of_a_release_without_digests_is_compared_by_its_body(publish, store, ids):
    """
    A publisher's retry may come after the upgrade: it is a duplicate, and another event is not.
    """
    former = replace(a_stored_event(), digest=None)
    await store.write(lambda unit: unit.events.append(INSTANCE, [former], NOW))

    again = await publish(ACTOR, [replace(an_event(), **UNIMPORTANT)])
    assert [PublishResult("event-1", 0, is_duplicate=True)] == again
    for changed, value in DIFFERENT.items():
        with pytest.raises(AlreadyExists):
            await publish(ACTOR, [replace(an_event(), **{changed: value})])


def of_source(source, **changes):
    """An event as CloudEvents bring it: its id is unique for the source alone."""
    return replace(an_event("7"), resource_owner=source, source=source, **changes)


async def test_ids_of_cloud_events_are_those_of_their_source(publish, deliveries, ids):
    """
    The second source's event is told apart by the source, for every caller, and in any order.
    """
    events = [of_source("/a"), of_source("/b#1 100%"), of_source(f"/c{'c' * 198}")]
    first = [(await publish(ACTOR, [event]))[0] for event in events]
    again = await publish(ACTOR, events[::-1])

    assert ["7", "/b%231 100%25#7"] == [result.id for result in first[:2]]
    assert re.fullmatch(r"cloudevents/sha256/[0-9a-f]{64}", first[2].id)
    assert [False] * 3 == [result.is_duplicate for result in first]
    assert [replace(result, is_duplicate=True) for result in first[::-1]] == again
    assert 6 == len(await log(deliveries))
    for source in ("/a", "/b#1 100%"):
        with pytest.raises(AlreadyExists, match=r'^Events\[1\]: the id "'):
            await publish(ACTOR, [of_source("/d"), of_source(source, payload_json=None)])


async def test_sources_with_one_id_in_one_call_are_told_apart(publish, ids):
    """
    A batch may have events of several sources.
    """
    results = await publish(ACTOR, [of_source(name) for name in ("/a", "/b", "/a", "/b", "/c")])

    assert ["7", "/b#7", "7", "/b#7", "/c#7"] == [result.id for result in results]
    assert [False, False, True, True, False] == [result.is_duplicate for result in results]


async def test_a_cloud_event_of_a_release_before_is_known(publish, store, ids):
    """
    It was stored under its id alone: the publisher's retry is a duplicate, another source's is not.
    """
    former = replace(a_stored_event(event=of_source("/a")), digest=None)
    await store.write(lambda unit: unit.events.append(INSTANCE, [former], NOW))

    results = await publish(ACTOR, [of_source("/a"), of_source("/b")])
    assert [True, False] == [result.is_duplicate for result in results]


async def test_a_struct_of_a_release_before_is_known_in_any_order(publish, store, ids):
    """
    It was stored in the order in which its members came, and is sorted since.
    """
    sent = an_event(payload_json='{"b":[{"z":1.5e30,"a":"é<"}],"a":2}')
    former = replace(a_stored_event(event=sent), digest=None)
    await store.write(lambda unit: unit.events.append(INSTANCE, [former], NOW))
    sorted_since = replace(sent, payload_json='{"a":2,"b":[{"a":"é<","z":1.5e30}]}')

    assert [True] == [result.is_duplicate for result in await publish(ACTOR, [sorted_since])]
    with pytest.raises(AlreadyExists):
        await publish(ACTOR, [replace(sent, payload_json='{"a":2,"b":[{"z":1.5e30}]}')])


class Refusals:
    """Metrics that keep why calls were refused."""

    def __init__(self):
        self.reasons = []

    def published(self, stored, duplicates, deliveries):
        """Counts nothing."""

    def refused(self, reason):
        self.reasons.append(reason)


async def test_refused_calls_are_counted(publish, ids):
    """
    An operator sees circles and careless publishers before users do.
    """
    metrics = Refusals()
    counted = replace(publish, metrics=metrics)
    await counted(ACTOR, [an_event()])
    for wrong in (an_event(payload_json=None), replace(an_event("b"), hops=16)):
        with pytest.raises(OutriderError):
            await counted(ACTOR, [wrong])

    assert ["conflict", "hops"] == metrics.reasons


async def test_the_id_of_an_operator_event_is_taken(publish, store, ids):
    """
    Ids of interceptions and operator events are in the delivery log, and a publisher may use one.
    """
    for digest in (b"", None):
        own = replace(a_stored_event(event=an_event(f"own {digest}")), digest=digest)
        own = replace(own, body=b'{"fullMethod":"/a.B/C"}')
        await store.write(lambda unit, own=own: unit.events.append(INSTANCE, [own], NOW))

        with pytest.raises(AlreadyExists):
            await publish(ACTOR, [an_event(f"own {digest}")])


async def test_an_event_is_refused_where_its_deliveries_would_say_17(publish, deliveries, ids):
    """
    A circle of receivers ends at the sixteenth.
    """
    await publish(ACTOR, [replace(an_event("a"), hops=15)])

    text = r"^Outrider-Hops is 16, and the limit is 16: "
    with pytest.raises(FailedPrecondition, match=text):
        await publish(ACTOR, [an_event("b"), replace(an_event("c"), hops=16)])
    assert {"a"} == {delivery.event_id for delivery in await log(deliveries)}


async def test_an_id_published_many_times_concurrently_counts_once(publish, deliveries, ids):
    """
    Publishers retry while their first call is still on its way.
    """
    results = await asyncio.gather(*(publish(ACTOR, [an_event()]) for _ in range(25)))

    assert 1 == sum(not published.is_duplicate for [published] in results)
    assert {2} == {published.deliveries for [published] in results}
    assert 2 == len(await log(deliveries))


async def test_an_id_belongs_to_its_instance(publish, deliveries, ids):
    """
    Another tenant's event of that name is another event; their executions do not match ours.
    """
    await publish(ACTOR, [an_event()])
    results = await publish(STRANGER, [an_event()])

    assert [PublishResult("event-1", 0, is_duplicate=False)] == results
    assert [] == await log(deliveries, STRANGER)


async def test_an_event_without_an_id_gets_one(publish, ids):
    """
    Two of them are two events, also in one call.
    """
    results = await publish(ACTOR, [an_event(""), an_event("")])

    assert [False, False] == [result.is_duplicate for result in results]
    assert 2 == len({result.id for result in results})
    assert all(result.id.isdigit() for result in results)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"event_type": "user..added"}, "EventType"), ({"payload_json": "[]"}, "EventPayload")],
)
async def test_one_wrong_event_stores_nothing_of_the_call(publish, deliveries, ids, wrong, field):
    """
    An error means that nothing was stored; the text says which event and what.
    """
    events = [an_event("a"), an_event("b"), replace(an_event("c"), **wrong), an_event("d")]

    with pytest.raises(InvalidRequest, match=rf"^invalid PublishEventsRequest.Events\[2\].{field}"):
        await publish(ACTOR, events)
    assert [] == await log(deliveries)
    assert [False] == [
        published.is_duplicate for published in await publish(ACTOR, [an_event("a")])
    ]


async def test_unknown_event_types_are_taken_and_remembered(publish, executions):
    """
    For the instance that sent them.
    """
    await publish(ACTOR, [an_event("a", event_type="shop.b"), an_event("b", event_type="shop.a")])
    known = executions.known(ACTOR)

    assert known.has_event_type("shop.a")
    assert known.has_event_type("shop.b")
    assert known.has_event_type("user.human.added")
    assert not executions.known(STRANGER).has_event_type("shop.a")


async def test_known_event_types_do_not_rebuild_the_router(publish, store, ids):
    """
    Ten thousand events a second are no reason for ten thousand routers.
    """
    await publish(ACTOR, [an_event("a", event_type="shop.a")])
    before = await store.read(lambda unit: unit.routing_revision())
    await publish(ACTOR, [an_event("b", event_type="shop.a"), an_event("c")])

    assert before == await store.read(lambda unit: unit.routing_revision())


class ForgetfulStore(MemoryStore):
    """Cannot be read after the first write."""

    has_written = False

    async def write(self, work, *, shared=False, load=LIGHT):
        result = await super().write(work, shared=shared)
        self.has_written = True
        return result

    async def read(self, work):
        if self.has_written:
            raise OSError("the store cannot be read")
        return await super().read(work)


async def test_what_is_stored_is_not_answered_with_an_error(runtime, registered):
    """
    An error means that nothing was stored; refreshing the router comes after the commit.
    """
    store = ForgetfulStore()
    routing = Routing(store, registered)
    await routing.refresh()
    publish = PublishEvents(store=store, runtime=runtime, routing=routing, digest=DIGEST)

    assert [PublishResult("event-1", 0, is_duplicate=False)] == await publish(
        ACTOR, [an_event(event_type="shop.a")]
    )
