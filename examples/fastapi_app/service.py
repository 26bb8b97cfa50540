r"""A FastAPI service with an engine inside: its calls can be changed and refused from outside.

    python examples/fastapi_app/service.py
    curl -s localhost:8090/orders -H 'Content-Type: application/json' \
        -H 'X-User: ada' -d '{"amount": 12, "price": 10}'
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from outrider.embed import Engine, Event, on_event, on_request, on_response
from outrider.embed.asgi import Identity, OutriderMiddleware

DATA = Path(os.environ.get("SHOP_DATA", "shop-data"))
TARGETS = os.environ.get("TARGETS_URL", "http://127.0.0.1:8091")
CREATE = "/acme.Shop/create_order"
engine = Engine.open(data_dir=DATA, dev=True)


async def configure() -> None:
    """What is called, and when: the same at every start. The API under /outrider does it, too."""
    await engine.register_methods([CREATE])
    await engine.register_event_types(["order.created"])
    targets = {
        name: await engine.put_target(name, f"{TARGETS}/{name}", interrupt_on_error=True)
        for name in ("discount", "limit", "greeting", "events")
    }
    await engine.set_execution(on_request(CREATE), [targets["discount"], targets["limit"]])
    await engine.set_execution(on_response(CREATE), [targets["greeting"]])
    await engine.set_execution(on_event("order.created"), [targets["events"]])
    keys = {name: target.signing_key for name, target in targets.items()}
    (DATA / "targets.json").write_text(json.dumps(keys))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """The engine lives as long as the application."""
    async with engine:
        await configure()
        yield


def identify(scope: Any) -> Identity:
    """Who calls: here a header, elsewhere what your authentication found out."""
    return Identity(user_id=dict(scope["headers"]).get(b"x-user", b"").decode())


class Order(BaseModel):
    """What is ordered, and for how much a piece."""

    amount: int
    price: int


app = FastAPI(lifespan=lifespan)
app.add_middleware(OutriderMiddleware, engine=engine, service="acme.Shop", identify=identify)
app.mount("/outrider", engine.api())


@app.post("/orders")
async def create_order(order: Order) -> dict[str, Any]:
    """Take an order, and tell the world."""
    await engine.publish(Event(event_type="order.created", payload=order.model_dump()))
    return {"total": order.amount * order.price}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("SHOP_PORT", "8090")))
