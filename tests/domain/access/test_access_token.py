"""The claims that a JWT must have, whatever a stranger writes into it."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.access.access_token import (
    access_claims,
    audience,
    check_access_claims,
    check_assertion,
    moment,
)
from support.runtime import NOW

URL = "https://outrider.example"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["iss", "sub", "aud", "iat", "exp", "jti", "nbf"])


def issued() -> dict[str, object]:
    return access_claims("11", "1", URL, "501", NOW)


def asserted() -> dict[str, object]:
    now = int(NOW.timestamp())
    return {"iss": "11", "sub": "11", "aud": URL, "iat": now, "exp": now + 3600}


@given(st.dictionaries(NAMES, ANYTHING))
def test_whatever_it_claims_it_is_checked(changes):
    """
    A valid signature proves nothing about the claims.
    """
    with suppress(ValueError):
        check_access_claims({**issued(), **changes}, "1", URL)
        moment({**issued(), **changes}, "exp")
    with suppress(ValueError):
        check_assertion({**asserted(), **changes}, "11", URL, NOW)


@given(st.dictionaries(NAMES, ANYTHING, min_size=1))
def test_one_wrong_subject_is_enough(changes):
    """
    Nothing else that is said makes up for it.
    """
    with pytest.raises(ValueError, match="user id"):
        check_assertion({**asserted(), **changes, "sub": "12"}, "11", URL, NOW)


def test_what_we_issue_is_what_we_accept():
    """
    Under its issuer, or under any where there is no setting.
    """
    for issuer in (URL, ""):
        check_access_claims(issued(), "1", issuer)
    for instance, issuer in (("2", URL), ("1", "https://other.example")):
        with pytest.raises(ValueError, match="another"):
            check_access_claims(issued(), instance, issuer)


@pytest.mark.parametrize(
    ("late", "text"),
    [
        (timedelta(seconds=-30), None),
        (timedelta(seconds=-31), "not valid yet"),
        (timedelta(hours=1, seconds=29), None),
        (timedelta(hours=1, seconds=30), "has expired"),
    ],
)
def test_a_clock_may_be_off_by_half_a_minute(late, text):
    """
    To the second, on both sides.
    """
    now = NOW.replace(microsecond=0) + late
    if text is None:
        check_assertion(asserted(), "11", URL, now)
    else:
        with pytest.raises(ValueError, match=text):
            check_assertion(asserted(), "11", URL, now)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        (["a", 1, None], ["a"]),
        (None, []),
        (1, []),
        ({"a": 1}, []),
    ],
)
def test_an_audience_is_one_or_several(given_, expected):
    """
    RFC 7519, section 4.1.3.
    """
    assert expected == audience({"aud": given_})
    assert [] == audience({})
