"""What every store does with executions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Any

import pytest

from contracts.store.steps import add_targets, delete_target
from contracts.store.store import StoreContract
from outrider.domain.ids import ExecutionId, InstanceId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.routing.execution import Execution
from outrider.domain.routing.search import (
    ExecutionFilter,
    ExecutionIdsFilter,
    ExecutionSort,
    HasTargetFilter,
    KindFilter,
)
from outrider.domain.targets.target import TargetType
from outrider.usecases.ports.store import Store, Unit
from outrider.usecases.ports.targets import RoutedTarget
from support.builders import (
    ANOTHER_INSTANCE,
    INSTANCE,
    a_target,
    an_event_condition,
    an_execution,
)
from support.runtime import NOW

LATER = NOW + timedelta(hours=1)
OLDEST_FIRST = Page(ascending=True)
SERVICE = "zitadel.session.v2.SessionService"

# All shapes that a condition can have.
CONDITIONS = (
    Condition(ConditionKind.REQUEST, Scope.METHOD, f"/{SERVICE}/ListSessions"),
    Condition(ConditionKind.REQUEST, Scope.SERVICE, SERVICE),
    Condition(ConditionKind.REQUEST, Scope.ALL),
    Condition(ConditionKind.RESPONSE, Scope.METHOD, f"/{SERVICE}/ListSessions"),
    Condition(ConditionKind.RESPONSE, Scope.SERVICE, SERVICE),
    Condition(ConditionKind.RESPONSE, Scope.ALL),
    Condition(ConditionKind.FUNCTION, Scope.NAME, "presamlresponse"),
    Condition(ConditionKind.EVENT, Scope.EVENT, "user.human.added"),
    Condition(ConditionKind.EVENT, Scope.GROUP, "user.human"),
    Condition(ConditionKind.EVENT, Scope.ALL),
)
# What ZITADEL's own test expects of them, sorted by descending id.
BY_DESCENDING_ID = [CONDITIONS[index] for index in (3, 4, 5, 0, 1, 2, 6, 7, 8, 9)]
SORTED_BY: dict[ExecutionSort, Callable[[Execution], Any]] = {
    ExecutionSort.ID: attrgetter("id"),
    ExecutionSort.CREATED: attrgetter("created_at"),
    ExecutionSort.CHANGED: attrgetter("changed_at"),
}


async def put(store: Store, *executions: Execution, instance: InstanceId = INSTANCE) -> None:
    """Write executions, one after the other."""

    def put_all(unit: Unit) -> None:
        for execution in executions:
            unit.executions.put(instance, execution)

    await store.write(put_all)


async def get(store: Store, condition: Condition) -> Execution | None:
    """The execution of a condition, as it was set."""
    return await store.read(lambda unit: unit.executions.get(INSTANCE, condition.execution_id))


async def search(
    store: Store,
    *filters: ExecutionFilter,
    sort: ExecutionSort = ExecutionSort.ID,
    page: Page = OLDEST_FIRST,
) -> Listing[Execution]:
    """What the instance's list shows; by id, unless it says otherwise."""
    return await store.read(lambda unit: unit.executions.search(INSTANCE, filters, sort, page))


async def listed(store: Store, *filters: ExecutionFilter) -> list[tuple[str, ...]]:
    """The target lists of what is found, by execution id."""
    return [row.targets for row in (await search(store, *filters)).rows]


async def routes(store: Store) -> dict[InstanceId, dict[ExecutionId, tuple[RoutedTarget, ...]]]:
    """What the router is made of."""
    return await store.read(lambda unit: unit.executions.routes())


def awaited(*targets: str) -> tuple[RoutedTarget, ...]:
    """Routed targets that others wait for."""
    return tuple(RoutedTarget(TargetId(target), is_awaited=True) for target in targets)


