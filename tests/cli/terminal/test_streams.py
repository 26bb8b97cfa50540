"""What a command reads and writes may be closed, full, or of an old encoding."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path

import pytest

from cli.conftest import COMMAND_S, CommandResult, clean_environ, run
from outrider.cli.receive.answered_call import AnsweredCall
from outrider.cli.receive.forwarder import Forwarder
from outrider.cli.receive.recording import open_recording, read_recording
from outrider.cli.receive.redaction import CallRedaction
from outrider.cli.remote.client import RemoteServer
from outrider.cli.terminal.errors import ExitCode
from outrider.domain.calls.request import OutboundRequest, Response
from outrider.runtime import utc_now
from outrider_api.outrider.v1.tunnel_service_pb import ListenResponse, TunnelCall

SCRIPT = "exec {python} -m outrider {command}"


def sh(command: str, **environ: str) -> CommandResult:
    """A command as a shell starts it, with its redirections."""
    done = subprocess.run(
        ["/bin/sh", "-c", SCRIPT.format(python=sys.executable, command=command)],
        env=clean_environ(**environ),
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_without_an_output_a_command_does_its_work(closed):
    """
    Services and cron jobs start programs with closed outputs.
    """
    assert (0, "") == ((result := sh(f"--version {closed}")).code, result.err)


def test_without_an_input_there_is_nothing_to_read():
    """
    Not a defect of ours: an empty text.
    """
    result = sh("intercept function - <&-")

    assert (2, "") == (result.code, result.out)
    assert "Error: -: Expecting value" in result.err


@pytest.mark.parametrize("command", ["--version", "doctor --json"])
def test_a_full_disk_is_reported_and_is_a_failure(tmp_path, command):
    """
    A script that continues with half a file is worse than one that stops.
    """
    result = sh(f"{command} >/dev/full", OUTRIDER_DATA_DIR=str(tmp_path))

    assert 1 == result.code
    assert "no space left" in result.err.lower()
    assert "Traceback" not in result.err


def test_what_the_encoding_does_not_have_is_escaped(server):
    """
    A name in another script must not end the list that contains it.
    """
    server.ok("account", "create", "日", "--role", "EVENT_PUBLISHER")
    result = sh(
        f"account list --url {server.url} --data-dir {server.data_dir}",
        PYTHONIOENCODING="ascii:strict",
    )

    assert (0, "") == (result.code, result.err)
    assert "\\u65e5" in result.out


def test_an_address_that_is_wrong_names_its_option():
    """
    The advice was about another option.
    """
    result = run("listen", "--forward", "localhost", "--url", "http://127.0.0.1:1", "--token", "t")

    assert ExitCode.USAGE == result.code
    assert "--forward" in result.err


def call(url: str) -> None:
    """One call, whatever comes back."""
    try:
        urllib.request.urlopen(url, data=b'{"event_type":"a"}', timeout=20).close()
    except (OSError, HTTPException):
        return


def test_listen_ends_when_its_output_is_closed():
    """
    It hung up on every caller, and stayed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "outrider", "listen", "--port", "0"],
        env=clean_environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        url = process.stderr.readline().removeprefix("listening on ").strip()
        process.stdout.close()
        call(url)
        try:
            assert 1 == process.wait(COMMAND_S)
        finally:
            process.kill()
        assert "" == process.stderr.read()


def test_a_call_that_cannot_be_recorded_ends_the_recording(started):
    """
    The disk is full: the developer must not think that the file has everything.
    """
    running = started("record", "--out", "/dev/full", "--port", 0)
    call(running.url())

    assert ExitCode.FAILED == running.wait_ended()
    assert "Error: a call could not be recorded: No space left on device" in running.output


class FakeTunnel:
    """A tunnel with one call, that then stays open; it keeps the answers."""

    def __init__(self, *frames: object) -> None:
        self.answers: list[object] = []
        self._frames = frames

    async def listen(self, _request: object, **_: object):
        for frame in self._frames:
            yield frame
        await asyncio.Event().wait()

    async def answer_call(self, request: object, **_: object) -> None:
        self.answers.append(request)


class LocalServer:
    """The server on this machine."""

    def __init__(self, answer: Response) -> None:
        self._answer = answer

    async def send(self, _call: OutboundRequest) -> Response:
        return self._answer


async def forwarded(answer: Response, on_answered) -> FakeTunnel:
    """What was answered to one call through a tunnel, until `on_answered` raises."""
    tunnel = FakeTunnel(
        ListenResponse(endpoint="http://e"), ListenResponse(call=TunnelCall(id="7"))
    )
    server = RemoteServer("http://127.0.0.1:1", "token")
    server.tunnels = tunnel

    async def on_open(_endpoint: str) -> None:
        """Nothing to do."""

    forwarder = Forwarder(
        server=server,
        name="ada",
        url="http://127.0.0.1:9/",
        client=LocalServer(answer),
        on_open=on_open,
        on_answered=on_answered,
        say=lambda _: None,
    )
    with pytest.raises(BrokenPipeError):
        await asyncio.wait_for(forwarder.run(), 20)
    return tunnel


@pytest.mark.parametrize("size", [2, 5_000_000])
async def test_forwarding_ends_when_its_output_is_closed(size):
    """
    The call has its answer: the server's callers must not wait for their time-outs.
    """
    shown: list[AnsweredCall] = []

    def show(answered_call: AnsweredCall) -> None:
        shown.append(answered_call)
        raise BrokenPipeError

    tunnel = await forwarded(Response(status=200, headers=(), body=b"x" * size), show)

    assert ["7"] == [answer.call_id for answer in tunnel.answers]
    # Too large for the server: it is not shown as answered, either.
    assert (200 if size == 2 else 0) == shown[0].status == tunnel.answers[0].status


def test_half_a_surrogate_pair_is_recorded_as_it_came(tmp_path: Path):
    """
    JSON allows it, UTF-8 does not. A stranger's call must not end the recording.
    """
    path = tmp_path / "calls.jsonl"
    body = b'{"a":"\\ud800"}'
    answered_call = AnsweredCall(
        at=utc_now(), target="/", headers=(), body=body, status=200, response_body=b"", seconds=0.0
    )
    with open_recording(path, CallRedaction(())) as recording:
        recording.add(answered_call)

    assert [body] == [call.body for call in read_recording(path)]
