"""Targets, executions and the catalogue, for an application without a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from outrider.bootstrap.embedding import EngineComponents
from outrider.domain.ids import TargetId
from outrider.domain.page import MAX_LIMIT, Page
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.domain.routing.condition import Condition, ConditionKind
from outrider.domain.routing.execution import Execution, ExecutionChange
from outrider.domain.routing.router import Shadowing
from outrider.domain.routing.search import ExecutionIdsFilter, ExecutionSort
from outrider.domain.targets.policy import StoredPolicy, TargetPolicy
from outrider.domain.targets.search import NameFilter, TargetSort, TextMethod
from outrider.domain.targets.target import NewTarget, PayloadType, Target, TargetChange, TargetType
from outrider.embed.conditions import read_condition
from outrider.embed.delivery_log import DeliveryLog
from outrider.errors import AlreadyExists, InvalidRequest, OutriderError
from outrider.usecases.routing.explain import ExplainQuery, Explanation

MAX_NAME = 1000
MAX_ENDPOINT = 2048
MAX_TIMEOUT = timedelta(seconds=270)


class Management(DeliveryLog):
    """The operations of the owner of the instance. All of them raise `outrider.errors`.

    A target is named by the value or by its id.
    """

    async def create_target(
        self,
        name: str,
        endpoint: str,
        *,
        type: TargetType | str = TargetType.REST_CALL,  # noqa: A002 - the name of the field
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - a field of the target
        interrupt_on_error: bool = False,
        payload_type: PayloadType = PayloadType.JSON,
    ) -> Target:
        """Add a target. `timeout` is in seconds, 10 by default.

        Raise `AlreadyExists` for a name that is taken, `InvalidRequest` for what no target may be.
        """
        new_target = NewTarget(
            name=_within(name, "name", MAX_NAME),
            type=_target_type(type),
            endpoint=_within(endpoint, "endpoint", MAX_ENDPOINT),
            timeout=_timeout(timeout),
            interrupt_on_error=interrupt_on_error,
            payload_type=payload_type,
        )
        components = self._open_components
        return await components.targets.create(components.actor, new_target)

    async def put_target(
        self,
        name: str,
        endpoint: str,
        *,
        type: TargetType | str = TargetType.REST_CALL,  # noqa: A002 - the name of the field
        timeout: float | timedelta = 10.0,  # noqa: ASYNC109 - a field of the target
        interrupt_on_error: bool = False,
        payload_type: PayloadType = PayloadType.JSON,
    ) -> Target:
        """Make the target of this name be so, at every start of an application. Its keys stay."""
        components = self._open_components
        known = await self._target_named(name)
        if known is None:
            try:
                return await self.create_target(
                    name,
                    endpoint,
                    type=type,
                    timeout=timeout,
                    interrupt_on_error=interrupt_on_error,
                    payload_type=payload_type,
                )
            except AlreadyExists:
                # Another process of the same host has just made it.
                known = await self._target_named(name)
                if known is None:
                    raise
        change = TargetChange(
            type=_target_type(type),
            interrupt_on_error=interrupt_on_error,
            endpoint=_within(endpoint, "endpoint", MAX_ENDPOINT),
            timeout=_timeout(timeout),
            payload_type=payload_type,
        )
        return await components.targets.update(components.actor, known.id, change)

    async def _target_named(self, name: str) -> Target | None:
        components = self._open_components
        has_name = [NameFilter(name, TextMethod.EQUALS)]
        page = await components.targets.search(
            components.actor, has_name, TargetSort.ID, Page(limit=1)
        )
        return page.rows[0] if page.rows else None

    async def update_target(self, target: Target | str, change: TargetChange) -> Target:
        """Change what `change` names. Raise `NotFound` for a target that does not exist."""
        components = self._open_components
        return await components.targets.update(components.actor, _id_of(target), change)

    async def delete_target(self, target: Target | str) -> datetime | None:
        """Delete it and cancel its pending deliveries; return when, None when it never existed."""
        components = self._open_components
        return await components.targets.delete(components.actor, _id_of(target))

    async def get_target(self, target: Target | str) -> Target:
        """Raise `NotFound` when it does not exist."""
        components = self._open_components
        return await components.targets.get(components.actor, _id_of(target))

    async def list_targets(self) -> list[Target]:
        """All of them, oldest first."""
        components = self._open_components
        found: list[Target] = []
        while True:
            page = Page(offset=len(found), limit=MAX_LIMIT, ascending=True)
            rows = (await components.targets.search(components.actor, (), TargetSort.ID, page)).rows
            found.extend(rows)
            if len(rows) < MAX_LIMIT:
                return found

    async def set_policy(self, target: Target | str, policy: TargetPolicy) -> datetime:
        """Replace the target's policy; return when."""
        components = self._open_components
        return await components.policies.set(components.actor, _id_of(target), policy)

    async def get_policy(self, target: Target | str) -> StoredPolicy:
        """Return it without its secrets."""
        components = self._open_components
        return await components.policies.get(components.actor, _id_of(target))

    async def set_execution(
        self, condition: Condition | str, targets: Iterable[Target | str]
    ) -> ExecutionChange:
        """Have these targets called, in order; none of them: nothing is called any more.

        Return what was replaced, and what the execution shadows. The method, function or event type
        must be in the catalogue: `NotFound` otherwise.
        """
        components = self._open_components
        target_ids = [_id_of(target) for target in targets]
        return await components.executions.set(
            components.actor, read_condition(condition), target_ids
        )

    async def get_execution(self, condition: Condition | str) -> Execution | None:
        """Return the execution of exactly this condition; None: it has no targets."""
        components = self._open_components
        has_id = ExecutionIdsFilter((read_condition(condition).execution_id,))
        page = await components.executions.search(
            components.actor, [has_id], ExecutionSort.ID, Page(limit=1)
        )
        return page.rows[0] if page.rows else None

    async def delete_execution(self, condition: Condition | str) -> ExecutionChange:
        """Call nothing for this condition any more; return which targets were called."""
        return await self.set_execution(condition, ())

    async def shadowing(self, condition: Condition | str) -> Shadowing:
        """Say which executions one for this condition keeps from firing, and which keep it from it.

        Whether or not it is set.
        """
        components = self._open_components
        found = await components.executions.get(components.actor, read_condition(condition))
        return found.shadowing

    async def list_executions(self) -> list[Execution]:
        """All that have targets, by id."""
        components = self._open_components
        found: list[Execution] = []
        while True:
            page = Page(offset=len(found), limit=MAX_LIMIT, ascending=True)
            rows = (
                await components.executions.search(components.actor, (), ExecutionSort.ID, page)
            ).rows
            found.extend(rows)
            if len(rows) < MAX_LIMIT:
                return found

    async def register_methods(self, names: Iterable[str]) -> int:
        """Let executions be set for these `/package.Service/Method`; return how many are new."""
        return await self.register(Entry(kind=EntryKind.METHOD, name=name) for name in names)

    async def register_functions(self, names: Iterable[str]) -> int:
        """Let executions be set for these functions; return how many are new."""
        return await self.register(Entry(kind=EntryKind.FUNCTION, name=name) for name in names)

    async def register_event_types(self, names: Iterable[str]) -> int:
        """Let executions be set for these event types; return how many are new."""
        return await self.register(Entry(kind=EntryKind.EVENT_TYPE, name=name) for name in names)

    async def register(self, entries: Iterable[Entry]) -> int:
        """Add entries to the catalogue, described or not; return how many are new.

        Nothing is written when all of them are known and say nothing about themselves.
        """
        components = self._open_components
        new_entries = [entry for entry in entries if not _is_known(components, entry)]
        if not new_entries:
            return 0
        return await components.catalogue.add(components.actor, new_entries)

    async def unregister(self, names: Iterable[EntryName]) -> int:
        """Remove entries from the catalogue; return how many there were.

        Raise `FailedPrecondition` for what is built in, and for what an execution is set for.
        """
        components = self._open_components
        return await components.catalogue.remove(components.actor, list(names))

    async def explain(self, kind: ConditionKind | str, name: str) -> Explanation:
        """Explain which execution matches a request, response, function or event, and why.

        Raises:
            InvalidRequest: `kind` is none of `ConditionKind`.
        """
        components = self._open_components
        try:
            query = ExplainQuery(ConditionKind(kind), name)
        except ValueError:
            kinds = ", ".join(ConditionKind)
            raise InvalidRequest(f"the kind is one of {kinds}, not {kind!r}") from None
        return await components.interception.explain(components.actor, query)