class ExecutionsContract(StoreContract):
    """Setting, reading, and what deleted targets leave of them."""

    @pytest.mark.parametrize("condition", CONDITIONS, ids=lambda value: value.execution_id)
    async def test_every_condition_comes_back_as_it_was_set(
        self, store: Store, condition: Condition
    ) -> None:
        """It is stored as one text, and read back as what the caller sent."""
        execution = an_execution("101", condition=condition, changed_at=LATER)
        await add_targets(store)
        await put(store, execution)

        assert execution == await get(store, condition)
        assert [execution] == list((await search(store)).rows)

    async def test_targets_keep_their_order(self, store: Store) -> None:
        """They are called in it."""
        await add_targets(store)
        await put(store, an_execution("103", "101", "102"))

        assert an_execution("103", "101", "102") == await get(store, an_event_condition())
        assert [("103", "101", "102")] == await listed(store)
        assert (
            awaited("103", "101", "102")
            == (await routes(store))[INSTANCE][an_event_condition().execution_id]
        )

    async def test_setting_again_replaces_the_list(self, store: Store) -> None:
        """Nothing of the longer list before stays behind."""
        await add_targets(store)
        await put(store, an_execution("101", "102", "103"), an_execution("102", changed_at=LATER))

        assert an_execution("102", changed_at=LATER) == await get(store, an_event_condition())
        assert [("102",)] == await listed(store)

    async def test_what_was_never_set_is_none(self, store: Store) -> None:
        """It is not an empty list: the date of setting it is missing."""
        assert None is await get(store, an_event_condition())
        assert {} == await routes(store)

    async def test_an_empty_list_is_remembered_and_does_not_show(self, store: Store) -> None:
        """Clearing is the only way to delete an execution; its date is answered again."""
        await add_targets(store)
        await put(store, an_execution("101"), an_execution(changed_at=LATER))

        assert an_execution(changed_at=LATER) == await get(store, an_event_condition())
        assert [] == await listed(store)
        assert {} == await routes(store)

    async def test_another_instances_execution_does_not_exist(self, store: Store) -> None:
        """Neither to read nor to find, nor to route."""
        await add_targets(store, instance=ANOTHER_INSTANCE)
        await put(store, an_execution("101"), instance=ANOTHER_INSTANCE)

        assert None is await get(store, an_event_condition())
        assert [] == await listed(store)
        assert [ANOTHER_INSTANCE] == list(await routes(store))

    async def test_another_instances_target_is_not_called(self, store: Store) -> None:
        """An id that slipped through leads nowhere."""
        await add_targets(store, a_target("101"))
        await add_targets(store, a_target("201"), instance=ANOTHER_INSTANCE)
        await put(store, an_execution("201", "101"))

        assert [("101",)] == await listed(store)
        assert [awaited("101")] == list((await routes(store))[INSTANCE].values())

    async def test_a_deleted_target_vanishes_from_lists_and_routes(self, store: Store) -> None:
        """The stored list keeps it: setting the same list again is no change."""
        await add_targets(store)
        await put(store, an_execution("103", "101", "102"))
        await delete_target(store, "101")

        assert [("103", "102")] == await listed(store)
        assert [awaited("103", "102")] == list((await routes(store))[INSTANCE].values())
        assert an_execution("103", "101", "102") == await get(store, an_event_condition())

    async def test_an_execution_without_targets_left_is_gone(self, store: Store) -> None:
        """It is not in the list, and a broader one takes its place."""
        await add_targets(store)
        await put(
            store,
            an_execution("101"),
            an_execution("102", condition=Condition(ConditionKind.EVENT, Scope.ALL)),
        )
        await delete_target(store, "101")

        assert [("102",)] == await listed(store)
        assert {INSTANCE: {"event": awaited("102")}} == await routes(store)
        assert 1 == (await search(store)).total

    async def test_routes_say_who_is_awaited(self, store: Store) -> None:
        """Targets do not wait for a rest_async target, from the moment it became one."""
        webhook = a_target("101")
        asynchronous = a_target("102", type=TargetType.REST_ASYNC)
        await add_targets(store, webhook, asynchronous, a_target("103", type=TargetType.REST_CALL))
        await put(store, an_execution("101", "102", "103"))
        before = (await routes(store))[INSTANCE][an_event_condition().execution_id]
        changed = replace(webhook, type=TargetType.REST_ASYNC)
        await store.write(lambda unit: unit.targets.replace(INSTANCE, changed))
        after = (await routes(store))[INSTANCE][an_event_condition().execution_id]

        assert [True, False, True] == [target.is_awaited for target in before]
        assert [False, False, True] == [target.is_awaited for target in after]

    async def test_routes_are_those_of_every_instance(self, store: Store) -> None:
        """One router a tenant, built in one reading."""
        for instance in (INSTANCE, ANOTHER_INSTANCE):
            await add_targets(store, instance=instance)
        await put(store, *(an_execution("101", condition=condition) for condition in CONDITIONS))
        await put(store, an_execution("102"), instance=ANOTHER_INSTANCE)
        found = await routes(store)

        assert {condition.execution_id: awaited("101") for condition in CONDITIONS} == found[
            INSTANCE
        ]
        assert {an_event_condition().execution_id: awaited("102")} == found[ANOTHER_INSTANCE]


