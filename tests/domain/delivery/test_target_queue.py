"""Target queues and breakers as plain functions: shares, capacities and times fit together."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.delivery.circuit_breaker import BreakerChange, BreakerState, after_attempt
from outrider.domain.delivery.target_queue import (
    TargetQueue,
    after_claim,
    capacity,
    ready_at,
    resumed,
    share_evenly,
    with_policy,
)
from outrider.domain.targets.policy import Breaker, TargetPolicy
from support.runtime import NOW

SECOND = timedelta(seconds=1)


@given(st.lists(st.integers(0, 30), max_size=8), st.integers(0, 60))
def test_shares_are_equal_and_nothing_is_left(requests, limit):
    """
    A participant that got less than another has got all that it asked for.
    """
    got = [0] * len(requests)

    def participant(index):
        def take(count):
            taken = min(count, requests[index] - got[index])
            got[index] += taken
            return taken

        return take

    share_evenly([participant(index) for index in range(len(requests))], limit)
    share = limit // max(len(requests), 1)

    assert min(limit, sum(requests)) == sum(got)
    assert all(mine >= min(share, request) for mine, request in zip(got, requests, strict=True))


@given(
    rate=st.floats(0.1, 500, allow_nan=False),
    steps=st.lists(st.integers(1, 400), min_size=1, max_size=60),
)
def test_a_rate_is_never_exceeded(rate, steps):
    """
    However often workers look: what was claimed by any moment is the burst and what was earned.
    """
    target_queue = with_policy(TargetQueue(), TargetPolicy(rate_per_second=rate), NOW)
    now, claimed = NOW, 0
    for step in steps:
        now += timedelta(milliseconds=step)
        count = capacity(target_queue, 0, now)
        claimed += count
        target_queue = after_claim(target_queue, count, now) if count else target_queue
        elapsed = (now - NOW).total_seconds()

        assert claimed <= max(1.0, rate / 5) + elapsed * rate + 1e-6


@given(
    policy=st.builds(
        TargetPolicy,
        max_concurrency=st.integers(0, 3),
        rate_per_second=st.sampled_from([0, 0.5, 3, 200]),
        breaker=st.sampled_from([Breaker(), Breaker(2, 10 * SECOND)]),
    ),
    state=st.sampled_from(
        [BreakerState(), BreakerState(2, NOW + 5 * SECOND), BreakerState(2, NOW - SECOND)]
    ),
    in_flight=st.integers(0, 3),
    taken=st.integers(0, 2),
)
def test_a_target_queue_that_says_it_is_ready_is(policy, state, in_flight, taken):
    """
    A worker that comes when it was told finds something; before, it finds nothing.
    """
    target_queue = after_claim(with_policy(TargetQueue(state=state), policy, NOW), taken, NOW)
    target_queue = TargetQueue(
        **{name: getattr(target_queue, name) for name in TargetQueue.__slots__} | {"state": state}
    )
    at = ready_at(target_queue, in_flight, NOW - SECOND)

    if at is None:
        assert 0 == capacity(target_queue, in_flight, NOW + timedelta(days=1))
    else:
        assert capacity(target_queue, in_flight, max(at, NOW)) >= 1
        if policy.rate_per_second < 50 and at > NOW:
            assert 0 == capacity(target_queue, in_flight, at - timedelta(milliseconds=1))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=40), st.integers(1, 4))
def test_a_breaker_follows_the_model(attempts, threshold):
    """
    Closed, open, half-open, closed: attempts are only begun when it is not open.
    """
    breaker, state, now = Breaker(threshold, 10 * SECOND), BreakerState(), NOW
    in_a_row, open_until, changes = 0, None, []
    for is_failure, wait in attempts:
        now += wait * SECOND
        if open_until is not None and now < open_until:
            assert state.is_open(now)
            continue
        state, change = after_attempt(
            state, breaker, is_failure=is_failure, started_at=now, ended_at=now
        )
        in_a_row = in_a_row + 1 if is_failure else 0
        expected = None
        if not is_failure and open_until is not None:
            expected, open_until = BreakerChange.CLOSED, None
        elif is_failure and open_until is not None:
            open_until = now + 10 * SECOND
        elif in_a_row >= threshold:
            expected, open_until = BreakerChange.OPENED, now + 10 * SECOND
        changes.append(change)

        assert expected is change
        assert open_until == state.open_until


def test_only_a_paused_target_starts_slowly():
    """
    A resume of a target that is not paused must not slow it down.
    """
    recovering = resumed(TargetQueue(is_paused=True))

    assert 0 == resumed(TargetQueue()).slow_start_window
    assert (1, False) == (recovering.slow_start_window, recovering.is_paused)


@pytest.mark.parametrize("rate", [1e-12, 1e300])
def test_a_strange_rate_breaks_no_clock(rate):
    """
    A time beyond the calendar would stop the worker of all targets.
    """
    target_queue = after_claim(
        with_policy(TargetQueue(), TargetPolicy(rate_per_second=rate), NOW), 1, NOW
    )

    assert ready_at(target_queue, 0, NOW) >= NOW
