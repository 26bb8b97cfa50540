"""What a command replaces, shadows and destroys is said, before where it cannot be undone."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import uuid
from typing import Any

import pytest

from cli.conftest import COMMAND_S, Server, clean_environ
from outrider.cli.terminal.errors import ExitCode

NOWHERE = "http://127.0.0.1:9/hook"


@pytest.fixture
def word() -> str:
    """What only this test's event types begin with."""
    return f"w{uuid.uuid4().hex[:10]}"


def target(server: Server) -> str:
    """A new target."""
    made = server.ok("target", "create", f"t-{uuid.uuid4().hex[:12]}", "--endpoint", NOWHERE)
    return str(made["id"])


def at_terminal(server: Server, reply: str, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command at a real terminal, where `reply` is typed."""
    keyboard, terminal = pty.openpty()
    environ = clean_environ(OUTRIDER_URL=server.url, OUTRIDER_DATA_DIR=str(server.data_dir))
    try:
        os.write(keyboard, f"{reply}\n".encode())
        ended = subprocess.run(
            [sys.executable, "-m", "outrider", *arguments],
            env=environ,
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    return ended.returncode, ended.stdout + ended.stderr


# Executions


def test_what_is_replaced_and_shadowed_is_said(server, word):
    """
    The former targets get nothing from then on, and nor do those of the wider execution.
    """
    wide, first, second = (target(server) for _ in range(3))
    server.ok("event", "publish", f"{word}.paid")
    server.ok("execution", "set", f"event/{word}.*", wide)

    narrow = server.run("execution", "set", f"event/{word}.paid", first)
    again = server.run("execution", "set", f"event/{word}.paid", second, first)
    widened = server.run("execution", "set", f"event/{word}.*", first)
    same = server.run("execution", "set", f"event/{word}.*", first)

    assert f"shadows: event/{word}.* (" in narrow.err
    assert "replaced" not in narrow.err
    assert f"replaced: {first}\n" in again.err
    assert f"replaced: {wide}\n" in widened.err
    assert f"shadowed by: event/{word}.paid (" in widened.err
    assert "replaced" not in same.err


def test_programs_get_the_same_as_json(server, word):
    """
    Next to the date, which is all that ZITADEL's response has.
    """
    wide, narrow = target(server), target(server)
    server.ok("event", "publish", f"{word}.paid")
    server.ok("execution", "set", f"event/{word}.*", wide)
    set_ = server.ok("execution", "set", f"event/{word}.paid", narrow)
    cleared = server.ok("execution", "set", f"event/{word}.paid", "--clear")

    assert [f"event/{word}.*"] == set_["shadows"]
    assert {"setDate", "shadows"} == set(set_)
    assert [narrow] == cleared["replaced"]
    assert {"setDate", "replaced"} == set(cleared)


def test_a_dry_run_shows_it_and_changes_nothing(server, word):
    """
    What is asked before is not missed after.
    """
    wide, narrow = target(server), target(server)
    server.ok("event", "publish", f"{word}.paid")
    server.ok("execution", "set", f"event/{word}.*", wide)

    shown = server.run("execution", "set", f"event/{word}.paid", narrow, "--dry-run")
    replaced = server.ok("execution", "set", f"event/{word}.*", narrow, "--dry-run")
    typo = server.run("execution", "set", f"event/{word}.pad", narrow, "--dry-run")

    assert "Nothing was changed." in shown.err
    assert f"shadows: event/{word}.* (" in shown.err
    assert {"dryRun": True, "replaced": [wide]} == replaced
    assert "executions" not in server.ok("execution", "list", "--target", narrow)
    for wrong in ((narrow, narrow), ("1",)):
        unbound = server.run("execution", "set", f"event/{word}.paid", *wrong, "--dry-run")
        assert (1, True) == (unbound.code, "target" in unbound.err)
    assert 1 == typo.code
    assert f"did you mean {word}.paid" in typo.err


def test_explain_names_what_is_shadowed(server, word):
    """
    "Why is my target not called?" is asked there.
    """
    wide, narrow = target(server), target(server)
    server.ok("event", "publish", f"{word}.paid")
    server.ok("execution", "set", f"event/{word}.*", wide)
    server.ok("execution", "set", f"event/{word}.paid", narrow)

    explained = server.run("explain", "event", f"{word}.paid")

    assert f"shadowed by event/{word}.paid" in explained.out
    assert f"event/{word}.paid shadows event/{word}.*" in explained.err


# What cannot be undone


def test_a_target_is_deleted_with_what_goes_with_it(server, word):
    """
    Its executions and its open deliveries are named before.
    """
    gone, stays = target(server), target(server)
    for name in ("a", "b"):
        server.ok("event", "publish", f"{word}.{name}")
    server.ok("execution", "set", f"event/{word}.a", gone)
    server.ok("execution", "set", f"event/{word}.b", gone, stays)
    server.ok("target", "pause", gone)
    server.ok("event", "publish", f"{word}.a")

    refused = server.run("target", "delete", gone)
    kept = at_terminal(server, "n", "target", "delete", gone)
    still_there = server.run("target", "get", gone)
    deleted = at_terminal(server, "y", "target", "delete", gone)

    for text in (
        f"event/{word}.a calls it, and nothing else",
        f"event/{word}.b calls it",
        "1 open delivery will be cancelled",
        "--yes",
    ):
        assert text in refused.err
    assert ExitCode.USAGE == refused.code
    assert (ExitCode.FAILED, True) == (kept[0], "nothing was changed" in kept[1])
    assert f"Delete target {gone} (t-" in kept[1]
    assert 0 == still_there.code
    assert (0, True) == (deleted[0], "deleted  20" in deleted[1])
    assert 1 == server.run("target", "get", gone).code


@pytest.mark.parametrize(
    "command",
    [
        ("token", "revoke", "1"),
        ("account", "delete", "1"),
        ("account", "key", "delete", "1", "2"),
        ("target", "key", "remove", "1", "2"),
        ("instance", "delete", "1"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_undone_needs_a_yes(server, command):
    """
    A script says it, a person is asked.
    """
    refused = server.run(*command)
    asked = at_terminal(server, "", *command)

    assert ExitCode.USAGE == refused.code
    assert "give --yes to do it" in refused.err
    assert (ExitCode.FAILED, True) == (asked[0], "[y/N]" in asked[1])
    assert "nothing was changed" in asked[1]


# Errors


def test_an_error_is_json_for_programs(server):
    """
    With its reason and what to do, on standard error.
    """
    refused = server.run("target", "create", "n", "--endpoint", "https://u:pw@a.example/", "--json")
    shown: dict[str, Any] = json.loads(refused.err)

    assert (1, "") == (refused.code, refused.out)
    assert {
        "message": "Target has an invalid URL (COMMAND-1r2k6qo6wg) (invalid_argument)",
        "reason": "the URL contains user information",
        "code": "invalid_argument",
        "exitCode": 1,
    } == {name: text for name, text in shown["error"].items() if name != "hint"}
    assert "outrider target policy set" in shown["error"]["hint"]
    assert "pw" not in refused.err


def test_an_error_is_text_for_people(server):
    """
    What failed, why, and what to do next, a line for each.
    """
    refused = server.run("target", "create", "n", "--endpoint", "https://a.example/#frag")

    assert [
        "Error: Target has an invalid URL (COMMAND-1r2k6qo6wg) (invalid_argument)",
        "Reason: the URL contains a fragment",
        "remove the # and what follows it: it is never sent; a # in the path or query is %23",
    ] == refused.err.splitlines()
