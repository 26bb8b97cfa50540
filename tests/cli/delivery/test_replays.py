"""Replaying, cancelling and counting deliveries from the command line."""

from __future__ import annotations

import contextlib
import io
import signal
import uuid

import pytest

from outrider.cli.commands.delivery.replay_progress import PAGE, ReplayRun
from outrider.cli.terminal.errors import CommandError
from outrider_api.outrider.v1.delivery_service_pb import ReplayDeliveriesRequest

NOWHERE = "http://127.0.0.1:9/hook"  # the discard port: nobody answers there


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def event_type() -> str:
    return f"test.{uuid.uuid4().hex[:12]}"


@pytest.fixture
def target(server, event_type) -> str:
    """It is paused: what it is owed waits for us."""
    made = server.ok("target", "create", unique("t"), "--endpoint", NOWHERE)["id"]
    server.ok("target", "pause", made)
    server.ok("event", "publish", event_type)
    server.ok("execution", "set", f"event/{event_type}", made)
    return made


@pytest.fixture
def owed(server, target, event_type) -> list[str]:
    """Three deliveries that wait."""
    for _ in range(3):
        server.ok("event", "publish", event_type)
    listed = server.ok("deliveries", "list", "--target", target)["deliveries"]
    return [each["id"] for each in listed]


@pytest.fixture
def cancelled(server, owed) -> list[str]:
    """Three deliveries that were cancelled."""
    for each in owed:
        server.ok("deliveries", "cancel", each)
    return owed


def open_of(server, target) -> list[str]:
    found = server.ok("deliveries", "list", "--target", target, "--state", "pending")
    return [each["replayOf"] for each in found.get("deliveries", ())]


def test_a_delivery_is_cancelled_and_replayed(server, target, owed):
    """
    By its id; the log tells of which one the new one is.
    """
    assert "cancelled\n" == server.run("deliveries", "cancel", owed[0]).out
    assert "cancelled\n" == server.run("deliveries", "cancel", owed[0]).out
    ended = server.run("deliveries", "replay", owed[0], owed[1])
    pending = server.ok("deliveries", "list", "--target", target, "--state", "pending")

    assert (0, "1 replayed, 1 skipped\n") == (ended.code, ended.out)
    assert [owed[0]] == [
        delivery["replayOf"] for delivery in pending["deliveries"] if "replayOf" in delivery
    ]


def test_what_is_found_is_replayed(server, target, cancelled):
    """
    With --yes at once, and as JSON for programs.
    """
    find = ("deliveries", "replay", "--target", target, "--state", "cancelled")
    before = server.ok(*find, "--until", "1h", "--yes")
    after = server.ok(*find, "--since", "1h", "--yes")

    assert [{"deliveries": 0, "skipped": 0}, {"deliveries": 3, "skipped": 0}] == [before, after]
    assert sorted(cancelled) == sorted(open_of(server, target))


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_replay_of_what_is_found_asks_first(server, target, cancelled, answer, code):
    """
    How many it will be stands in the question: nobody floods a receiver by mistake.
    """
    ended = server.run("deliveries", "replay", "--target", target, stdin=answer)

    assert code == ended.code
    assert "3 deliveries will be made again. Go on? [y/N] " in ended.err
    assert (not code) * 3 == len(open_of(server, target))


def test_ids_that_are_not_there_are_refused(server, cancelled):
    """
    All or none: a list with a mistake in it is looked at again.
    """
    ended = server.run("deliveries", "replay", cancelled[0], "1")

    assert 1 == ended.code
    assert "Delivery not found" in ended.err
    assert "Nothing was made of these" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1", "--state", "dead"],
        ["1", "--resume", "1-2"],
        ["--state", "lost"],
        ["--since", "yesterday"],
        ["--until", "999999999d"],
    ],
    ids=" ".join,
)
def test_a_replay_that_cannot_be_meant_ends_with_2(server, arguments):
    """
    Before anything is asked of the server.
    """
    assert 2 == server.run("deliveries", "replay", *arguments).code


