"""A worker with everything around it replaced but the store: clock, receivers, log."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from contracts.store.steps import add_pending, add_targets, log_of, states
from outrider.bootstrap.http_client import ENCODERS
from outrider.domain.calls.request import OutboundRequest, Response
from outrider.domain.calls.request_builder import RequestBuilder
from outrider.domain.delivery.delivery import Delivery, PlannedDelivery
from outrider.domain.targets.retry_schedule import RetrySchedule
from outrider.domain.targets.target import Target
from outrider.runtime import Runtime
from outrider.usecases.calls.target_client import TargetClient
from outrider.usecases.ports.http_client import HttpClient
from outrider.usecases.ports.store import Store
from outrider.worker.attempts import AttemptRunner
from outrider.worker.rescuer import Rescuer
from outrider.worker.worker import Worker
from support.builders import a_target
from support.runtime import FixedClock, fixed_runtime

WITHIN_S = 20.0
OK = Response(200, (), b"")
SCHEDULE = RetrySchedule()


@dataclass(frozen=True)
class DelayedResponse:
    """A response that comes when `until` is set."""

    until: asyncio.Event
    response: Response | Exception = OK


Step = Response | Exception | DelayedResponse


class ScriptedClient:
    """Answers by the target's endpoint, in the order of the script; then 200."""

    def __init__(self) -> None:
        self.calls: list[OutboundRequest] = []
        self.most_at_once = 0
        self.doubled: list[str] = []
        self._scripts: dict[str, deque[Step]] = defaultdict(deque)
        self._under_way: Counter[str] = Counter()
        self._arrived = asyncio.Condition()

    def script(self, endpoint: str, *steps: Step) -> None:
        """What a target answers next."""
        self._scripts[endpoint].extend(steps)

    async def send(self, call: OutboundRequest) -> Response:
        delivery = header(call, "webhook-id")
        self.calls.append(call)
        self._under_way[delivery] += 1
        if self._under_way[delivery] > 1:
            self.doubled.append(delivery)
        self.most_at_once = max(self.most_at_once, self._under_way.total())
        try:
            async with self._arrived:
                self._arrived.notify_all()
            return await self._answer(call)
        finally:
            self._under_way[delivery] -= 1

    async def reached(self, calls: int) -> None:
        """Wait until a number of calls have begun."""
        async with asyncio.timeout(WITHIN_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.calls) >= calls)

    async def _answer(self, call: OutboundRequest) -> Response:
        script = self._scripts[call.url]
        step: Step = script.popleft() if script else OK
        if isinstance(step, DelayedResponse):
            await step.until.wait()
            step = step.response
        if isinstance(step, Exception):
            raise step
        # Real responses take a while; what runs meanwhile must be prepared for that.
        await asyncio.sleep(0)
        return step


class LogRecorder:
    """A log that keeps what it gets: level, event and fields."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        if level.startswith("_"):
            raise AttributeError(level)
        return lambda event, **fields: self.kept.append((level, event, fields))

    def events(self, *levels: str) -> list[str]:
        """What was logged at these levels, in order."""
        return [event for level, event, _ in self.kept if level in levels]


@dataclass
class Harness:
    """Everything around a worker."""

    store: Store
    clock: FixedClock = field(default_factory=FixedClock)
    client: HttpClient = field(default_factory=ScriptedClient)
    log: LogRecorder = field(default_factory=LogRecorder)

    @property
    def runtime(self) -> Runtime:
        """With the harness's clock; every draw is 0."""
        return fixed_runtime(self.clock)

    def worker(
        self,
        owner: str = "worker-a",
        *,
        concurrency: int = 4,
        drain_timeout: float = WITHIN_S,
        store: Store | None = None,
        client: HttpClient | None = None,
    ) -> Worker:
        """A worker that has not been started; its polls can be waited for."""
        runner = AttemptRunner(
            self.runtime,
            TargetClient(RequestBuilder(ENCODERS), client or self.client, self.log),
            SCHEDULE,
            self.log,
        )
        worker = Worker(
            store or self.store, self.runtime, runner, self.log, owner, concurrency, drain_timeout
        )
        worker.settled_signal.listen()
        return worker

    def rescuer(self) -> Rescuer:
        """A rescuer that has not been started."""
        rescuer = Rescuer(self.store, self.runtime, SCHEDULE, self.log)
        rescuer.rescued_signal.listen()
        return rescuer

    async def add_pending(
        self, *deliveries: PlannedDelivery, targets: Sequence[Target] = ()
    ) -> None:
        """One event with these deliveries; to target 101, a webhook, unless others are given."""
        await add_targets(self.store, *(targets or [a_target()]))
        await add_pending(self.store, *deliveries)

    async def delivery(self, number: str = "1") -> Delivery:
        """One delivery as the log shows it."""
        return await log_of(self.store, number)

    async def attempts(self, number: str = "1") -> list[str]:
        """How each attempt of a delivery ended."""
        return [attempt.outcome.name for attempt in (await self.delivery(number)).attempts]

    async def tried(self, worker: Worker, times: int, number: str = "1") -> None:
        """Let the worker poll until a delivery has a number of attempts."""
        async with asyncio.timeout(WITHIN_S):
            while len((await self.delivery(number)).attempts) < times:
                await worker.settled_signal.wait()

    async def reaches(self, worker: Worker, *expected: str) -> None:
        """Let the worker poll until the deliveries, oldest first, stand like this."""
        found: list[str] = []
        try:
            async with asyncio.timeout(WITHIN_S):
                while (found := list((await states(self.store)).values())) != list(expected):
                    await worker.settled_signal.wait()
        except TimeoutError:
            raise TimeoutError(f"{found} instead of {expected}") from None


@asynccontextmanager
async def working(*workers: Worker) -> AsyncIterator[None]:
    """Let workers run; then stop them, and wait until they have ended."""
    async with asyncio.timeout(2 * WITHIN_S), asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.run())
        try:
            yield
        finally:
            for worker in workers:
                worker.stop()


def header(call: OutboundRequest, name: str) -> str:
    """A header that has to be there once."""
    [value] = [value for known, value in call.headers if known.lower() == name]
    return value
