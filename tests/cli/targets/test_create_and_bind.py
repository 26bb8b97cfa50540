"""`outrider target` and `outrider execution`, against a server."""

from __future__ import annotations

import uuid

import pytest

NOWHERE = "http://127.0.0.1:9/hook"  # the discard port: no process listens there


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def target(server) -> str:
    """The id of a target that cannot be reached."""
    return server.ok("target", "create", unique("target"), "--endpoint", NOWHERE)["id"]


# Targets


def test_a_new_target_shows_its_signing_key(server):
    """
    The receiver needs it; JSON is the server's own answer.
    """
    answer = server.ok("target", "create", unique("t"), "--endpoint", NOWHERE)

    assert {"id", "creationDate", "signingKey"} == set(answer)


def test_for_people_a_new_target_is_two_lines(server):
    """
    What to keep, and on standard error what to do next.
    """
    result = server.run("target", "create", unique("t"), "--endpoint", NOWHERE)

    assert ["id", "signing"] == [line.split()[0] for line in result.out.splitlines()]
    assert "outrider execution set" in result.err


def test_every_property_of_a_target_arrives(server):
    """
    Each option ends in its own field.
    """
    name = unique("t")
    options = ("--type", "call", "--timeout", "1500ms", "--interrupt-on-error")
    options += ("--payload-type", "jwt")
    target_id = server.ok("target", "create", name, "--endpoint", NOWHERE, *options)["id"]

    target = server.ok("target", "get", target_id)["target"]

    assert (name, NOWHERE, "1.500s") == (target["name"], target["endpoint"], target["timeout"])
    assert {"interruptOnError": True} == target["restCall"]
    assert "PAYLOAD_TYPE_JWT" == target["payloadType"]


def test_one_target_for_people(server, target):
    """
    With its signing key, to start a receiver with.
    """
    result = server.run("target", "get", target)

    lines = dict(line.split("  ", 1) for line in result.out.splitlines())
    assert target == lines["id"].strip()
    assert "signing key" in lines


def test_targets_are_a_table_whose_rows_are_never_broken(server, target):
    """
    An identifier in two halves cannot be copied, however narrow the pipe.
    """
    result = server.run("target", "list")

    assert "ID" == result.out.split()[0]
    assert [NOWHERE] == [
        line.split()[3] for line in result.out.splitlines() if line.startswith(target)
    ]


def test_targets_can_be_found_by_a_part_of_their_name(server):
    """
    Whatever its case.
    """
    name = unique("Findable")
    server.ok("target", "create", name, "--endpoint", NOWHERE)

    found = server.ok("target", "list", "--name", name[3:].upper())

    assert [name] == [listed["name"] for listed in found["targets"]]


def test_the_list_of_targets_has_pages(server, target):
    """
    A limit is a limit.
    """
    assert 1 == len(server.ok("target", "list", "--limit", "1")["targets"])


def test_a_deleted_target_is_gone(server, target):
    """
    The server answers so from then on.
    """
    assert "deletionDate" in server.ok("target", "delete", target, "--yes")

    result = server.run("target", "get", target)

    assert (1, "") == (result.code, result.out)
    assert "Error: Target not found" in result.err
    assert f"Reason: there is no target {target} in this instance" in result.err
    assert "`outrider target list`" in result.err


def test_deleting_what_never_was_is_a_failure(server):
    """
    The server calls it fine; a person has mistyped an id.
    """
    result = server.run("target", "delete", "424242")

    assert 1 == result.code
    assert "there never was a target 424242" in result.err


def test_a_taken_name_is_refused(server):
    """
    The error of the server reaches the terminal.
    """
    name = unique("t")
    server.ok("target", "create", name, "--endpoint", NOWHERE)

    result = server.run("target", "create", name.upper(), "--endpoint", NOWHERE)

    assert 1 == result.code
    assert "already_exists" in result.err


def test_an_address_that_is_never_allowed_is_explained(server):
    """
    The error of the contract alone does not help.
    """
    metadata = "http://169.254.169.254/"

    result = server.run("target", "create", unique("t"), "--endpoint", metadata)

    assert 1 == result.code
    assert "OUTRIDER_EGRESS_ALLOW" in result.err


# Executions


@pytest.mark.parametrize(
    "condition",
    [
        "event/user.human.added",
        "event/user.human.*",
        "event",
        "request/zitadel.session.v2.SessionService/ListSessions",
        "request/zitadel.session.v2.SessionService",
        "response",
        "function/preuserinfo",
    ],
)
def test_a_condition_is_written_as_it_is_listed(server, target, condition):
    """
    What `execution list` prints can be given to `execution set`.
    """
    server.ok("execution", "set", condition, target)
    listed = server.run("execution", "list", "--target", target)
    server.ok("execution", "set", condition, "--clear")
    cleared = server.run("execution", "list", "--target", target)

    assert [condition, target] == listed.out.splitlines()[1].split()[:2]
    assert (0, "") == (cleared.code, cleared.out)


def test_executions_can_be_listed_by_kind(server, target):
    """
    Kinds do not mix.
    """
    server.ok("execution", "set", "function/preaccesstoken", target)

    listed = server.ok("execution", "list", "--kind", "function", "--target", target)
    others = server.ok("execution", "list", "--kind", "event", "--target", target)
    server.ok("execution", "set", "function/preaccesstoken", "--clear")

    assert 1 == len(listed["executions"])
    assert "executions" not in others


def test_a_condition_about_nothing_is_refused(server, target):
    """
    With advice about what to check.
    """
    result = server.run("execution", "set", "event/no.such.event", target)

    assert 1 == result.code
    assert "COMMAND-74aaqj8fv9" in result.err
    assert "Reason: the catalogue has no event type no.such.event" in result.err
    assert "`outrider catalogue add no.such.event --kind event-type`" in result.err
