"""When to try again: the vectors, and what holds for every schedule and every receiver."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.outcome import Outcome
from outrider.domain.targets.retry_schedule import DEFAULT_WAITS, RetrySchedule, parse_retry_after

VECTORS = json.loads(
    Path(__file__).parents[3].joinpath("vectors", "retry.json").read_text(encoding="utf-8")
)
NOW = datetime(1994, 11, 6, 8, 49, 30, tzinfo=UTC)

WAITS = st.lists(st.timedeltas(timedelta(milliseconds=1), timedelta(days=7)), max_size=12)
FAILURES = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.ACCEPTED])
STATUSES = st.sampled_from([0, 200, 302, 400, 410, 429, 500, 503])
DRAWS = st.floats(0, 1, exclude_max=True)
RETRY_AFTERS = st.none() | st.timedeltas(timedelta(0), timedelta(days=4000))


@st.composite
def schedules(draw):
    return RetrySchedule(
        tuple(draw(WAITS)),
        draw(st.floats(0, 1)),
        frozenset(draw(st.sets(st.sampled_from([400, 404, 410, 500])))),
    )


def schedule_of(case) -> RetrySchedule:
    if "waits_seconds" not in case:
        return RetrySchedule()
    waits = tuple(timedelta(seconds=wait) for wait in case["waits_seconds"])
    return RetrySchedule(waits, case["jitter"], frozenset(case["final_statuses"]))


def seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


@pytest.mark.parametrize("case", VECTORS["waits"], ids=lambda case: case["name"])
def test_the_wait_is_the_one_in_the_vectors(case):
    """
    Operators plan by these numbers: how long may a receiver be down?
    """
    retry_after = case.get("retry_after_seconds")
    wait = schedule_of(case).wait_after(
        case["attempt"],
        Outcome[case["outcome"]],
        case["status_code"],
        case["draw"],
        None if retry_after is None else timedelta(seconds=retry_after),
    )

    assert case["wait_seconds"] == seconds(wait)


@given(st.integers(1, len(DEFAULT_WAITS)), DRAWS, FAILURES.filter(lambda o: o is not Outcome.LOST))
def test_jitter_only_lengthens_and_by_less_than_a_fifth(attempt, draw, outcome):
    """
    Retries spread out, and none comes earlier than the documentation says.
    """
    base = DEFAULT_WAITS[attempt - 1]
    wait = RetrySchedule().wait_after(attempt, outcome, 500, draw)

    assert base <= wait <= base * 1.2


@given(schedules(), st.data())
def test_every_delivery_ends(schedule, data):
    """
    However the receiver fails and whatever it asks for, retries are finite.
    """
    attempts = 0
    wait: timedelta | None = timedelta(0)
    while wait is not None:
        attempts += 1
        wait = schedule.wait_after(
            attempts,
            data.draw(FAILURES),
            data.draw(STATUSES),
            data.draw(DRAWS),
            data.draw(RETRY_AFTERS),
        )

        assert wait is None or wait >= timedelta(0)
        assert attempts <= len(schedule.waits) + 1


@given(
    schedule=schedules(),
    attempt=st.integers(1, 12),
    outcome=FAILURES,
    status=STATUSES,
    draw=DRAWS,
    retry_after=RETRY_AFTERS,
)
def test_a_wait_stays_within_what_the_schedule_and_the_receiver_say(
    *, schedule, attempt, outcome, status, draw, retry_after
):
    """
    Never before Retry-After, never after the longest wait with its jitter.
    """
    wait = schedule.wait_after(attempt, outcome, status, draw, retry_after)
    if wait is None or outcome is Outcome.LOST:
        return

    longest = max(schedule.waits)
    assert wait >= schedule.waits[attempt - 1]
    assert wait >= min(retry_after or timedelta(0), longest)
    assert wait <= longest * (1 + schedule.jitter)


@given(schedules(), st.integers(1, 12), STATUSES, DRAWS, RETRY_AFTERS)
def test_a_lost_attempt_is_made_again_immediately(schedule, attempt, status, draw, retry_after):
    """
    Our node died; the receiver did nothing wrong, and nothing that it should wait for.
    """
    wait = schedule.wait_after(attempt, Outcome.LOST, status, draw, retry_after)

    assert wait in {None, timedelta(0)}


def test_the_default_schedule_covers_a_weekend():
    """
    What the documentation promises: ten attempts, the last after three days.
    """
    assert timedelta(days=3) < sum(DEFAULT_WAITS, timedelta(0)) < timedelta(days=3, hours=4)
    assert 9 == len(DEFAULT_WAITS)
    assert sorted(DEFAULT_WAITS) == list(DEFAULT_WAITS)


@pytest.mark.parametrize("case", VECTORS["retry_after"], ids=lambda case: repr(case["text"]))
def test_retry_after_is_read_as_in_the_vectors(case):
    """
    Two forms, three date formats, and everything else that receivers send.
    """
    assert case["wait_seconds"] == seconds(parse_retry_after(case["text"], NOW))


@given(st.text() | st.from_regex(r"[A-Za-z]{3}, \d{1,3} [A-Za-z]{3} \d{1,5} [\d:]{1,12} .{0,6}"))
@example("Mon, 01 Jan 0000 00:00:00 GMT")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Fri, 31 Dec 99999 23:59:59 GMT")
@example("0 0 0 0 0")
def test_any_header_is_answered_with_a_wait_or_none(text):
    """
    The receiver chooses the text; it cannot choose an exception.
    """
    wait = parse_retry_after(text, NOW)

    assert wait is None or wait >= timedelta(0)


@given(st.integers(0, 999_999_999))
def test_seconds_are_seconds(number):
    """
    The form that nearly every receiver sends.
    """
    assert timedelta(seconds=number) == parse_retry_after(str(number), NOW)
