"""Policies and pauses from the command line, against a server."""

from __future__ import annotations

import json
import re
import uuid

import pytest

from adapters.http.connect.test_policy_tls import CA

NOWHERE = "http://127.0.0.1:9/hook"  # the discard port: no process listens there


@pytest.fixture
def target(server) -> str:
    name = f"target-{uuid.uuid4().hex[:12]}"
    return server.ok("target", "create", name, "--endpoint", NOWHERE)["id"]


def policy_of(server, target) -> dict:
    return server.ok("target", "policy", "get", target).get("policy", {})


def row_of(server, name, *command) -> list[str]:
    """The row of a target in what a command prints for people."""
    result = server.run(*command)
    assert 0 == result.code, result.err
    return [re.split(r"  +", line) for line in result.out.splitlines() if name in line][-1]


def test_a_paused_target_shows_where_an_operator_looks_first(server, target):
    """
    In the list of targets, in the numbers and in the live view, without asking for the policy.
    """
    before = row_of(server, target, "target", "list", "--limit", "1000")
    server.ok("target", "pause", target)
    listed = row_of(server, target, "target", "list", "--limit", "1000")
    counted = row_of(server, target, "delivery", "stats", "--target", target)
    [shown] = [
        listed_target
        for listed_target in server.ok("target", "list", "--limit", "1000")["targets"]
        if listed_target["id"] == target
    ]
    suspended = server.ok("delivery", "stats", "--target", target)["suspendedTargets"]

    assert [*before, "paused"] == listed
    assert [target, "paused"] == [counted[0], counted[2]]
    assert counted[3].startswith("since ")
    assert [(target, shown["pausedAt"])] == [
        (suspended_target["targetId"], suspended_target["pausedAt"])
        for suspended_target in suspended
    ]
    assert " paused " in server.run("top", "--once", "--targets", "100").out


def test_options_change_what_they_name(server, target, tmp_path):
    """
    Each ends in its own field, and leaves the others as they are, secrets included.
    """
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(CA)
    before = {"headers": {"X-Key": "hidden"}, "proxyUrl": "http://user:hidden@proxy.example"}
    change = ("target", "policy", "set", target)
    server.ok(*change, "--file", "-", stdin=json.dumps(before))
    server.ok(*change, "--wait", "5s", "--wait", "1.5h", "--jitter", "0", "--max-age", "3d")
    server.ok(*change, "--final-status", "404", "--final-status", "410", "--rate", "0.5")
    server.ok(*change, "--max-concurrency", "4", "--ordering", "by-aggregate", "--on-dead", "halt")
    server.ok(*change, "--breaker-failures", "5", "--breaker-open-for", "2m")
    server.ok(*change, "--on-unreachable", "continue", "--ca-file", ca_file)

    assert {
        "retry": {
            "waits": ["5s", "5400s"],
            "jitter": 0.0,
            "maxAge": "259200s",
            "finalStatuses": [404, 410],
        },
        "maxConcurrency": 4,
        "ratePerSecond": 0.5,
        "ordering": "ORDERING_BY_AGGREGATE",
        "breaker": {"failures": 5, "openFor": "120s"},
        "headers": {"X-Key": ""},
        "onUnreachable": "ON_UNREACHABLE_CONTINUE",
        "tls": {"caPem": CA},
        "proxyUrl": "http://user:***@proxy.example",
        "onDead": "ON_DEAD_HALT",
    } == policy_of(server, target)


def test_what_get_prints_can_be_set(server, target, tmp_path):
    """
    Print it, edit it, set it: also over a policy that is another's by then.
    """
    change = ("target", "policy", "set", target)
    server.ok(*change, "--max-concurrency", "4", "--wait", "500ms")
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(server.ok("target", "policy", "get", target)))
    server.ok(*change, "--file", "-", stdin="{}")

    assert {} == policy_of(server, target)

    server.ok(*change, "--file", file)

    assert {"retry": {"waits": ["0.500s"]}, "maxConcurrency": 4} == policy_of(server, target)