def _id_of(target: Target | str) -> TargetId:
    return target.id if isinstance(target, Target) else TargetId(target)


def _target_type(text: TargetType | str) -> TargetType:
    if isinstance(text, TargetType):
        return text
    names: Mapping[str, TargetType] = {
        "call": TargetType.REST_CALL,
        "webhook": TargetType.REST_WEBHOOK,
        "async": TargetType.REST_ASYNC,
    }
    if text not in names:
        raise _invalid("type", f"one of {', '.join(names)}")
    return names[text]


def _timeout(seconds: float | timedelta | None) -> timedelta | None:
    if seconds is None or isinstance(seconds, timedelta):
        timeout = seconds
    else:
        timeout = timedelta(seconds=seconds)
    if timeout is not None and not timedelta(0) <= timeout <= MAX_TIMEOUT:
        raise _invalid("timeout", f"from 0 to {MAX_TIMEOUT.total_seconds():g} seconds")
    return timeout


def _within(text: str, name: str, limit: int) -> str:
    if not 1 <= len(text) <= limit:
        raise _invalid(name, f"of 1 to {limit} characters")
    return text


def _invalid(name: str, rule: str) -> OutriderError:
    return InvalidRequest(f"invalid target: {name} must be {rule}")


def _is_known(components: EngineComponents, entry: Entry) -> bool:
    if entry.is_described:
        return False
    catalogue = components.routing.catalogue(components.actor.instance_id)
    has = {
        EntryKind.METHOD: catalogue.has_method,
        EntryKind.FUNCTION: catalogue.has_function,
        EntryKind.EVENT_TYPE: catalogue.has_event_type,
    }
    return has[entry.kind](entry.name)
