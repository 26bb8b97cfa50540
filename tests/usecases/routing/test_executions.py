"""Executions: the checks in ZITADEL's order, and what is answered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from outrider.domain.page import Page
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.routing.search import ExecutionSort
from outrider.errors import InvalidRequest, NotFound
from support.builders import (
    ANOTHER_INSTANCE,
    a_new_target,
    an_actor,
    an_event,
    an_event_condition,
    an_execution,
)
from support.runtime import NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
HOUR = timedelta(hours=1)
MISSING = an_event_condition("user.human.notexisting")


@pytest.fixture
async def ids(targets) -> list[str]:
    """Three targets of the actor's instance."""
    return [(await targets.create(ACTOR, a_new_target(name=name))).id for name in "abc"]


async def listed(executions, actor=ACTOR):
    listing = await executions.search(actor, [], ExecutionSort.ID, Page(ascending=True))
    return list(listing.rows)


async def test_a_list_is_set_and_shown(executions, ids):
    """
    In the order in which the targets will be called.
    """
    target_list = [ids[2], ids[0]]

    assert NOW == (await executions.set(ACTOR, an_event_condition(), target_list)).set_at
    assert [an_execution(*target_list)] == await listed(executions)


@pytest.mark.parametrize(
    ("condition", "names", "text"),
    [
        (MISSING, ["7", ""], "Execution is invalid (COMMAND-hdm4zl1hmd)"),
        (MISSING, ["7"], "Execution condition is invalid (COMMAND-74aaqj8fv9)"),
        (an_event_condition(), ["7"], "Target not found (COMMAND-17e8fq1ggk)"),
        (an_event_condition(), ["first", "first"], "Target not found (COMMAND-17e8fq1ggk)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_request_is_checked_in_zitadels_order(executions, ids, condition, names, text):
    """
    Each case corrects what the one before was refused for. Nothing is stored.
    """
    target_list = [ids[0] if name == "first" else name for name in names]

    with pytest.raises((InvalidRequest, NotFound)) as refused:
        await executions.set(ACTOR, condition, target_list)
    assert text == str(refused.value)
    assert [] == await listed(executions)


@pytest.mark.parametrize(
    ("kind", "scope", "value", "id_"),
    [
        ("request", "method", "/zitadel.session.v2.NotExistingService/List", "vysplsevt8"),
        ("response", "service", "NotExistingService", "qu6dfhiioq"),
        ("function", "name", "xxx", "cdy39t0ksr"),
        ("event", "event", "user.human.notexisting", "74aaqj8fv9"),
        ("event", "group", "user.notexisting", "er5oneb5lz"),
    ],
)
async def test_a_condition_that_does_not_exist_is_not_found(executions, kind, scope, value, id_):
    """
    ZITADEL's own test cases, even for an empty list.
    """
    condition = Condition(ConditionKind(kind), Scope(scope), value)

    with pytest.raises(NotFound) as refused:
        await executions.set(ACTOR, condition, [])
    assert f"Execution condition is invalid (COMMAND-{id_})" == str(refused.value)


@pytest.mark.parametrize(
    ("kind", "scope", "value"),
    [
        ("request", "method", "/zitadel.session.v2.SessionService/ListSessions"),
        ("response", "service", "zitadel.session.v2.SessionService"),
        ("request", "all", ""),
        ("event", "event", "user.human.added"),
        ("event", "group", "user"),
        ("event", "group", "user.human"),
        ("event", "all", ""),
        ("function", "name", "presamlresponse"),
    ],
)
async def test_a_condition_that_exists_can_be_set(executions, ids, kind, scope, value):
    """
    ZITADEL's own test cases, and they come back as they were sent.
    """
    condition = Condition(ConditionKind(kind), Scope(scope), value)
    await executions.set(ACTOR, condition, ids)

    assert [condition] == [execution.condition for execution in await listed(executions)]


async def test_the_same_list_again_answers_the_stored_date(executions, ids, clock):
    """
    The same ids in the same order are no change; another order is one.
    """
    await executions.set(ACTOR, an_event_condition(), ids)
    later = clock.advance(HOUR)

    assert NOW == (await executions.set(ACTOR, an_event_condition(), ids)).set_at
    assert later == (await executions.set(ACTOR, an_event_condition(), ids[::-1])).set_at


async def test_the_same_list_is_taken_although_a_target_is_gone(executions, targets, ids, clock):
    """
    Existence is not checked again; any other list with that target is refused.
    """
    await executions.set(ACTOR, an_event_condition(), ids)
    await targets.delete(ACTOR, ids[1])
    clock.advance(HOUR)

    assert NOW == (await executions.set(ACTOR, an_event_condition(), ids)).set_at
    with pytest.raises(NotFound):
        await executions.set(ACTOR, an_event_condition(), ids[:2])
    assert [an_execution(ids[0], ids[2])] == await listed(executions)


async def test_dates_are_of_the_first_and_of_the_last_setting(executions, ids, clock):
    """
    As in ZITADEL's list.
    """
    await executions.set(ACTOR, an_event_condition(), ids[:1])
    later = clock.advance(HOUR)
    await executions.set(ACTOR, an_event_condition(), ids[1:])

    assert [an_execution(*ids[1:], changed_at=later)] == await listed(executions)


async def test_an_empty_list_clears(executions, ids, clock):
    """
    It is the only way to delete an execution; doing it twice answers the first date.
    """
    await executions.set(ACTOR, an_event_condition(), ids)
    later = clock.advance(HOUR)

    assert later == (await executions.set(ACTOR, an_event_condition(), [])).set_at
    assert [] == await listed(executions)
    clock.advance(HOUR)
    assert later == (await executions.set(ACTOR, an_event_condition(), [])).set_at


async def test_clearing_what_was_never_set_has_no_date(executions):
    """
    No event, no date: the wire shows the zero time.
    """
    assert None is (await executions.set(ACTOR, an_event_condition(), [])).set_at
    assert [] == await listed(executions)


async def test_another_instances_targets_are_not_found(executions, ids):
    """
    Nor do its executions show.
    """
    await executions.set(ACTOR, an_event_condition(), ids)

    with pytest.raises(NotFound) as refused:
        await executions.set(STRANGER, an_event_condition(), ids)
    assert "Target not found (COMMAND-17e8fq1ggk)" == str(refused.value)
    assert [] == await listed(executions, STRANGER)


async def test_an_execution_counts_for_the_next_event(executions, publish, ids):
    """
    ZITADEL has a known defect here: fresh executions that had no effect until an update.
    """
    [before] = await publish(ACTOR, [an_event("before")])
    await executions.set(ACTOR, an_event_condition(), ids)
    [during] = await publish(ACTOR, [an_event("during")])
    await executions.set(ACTOR, an_event_condition(), [])
    [after] = await publish(ACTOR, [an_event("after")])

    assert (0, 3, 0) == (before.deliveries, during.deliveries, after.deliveries)


async def test_functions_methods_and_services_are_known(executions):
    """
    Functions in ZITADEL's order, the others sorted.
    """
    known = executions.known(ACTOR)

    assert ("preuserinfo", "preaccesstoken", "presamlresponse") == known.functions
    assert "/zitadel.session.v2.SessionService/ListSessions" in known.methods
    assert "zitadel.action.v2.ActionService" in known.services
    assert sorted(known.methods) == list(known.methods)
    assert sorted(known.services) == list(known.services)


async def test_a_published_event_type_can_be_set(executions, publish, ids):
    """
    In the instance whose publisher sent it, and with its groups.
    """
    ours = an_event_condition("shop.order.placed")
    group = Condition(ConditionKind.EVENT, Scope.GROUP, "shop.or")
    with pytest.raises(NotFound):
        await executions.set(ACTOR, ours, ids)
    await publish(ACTOR, [an_event(event_type="shop.order.placed")])
    await executions.set(ACTOR, ours, ids)
    await executions.set(ACTOR, group, ids)

    with pytest.raises(NotFound):
        await executions.set(STRANGER, ours, [])
    assert 2 == len(await listed(executions))
