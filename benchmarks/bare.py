"""One run of the bare POST loop in a separate process: `python -m benchmarks.bare URL N BYTES`."""

from __future__ import annotations

import json
import sys

import uvloop

from benchmarks.post_loop import post_loop
from outrider.adapters.http.client import EgressClient
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile

IN_FLIGHT = 64


async def measure(url: str, calls: int, body_bytes: int) -> dict[str, float]:
    """Warm up with a twentieth, then time them all."""
    body = b"x" * body_bytes
    client = EgressClient(EgressPolicy(EgressProfile.DEV), user_agent="outrider/benchmark")
    await post_loop(client, url, body, max(calls // 20, IN_FLIGHT), IN_FLIGHT)
    wall, cpu = await post_loop(client, url, body, calls, IN_FLIGHT)
    await client.aclose()
    return {"per_s": calls / wall, "cpu_us": cpu / calls * 1e6}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
