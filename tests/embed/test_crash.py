"""A host that is killed in the middle of its work, and what the next one finds."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from outrider.embed import Engine, on_event
from outrider.testing.receiver import Receiver

HOST = """
import asyncio, sys
from outrider.embed import Engine, Event

async def publish(engine, number):
    names = [f"{number}-{position}" for position in range(5)]
    events = [Event(event_type="order.created", id=name, payload={"id": name}) for name in names]
    for result in await engine.publish(events):
        print(result.id, flush=True)

async def main():
    async with Engine.open(data_dir=sys.argv[1], dev=True, deliver=False) as engine:
        number = 0
        while True:
            async with asyncio.TaskGroup() as group:
                for _ in range(10):
                    number += 1
                    group.create_task(publish(engine, number))

asyncio.run(main())
"""
ANSWERED = 300  # fewer than all: the last line may be cut


async def test_what_was_answered_before_a_kill_is_delivered_by_the_next_host(tmp_path):
    """
    The promise that makes people put their events here: answered is on disk, and delivered.
    """
    data = tmp_path / "data"
    async with Receiver() as receiver:
        async with Engine.open(data_dir=data, dev=True) as engine:
            target = await engine.create_target("hook", receiver.url, type="webhook")
            await engine.register_event_types(["order.created"])
            await engine.set_execution(on_event("order.created"), [target])
        answered = await published_until_killed(data)

        async with Engine.open(data_dir=data, dev=True):
            async with asyncio.timeout(40):
                while answered - delivered(receiver):
                    await receiver.wait_for(len(receiver.calls) + 1)

        assert len(answered) >= ANSWERED


async def published_until_killed(data) -> set[str]:
    """The ids that a host was told of before it was killed, in the middle of publishing."""
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, str(data), stdout=asyncio.subprocess.PIPE
    )
    lines = []
    while len(lines) <= ANSWERED:
        lines.append((await host.stdout.readline()).decode().strip())
    host.send_signal(signal.SIGKILL)
    lines += (await host.stdout.read()).decode().splitlines()
    await host.wait()
    # The last line may have been cut.
    return {line for line in lines[:-1] if line}


def delivered(receiver: Receiver) -> set[str]:
    """The events that have arrived."""
    return {json.loads(call.body)["event_payload"]["id"] for call in receiver.calls}
