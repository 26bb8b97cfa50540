"""An engine in a separate program: a request is rewritten, an event is delivered.

    python examples/engine_only.py

The target is a small server in the same program; yours may be anywhere.
"""

from __future__ import annotations

import asyncio
import json
import tempfile

from outrider.embed import Engine, Event, on_event, on_request
from outrider.testing.receiver import Answer, ReceivedCall, Receiver

METHOD = "/acme.v1.Shop/Create"


def target(call: ReceivedCall) -> Answer:
    """Double the amount of a request; an event is only shown."""
    body = json.loads(call.body)
    if "event_type" in body:
        print("event:", body["event_type"], body["event_payload"], flush=True)
        return Answer()
    return Answer(body=json.dumps({"amount": body["request"]["amount"] * 2}).encode())


async def main() -> None:
    """Configure, intercept, publish."""
    with tempfile.TemporaryDirectory() as data_dir:
        async with Receiver(target) as receiver, Engine.open(data_dir=data_dir, dev=True) as engine:
            hook = await engine.put_target("hook", receiver.url)
            await engine.register_methods([METHOD])
            await engine.register_event_types(["order.created"])
            await engine.set_execution(on_request(METHOD), [hook])
            await engine.set_execution(on_event("order.created"), [hook])

            done = await engine.intercept_request(METHOD, {"amount": 21})
            print("request:", done.message, flush=True)

            await engine.publish(Event(event_type="order.created", payload=done.message))
            await receiver.wait_for(2)


asyncio.run(main())
