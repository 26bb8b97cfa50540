"""`outrider instance`: the life of a tenant, for the operator of the server."""

from __future__ import annotations

import uuid

import pytest


@pytest.fixture
def name() -> str:
    """Of an instance that does not exist."""
    return f"shop-{uuid.uuid4().hex[:12]}"


def test_an_instance_lives_until_it_is_deleted(server, name):
    """
    Made with its hosts, listed with them, gone with all that is its own.
    """
    made = server.ok("instance", "create", name, "--host", f"{name}.example", "--host", "::2")
    listed = server.run("instance", "list")
    deleted = server.run("instance", "delete", made["id"], "--yes")

    assert {"id", "creationDate", "token"} == set(made)
    assert 0 == listed.code, listed.err
    (line,) = [row for row in listed.out.splitlines() if name in row]
    assert [made["id"], name, f"{name}.example,", "::2"] == line.split()[:4]
    assert (0, "deleted") == (deleted.code, deleted.out.split()[0]), deleted.err
    instances = server.ok("instance", "list")["instances"]
    assert made["id"] not in {instance["id"] for instance in instances}


def test_the_first_instance_has_every_other_name(server):
    """
    Its line must not look as if nothing led to it.
    """
    (line,) = [row for row in server.run("instance", "list").out.splitlines() if " default " in row]

    assert "every other" in line


def test_a_token_is_shown_with_a_warning(server, name):
    """
    An operator who closes the window has only the admin token left.
    """
    result = server.run("instance", "create", name, "--host", f"{name}.example")

    assert 0 == result.code, result.err
    assert "otr_" in result.out
    assert "cannot be shown again" in result.err


def test_nothing_is_deleted_by_a_slip(server):
    """
    An instance is more than any other thing that a command deletes.
    """
    result = server.run("instance", "delete", "1")

    assert 2 == result.code
    assert "--yes" in result.err


def test_an_instance_that_is_not_there_is_not_deleted(server):
    """
    And the error tells where the ids are.
    """
    result = server.run("instance", "delete", "1", "--yes")

    assert 1 == result.code
    assert "Instance not found" in result.err
    assert "outrider instance list" in result.err


def test_the_owner_of_an_instance_makes_none(server, name):
    """
    Tokens that are made are of an instance; the admin token alone is of the server.
    """
    token = server.ok("token", "create", name, "--role", "IAM_OWNER")["token"]
    result = server.run("instance", "list", "--token", token)

    assert 4 == result.code
    assert "No matching permissions found" in result.err
