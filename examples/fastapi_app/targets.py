"""The targets of the service: one rewrites, one refuses, one adds, one receives events.

    python examples/fastapi_app/targets.py

Each verifies that outrider made the call. The service writes the signing keys of its targets into
`targets.json`; in production they come from wherever your secrets are.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request

from outrider_receiver import InvalidSignature, verify

CHEAPER_FROM, MOST = 10, 100
KEYS = Path(os.environ.get("SHOP_DATA", "shop-data")) / "targets.json"
app = FastAPI()


async def verified(request: Request, name: str) -> dict[str, Any]:
    """What the call says, once its signature holds."""
    body = await request.body()
    try:
        verify(body, request.headers, signing_keys=json.loads(KEYS.read_text())[name])
    except InvalidSignature as refusal:
        raise HTTPException(400, str(refusal)) from None
    return json.loads(body)


@app.post("/discount")
async def discount(request: Request) -> dict[str, Any]:
    """Rewrite the request: ten or more are cheaper. The answer replaces the message, whole."""
    message = (await verified(request, "discount"))["request"]
    order = message["body"]
    return (
        {**message, "body": {**order, "price": 9}} if order["amount"] >= CHEAPER_FROM else message
    )


@app.post("/limit")
async def limit(request: Request) -> dict[str, Any]:
    """Refuse what is too much: these two names make the answer an error for the caller."""
    message = (await verified(request, "limit"))["request"]
    if message["body"]["amount"] > MOST:
        return {"forwardedStatusCode": 403, "forwardedErrorMessage": f"no more than {MOST}"}
    return message


@app.post("/greeting")
async def greeting(request: Request) -> dict[str, Any]:
    """Add to the response; it comes with the request that it answers."""
    call = await verified(request, "greeting")
    return {"body": {**call["response"]["body"], "greeting": f"thank you, {call['userID']}"}}


@app.post("/events")
async def events(request: Request) -> dict[str, Any]:
    """Receive an event: any status of 2xx says that it has arrived."""
    event = await verified(request, "events")
    print("event:", event["event_type"], event["event_payload"], flush=True)
    return {}


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("TARGETS_PORT", "8091")))
