"""`outrider catalogue`, against a server."""

from __future__ import annotations

import json
import uuid

import pytest

from outrider.cli.terminal.errors import ExitCode


@pytest.fixture
def word() -> str:
    """In the names of this test alone."""
    return f"w{uuid.uuid4().hex[:12]}"


def names_of(answer) -> list[str]:
    return [entry["name"] for entry in answer["entries"]]


def test_what_is_added_is_listed_and_removed(server, word):
    """
    A kind is known by its spelling, or given.
    """
    names = [f"/{word}.v1.Shop/Buy", f"{word}.order.placed"]
    assert {"added": 2} == server.ok("catalogue", "add", *names)
    assert {"added": 1} == server.ok("catalogue", "add", word, "--kind", "function")
    listed = server.ok("catalogue", "list", word)
    own = server.ok("catalogue", "list", "--own")

    assert [word, f"{word}.order.placed"] == names_of(listed)
    assert {*names, word} <= set(names_of(own))
    assert "preuserinfo" not in names_of(own)
    assert {"removed": 2} == server.ok("catalogue", "remove", *names)
    assert [word] == names_of(server.ok("catalogue", "list", word))


def test_a_name_may_be_described(server, word):
    """
    Both messages of a method, as they are written.
    """
    name = f"/{word}.v1.Shop/Buy"
    options = ("--schema", '{"type":"object"}', "--example", '{"total":12.50}')
    options += ("--response-schema", "{}", "--response-example", '{"id":1.0}')
    server.ok("catalogue", "add", name, *options)
    (entry,) = server.ok("catalogue", "list", name)["entries"]

    assert {"type": "object"} == entry["schema"]
    assert {"total": 12.5} == entry["example"]
    assert ({}, {"id": 1.0}) == (entry["responseSchema"], entry["responseExample"])


def test_for_people_it_is_a_table(server):
    """
    What is built in says so.
    """
    result = server.run("catalogue", "list", "--kind", "function")

    assert ["KIND", "NAME", "DESCRIBED", "FROM"] == result.out.splitlines()[0].split()
    assert "function" in result.out
    assert "preaccesstoken" in result.out
    assert "built in" in result.out


def test_all_of_zitadels_methods_are_listed(server):
    """
    Over as many pages as they take, with their schemas.
    """
    entries = server.ok("catalogue", "list", "/zitadel.", "--describe")["entries"]

    assert 899 == len(entries)
    assert all(entry["schema"]["type"] == "object" for entry in entries)


def test_what_is_built_in_or_bound_is_not_removed(server, word):
    """
    The error says what to do.
    """
    event = f"{word}.paid"
    server.ok("catalogue", "add", event)
    target = server.ok("target", "create", word, "--endpoint", "http://127.0.0.1:9/")["id"]
    server.ok("execution", "set", f"event/{event}", target)
    built_in = server.run("catalogue", "remove", "preuserinfo", "--kind", "function")
    bound = server.run("catalogue", "remove", event)

    assert "preuserinfo is built in" in built_in.err
    assert f"event/{event}; set it to no targets first" in bound.err
    assert "--clear" in bound.err
    server.ok("execution", "set", f"event/{event}", "--clear")
    assert {"removed": 1} == server.ok("catalogue", "remove", event)


def test_an_openapi_document_is_imported(server, word, tmp_path):
    """
    Then executions can be set for its operations.
    """
    file = tmp_path / "openapi.json"
    paths = {"/orders": {"post": {"operationId": "create"}, "get": {"operationId": "list"}}}
    file.write_text(json.dumps({"openapi": "3.1.0", "paths": paths}))
    service = f"{word}.v1.Orders"
    shown = server.ok("catalogue", "import", file, "--service", service, "--dry-run")
    before = server.ok("catalogue", "list", f"/{word}")
    added = server.ok("catalogue", "import", file, "--service", service)
    again = server.ok("catalogue", "import", file, "--service", service)
    target = server.ok("target", "create", word, "--endpoint", "http://127.0.0.1:9/")["id"]
    server.ok("execution", "set", f"request/{service}/create", target)

    assert [f"/{service}/create", f"/{service}/list"] == names_of(shown)
    assert [] == before["entries"]
    assert {"imported": 2, "added": 2} == added
    assert {"imported": 2, "added": 0} == again


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("add", "price"), "give --kind: price may be a function or an event type"),
        (("add", "/a.B/C", "/a.B/D", "--schema", "{}"), "about one name"),
        (("import", "nowhere.binpb"), "nowhere.binpb: No such file"),
    ],
)
def test_what_cannot_be_right_is_refused(server, arguments, text):
    """
    Before anything is sent.
    """
    result = server.run("catalogue", *arguments)

    assert ExitCode.USAGE == result.code
    assert text in " ".join(result.err.split())