def test_a_policy_for_people(server, target):
    """
    Nothing is printed about what is not set.
    """
    untouched = server.run("target", "policy", "get", target)
    server.run("target", "policy", "set", target, "--rate", "2")
    changed = server.run("target", "policy", "get", target)

    assert untouched.out.splitlines() == [
        *("changed  never", "paused   no", "breaker  closed"),
        "Everything has its default.",
    ]
    assert '"ratePerSecond": 2' in changed.out


def test_a_target_is_paused_and_resumed(server, target):
    """
    Twice is as once.
    """
    first = server.ok("target", "pause", target)
    assert first == server.ok("target", "pause", target)
    assert first["changeDate"] == server.ok("target", "policy", "get", target)["pausedAt"]

    assert "resumed" in server.run("target", "resume", target).out
    assert "The target was not paused." in server.run("target", "resume", target).err
    assert "outrider target resume" in server.run("target", "pause", target).err


def test_a_delivery_tells_why_it_is_suspended(server, target):
    """
    Its next attempt is long due and is not made: the reason is printed with it.
    """
    event_type = f"suspended.{uuid.uuid4().hex[:12]}"
    server.ok("event", "publish", event_type)
    server.ok("execution", "set", f"event/{event_type}", target)
    server.ok("target", "pause", target)
    server.ok("event", "publish", event_type)
    [delivery] = server.ok("delivery", "list", "--target", target)["deliveries"]
    waiting = server.run("delivery", "get", delivery["id"]).out
    server.ok("delivery", "cancel", delivery["id"])

    assert re.search("^suspended +paused, since 20", waiting, re.MULTILINE)
    assert "suspended  " not in server.run("delivery", "get", delivery["id"]).out


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([], "", "give either --file or what is to change"),
        (["--file", "-", "--rate", "1"], "{}", "give either --file or what is to change"),
        (["--file", "-"], "{", "-: is not JSON"),
        (["--file", "-"], "[]", "-: a policy must be a JSON object"),
        (["--file", "-"], '{"rate": 1}', "-: "),
        (["--wait", "soon"], "", "no duration"),
        (["--ca-file", "/nowhere"], "", "/nowhere: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_is_wrong_says_so(server, target, arguments, stdin, message):
    """
    And nothing was done.
    """
    result = server.run("target", "policy", "set", target, *arguments, stdin=stdin)

    assert 2 == result.code
    assert message in result.err


@pytest.mark.parametrize("command", ["policy get", "pause", "resume", "policy set --rate 1"])
def test_a_target_that_is_not_there(server, command):
    """
    With the command that lists them.
    """
    words = command.split()
    position = 2 if words[0] == "policy" else 1
    result = server.run("target", *words[:position], "1", *words[position:])

    assert 1 == result.code
    assert "Target not found" in result.err
    assert "outrider target list" in result.err


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"retry": []}, "a list"),
        ({"retry": {"waits": "5s"}}, "expected a list, got a text"),
        ({"maxConcurrency": True}, "unexpected a boolean"),
        ({"headers": 1}, "expected an object, got a number"),
        ({"maxConcurrency": -1}, "out of range"),
    ],
    ids=str,
)
def test_a_file_of_the_wrong_shape_is_refused_in_the_words_of_json(
    server, target, document, reason
):
    """
    Before anything is sent, and without a type of Python.
    """
    result = server.run(
        "target", "policy", "set", target, "--file", "-", stdin=json.dumps(document)
    )

    assert 2 == result.code
    assert reason in result.err
    assert "class" not in result.err


def test_what_a_policy_replaces_is_said(server, target, tmp_path):
    """
    A file replaces everything, and says nothing about what it leaves out.
    """
    server.ok("target", "policy", "set", target, "--max-concurrency", "4", "--jitter", "0.5")
    file = tmp_path / "policy.json"
    file.write_text('{"maxConcurrency": 4, "headers": {"X-Key": "k3y"}}')

    changed = server.run("target", "policy", "set", target, "--file", str(file))
    again = server.ok("target", "policy", "set", target, "--file", "-", stdin="{}")

    assert "replaced: retry.jitter 0.5" in changed.err
    assert {"maxConcurrency 4", "headers"} <= set(again["replaced"])
    assert "k3y" not in str(again)
