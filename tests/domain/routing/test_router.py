"""One execution is chosen, and its text alone decides: proved against the rule written out."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.domain.routing.router import Candidate, Match, Router, Shadowing

VECTORS = json.loads(
    Path(__file__).parents[3].joinpath("vectors", "routing.json").read_text(encoding="utf-8")
)
CASES = [
    pytest.param(table["executions"], case, id=f"{table['name']}-{case['asked']}")
    for table in VECTORS["tables"]
    for case in table["cases"]
]

# Few characters, so that prefixes meet: those with a meaning, those that sort around them, and
# some whose UTF-16 order is not their byte order.
TEXTS = st.text(alphabet="ab.*/-é\uffff\U0001f600", max_size=7)


@st.composite
def chained(draw):
    """Ids that begin with one another, with and without `.*`."""
    texts = draw(st.lists(TEXTS, max_size=8))
    for base in draw(st.lists(st.sampled_from(texts), max_size=8)) if texts else []:
        texts.append(base + draw(st.sampled_from([".*", ".", "*", ".*.*", "a", ".a", "-", "é"])))
    return texts


@st.composite
def lookups(draw):
    """Executions, and a lookup id that begins like one of them."""
    execution_ids = draw(chained())
    counts = draw(st.lists(st.integers(0, 2), min_size=len(execution_ids)))
    executions = {
        execution_id: [f"{execution_id}#{number}" for number in range(count)]
        for execution_id, count in zip(execution_ids, counts, strict=False)
    }
    stem = draw(st.sampled_from(execution_ids)) if execution_ids else ""
    return executions, draw(st.sampled_from([stem, stem.removesuffix(".*"), ""])) + draw(TEXTS)


def matching(executions: Mapping[str, Sequence[str]], lookup_id: str) -> list[str]:
    """ZITADEL's rule, word by word, over bytes."""
    text = lookup_id.encode()
    live = sorted(one.encode() for one, targets in executions.items() if targets)
    return [
        one.decode()
        for one in live
        if text.startswith(one) or (one.endswith(b".*") and text.startswith(one[:-2]))
    ]


def chosen(executions: Mapping[str, Sequence[str]], lookup_id: str) -> str | None:
    if executions.get(lookup_id):
        return lookup_id
    return next(reversed(matching(executions, lookup_id)), None)


@pytest.mark.parametrize(("executions", "case"), CASES)
def test_the_chosen_execution_is_the_one_in_the_vectors(executions, case):
    """
    A user of ZITADEL brings executions along, and expects the same one to be chosen.
    """
    found = Router(executions).match(case["asked"])

    assert case["fires"] == (found and found.execution_id)


@given(lookups())
@example(({"a.*": ["1"], "a-b.*": ["1"]}, "a-b.c"))
@example(({"a.*": ["1"], "a": ["1"], "": ["1"], ".*": ["1"]}, "a"))
def test_the_router_is_the_rule_written_out(lookup):
    """
    The fast algorithm must agree with the rule for every text, not only for sensible ones.
    """
    executions, text = lookup
    found = Router(executions).match(text)

    assert chosen(executions, text) == (found and found.execution_id)
    assert found is None or tuple(executions[found.execution_id]) == found.targets


@given(lookups())
def test_the_candidates_are_all_that_match_and_the_first_one_is_chosen(lookup):
    """
    Explain answers with what really routes: it may neither hide nor invent a candidate.
    """
    executions, text = lookup
    candidates = Router(executions).candidates(text)

    assert set(matching(executions, text)) == {one.execution_id for one in candidates}
    assert chosen(executions, text) == next((one.execution_id for one in candidates), None)
    assert [True] + [False] * (len(candidates) - 1) == [
        one.reason.startswith("chosen: ") for one in candidates
    ] or not candidates


@given(lookups(), st.randoms(use_true_random=False))
def test_the_order_in_which_executions_were_set_does_not_matter(lookup, shuffler):
    """
    Two nodes that read the same rows in another order must route alike.
    """
    executions, text = lookup
    rows = list(executions.items())
    shuffler.shuffle(rows)

    assert Router(executions).match(text) == Router(dict(rows)).match(text)


def test_the_targets_keep_their_order():
    """
    Targets are called in the order of the list: the second may need what the first did.
    """
    router = Router({"event/a": ["3", "1", "2"]})

    assert Match("event/a", ("3", "1", "2")) == router.match("event/a")


def test_a_router_does_not_change_with_the_lists_it_was_built_from():
    """
    A route in use is a value: another caller's edit must not change it half-way.
    """
    targets = ["1"]
    executions = {"event": targets}
    router = Router(executions)
    targets.append("2")
    executions["event/a"] = ["3"]

    assert Match("event", ("1",)) == router.match("event/a")


