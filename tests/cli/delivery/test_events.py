"""Publishing events and reading their deliveries, from the command line."""

from __future__ import annotations

import json
import uuid

import pytest

NOWHERE = "http://127.0.0.1:9/hook"  # the discard port: no process listens there


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


def test_an_event_becomes_deliveries_that_can_be_read(server, target, event_type):
    """
    From publishing to the attempts, by commands alone.
    """
    payload = '{"total": 1.50, "n": 12345678901234567890}'
    given = ("--id", unique("e"), "--aggregate-id", "o-1", "--aggregate-type", "order")
    given += ("--resource-owner", "org", "--user-id", "u", "--version", "v1", "--sequence", "9")
    given += ("--created-at", "2030-01-31T12:00:00Z", "--payload", payload)
    (result,) = server.ok("event", "publish", event_type, *given)["results"]

    (delivery,) = server.ok("delivery", "list", "--event-id", result["id"])["deliveries"]
    shown = server.run("delivery", "get", delivery["id"])

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


def test_another_event_with_the_id_of_one_is_refused(server, event_type):
    """
    Nothing was published, and the text says what to do.
    """
    event_id = unique("e")
    server.ok("event", "publish", event_type, "--id", event_id)

    again = server.run("event", "publish", event_type, "--id", event_id, "--payload", "{}")

    assert 1 == again.code
    assert f'Events[0]: the id "{event_id}" belongs to an event with another type' in again.err
    assert "(already_exists)" in again.err


@pytest.mark.parametrize(("hops", "code"), [("15", 0), ("16", 1)])
def test_hops_of_a_call_are_passed_on(server, target, event_type, hops, code):
    """
    A script that publishes because of a webhook is a part of the circle as well.
    """
    result = server.run("event", "publish", event_type, "--hops", hops)

    assert code == result.code
    assert bool(code) == ("Outrider-Hops is 16, and the limit is 16: " in result.err)


def test_an_event_without_an_execution_is_no_failure(server):
    """
    But a developer who tries things out wants to know.
    """
    result = server.run("event", "publish", f"cli.{uuid.uuid4().hex[:8]}")

    assert 0 == result.code
    assert "No execution matches" in result.err


@pytest.mark.parametrize("layout", ["list", "lines"])
def test_a_file_of_events_is_published_in_order(server, event_type, tmp_path, layout):
    """
    A JSON list, or one event on each line; with the payload's text as it stands.
    """
    events = [
        {"eventType": event_type, "id": unique("e"), "eventPayload": {"b": 1, "a": 2}},
        {"event_type": event_type, "id": unique("e"), "event_payload_json": '{"a": 1.0}'},
    ]
    text = json.dumps(events) if layout == "list" else "\n".join(map(json.dumps, events)) + "\n"
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

    result = server.run("event", "publish", "--file", "-", "--json", stdin=lines)

    assert 1001 == len(result.json["results"])
    assert "1000 of 1001 published" in result.err


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
    found = server.ok("delivery", "list", "--target", target, "--event-type", event_type)
    dead = server.ok("delivery", "list", "--target", target, "--state", "dead")

    assert 1 == len(found["deliveries"])
    assert "deliveries" not in dead


def test_the_list_says_when_there_is_more_and_all_gets_it(server, target, event_type):
    """
    A cut list that seems whole misleads.
    """
    lines = "".join(json.dumps({"eventType": event_type}) + "\n" for _ in range(3))
    server.ok("event", "publish", "--file", "-", stdin=lines)

    two = server.run("delivery", "list", "--target", target, "--limit", "2")
    everything = server.ok("delivery", "list", "--target", target, "--all")

    assert 1 + 2 == len(two.out.splitlines())
    assert "There are more than 2" in two.err
    assert 3 == len(everything["deliveries"])


def test_a_delivery_that_does_not_exist(server):
    """
    Not found is 1, with the command that lists deliveries.
    """
    result = server.run("delivery", "get", "1")

    assert 1 == result.code
    assert "`outrider delivery list`" in result.err


@pytest.mark.parametrize("layout", ["list", "lines"])
def test_a_delivered_body_can_be_published_from_a_file(server, event_type, tmp_path, layout):
    """
    As it was captured, with its numbers.
    """
    id_ = unique("e")
    body = (
        f'{{"id":"{id_}","aggregateID":"1","aggregateType":"user","resourceOwner":"2","instanceID":"3",'
        f'"version":"v2","sequence":7,"event_type":"{event_type}","created_at":"2026-01-02T01:04:05Z",'
        '"userID":"4","event_payload":{"id":7615917337495251231,"p":12.50,"n":1}}'
    )
    path = tmp_path / "events"
    path.write_text(f"[{body}]" if layout == "list" else f"{body}\n")

    server.ok("event", "publish", "--file", path)
    (delivery,) = server.ok("delivery", "list", "--event-id", id_)["deliveries"]
    shown = server.run("delivery", "get", delivery["id"])
    sent = "".join(shown.out.partition("Payload\n")[2].split())

    assert '"aggregateID":"1","aggregateType":"user","resourceOwner":"2",' in sent
    assert '"sequence":7,' in sent
    assert '"userID":"4","event_payload":{"id":7615917337495251231,"p":12.50,"n":1}}' in sent


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ('"aggregateID":"1","aggregateId":"2"', "aggregateId is there twice"),
        ('"id":"1","id":"2"', '"id" is there twice'),
        ('"eventPayload":{},"event_payload":{}', "eventPayload is there twice"),
        ('"eventPayload":{},"eventPayloadJson":"{}"', "only one of eventPayload"),
        ('"aggregatID":"1"', "aggregatID"),
    ],
)
def test_an_event_of_a_file_that_would_lose_something_is_refused(server, members, reason):
    result = server.run("event", "publish", "--file", "-", stdin=f'{{"eventType":"a.b",{members}}}')

    assert 2 == result.code
    assert reason in result.err
