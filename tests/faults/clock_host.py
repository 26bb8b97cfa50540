"""A program that delivers, run by a test: publishes as many events as each line of its input says.

Arguments: the data directory, and a receiver's URL for the program that makes the target.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from outrider.embed import Engine, Event, on_event


async def main() -> None:
    """Say `ready`, then the signing key if there is one, then the ids that were answered."""
    directory, url = sys.argv[1:]
    logging.basicConfig(level=logging.DEBUG)
    settings = {"dev": True, "worker_concurrency": 16, "drain_timeout": 5.0}
    async with Engine.open(data_dir=directory, beside_engines=True, **settings) as engine:
        if url:
            target = await engine.create_target("hook", url, type="webhook", timeout=120)
            await engine.register_event_types(["order.created"])
            await engine.set_execution(on_event("order.created"), [target])
            say(target.signing_key)
        say("ready")
        number = 0
        while line := await asyncio.to_thread(sys.stdin.readline):
            last = number + int(line)
            names = [f"{position:06d}" for position in range(number, last)]
            number = last
            for answered in await engine.publish(
                [Event(event_type="order.created", id=name, aggregate_id=name) for name in names]
            ):
                say(answered.id)
            say("published")


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


asyncio.run(main())
