"""Identifiers: unique, growing, and those of targets and keys as ZITADEL's clients expect them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from outrider.runtime import COMPACT, SONYFLAKE, IdGenerator, Runtime, utc_now

# `ZitadelGeneratedIdOnlyRegex` of ZITADEL's Terraform provider, which `terraform import` applies.
IMPORTABLE = re.compile(r"^\d{18}$")
EPOCH = datetime(2019, 4, 29, tzinfo=UTC)
TODAY = datetime(2026, 11, 18, tzinfo=UTC)
LAYOUTS = pytest.mark.parametrize("layout", [COMPACT, SONYFLAKE], ids=["compact", "sonyflake"])


def milliseconds(at):
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def generator(at, *, layout=SONYFLAKE, **options):
    return IdGenerator(now_ms=lambda: milliseconds(at), layout=layout, **options)


@pytest.mark.parametrize(
    "at",
    [
        TODAY,
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(2037, 1, 1, tzinfo=UTC),
        datetime(2037, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
    ids=str,
)
@pytest.mark.parametrize("node", [0, 1023])
def test_what_zitadels_terraform_provider_imports(at, node):
    """
    The compact ones have 19 digits since 2026-11-17, and the provider refuses those.
    """
    assert IMPORTABLE.match(str(generator(at, node=node)()))


def test_todays_identifiers_of_a_runtime():
    """
    Which of the two a runtime makes for what.
    """
    runtime = Runtime()

    assert IMPORTABLE.match(str(runtime.new_sonyflake()))
    since_epoch = (utc_now() - EPOCH) // timedelta(milliseconds=1)
    assert abs((runtime.new_id() >> 22) - since_epoch) < 60_000


def test_the_parts_of_a_sonyflake():
    """
    39 bits of 10 ms, 8 of sequence, 16 of node, as Sony's library decomposes them.
    """
    new_id = generator(TODAY, node=517)
    first, second = new_id(), new_id()

    assert (TODAY - EPOCH) // timedelta(milliseconds=10) == first >> 24
    assert [0, 1] == [made >> 16 & 0xFF for made in (first, second)]
    assert [517, 517] == [made & 0xFFFF for made in (first, second)]


@LAYOUTS
def test_more_than_a_tick_has_are_made_together(layout):
    """
    The clock stands still, so a generator that waits for it would not come back.
    """
    new_id = generator(TODAY, layout=layout)
    count = 3 << layout.sequence_bits
    made = [new_id() for _ in range(count)]

    assert sorted(set(made)) == made
    time_shift = layout.node_bits + layout.sequence_bits
    assert 2 == (made[-1] >> time_shift) - (made[0] >> time_shift)


@LAYOUTS
def test_identifiers_grow_when_the_clock_goes_back(layout):
    """
    By an hour, between two of them.
    """
    clock = iter([milliseconds(TODAY), milliseconds(TODAY - timedelta(hours=1))])
    new_id = IdGenerator(now_ms=lambda: next(clock), layout=layout)

    assert new_id() < new_id()


@LAYOUTS
@pytest.mark.parametrize("node", [0, 2])
def test_identifiers_grow_over_a_restart_with_an_earlier_clock(layout, node):
    """
    The floor is what another process made, whose node is larger.
    """
    floor = generator(TODAY, layout=layout, node=1)()
    new_id = generator(TODAY - timedelta(days=400), layout=layout, node=node, floor=floor)

    assert floor < new_id()


@LAYOUTS
def test_nodes_make_different_ones_at_the_same_time(layout):
    """
    Several processes create targets in the same tick.
    """
    made = {generator(TODAY, layout=layout, node=node)() for node in range(1024)}

    assert 1024 == len(made)


@LAYOUTS
def test_threads_get_different_ones(layout):
    """
    An engine is called from several threads.
    """
    new_id = generator(TODAY, layout=layout)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: new_id(), range(2000)))

    assert 2000 == len(set(made))


@LAYOUTS
@pytest.mark.parametrize("node", [-1, 1 << 16])
def test_a_node_out_of_range_is_refused(layout, node):
    """
    Its bits would be those of the time or of another node.
    """
    with pytest.raises(ValueError, match="node must be between 0 and"):
        IdGenerator(node=node, layout=layout)
