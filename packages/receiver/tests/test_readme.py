"""What the README shows is run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from outrider_receiver import PreUserinfo
from outrider_receiver.testing import SIGNING_KEY, Sender, SignedCall
from outrider_receiver.users import UserMetadata

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
COMMAND = re.search(
    r"^OUTRIDER_SIGNING_KEY=(\S+) python (-m .+?) --port 8080$", README, re.MULTILINE
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    folder.joinpath("handlers.py").write_text(SNIPPETS[0], encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """The first snippet, served by the command that the README gives."""
    signing_key, arguments = COMMAND.groups()
    process = subprocess.Popen(
        [sys.executable, *arguments.split(), "--port", "0"],
        cwd=folder,
        env={**os.environ, "OUTRIDER_SIGNING_KEY": signing_key},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = process.stdout.readline().split()[0]
        yield process, int(url.rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def post(port: int, call: SignedCall) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", body=call.body, headers=call.headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_first_example_receives_an_event(server):
    """
    It is the first thing that people copy: it must do what it says.
    """
    process, port = server

    assert (204, b"") == post(port, Sender().event(aggregate_id="42", event_payload={"a": 1}))
    assert "welcome 42 {'a': 1}\n" == process.stdout.readline()


def test_the_first_example_refuses_a_login(server):
    """
    And lets the others in.
    """
    blocked = (UserMetadata(name="blocked", value=b"true"),)
    answers = [
        post(server[1], Sender().function("preuserinfo", user_metadata=metadata))
        for metadata in (blocked, ())
    ]

    refusal = b'{"forwardedStatusCode":403,"forwardedErrorMessage":"this account is blocked"}'
    assert [(200, refusal), (204, b"")] == answers


def test_the_first_example_adds_a_claim(server):
    """
    From the roles of the sample.
    """
    claims = b'{"append_claims":[{"key":"groups","value":["admin","reader"]}]}'

    assert (200, claims) == post(server[1], Sender().function("preaccesstoken"))


def test_the_first_example_refuses_a_stranger(server):
    """
    Safely, though nothing in it says so.
    """
    assert 400 == post(server[1], Sender("guess").event())[0]
    assert 400 == post(server[1], SignedCall(b"{}", {}))[0]


def test_the_first_example_fits_on_a_screen():
    """
    About 25 lines for the three things that people come for: otherwise no visitor reads it.
    """
    assert len([line for line in SNIPPETS[0].splitlines() if line.strip()]) <= 25
    assert SIGNING_KEY == COMMAND[1]
    assert PreUserinfo.__name__ in SNIPPETS[0]


@pytest.mark.parametrize("number", range(1, 8), ids=str)
def test_the_other_examples_run(folder, number):
    """
    An example that raises teaches nothing.
    """
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SNIPPETS[number]],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (run.returncode, run.stderr)


def test_the_readme_has_nine_examples():
    """
    If the fences were written in another way, nothing above would run.
    """
    assert 9 == len(SNIPPETS)
