"""`outrider worker`: one more worker on the data of a server, which is restarted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager

from outrider.testing.receiver import Answer, Receiver
from system.disk import claims_and_leases
from system.ledger import calls_by_delivery, prepare_publisher, states_of, tried_again

EVENTS = 300


@asynccontextmanager
async def worker_on(data_dir):
    """A worker that no server started; it is asked to stop at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "outrider", "worker", "--dev", "--data-dir", str(data_dir)),
        env={name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 30)


async def test_an_extra_worker_outlives_a_restart_of_the_server(launch, data_dir):
    """
    Its claims are not taken from it: the new server knows that another process started this worker.
    """
    release = asyncio.Event()
    async with Receiver(lambda _: Answer(hang_until=release)) as receiver:
        server = await launch().ready()
        publisher = await prepare_publisher(server.api, receiver)
        async with worker_on(data_dir) as worker:
            await asyncio.wait_for(worker.stdout.readline(), 20)
            await publisher.publish(EVENTS)
            # Both work: more calls are open than one worker makes at a time.
            await receiver.wait_for(len(receiver.calls) + 70)
            server.kill()
            before = claims_and_leases(data_dir)
            following = await launch().ready()
            still_claimed = [row for row in claims_and_leases(data_dir) if row in before]
            release.set()
            await following.api.settled(within=60.0)
            deliveries = await following.api.deliveries()

    assert 0 == worker.returncode
    assert {"DELIVERED": EVENTS} == states_of(deliveries)
    # The claims of the killed server's own worker are released after its lease; those of the other are not.
    assert len(tried_again(deliveries)) < EVENTS
    assert any(str(worker.pid) in str(row) for row in still_claimed)
    assert EVENTS == len(calls_by_delivery(receiver.calls))


async def test_a_worker_without_a_server_names_what_it_needs(tmp_path):
    """
    A typing error in --data-dir must not make an empty store.
    """
    async with worker_on(tmp_path / "nowhere") as worker:
        code = await asyncio.wait_for(worker.wait(), 20)
        errors = (await worker.stderr.read()).decode()

    assert 1 == code
    assert "a worker needs the data directory of a server, in --data-dir" in errors
    assert not (tmp_path / "nowhere").exists()
