"""Engines in hosts of several processes, in threads, and at the end of a program."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager

import pytest

from outrider.embed import Engine, Event, on_request
from outrider.errors import FailedPrecondition, StartupError, Unavailable
from outrider.testing.receiver import Answer, Receiver

APPLICATION = """
import os
from contextlib import asynccontextmanager
from fastapi import FastAPI
from outrider.embed import Engine, Event
from outrider.embed.asgi import OutriderMiddleware

engine = Engine.open(data_dir="data", dev=True, beside_engines={beside})

@asynccontextmanager
async def lifespan(_):
    async with engine:
        yield

app = FastAPI(lifespan=lifespan)
app.add_middleware(OutriderMiddleware, engine=engine, service="acme.Shop")

@app.get("/")
async def root():
    event = await engine.publish(Event(event_type="a.b"))
    return {{"process": os.getpid(), "id": event.id}}
"""
EVENT = Event(event_type="order.created")


@asynccontextmanager
async def uvicorn(directory, *, beside: bool):
    """`uvicorn --workers 2`, until all of its processes have started or one has failed."""
    (directory / "app.py").write_text(APPLICATION.format(beside=beside))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "app:app", "--workers", "2", "--port", "0"),
        cwd=directory,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(20):
                await process.communicate()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)


async def read_until(process, pattern: str, count: int = 1) -> str:
    """What a process wrote to its log until this was there so many times, or until its end."""
    text = ""
    async with asyncio.timeout(50):
        while line := await process.stderr.readline():
            text += line.decode()
            if len(re.findall(pattern, text)) == count:
                break
    return text


async def test_workers_of_uvicorn_share_a_new_directory(tmp_path):
    """
    All of them start at the same moment: one makes the data, and none fails.
    """
    async with uvicorn(tmp_path, beside=True) as process:
        log = await read_until(process, "Application startup complete|startup failed", 2)

        assert 2 == log.count("Application startup complete"), log
        nodes = {path.name for path in (tmp_path / "data").glob("node-*.lock")}
        assert {"node-1.lock"} == nodes


async def test_workers_that_do_not_share_are_told_how_to(tmp_path):
    """
    The second process of a host ends with the sentence that its developer needs.
    """
    async with uvicorn(tmp_path, beside=False) as process:
        log = await read_until(process, "Application startup failed")

    assert "is in use by another outrider" in log
    assert "open the engine of each process with beside_engines=True" in log


async def test_engines_that_open_at_once_all_open(tmp_path):
    """
    Processes that find the directory free at the same time, and a schema that is missing.
    """
    script = program("async with engine: print((await engine.publish(EVENT)).id)", beside=True)
    started = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, tmp_path / "data"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]
    ended = [await process.communicate() for process in started]

    assert [0] * 4 == [process.returncode for process in started], ended
    assert 4 == len({output for output, _ in ended})


def program(main: str, ending: str = "", *, beside: bool = False) -> str:
    body = textwrap.indent(textwrap.dedent(main), "    ")
    return f"""
import asyncio, atexit, os, sys, threading
from outrider.embed import Engine, Event
from outrider.errors import OutriderError

EVENT = Event(event_type="order.created")
engine = Engine.open(data_dir=sys.argv[1], dev=True, beside_engines={beside})

async def main():
{body}

{ending or "asyncio.run(main())"}
"""


def run(script: str, directory) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, directory],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


OPEN = "await engine.start(); await engine.publish(EVENT)"
ENDINGS = {
    "the loop runs in a thread": """
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(main(), loop).result()
atexit.register(lambda: print(engine))
atexit.register(engine.close)
""",
    "the loop stands still": """
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
atexit.register(lambda: print(engine))
atexit.register(engine.close)
""",
    "the loop has ended": """
asyncio.run(main())
atexit.register(lambda: print(engine))
atexit.register(engine.close)
""",
    "a coroutine of atexit": """
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
atexit.register(lambda: print(engine))
atexit.register(lambda: loop.run_until_complete(engine.aclose()))
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_engine_is_closed_at_the_end_of_a_program(tmp_path, ending):
    """
    No thread takes work any more by then: nothing may hang, and no traceback may end a program.
    """
    done = run(program(OPEN, ENDINGS[ending]), tmp_path / "data")

    assert (0, "[closed]>") == (done.returncode, done.stdout.split()[-1]), done.stderr
    assert "Traceback" not in done.stderr


def test_a_loop_that_was_closed_under_an_engine_does_not_hang_its_end(tmp_path):
    """
    The tasks of the engine can never end: the store is closed all the same.
    """
    ending = """
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
try:
    asyncio.run(engine.publish(EVENT))
except OutriderError as failure:
    print(failure)
atexit.register(lambda: print(engine))
atexit.register(engine.close)
"""
    done = run(program(OPEN, ending), tmp_path / "data")

    assert "call `engine.close()`" in done.stdout, done.stderr
    assert (0, "[closed]>") == (done.returncode, done.stdout.split()[-1]), done.stderr