def test_what_is_finished_cannot_be_cancelled(server):
    """
    And what is not there neither.
    """
    ended = server.run("deliveries", "cancel", "1")

    assert 1 == ended.code
    assert "Delivery not found" in ended.err


def test_numbers_for_people(server, target, owed):
    """
    What is stuck, since when, and where.
    """
    server.ok("deliveries", "cancel", owed[0])
    lines = server.run("deliveries", "stats", "--target", target).out.splitlines()
    fields = dict(line.split(maxsplit=1) for line in lines[:6])

    assert ("2", "1", "0") == (fields["pending"], fields["cancelled"], fields["dead"])
    assert lines[6].startswith("oldest open")
    assert "Per second, until about 25 s ago" in lines
    assert any(line.startswith(target) for line in lines)


def test_numbers_for_programs(server, target, event_type, owed):
    """
    A monitor reads them.
    """
    stats = server.ok("deliveries", "stats", "--event-type", event_type, "--since", "1h")
    none = server.ok("deliveries", "stats", "--event-type", event_type, "--until", "1h")

    assert [{"state": "DELIVERY_STATE_PENDING", "count": "3"}] == stats["counts"]
    assert [target] == [each["targetId"] for each in stats["targets"]]
    assert {} == none


def test_numbers_can_be_watched(server, started, target):
    """
    Again and again until Ctrl-C, which is how it ends and no failure.
    """
    watching = started(
        "deliveries", "stats", "--watch", "--json", "--target", target,
        OUTRIDER_URL=server.url, OUTRIDER_DATA_DIR=str(server.data_dir),
    )  # fmt: skip
    lines = [watching.line(), watching.line()]

    assert lines[0] == lines[1]
    assert 0 == watching.stop()


class Pages:
    """A server that has so many pages; `at` is what happens while it answers each."""

    def __init__(self, *pages: dict, at=lambda _: None):
        self.pages = iter(pages)
        self.asked: list[tuple[str, int]] = []
        self.at = at
        self.deliveries = self

    def replay_deliveries(self):
        raise AssertionError("asked by name alone")

    def ask(self, call, request, *, advice=""):
        self.asked.append((request.page_token, request.page_size))
        self.at(len(self.asked))
        return next(self.pages)


def pages(count: int) -> list[dict]:
    return [
        {"deliveries": PAGE, "skipped": 1, "nextPageToken": f"{n}-99"} for n in range(1, count)
    ] + [{"deliveries": 7, "reachedAt": "2026-01-02T03:04:05Z"}]


def run_replay(server: Pages) -> tuple[dict, str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        answer = ReplayRun(server, ReplayDeliveriesRequest(target_id="1"), 99).run()
    return answer, err.getvalue()


def test_a_long_replay_goes_on_to_its_end_and_says_where_it_is():
    """
    Millions take a while, and whoever waits wants to know.
    """
    server = Pages(*pages(12))
    answer, said = run_replay(server)

    assert {"deliveries": 11 * PAGE + 7, "skipped": 11} == answer
    assert [("", PAGE), *((f"{n}-99", PAGE) for n in range(1, 12))] == server.asked
    assert f"{10 * PAGE} replayed of 99, 10 skipped\n" == said


def test_an_interrupted_replay_ends_with_its_page_and_tells_how_to_go_on():
    """
    Replayed twice is delivered twice: where it stopped is known exactly.
    """
    before = signal.getsignal(signal.SIGINT)
    server = Pages(*pages(9), at=lambda n: n == 3 and signal.raise_signal(signal.SIGINT))
    answer, _ = run_replay(server)

    assert {"deliveries": 3 * PAGE, "skipped": 3, "nextPageToken": "3-99"} == answer
    assert before == signal.getsignal(signal.SIGINT)


def test_a_replay_that_breaks_off_tells_how_to_go_on():
    """
    The server was restarted in the middle: the pages before are made.
    """

    def fail(asked: int) -> None:
        if asked == 3:
            raise CommandError("cannot reach it", "Is it running?")

    with pytest.raises(CommandError) as failed:
        run_replay(Pages(*pages(9), at=fail))

    assert f"{2 * PAGE} were replayed before." in failed.value.advice
    assert "--resume 2-99" in failed.value.advice
