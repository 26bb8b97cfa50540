"""What the README shows is run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from outrider_receiver.testing import sign

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
SIGNING_KEY = "98KmsU67ABCdef0123456789ghijklMNOPQR"
EVENT = b'{"aggregateID":"42","event_type":"user.human.added"}'


@contextmanager
def running_receiver():
    """The first snippet as its reader runs it, on a free port."""
    receiver = subprocess.Popen(
        [sys.executable, "-c", SNIPPETS[0]],
        env={**os.environ, "SIGNING_KEY": SIGNING_KEY, "PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield receiver, int(receiver.stdout.readline().rpartition(":")[2])
    finally:
        receiver.kill()
        receiver.wait()
        receiver.stdout.close()


def post(port: int, headers: dict[str, str]) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", body=EVENT, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.reason
    finally:
        connection.close()


def test_the_first_example_receives_an_event_and_refuses_a_forged_one():
    """
    It is the first thing that people copy: it must do what it says, safely.
    """
    now = int(time.time())  # noqa: TID251 - the example reads the real clock
    with running_receiver() as (receiver, port):
        believed = post(port, {"ZITADEL-Signature": sign(EVENT, signing_keys=SIGNING_KEY, at=now)})
        forged = post(port, {"ZITADEL-Signature": sign(EVENT, signing_keys="guess", at=now)})
        unsigned = post(port, {})

        assert 204 == believed[0]
        assert "user.human.added 42 None\n" == receiver.stdout.readline()
    assert (400, "no_match: no signature was made with a known signing key") == forged
    assert (400, "missing: there is no signature header") == unsigned


def test_the_first_example_fits_on_a_screen():
    """
    About 25 lines, with nothing but the standard library: otherwise nobody reads it.
    """
    assert len([line for line in SNIPPETS[0].splitlines() if line.strip()]) <= 25


@pytest.mark.parametrize("snippet", SNIPPETS[1:], ids=lambda snippet: snippet.split("\n")[0])
def test_the_other_examples_run(snippet):
    """
    An example that raises teaches nothing.
    """
    exec(compile(snippet, "README.md", "exec"), {"__name__": "example"})


def test_the_readme_has_three_examples():
    """
    If the fences were written in another way, nothing above would run.
    """
    assert 3 == len(SNIPPETS)