FORK = """
child = os.fork()
if child == 0:
    try:
        await engine.publish(EVENT)
    except OutriderError as failure:
        print(failure.code.value, failure, flush=True)
    await engine.aclose()
    print(engine, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print((await engine.publish(Event(event_type="order.created", id="of the parent"))).id)
"""


def test_an_engine_works_in_the_process_that_opened_it(tmp_path):
    """
    A forked process has none of its threads: a publish would wait for ever there.
    """
    script = program(f"async with engine:\n{textwrap.indent(FORK, '    ')}")

    done = run(script, tmp_path / "data")

    refused, closed, published = done.stdout.splitlines()
    assert "unavailable" in refused
    assert "opened before this process was forked" in refused
    assert "beside_engines=True" in refused
    assert ("[closed]>", "of the parent") == (closed[-9:], published)


def test_an_engine_that_was_made_before_a_fork_is_opened_after_it(tmp_path):
    """
    `gunicorn --preload` imports an application once, and forks its workers then.
    """
    ending = """
child = os.fork()
asyncio.run(main())
if child:
    assert (child, 0) == os.waitpid(child, 0)
"""
    done = run(
        program("async with engine: print((await engine.publish(EVENT)).id)", ending, beside=True),
        tmp_path / "data",
    )

    assert (0, 2) == (done.returncode, len(set(done.stdout.split()))), done.stderr


async def test_threads_call_an_engine_by_run(engine):
    """
    Handlers that are no coroutines run in threads, and publish as well.
    """
    events = [Event(event_type="order.created", id=str(number)) for number in range(20)]

    published = await asyncio.gather(
        *(
            asyncio.to_thread(lambda event=event: engine.run(engine.publish(event)))
            for event in events
        )
    )

    assert [event.id for event in events] == [result.id for result in published]


async def test_a_call_from_another_loop_is_refused_and_the_engine_goes_on(engine):
    """
    Its connections are in its own loop: a call of another one could wait for ever.
    """
    await engine.register_methods(["/acme.v1.Shop/Create"])
    async with Receiver(lambda _: Answer(body=b"{}")) as receiver:
        target = await engine.create_target("hook", receiver.url)
        await engine.set_execution(on_request("/acme.v1.Shop/Create"), [target])

        def elsewhere(call) -> str:
            with pytest.raises(FailedPrecondition, match=r"engine\.run") as refused:
                asyncio.run(call())
            return str(refused.value)

        for call in (
            lambda: engine.publish(EVENT),
            lambda: engine.intercept_request("/acme.v1.Shop/Create", {}),
            lambda: engine.call_function("preuserinfo", {}),
            engine.list_targets,
            engine.start,
            engine.aclose,
        ):
            await asyncio.to_thread(elsewhere, call)

        assert {} == (await engine.intercept_request("/acme.v1.Shop/Create", {"a": 1})).message


async def test_waiting_in_the_loop_of_an_engine_is_refused(engine):
    """
    It would wait for itself.
    """
    with pytest.raises(FailedPrecondition, match="await the call instead"):
        engine.run(engine.publish(EVENT))
    with pytest.raises(FailedPrecondition, match=r"await `engine.aclose\(\)`"):
        engine.close()
    assert engine.is_open


async def test_a_thread_learns_that_the_engine_is_closed(tmp_path):
    """
    A thread that waits for a loop which is gone would never end.
    """
    engine = Engine.open(data_dir=tmp_path / "data", dev=True)
    engine.close()
    with pytest.raises(Unavailable, match="not open"):
        await asyncio.to_thread(lambda: engine.run(engine.publish(EVENT)))
    async with engine:
        engine.run  # noqa: B018 - it is there
    with pytest.raises(Unavailable, match="not open"):
        await asyncio.to_thread(lambda: engine.run(engine.publish(EVENT)))


def test_a_loop_that_stops_while_a_thread_waits_is_seen(tmp_path):
    """
    `run` looks whether the loop still runs.
    """
    main = OPEN
    ending = """
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
runner = threading.Thread(target=loop.run_forever)
runner.start()

async def never():
    loop.call_soon(loop.stop)
    await asyncio.Event().wait()

try:
    engine.run(never())
except OutriderError as failure:
    print(failure)
runner.join()
engine.close()
"""
    done = run(program(main, ending), tmp_path / "data")

    assert "the event loop in which the engine was opened has ended" in done.stdout, done.stderr


async def test_a_loop_that_cancels_its_tasks_closes_an_engine_in_order(tmp_path):
    """
    `asyncio.run` does: what was published is there, and the directory is free.
    """
    done = await asyncio.to_thread(run, program(OPEN), tmp_path / "data")

    assert (0, "") == (done.returncode, done.stderr)
    async with Engine.open(data_dir=tmp_path / "data", dev=True) as engine:
        assert "[open" in repr(engine)


async def test_a_start_that_fails_leaves_nothing_open(engine, tmp_path):
    """
    The same engine opens later.
    """
    again = Engine.open(data_dir=tmp_path / "data", dev=True)
    with pytest.raises(StartupError, match=f"process {os.getpid()} embedded.*beside_engines=True"):
        await again.start()
    assert "closed" in repr(again)
    await engine.aclose()
    async with again:
        assert json.loads("[]") == await again.list_targets()
