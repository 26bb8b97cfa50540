"""The demonstration, as `make run` shows it."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from cli.conftest import Server, run_process

ANY_PORTS = ("--port", 0, "--receiver-port", 0)
LAST_STEP = "Waiting for more calls"


def value_after(lines: list[str], prefix: str) -> str:
    """The rest of the first line that begins with this, however it is indented."""
    (first, *_) = [line.strip() for line in lines if line.strip().startswith(prefix)]
    return first.removeprefix(prefix).split()[0]


@pytest.fixture
def scratch(tmp_path) -> Path:
    """Where the demonstration puts what it does not keep."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    return directory


def test_one_event_is_delivered_and_verified(scratch, tmp_path):
    """
    The first minute of a new user; every step is there, in order.
    """
    result = run_process("demo", "--once", *ANY_PORTS, cwd=tmp_path, TMPDIR=str(scratch))

    assert 0 == result.code, result.out + result.err
    steps = [line for line in result.out.splitlines() if line[:1].isdigit()]
    assert [str(number) for number in range(1, 8)] == [step[0] for step in steps]
    assert "signature verified" in result.out
    assert '"event_type": "user.human.added"' in result.out
    assert '"userName": "a\\u0026b"' in result.out
    assert "$ curl -s -X POST http://127.0.0.1:" in result.out
    assert "accepted" in result.out.partition("The delivery log")[2]
    assert [] == list(scratch.iterdir())
    assert [scratch] == list(tmp_path.iterdir())


def test_it_works_again_on_the_same_data(tmp_path):
    """
    The target exists already: it is used again, and its signature still verifies.
    """
    options = ("demo", "--once", *ANY_PORTS, "--data-dir", tmp_path / "kept")

    first = run_process(*options)
    second = run_process(*options)

    assert (0, 0) == (first.code, second.code), second.out + second.err
    targets = [value_after(run.out.splitlines(), "target ") for run in (first, second)]
    assert targets[0] == targets[1]
    assert "signature verified" in second.out


def test_it_stays_up_to_be_played_with(started, scratch, tmp_path):
    """
    What it shows to continue with works: the same server, its token, more events.
    """
    running = started("demo", *ANY_PORTS, "--data-dir", tmp_path / "kept", TMPDIR=str(scratch))
    running.line_with(LAST_STEP)
    url = value_after(running.output, "ready at ")
    server = Server(url, tmp_path / "kept", tmp_path)

    server.ok("event", "publish", "user.human.added", "--payload", '{"userName": "ada"}')

    assert "signature verified" in running.line_with("POST /hook")
    assert 0 == running.stop()
    assert [] == list(scratch.iterdir())
    assert 3 == server.run("target", "list").code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_can_be_interrupted_at_any_time(started, scratch, number):
    """
    While the server is starting, too: nothing is left, and 130 tells that it was not finished.
    """
    running = started("demo", *ANY_PORTS, TMPDIR=str(scratch))
    running.line_with("outrider serve")

    assert 130 == running.stop(number)
    assert [] == list(scratch.iterdir())


@pytest.mark.parametrize("option", ["--port", "--receiver-port"])
def test_a_taken_port_is_explained(scratch, option):
    """
    8080 is often in use.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_process("demo", "--once", *ANY_PORTS, option, port, TMPDIR=str(scratch))

    assert 1 == result.code
    assert str(port) in result.err
    assert option in result.err
    assert "Traceback" not in result.err
    assert [] == list(scratch.iterdir())


def test_settings_of_another_server_do_not_disturb_it(tmp_path):
    """
    Neither what stands in ./outrider.toml nor in the environment is about the demonstration.
    """
    (tmp_path / "outrider.toml").write_text('egress_profile = "strict"\ndatabase_url = "x"\n')

    result = run_process(
        *("demo", "--once", *ANY_PORTS), cwd=tmp_path, OUTRIDER_EGRESS_PROFILE="strict"
    )

    assert 0 == result.code, result.out + result.err