def test_every_candidate_has_a_reason():
    """
    "Why was my execution not chosen?" is the question that people ask most.
    """
    router = Router({"event": ["1"], "event/foo.*": ["2"], "event/foo.bar": ["3"]})

    assert [
        Candidate("event/foo.bar", "chosen: it is the last in byte order"),
        Candidate(
            "event/foo.*", "not chosen: shadowed by event/foo.bar, which comes later in byte order"
        ),
        Candidate(
            "event", "not chosen: shadowed by event/foo.bar, which comes later in byte order"
        ),
    ] == router.candidates("event/foo.bar.baz")
    assert [
        Candidate("event/foo.bar", "chosen: it is exactly what was asked for"),
        Candidate(
            "event/foo.*",
            "not chosen: shadowed by event/foo.bar, which is exactly what was asked for",
        ),
        Candidate(
            "event", "not chosen: shadowed by event/foo.bar, which is exactly what was asked for"
        ),
    ] == router.candidates("event/foo.bar")
    assert [] == router.candidates("request/foo")


@given(chained(), st.data())
@example(["a.*", "a-"], None)
@example(["a", "a.*"], None)
def test_what_is_shadowed_is_what_the_rule_keeps_from_firing(execution_ids, data):
    """
    An operator is told before it is missed; told wrongly, he would unbind what works.
    """
    ids = [execution_id for execution_id in execution_ids if execution_id]
    if not ids:
        return
    execution_id = ids[0] if data is None else data.draw(st.sampled_from(ids))
    others = [other for other in dict.fromkeys(ids) if other != execution_id]
    shadowing = Router({other: ["1"] for other in others}).shadowing(execution_id)

    assert [o for o in others if fires_before(execution_id, o)] == [
        o for o in others if o in shadowing.shadows
    ]
    assert sorted(o for o in others if fires_before(o, execution_id)) == [*shadowing.shadowed_by]
    assert set(shadowing.shadows) <= set(others)


def fires_before(one: str, other: str) -> bool:
    """Whether a text that both match chooses `one`. No event type or method ends with `.*`."""
    stems = [name.removesuffix(".*") for name in (one, other)]
    pair = {one: ["1"], other: ["1"]}
    texts = [text for stem in stems for text in (stem, stem + "\U0001f601", stem + " x")]
    return any(
        set(matching(pair, text)) == {one, other} and chosen(pair, text) == one
        for text in texts
        if not text.endswith(".*")
    )


@pytest.mark.parametrize(
    ("execution_id", "shadows", "shadowed_by"),
    [
        ("event/inv.paid", ["event/inv.*", "event"], []),
        ("event/inv.*", ["event"], ["event/inv.paid"]),
        ("event", [], ["event/inv.*", "event/inv.paid"]),
        ("request/a.B/C", ["request/a.B", "request"], []),
        ("request/a.B", ["request"], ["request/a.B/C"]),
        ("response", [], []),
        ("function/preuserinfo", [], []),
    ],
)
def test_a_narrower_execution_shadows_a_wider_one(execution_id, shadows, shadowed_by):
    """
    ZITADEL fires one execution and says nothing about the others.
    """
    ids = ["event", "event/inv.*", "event/inv.paid", "request", "request/a.B", "request/a.B/C"]
    router = Router({name: ["1"] for name in [*ids, "function/preaccesstoken"]})

    assert Shadowing(tuple(shadows), tuple(shadowed_by)) == router.shadowing(execution_id)


def test_an_execution_without_targets_shadows_nothing():
    """
    It was cleared: the wider one fires again.
    """
    assert Shadowing() == Router({"event/a.*": []}).shadowing("event/a.b")


def test_a_router_prints_what_it_holds():
    """
    A log line may carry it: it is short, and has no ids in it.
    """
    assert "<Router 1 executions>" == repr(Router({"event": ["1"], "event/a": []}))


def test_lookups_among_a_hundred_thousand_executions_take_no_time():
    """
    Every published event is a lookup: a scan of all executions would take minutes here.
    """
    executions = {f"event/{number % 977}.{number}": ["1"] for number in range(100_000)}
    executions |= {f"event/{number}.*": ["1"] for number in range(977)}
    router = Router(executions)
    lookup_ids = [f"event/{number % 977}.{number}x" for number in range(0, 100_000, 5)]

    before = time.perf_counter()
    found = {router.match(lookup_id) for lookup_id in lookup_ids}
    taken = time.perf_counter() - before

    assert len(found) > 10_000
    assert taken < 5.0, "0.04 s is usual"
