"""The bare POST loop: how fast the client is with nothing around it.

    python benchmarks/post_loop.py [--calls 100000] [--in-flight 64] [--body-bytes 340]

starts `sink.py` on one core, pins itself to another, and prints calls per second and the CPU
time of one call. Every other figure of outrider's deliveries is read against this one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import uvloop

from outrider.adapters.http.client import EgressClient
from outrider.domain.calls.request import OutboundRequest
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile

HEADERS = (
    ("Content-Type", "application/json"),
    ("Zitadel-Signature", f"t=1700000000,v1={'0' * 64}"),
    ("X-Zitadel-Signature", f"t=1700000000,v1={'0' * 64}"),
    ("webhook-id", "300000000000000001"),
    ("webhook-timestamp", "1700000000"),
    ("webhook-signature", f"v1,{'A' * 43}="),
    ("Outrider-Delivery", "300000000000000001"),
    ("Outrider-Attempt", "1"),
)


async def post_loop(
    client: EgressClient, url: str, body: bytes, calls: int, in_flight: int
) -> tuple[float, float]:
    """Make `calls` POSTs, `in_flight` at a time. Give wall and CPU seconds for all of them."""
    remaining = iter(range(calls))

    async def post_some() -> None:
        for _ in remaining:
            response = await client.send(
                OutboundRequest(url=url, headers=HEADERS, body=body, timeout=10.0)
            )
            if response.status != 200:
                raise RuntimeError(f"the sink answered {response.status}")

    wall, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(post_some())
    return time.perf_counter() - wall, time.process_time() - cpu


async def measure(url: str, arguments: argparse.Namespace) -> None:
    """Warm up, then measure and print a few rounds."""
    body = b"x" * arguments.body_bytes
    client = EgressClient(EgressPolicy(EgressProfile.DEV), user_agent="outrider/benchmark")
    await post_loop(client, url, body, arguments.calls // 20, arguments.in_flight)
    for _ in range(arguments.rounds):
        wall, cpu = await post_loop(client, url, body, arguments.calls, arguments.in_flight)
        rate, per_call = arguments.calls / wall, cpu / arguments.calls
        print(f"{rate:,.0f} calls/s, {per_call * 1e6:.1f} us CPU each, {client!r}", flush=True)
    await client.aclose()


def main() -> None:
    """Start the sink, pin both, measure, stop the sink."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--body-bytes", type=int, default=340)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    sink = Path(__file__).with_name("sink.py")
    with subprocess.Popen([sys.executable, sink], stdout=subprocess.PIPE, text=True) as receiver:
        try:
            os.sched_setaffinity(receiver.pid, {cores[0]})
            os.sched_setaffinity(0, {cores[-1]})
            port = int(receiver.stdout.readline())
            uvloop.run(measure(f"http://127.0.0.1:{port}/hook", arguments))
        finally:
            receiver.terminate()


if __name__ == "__main__":
    main()