class ExecutionSearchContract(StoreContract):
    """Filters, sorting and pages of executions."""

    @pytest.fixture
    async def filled(self, store: Store) -> Store:
        """A store with one execution of each shape, target 101; 102 in every third as well."""
        await add_targets(store)
        for index, condition in enumerate(CONDITIONS):
            targets = ("102", "101") if index % 3 == 0 else ("101",)
            created_at = NOW + timedelta(microseconds=index * 3 % 4)
            changed_at = LATER - timedelta(microseconds=index * 7 % 5)
            await put(
                store,
                an_execution(
                    *targets, condition=condition, created_at=created_at, changed_at=changed_at
                ),
            )
        return store

    async def test_ids_select(self, filled: Store) -> None:
        """Conditions that were never set are simply not there."""
        ids = ExecutionIdsFilter(
            (CONDITIONS[8].execution_id, CONDITIONS[0].execution_id, ExecutionId("event/never"))
        )

        assert [CONDITIONS[8], CONDITIONS[0]] == [
            row.condition for row in (await search(filled, ids)).rows
        ]

    async def test_any_number_of_ids_may_be_asked_for(self, filled: Store) -> None:
        """A request holds more conditions than a database takes parameters."""
        unknown = tuple(ExecutionId(f"event/e{number}") for number in range(300_000))
        filter_ = ExecutionIdsFilter((*unknown, CONDITIONS[0].execution_id))

        assert 1 == (await search(filled, filter_)).total

    @pytest.mark.parametrize("kind", ConditionKind)
    async def test_kinds_select(self, filled: Store, kind: ConditionKind) -> None:
        """What is set for all of a kind belongs to it."""
        expected = {condition for condition in CONDITIONS if condition.kind is kind}

        assert expected == {row.condition for row in (await search(filled, KindFilter(kind))).rows}

    async def test_a_target_selects_the_executions_that_call_it(self, filled: Store) -> None:
        """Before a user deletes it, for example."""
        rows = (await search(filled, HasTargetFilter(TargetId("102")))).rows

        assert set(CONDITIONS[::3]) == {row.condition for row in rows}
        assert {("102", "101")} == {row.targets for row in rows}
        assert [] == await listed(filled, HasTargetFilter(TargetId("103")))

    async def test_a_deleted_target_selects_nothing(self, filled: Store) -> None:
        """No execution calls it any longer."""
        await delete_target(filled, "102")

        assert [] == await listed(filled, HasTargetFilter(TargetId("102")))
        assert 10 == (await search(filled, HasTargetFilter(TargetId("101")))).total

    async def test_filters_are_anded(self, filled: Store) -> None:
        """Each one narrows."""
        both = (HasTargetFilter(TargetId("102")), KindFilter(ConditionKind.REQUEST))

        assert [CONDITIONS[0]] == [row.condition for row in (await search(filled, *both)).rows]
        assert [] == await listed(
            filled, KindFilter(ConditionKind.REQUEST), KindFilter(ConditionKind.EVENT)
        )

    async def test_ids_sort_as_text(self, filled: Store) -> None:
        """The order that ZITADEL's own test expects."""
        rows = (await search(filled, page=Page())).rows

        assert BY_DESCENDING_ID == [row.condition for row in rows]

    @pytest.mark.parametrize("ascending", [True, False])
    @pytest.mark.parametrize("sort", ExecutionSort)
    async def test_rows_are_sorted_and_ties_follow_their_ids(
        self, filled: Store, sort: ExecutionSort, *, ascending: bool
    ) -> None:
        """One order, so that pages do not overlap."""
        rows = list((await search(filled, sort=sort, page=Page(ascending=ascending))).rows)
        value = SORTED_BY[sort]
        expected = sorted(rows, key=lambda row: (value(row), row.id), reverse=not ascending)

        assert 10 == len(rows)
        assert expected == rows

    async def test_pages_together_are_the_list(self, filled: Store) -> None:
        """And each says how many rows match in all; behind the end that is 0."""
        pages = [
            await search(filled, page=Page(offset, limit=4, ascending=True))
            for offset in (0, 4, 8, 12)
        ]

        assert [4, 4, 2, 0] == [len(page.rows) for page in pages]
        assert [10, 10, 10, 0] == [page.total for page in pages]
        assert list((await search(filled)).rows) == [row for page in pages for row in page.rows]
