"""How many values a JSON text has, and how deep it is, counted in its bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.formats.json_bounds import (
    MAX_JSON_VALUES,
    check_values,
    count_values,
    is_deeper,
)

_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text('[]{},:"\\ ab'))
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{},:"\\ a'), inner),
)


def values_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values_of, inner))


def depth_of(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, inner), default=0)


@given(_JSON, st.sampled_from([None, 1]))
def test_counts_every_value(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent).encode()

    assert count_values(text, 10**9) == values_of(value)


@given(_JSON)
def test_finds_how_deep_values_are_nested(value: Any) -> None:
    text, depth = json.dumps(value).encode(), depth_of(value)

    assert not is_deeper(text, depth)
    assert depth == 0 or is_deeper(text, depth - 1)


# Their lengths have no common divisor with that of a part: its end falls on every byte of them.
@pytest.mark.parametrize("item", ["[]", "{ }", '["a"]', '"[,"', '"\\""', '{"a":[]}', "1", '"\\\\"'])
def test_counts_on_from_one_part_to_the_next(item: str) -> None:
    value = [json.loads(item)] * 40_000
    text = ("[" + ",".join([item] * 40_000) + "]").encode()

    assert count_values(text, 10**9) == values_of(value)


@pytest.mark.parametrize("item", ["1", "{}", '"a"', "[]", '",,,"'])
def test_takes_as_many_values_as_the_bound_and_no_more(item: str) -> None:
    fits = "[" + ",".join([item] * (MAX_JSON_VALUES - 1)) + "]"

    check_values(fits.encode())
    with pytest.raises(ValueError, match=f"more than {MAX_JSON_VALUES} values"):
        check_values((fits[:-1] + f",{item}]").encode())


def test_what_stands_in_a_text_does_not_count() -> None:
    check_values(json.dumps({"text": ",[{" * MAX_JSON_VALUES}).encode())
