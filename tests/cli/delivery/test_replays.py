"""Replaying, cancelling and counting deliveries from the command line."""

from __future__ import annotations

import contextlib
import io
import signal
import uuid

import pytest
import typer

from outrider.cli.commands.delivery.page_run import PAGE, PageRun
from outrider.cli.commands.delivery.replay import REPLAY
from outrider.cli.commands.delivery.selection import print_result
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider_api.outrider.v1.delivery_service_pb import ReplayDeliveriesRequest

NOWHERE = "http://127.0.0.1:9/hook"  # the discard port: no process listens there


def unique(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def event_type() -> str:
    return f"test.{uuid.uuid4().hex[:12]}"


@pytest.fixture
def target(server, event_type) -> str:
    """A paused target: its deliveries stay pending."""
    target_id = server.ok("target", "create", unique("t"), "--endpoint", NOWHERE)["id"]
    server.ok("target", "pause", target_id)
    server.ok("event", "publish", event_type)
    server.ok("execution", "set", f"event/{event_type}", target_id)
    return target_id


@pytest.fixture
def pending(server, target, event_type) -> list[str]:
    """Three pending deliveries."""
    for _ in range(3):
        server.ok("event", "publish", event_type)
    listed = server.ok("delivery", "list", "--target", target)["deliveries"]
    return [delivery["id"] for delivery in listed]


@pytest.fixture
def cancelled(server, pending) -> list[str]:
    """Three deliveries that were cancelled."""
    for delivery_id in pending:
        server.ok("delivery", "cancel", delivery_id)
    return pending


def open_replays(server, target) -> list[str]:
    found = server.ok("delivery", "list", "--target", target, "--state", "pending")
    return [delivery["replayOf"] for delivery in found.get("deliveries", ())]


def test_a_delivery_is_cancelled_and_replayed(server, target, pending):
    """
    By its id; the log tells of which one the new one is.
    """
    assert "cancelled\n" == server.run("delivery", "cancel", pending[0]).out
    assert "cancelled\n" == server.run("delivery", "cancel", pending[0]).out
    result = server.run("delivery", "replay", pending[0], pending[1])
    listed = server.ok("delivery", "list", "--target", target, "--state", "pending")

    assert (0, "1 replayed, 1 skipped\n") == (result.code, result.out)
    assert [pending[0]] == [
        delivery["replayOf"] for delivery in listed["deliveries"] if "replayOf" in delivery
    ]


def test_what_is_found_is_replayed(server, target, cancelled):
    """
    With --yes without a question, and as JSON for programs.
    """
    find = ("delivery", "replay", "--target", target, "--state", "cancelled")
    before = server.ok(*find, "--until", "1h", "--yes")
    after = server.ok(*find, "--since", "1h", "--yes")

    assert [{"deliveries": 0, "skipped": 0}, {"deliveries": 3, "skipped": 0}] == [before, after]
    assert sorted(cancelled) == sorted(open_replays(server, target))


def test_the_same_replay_again_makes_no_second_copy(server, target, cancelled):
    """
    Three runs of what is in a runbook: one copy each; --include-replayed makes another.
    """
    find = ("delivery", "replay", "--target", target, "--state", "cancelled", "--yes")
    runs = [server.run(*find) for _ in range(3)]
    more = server.ok(*find, "--include-replayed")

    nothing = "0 replayed, 3 skipped\n"
    assert ["3 replayed, 0 skipped\n", nothing, nothing] == [run.out for run in runs]
    assert "3 skipped: replayed before: --include-replayed replays them again" in runs[2].err
    assert {"deliveries": 3, "skipped": 0} == more


@pytest.mark.parametrize("state", ["pending", "delivering", "retrying"])
def test_a_replay_of_what_is_open_is_refused(server, state):
    """
    It would replay nothing: the text names the command that is meant.
    """
    result = server.run("delivery", "replay", "--state", state, "--yes")

    assert 2 == result.code
    text = " ".join(result.err.split())
    assert f"{state} deliveries are open, and open deliveries are not replayed" in text
    assert "outrider delivery retry" in text


def test_what_is_open_is_named_as_the_reason(server, pending):
    """
    By its id a replay of it is skipped, and nothing is silent.
    """
    result = server.run("delivery", "replay", pending[0])

    assert (0, "0 replayed, 1 skipped\n") == (result.code, result.out)
    assert "1 skipped: not finished: `outrider delivery retry` makes them due" in result.err


def test_nothing_found_is_said(server):
    """
    A filter with a mistake in it must not look like success.
    """
    result = server.run("delivery", "replay", "--target", "1", "--yes")

    assert (0, "0 replayed, 0 skipped\n") == (result.code, result.out)
    assert "Nothing was found." in result.err


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_replay_of_what_is_found_asks_first(server, target, cancelled, answer, code):
    """
    The question tells how many: an operator must not flood a receiver by mistake.
    """
    result = server.run("delivery", "replay", "--target", target, stdin=answer)

    assert code == result.code
    assert "3 deliveries will be made again. Continue? [y/N] " in result.err
    assert (not code) * 3 == len(open_replays(server, target))


def test_ids_that_are_not_there_are_refused(server, cancelled):
    """
    All or none: a list with a mistake in it is corrected first.
    """
    result = server.run("delivery", "replay", cancelled[0], "1")

    assert 1 == result.code
    assert "Delivery not found" in result.err
    assert "nothing was made of these" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1", "--state", "dead"],
        ["1", "--resume", "1-2"],
        ["1", "--include-replayed", "--state", "dead"],
        ["--state", "lost"],
        ["--since", "yesterday"],
        ["--until", "999999999d"],
    ],
    ids=" ".join,
)
def test_a_replay_that_cannot_be_meant_ends_with_2(server, arguments):
    """
    Before anything is sent to the server.
    """
    assert 2 == server.run("delivery", "replay", *arguments).code


