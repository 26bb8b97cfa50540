"""What a command reads and writes may be closed, full, or of an old encoding."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cli.conftest import COMMAND_S, Ended, clean_environ, run
from outrider.cli.exits import ExitCode

SCRIPT = "exec {python} -m outrider {command}"


def sh(command: str, **environ: str) -> Ended:
    """A command as a shell starts it, with its redirections."""
    done = subprocess.run(
        ["/bin/sh", "-c", SCRIPT.format(python=sys.executable, command=command)],
        env=clean_environ(**environ),
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_without_an_output_a_command_does_its_work(closed):
    """
    Services and cron jobs start programs with closed outputs.
    """
    assert (0, "") == ((ended := sh(f"--version {closed}")).code, ended.err)


def test_without_an_input_there_is_nothing_to_read():
    """
    Not a fault of ours: an empty text.
    """
    ended = sh("intercept function - <&-")

    assert (2, "") == (ended.code, ended.out)
    assert "Error: -: Expecting value" in ended.err


@pytest.mark.parametrize("command", ["--version", "doctor --json"])
def test_a_full_disk_is_said_and_is_a_failure(tmp_path, command):
    """
    A script that goes on with half a file is worse than one that stops.
    """
    ended = sh(f"{command} >/dev/full", OUTRIDER_DATA_DIR=str(tmp_path))

    assert 1 == ended.code
    assert "no space left" in ended.err.lower()
    assert "Traceback" not in ended.err


def test_what_the_encoding_does_not_have_is_escaped(server):
    """
    A name from far away must not end the list it stands in.
    """
    server.ok("account", "create", "日", "--role", "EVENT_PUBLISHER")
    ended = sh(
        f"account list --url {server.url} --data-dir {server.data_dir}",
        PYTHONIOENCODING="ascii:strict",
    )

    assert (0, "") == (ended.code, ended.err)
    assert "\\u65e5" in ended.out


def test_an_address_that_is_wrong_names_its_option():
    """
    The advice was about another option.
    """
    ended = run("listen", "--forward", "localhost", "--url", "http://127.0.0.1:1", "--token", "t")

    assert ExitCode.USAGE == ended.code
    assert "--forward" in ended.err
