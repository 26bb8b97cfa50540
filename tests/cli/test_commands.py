"""The commands that talk to a server, against a server."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import pytest

NOWHERE = "http://127.0.0.1:9/hook"  # the discard port: nobody answers there


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def target(server) -> str:
    """The id of a target that cannot be reached."""
    return server.ok("target", "create", unique("target"), "--endpoint", NOWHERE)["id"]


@pytest.fixture
def event_type(server, target) -> str:
    """An event type of this test's own, bound to the target."""
    event_type = f"cli.{uuid.uuid4().hex[:12]}"
    server.ok("event", "publish", event_type)  # published once, it can be named in a condition
    server.ok("execution", "set", f"event/{event_type}", target)
    return event_type


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
    ended = server.run("target", "create", unique("t"), "--endpoint", NOWHERE)

    assert ["id", "signing"] == [line.split()[0] for line in ended.out.splitlines()]
    assert "outrider execution set" in ended.err


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
    ended = server.run("target", "get", target)

    lines = dict(line.split("  ", 1) for line in ended.out.splitlines())
    assert target == lines["id"].strip()
    assert "signing key" in lines


def test_targets_are_a_table_whose_rows_are_never_broken(server, target):
    """
    An identifier in two halves cannot be copied, however narrow the pipe.
    """
    ended = server.run("target", "list")

    assert "ID" == ended.out.split()[0]
    assert [NOWHERE] == [
        line.split()[3] for line in ended.out.splitlines() if line.startswith(target)
    ]


def test_targets_can_be_found_by_a_part_of_their_name(server):
    """
    Whatever its case.
    """
    name = unique("Findable")
    server.ok("target", "create", name, "--endpoint", NOWHERE)

    found = server.ok("target", "list", "--name", name[3:].upper())

    assert [name] == [each["name"] for each in found["targets"]]


def test_the_list_of_targets_has_pages(server, target):
    """
    A limit is a limit.
    """
    assert 1 == len(server.ok("target", "list", "--limit", "1")["targets"])


def test_a_deleted_target_is_gone(server, target):
    """
    And says so from then on.
    """
    assert "deletionDate" in server.ok("target", "delete", target)

    ended = server.run("target", "get", target)

    assert (1, "") == (ended.code, ended.out)
    assert "Error: Target not found" in ended.err
    assert "See `outrider target list`." in ended.err


def test_deleting_what_never_was_is_a_failure(server):
    """
    The server calls it fine; a person has mistyped an id.
    """
    ended = server.run("target", "delete", "424242")

    assert 1 == ended.code
    assert "there never was a target 424242" in ended.err


def test_a_taken_name_is_refused(server):
    """
    What the server says reaches the terminal.
    """
    name = unique("t")
    server.ok("target", "create", name, "--endpoint", NOWHERE)

    ended = server.run("target", "create", name.upper(), "--endpoint", NOWHERE)

    assert 1 == ended.code
    assert "already_exists" in ended.err


