"""Processes that stand still for longer than their lease, and then continue: a laptop that slept.

Both scenarios take their 20 s at the same time.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack

import pytest
import pytest_asyncio

from faults.deployment import Deployment, deployment_of
from faults.invariants import ACCEPTED, LOST, DeliveryReport, check_invariants
from outrider.testing.receiver import OK, Answer, ReceivedCall, Receiver
from outrider.worker.worker import LEASE
from system.disk import lock_file
from system.processes import WORKER, children_of, children_running, kill
from system.server import Server
from system.test_extra_worker import worker_on

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = 8
# No target gets all the slots of a worker.
ENOUGH_AT_ONCE = {"OUTRIDER_WORKER_CONCURRENCY": str(2 * EVENTS)}
# If it were believed after another worker took over, the delivery would be dead.
GONE = 410


class LateAnswers:
    """Answers the first calls when it is told to; all others immediately, with 200."""

    def __init__(self, status: int) -> None:
        self.released = asyncio.Event()
        self._answer = Answer(status=status, hang_until=self.released)

    def __call__(self, call: ReceivedCall) -> Answer:
        return self._answer if call.number <= EVENTS else OK


Scenario = Callable[[Deployment, LateAnswers], Awaitable[DeliveryReport]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenarios(tmp_path_factory) -> AsyncIterator[dict[str, asyncio.Task[DeliveryReport]]]:
    """Every scenario of this module, begun."""
    with ExitStack() as ends:
        tasks = {}
        for scenario, status in ((one_worker, GONE), (whole_node, 200)):
            directory = tmp_path_factory.mktemp(scenario.__name__) / "data"
            server = Server(
                directory, "--workers", "1", "--log-level", "debug", environ=ENOUGH_AT_ONCE
            )
            ends.callback(server.kill)
            tasks[scenario.__name__] = asyncio.create_task(
                run_scenario(scenario, server, LateAnswers(status))
            )
        yield tasks
        for task in tasks.values():
            task.cancel()


async def run_scenario(scenario: Scenario, server: Server, late: LateAnswers) -> DeliveryReport:
    """Run one scenario from its beginning."""
    async with Receiver(late) as receiver:
        deployment = await deployment_of(await server.ready(), receiver)
        await deployment.feed(EVENTS)
        await receiver.wait_for(EVENTS)
        return await scenario(deployment, late)


def stand_still(server: Server, processes: list[int]) -> None:
    """Stop them, none of them while it has the write lock: the others would stop with it."""
    with lock_file(server.data_dir / "outrider.db.lock"):
        for process in processes:
            kill(process, signal.SIGSTOP)


async def one_worker(deployment: Deployment, late: LateAnswers) -> DeliveryReport:
    """A worker stands still while another one takes over."""
    server = deployment.server
    [worker] = children_running(server.pid, WORKER)
    stand_still(server, [worker])
    late.released.set()
    async with worker_on(server.data_dir):
        await server.api.settled(within=30)
        kill(worker, signal.SIGCONT)
        # It reads the answers that waited for it, and is told that they are no longer its own.
        await attempts_refused(server)
        await deployment.feed(EVENTS)
        await server.api.settled()
    return await check_invariants(deployment, most_repeated=EVENTS)


async def whole_node(deployment: Deployment, late: LateAnswers) -> DeliveryReport:
    """Everything stands still, and no other node takes over."""
    server = deployment.server
    everything = [server.pid, *children_of(server.pid)]
    stand_still(server, everything)
    late.released.set()
    await asyncio.sleep(LEASE.total_seconds() + 1)
    for process in everything:
        kill(process, signal.SIGCONT)
    return await check_invariants(deployment, most_repeated=EVENTS)


async def attempts_refused(server: Server) -> None:
    """Wait until the answers that came too late have been read, all of them."""
    async with asyncio.timeout(20):
        while sum(map(is_refusal, server.log)) < EVENTS:
            await asyncio.sleep(0.05)


def is_refusal(line: dict[str, object]) -> bool:
    """Whether a line of the log tells of a 410."""
    return line["event"] == "delivery.attempted" and line.get("status") == GONE


async def test_a_late_answer_is_not_recorded_twice(scenarios):
    """
    The worker that stood still has an answer for a delivery that another one has made meanwhile.
    """
    report = await scenarios["one_worker"]

    assert [[ACCEPTED]] * EVENTS + [[LOST, ACCEPTED]] * EVENTS == sorted(report.attempts.values())
    assert EVENTS == report.repeated


async def test_a_node_that_slept_continues_where_it_was(scenarios):
    """
    Its own rescuer may be the first to wake, and give away what its own worker claimed.
    """
    report = await scenarios["whole_node"]

    assert EVENTS == len(report.attempts)
    assert report.repeated == report.lost
