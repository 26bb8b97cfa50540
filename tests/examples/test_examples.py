"""The examples run, as separate processes, and do what they promise."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from embed.asgi_server import call

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_LINES = 80
PROGRAMS = sorted(EXAMPLES.rglob("*.py"))


@asynccontextmanager
async def running(program: str, environ: dict[str, str]):
    """A server of an example, the port that it prints, and its process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / program),
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            port = await announced_port(process)
        yield port, process
    finally:
        process.terminate()
        # Read on, or it could not print its last lines.
        await process.communicate()


async def announced_port(process: asyncio.subprocess.Process) -> int:
    output = b""
    while line := await process.stderr.readline():
        output += line
        if found := re.search(rb"running on http://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise RuntimeError(output.decode())


async def test_the_fastapi_service_is_changed_refused_and_added_to_by_its_targets(tmp_path):
    """
    What the documentation promises of a middleware, by a program that people will copy.
    """
    environ = {"SHOP_DATA": str(tmp_path), "SHOP_PORT": "0", "TARGETS_PORT": "0"}
    async with running("fastapi_app/targets.py", environ) as (targets, receiving):
        environ["TARGETS_URL"] = f"http://127.0.0.1:{targets}"
        async with running("fastapi_app/service.py", environ) as (service, _):
            cheaper = await order(service, amount=12)
            usual = await order(service, amount=2)
            denied = await order(service, amount=101)
            seen = [await asyncio.wait_for(event(receiving), 20) for _ in range(2)]

    assert {"total": 108, "greeting": "thank you, ada"} == cheaper.json()
    assert {"total": 20, "greeting": "thank you, ada"} == usual.json()
    assert (403, "permission_denied") == (denied.status, denied.json()["code"])
    assert "no more than 100" in denied.json()["message"]
    assert {12, 2} == {order_event["amount"] for order_event in seen}


async def order(port: int, *, amount: int):
    body = {"amount": amount, "price": 10}
    return await call(port, "POST", "/orders", body, headers="X-User: ada\r\n")


async def event(process: asyncio.subprocess.Process) -> dict[str, int]:
    """The next event that the targets print, between the lines of their server."""
    while line := await process.stdout.readline():
        if line.startswith(b"event: order.created "):
            return json.loads(line.removeprefix(b"event: order.created ").replace(b"'", b'"'))
    raise RuntimeError("the targets have ended")


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        ("engine_only.py", ["request: {'amount': 42}", "event: order.created {'amount': 42}"]),
        ("grpc_app/service.py", ["answer: 4 tea"]),
    ],
)
def test_an_example_that_ends_by_itself_prints_what_it_is_about(program, lines):
    """
    An example that rots is worse than none.
    """
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (0, lines) == (done.returncode, done.stdout.splitlines()), done.stderr


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_an_example_is_short(program):
    """
    A long one is not read.
    """
    assert len(program.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
