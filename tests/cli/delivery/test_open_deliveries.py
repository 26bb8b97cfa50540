"""Open deliveries from the command line: attempted now, or stopped, many by one call."""

from __future__ import annotations

import uuid

import pytest

NOWHERE = "http://127.0.0.1:9/hook"  # the discard port: no process listens there


@pytest.fixture
def event_type() -> str:
    return f"test.{uuid.uuid4().hex[:12]}"


@pytest.fixture
def target(server, event_type) -> str:
    """A target that fails, and is tried again in an hour."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    target_id = server.ok("target", "create", name, "--endpoint", NOWHERE)["id"]
    server.ok("target", "policy", "set", target_id, "--wait", "1h", "--wait", "1h")
    server.ok("event", "publish", event_type)
    server.ok("execution", "set", f"event/{event_type}", target_id)
    return target_id


@pytest.fixture
def retrying(server, target, event_type) -> list[str]:
    """Two deliveries that failed once, oldest first."""
    for _ in range(2):
        server.run("event", "publish", event_type, "--wait")
    listed = server.ok("delivery", "list", "--target", target, "--state", "retrying")
    return [delivery["id"] for delivery in reversed(listed["deliveries"])]


def attempts(server, delivery_id: str, count: int) -> list[dict]:
    """The attempts of a delivery, when there are at least `count`."""
    for _ in range(200):
        delivery = server.ok("delivery", "get", delivery_id)["delivery"]
        if len(delivery.get("attempts", ())) >= count and "nextAttemptAt" in delivery:
            return delivery["attempts"]
    raise AssertionError(f"delivery {delivery_id} was not attempted {count} times")


def test_what_waits_for_its_next_attempt_is_attempted_now(server, target, retrying):
    """
    It keeps its id; what is named twice in a row has been attempted meanwhile.
    """
    result = server.run("delivery", "retry", retrying[0])
    found = attempts(server, retrying[0], 2)
    others = attempts(server, retrying[1], 1)

    assert (0, "1 due now, 0 skipped\n") == (result.code, result.out)
    assert ([1, 2], 1) == ([attempt["number"] for attempt in found], len(others))


def test_filters_find_what_is_open(server, target, retrying):
    """
    All of a target; while it is paused they wait, and the command says so.
    """
    server.ok("target", "pause", target)
    find = ("delivery", "retry", "--target", target, "--yes")
    first, again = server.run(*find), server.run(*find)
    as_json = server.ok("delivery", "retry", "--target", target, "--all", "--yes")
    listed = server.ok("delivery", "list", "--target", target)["deliveries"]

    assert ["2 due now, 0 skipped\n", "0 due now, 2 skipped\n"] == [first.out, again.out]
    assert "2 of them wait: their target is paused, or its breaker is open." in first.err
    assert "2 skipped: due already" in again.err
    due = [{"reason": "SKIP_REASON_DUE", "count": 2}]
    assert {"deliveries": 0, "skipped": 2, "skips": due} == as_json
    assert {"DELIVERY_STATE_RETRYING"} == {delivery["state"] for delivery in listed}


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("retry", "2 deliveries will be due now. Continue? [y/N] "),
        ("cancel", "2 deliveries will be cancelled. Continue? [y/N] "),
    ],
)
def test_it_asks_first(server, target, retrying, command, question):
    """
    The question tells how many.
    """
    result = server.run("delivery", command, "--target", target, stdin="n\n")
    listed = server.ok("delivery", "list", "--target", target, "--state", "retrying")

    assert (1, True) == (result.code, question in result.err)
    assert 2 == len(listed["deliveries"])


def test_what_is_finished_is_named_as_the_reason(server, target, retrying):
    """
    `retry` is not `replay`, and `cancel` changes nothing that has ended.
    """
    cancelled = server.run("delivery", "cancel", *retrying)
    results = [server.run("delivery", command, *retrying) for command in ("retry", "cancel")]

    assert (0, "2 cancelled, 0 skipped\n") == (cancelled.code, cancelled.out)
    assert ["0 due now, 2 skipped\n", "0 cancelled, 2 skipped\n"] == [
        result.out for result in results
    ]
    for result in results:
        assert "2 skipped: finished: `outrider delivery replay` replays them" in result.err


def test_many_are_cancelled_by_filters(server, target, retrying):
    """
    All of a target, whatever it is doing.
    """
    answer = server.ok("delivery", "cancel", "--target", target, "--all", "--yes")
    listed = server.ok("delivery", "list", "--target", target)["deliveries"]

    assert {"deliveries": 2, "skipped": 0} == answer
    assert {"DELIVERY_STATE_CANCELLED"} == {delivery["state"] for delivery in listed}


@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_ids_that_are_not_there_are_refused(server, retrying, command):
    """
    All or none: a list with a mistake in it is corrected first.
    """
    result = server.run("delivery", command, retrying[0], retrying[1], "1")

    assert (1, True) == (result.code, "Delivery not found" in result.err)
    assert 1 == len(attempts(server, retrying[0], 1))
