"""Which ids an error may repeat."""

from __future__ import annotations

import pytest

from outrider.domain.ids import shown_id


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("336392597046099971", "336392597046099971"),
        ("1", "1"),
        ("otr_of_the_admin", "with this id"),
        ("1" * 21, "with this id"),
        ("", "with this id"),
        ("\u0661", "with this id"),
    ],
)
def test_only_what_looks_like_an_id_is_repeated(given, shown):
    """
    An operator who revokes a token may give the token itself instead of its id.
    """
    assert shown == shown_id(given)