def test_what_is_finished_cannot_be_cancelled(server):
    """
    And what is not there neither.
    """
    result = server.run("delivery", "cancel", "1")

    assert 1 == result.code
    assert "Delivery not found" in result.err


def test_numbers_for_people(server, target, pending):
    """
    What is stuck, since when, and where.
    """
    server.ok("delivery", "cancel", pending[0])
    lines = server.run("delivery", "stats", "--target", target).out.splitlines()
    fields = dict(line.split(maxsplit=1) for line in lines[:6])

    assert ("2", "1", "0") == (fields["pending"], fields["cancelled"], fields["dead"])
    assert lines[6].startswith("oldest open")
    assert "Per second, until about 25 s ago" in lines
    assert any(line.startswith(target) for line in lines)


def test_numbers_for_programs(server, target, event_type, pending):
    """
    A monitor reads them.
    """
    stats = server.ok("delivery", "stats", "--event-type", event_type, "--since", "1h")
    none = server.ok("delivery", "stats", "--event-type", event_type, "--until", "1h")

    assert [{"state": "DELIVERY_STATE_PENDING", "count": "3"}] == stats["counts"]
    assert [target] == [listed["targetId"] for listed in stats["targets"]]
    assert {} == none


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)],
)
def test_numbers_can_be_watched(server, started, target, number, code):
    """
    Again and again until a signal, which is what its exit code says.
    """
    watching = started(
        "delivery", "stats", "--watch", "--json", "--target", target,
        OUTRIDER_URL=server.url, OUTRIDER_DATA_DIR=str(server.data_dir),
    )  # fmt: skip
    lines = [watching.line(), watching.line()]

    assert lines[0] == lines[1]
    assert code == watching.stop(number)
    assert lines[0] == watching.output[-1]


class PagedServer:
    """A server that has this number of pages; `at` is what happens while it answers each."""

    def __init__(self, *pages: dict, at=lambda _: None):
        self.pages = iter(pages)
        self.requests: list[tuple[str, int]] = []
        self.at = at
        self.deliveries = self

    def replay_deliveries(self):
        raise AssertionError("passed to `call`, not called")

    def call(self, rpc_method, request, *, advice=""):
        self.requests.append((request.page_token, request.page_size))
        self.at(len(self.requests))
        return next(self.pages)


def pages(count: int) -> list[dict]:
    return [
        {"deliveries": PAGE, "skipped": 1, "nextPageToken": f"{n}-99"} for n in range(1, count)
    ] + [{"deliveries": 7, "reachedAt": "2026-01-02T03:04:05Z"}]


def run_replay(server: PagedServer) -> tuple[dict, str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        answer = PageRun(server, REPLAY, ReplayDeliveriesRequest(target_id="1"), 99).run()
    return answer, err.getvalue()


def test_a_long_replay_continues_to_its_end_and_says_where_it_is():
    """
    Millions take a while, and the operator who waits wants to know.
    """
    server = PagedServer(*pages(12))
    answer, progress = run_replay(server)

    assert {"deliveries": 11 * PAGE + 7, "skipped": 11} == answer
    assert [("", PAGE), *((f"{n}-99", PAGE) for n in range(1, 12))] == server.requests
    assert f"{10 * PAGE} replayed of 99, 10 skipped\n" == progress


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_replay_ends_with_its_page_and_tells_how_to_continue(number):
    """
    Replayed twice is delivered twice: where it stopped is known exactly.
    """
    before = signal.getsignal(number)
    server = PagedServer(*pages(9), at=lambda n: n == 3 and signal.raise_signal(number))
    answer, _ = run_replay(server)
    with pytest.raises(typer.Exit) as ended:
        print_result(dict(answer), REPLAY, as_json=False)

    stopped = {"nextPageToken": "3-99", "signal": number}
    assert {"deliveries": 3 * PAGE, "skipped": 3, **stopped} == answer
    assert 128 + number == ended.value.exit_code
    assert before == signal.getsignal(number)


def test_a_replay_that_was_interrupted_at_its_last_page_is_complete():
    server = PagedServer(*pages(1), at=lambda _: signal.raise_signal(signal.SIGINT))
    answer, _ = run_replay(server)

    assert {"deliveries": 7, "skipped": 0} == answer


def test_a_replay_that_breaks_off_tells_how_to_continue():
    """
    The server was restarted in the middle: the pages before are made.
    """

    def fail(count: int) -> None:
        if count == 3:
            raise CommandError("cannot reach it", "Is it running?")

    with pytest.raises(CommandError) as failed:
        run_replay(PagedServer(*pages(9), at=fail))

    assert f"{2 * PAGE} were replayed before." in failed.value.advice
    assert "--resume 2-99" in failed.value.advice