def test_an_address_that_is_never_allowed_is_explained(server):
    """
    The error of the contract alone helps nobody.
    """
    metadata = "http://169.254.169.254/"

    ended = server.run("target", "create", unique("t"), "--endpoint", metadata)

    assert 1 == ended.code
    assert "OUTRIDER_EGRESS_ALLOW" in ended.err


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
    With the hint where to look.
    """
    ended = server.run("execution", "set", "event/no.such.event", target)

    assert 1 == ended.code
    assert "COMMAND-74aaqj8fv9" in ended.err
    assert "Does what the condition names exist" in ended.err
    assert "`outrider event publish TYPE`" in ended.err


# Events and deliveries


def test_an_event_becomes_deliveries_that_can_be_read(server, target, event_type):
    """
    From publishing to the attempts, by commands alone.
    """
    payload = '{"total": 1.50, "n": 12345678901234567890}'
    given = ("--id", unique("e"), "--aggregate-id", "o-1", "--aggregate-type", "order")
    given += ("--resource-owner", "org", "--user-id", "u", "--version", "v1", "--sequence", "9")
    given += ("--created-at", "2030-01-31T12:00:00Z", "--payload", payload)
    (result,) = server.ok("event", "publish", event_type, *given)["results"]

    (delivery,) = server.ok("deliveries", "list", "--event-id", result["id"])["deliveries"]
    shown = server.run("deliveries", "show", delivery["id"])

    assert 1 == result["deliveries"]
    assert target == delivery["targetId"]
    assert '"total": 1.50,' in shown.out
    assert '"n": 12345678901234567890' in shown.out
    body = json.loads(shown.out.partition("Payload\n")[2])
    assert ("o-1", "order", "org", "u") == (
        body["aggregateID"],
        body["aggregateType"],
        body["resourceOwner"],
        body["userID"],
    )
    assert ("v1", 9, "2030-01-31T12:00:00Z") == (
        body["version"],
        body["sequence"],
        body["created_at"],
    )


def test_the_same_id_is_published_once(server, event_type):
    """
    A script that is run twice does no harm, and sees it.
    """
    event_id = unique("e")
    server.ok("event", "publish", event_type, "--id", event_id)

    again = server.run("event", "publish", event_type, "--id", event_id)

    assert 0 == again.code
    assert "duplicate" in again.out


def test_an_event_that_nobody_asked_for_is_no_failure(server):
    """
    But whoever tries things out wants to know.
    """
    ended = server.run("event", "publish", f"cli.{uuid.uuid4().hex[:8]}")

    assert 0 == ended.code
    assert "No execution asks for it" in ended.err


@pytest.mark.parametrize("way", ["list", "lines"])
def test_a_file_of_events_is_published_in_order(server, event_type, tmp_path, way):
    """
    A JSON list, or one event on each line; with the payload's text as it stands.
    """
    events = [
        {"eventType": event_type, "id": unique("e"), "eventPayload": {"b": 1, "a": 2}},
        {"event_type": event_type, "id": unique("e"), "event_payload_json": '{"a": 1.0}'},
    ]
    text = json.dumps(events) if way == "list" else "\n".join(map(json.dumps, events)) + "\n"
    path = tmp_path / "events"
    path.write_text(text)

    results = server.ok("event", "publish", "--file", path)["results"]

    assert [event["id"] for event in events] == [result["id"] for result in results]


def test_events_come_from_standard_input_too(server, event_type):
    """
    The end of a pipeline.
    """
    text = json.dumps({"eventType": event_type})

    assert 1 == len(server.ok("event", "publish", "--file", "-", stdin=text)["results"])


def test_more_events_than_one_call_takes_are_published_in_several(server):
    """
    The server's limit is not the file's; and who waits sees how far it is.
    """
    event_type = f"cli.{uuid.uuid4().hex[:8]}"
    lines = "".join(json.dumps({"eventType": event_type}) + "\n" for _ in range(1001))

    ended = server.run("event", "publish", "--file", "-", "--json", stdin=lines)

    assert 1001 == len(ended.json["results"])
    assert "1000 of 1001 published" in ended.err


def test_the_payload_can_come_from_a_file_or_standard_input(server, event_type, tmp_path):
    """
    Quoting JSON for a shell is no fun.
    """
    path = tmp_path / "payload.json"
    path.write_text('{"from": "file"}')

    from_file = server.run("event", "publish", event_type, "--payload", f"@{path}")
    from_stdin = server.run("event", "publish", event_type, "--payload", "-", stdin='{"a": 1}')

    assert (0, 0) == (from_file.code, from_stdin.code)


def test_deliveries_can_be_filtered(server, target, event_type):
    """
    Which of a million is the question that people come with.
    """
    server.ok("event", "publish", event_type)
    found = server.ok("deliveries", "list", "--target", target, "--event-type", event_type)
    dead = server.ok("deliveries", "list", "--target", target, "--state", "dead")

    assert 1 == len(found["deliveries"])
    assert "deliveries" not in dead


def test_the_list_says_when_there_is_more_and_all_gets_it(server, target, event_type):
    """
    A cut list that looks whole misleads.
    """
    lines = "".join(json.dumps({"eventType": event_type}) + "\n" for _ in range(3))
    server.ok("event", "publish", "--file", "-", stdin=lines)

    two = server.run("deliveries", "list", "--target", target, "--limit", "2")
    everything = server.ok("deliveries", "list", "--target", target, "--all")

    assert 1 + 2 == len(two.out.splitlines())
    assert "There are more than 2" in two.err
    assert 3 == len(everything["deliveries"])


def test_a_delivery_that_does_not_exist(server):
    """
    Not found is 1, with the way to find it.
    """
    ended = server.run("deliveries", "show", "1")

    assert 1 == ended.code
    assert "See `outrider deliveries list`." in ended.err


# Tokens


def test_a_token_works_until_it_is_revoked(server):
    """
    The life of a token, seen by who has it.
    """
    made = server.ok("token", "create", unique("shop"), "--role", "EVENT_PUBLISHER")
    mine = ("--token", made["token"])

    assert 0 == server.run("event", "publish", "cli.token", *mine).code
    forbidden = server.run("target", "list", *mine)
    assert made["id"] in server.run("token", "list").out
    server.ok("token", "revoke", made["id"])
    revoked = server.run("event", "publish", "cli.token", *mine)

    assert (4, 4) == (forbidden.code, revoked.code)
    assert "does not allow this" in forbidden.err
    assert "does not accept the token" in revoked.err
    assert made["token"] not in forbidden.err + revoked.err


def test_a_token_may_have_an_end(server):
    """
    As a duration or as a time.
    """
    account = unique("auditor")
    roles = ("--role", "IAM_OWNER_VIEWER", "--role", "EVENT_PUBLISHER")
    server.ok("token", "create", account, *roles, "--expires", "30d")

    listed = server.ok("token", "list")["tokens"]

    (token,) = [each for each in listed if account == each["account"]]
    assert {"IAM_OWNER_VIEWER", "EVENT_PUBLISHER"} == set(token["roles"])
    left = datetime.fromisoformat(token["expirationDate"]) - datetime.now(UTC)  # noqa: TID251 - the server's clock is this one
    assert 29 <= left.days <= 30


def test_an_account_without_any_role_that_counts_may_not_either(server):
    """
    ZITADEL calls some of these "not found"; for a script they are "not permitted".
    """
    made = server.ok("token", "create", unique("nobody"), "--role", "ORG_OWNER")

    assert 4 == server.run("target", "list", "--token", made["token"]).code


def test_an_unknown_role_is_refused(server):
    """
    By the server, which knows them.
    """
    ended = server.run("token", "create", unique("x"), "--role", "KING")

    assert 1 == ended.code
    assert "IAM_OWNER" in ended.err
