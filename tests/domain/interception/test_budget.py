"""How a caller's time is shared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.interception.decision import time_slice

SECONDS = st.floats(0.001, 270)
LISTS = st.lists(SECONDS, min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("remaining", "timeouts", "expected"),
    [
        (30, [10], 10),
        (30, [10, 10, 10], 10),
        (5, [10], 5),
        (10, [10, 10], 5),
        (6, [10, 20, 30], 1),
        (10, [1, 9], 1),
        (0, [10], 0),
        (-1, [10, 5], 0),
    ],
)
def test_the_first_gets_its_part(remaining, timeouts, expected):
    """
    Its own time-out where there is time for all, else in proportion.
    """
    assert expected == pytest.approx(time_slice(remaining, timeouts))


@given(st.floats(-10, 300), LISTS)
def test_the_shares_never_exceed_the_budget(remaining, timeouts):
    """
    When every target hangs for as long as it may, the caller still gets his answer in time.
    """
    left = remaining
    while timeouts:
        used = time_slice(left, timeouts)
        assert 0 <= used <= timeouts[0]
        left -= used
        timeouts = timeouts[1:]

    assert left >= min(0.0, remaining) - 1e-9


@given(st.floats(0.1, 300), LISTS)
def test_no_target_is_starved(remaining, timeouts):
    """
    The last one gets its proportion, even when all in front of it take theirs.
    """
    factor = min(1.0, remaining / sum(timeouts))
    left = remaining
    while timeouts:
        used = time_slice(left, timeouts)
        assert used >= timeouts[0] * factor * 0.999
        left -= used
        timeouts = timeouts[1:]


@given(st.floats(0.1, 300), LISTS, st.data())
def test_what_one_leaves_is_there_for_the_next(remaining, timeouts, data):
    """
    A fast target makes those behind it no slower, and often gives them more.
    """
    while timeouts[1:]:
        used = time_slice(remaining, timeouts)
        taken = data.draw(st.floats(0, 1)) * used
        usual, left = time_slice(remaining - used, timeouts[1:]), remaining - taken
        assert time_slice(left, timeouts[1:]) >= usual * 0.999
        remaining, timeouts = left, timeouts[1:]
