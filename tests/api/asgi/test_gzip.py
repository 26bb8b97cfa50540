"""gzip as the API reads and writes it."""

from __future__ import annotations

import gzip
import os

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from hypothesis import given
from hypothesis import strategies as st

from outrider.api.asgi.gzip import MAX_MEMBERS, Gzip

LIMIT = 1000


@given(st.lists(st.binary(max_size=90), min_size=1, max_size=MAX_MEMBERS))
def test_members_are_read_one_after_the_other(texts: list[bytes]):
    packed = b"".join(map(gzip.compress, texts))
    assert Gzip().decompress(packed, LIMIT) == b"".join(texts)


@pytest.mark.parametrize("size", [0, 1, LIMIT - 1, LIMIT])
def test_up_to_the_limit_it_is_unpacked(size: int):
    text = os.urandom(size)
    assert Gzip().decompress(gzip.compress(text), LIMIT) == text


@pytest.mark.parametrize("sizes", [(LIMIT + 1,), (LIMIT, 1), (10**7,)])
def test_beyond_the_limit_it_is_not(sizes: tuple[int, ...]):
    packed = b"".join(gzip.compress(b"x" * size) for size in sizes)
    with pytest.raises(ConnectError) as caught:
        Gzip().decompress(packed, LIMIT)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_cut_text_is_refused(cut: int):
    with pytest.raises(EOFError):
        Gzip().decompress(gzip.compress(b"some text")[:-cut], LIMIT)


@pytest.mark.parametrize("size", [0, 10, 64 * 1024, 512 * 1024, 3_000_000])
def test_an_answer_of_any_size_is_gzip(size: int):
    text = os.urandom(size)
    assert gzip.decompress(Gzip().compress(text)) == text


def test_small_answers_are_compressed_well_and_large_ones_are_only_wrapped():
    assert len(Gzip().compress(b"text" * 1000)) < 200
    assert len(Gzip().compress(b"text" * 1_000_000)) > 4_000_000
