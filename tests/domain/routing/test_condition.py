"""A condition, its id and back; and what must exist before one can be set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.ids import ExecutionId
from outrider.domain.routing.catalogue import Catalogue
from outrider.domain.routing.condition import (
    Condition,
    ConditionKind,
    Scope,
    condition_from_id,
    event_lookup_id,
    exists,
    read_condition_id,
    unknown_condition,
)
from outrider.errors import InvalidRequest

VECTORS = json.loads(
    Path(__file__).parents[3].joinpath("vectors", "executions.json").read_text(encoding="utf-8")
)
CALLS = st.sampled_from([ConditionKind.REQUEST, ConditionKind.RESPONSE])
SEGMENT = r"[A-Za-z0-9_-]{1,6}"
DOTTED = st.from_regex(rf"{SEGMENT}(\.{SEGMENT}){{0,3}}", fullmatch=True)
METHODS = st.from_regex(rf"/{SEGMENT}(\.{SEGMENT}){{0,3}}/{SEGMENT}", fullmatch=True)
CONDITIONS = st.one_of(
    st.builds(Condition, CALLS, st.just(Scope.METHOD), METHODS),
    st.builds(Condition, CALLS, st.just(Scope.SERVICE), DOTTED),
    st.builds(Condition, CALLS, st.just(Scope.ALL)),
    st.builds(Condition, st.just(ConditionKind.FUNCTION), st.just(Scope.NAME), DOTTED),
    st.builds(Condition, st.just(ConditionKind.EVENT), st.just(Scope.EVENT), DOTTED),
    st.builds(Condition, st.just(ConditionKind.EVENT), st.just(Scope.GROUP), DOTTED),
    st.builds(Condition, st.just(ConditionKind.EVENT), st.just(Scope.ALL)),
)
CATALOGUE = Catalogue(
    methods=["/zitadel.session.v2.SessionService/ListSessions"],
    services=["zitadel.admin.v1.AdminService"],
    functions=["preuserinfo", "preaccesstoken", "presamlresponse"],
    event_types=["user.human.added", "user.human.mfa.init.skipped"],
)


def condition(kind: str, scope: str, value: str = "") -> Condition:
    return Condition(ConditionKind(kind), Scope(scope), value)


@pytest.mark.parametrize("case", VECTORS["ids"], ids=lambda case: case["id"])
def test_a_condition_is_stored_under_the_id_in_the_vectors(case):
    """
    In both directions.
    """
    expected = condition(case["kind"], case["scope"], case["value"])

    assert case["id"] == expected.execution_id
    assert expected == condition_from_id(ExecutionId(case["id"]))


@given(CONDITIONS)
def test_every_condition_is_read_back_from_its_id(condition):
    """
    Only the id is stored; the caller gets the condition that was sent.
    """
    assert condition == condition_from_id(condition.execution_id)


@given(CONDITIONS, CONDITIONS)
def test_two_conditions_have_two_ids(one, another):
    """
    Otherwise setting one would replace the other.
    """
    assert (one == another) == (one.execution_id == another.execution_id)


def test_a_group_may_bring_its_suffix():
    """
    It is appended when it is missing, and only then.
    """
    assert "event/user.*" == condition("event", "group", "user.*").execution_id


def test_a_method_without_its_slash_has_the_same_id():
    """
    A filter may name it so; no check of existence stands before one.
    """
    assert "request/a.B/C" == condition("request", "method", "a.B/C").execution_id


def test_an_event_is_looked_up_under_its_type():
    """
    The text that the router compares with the ids.
    """
    assert "event/user.human.added" == event_lookup_id("user.human.added")


@pytest.mark.parametrize(
    "existing",
    [
        condition("request", "method", "/zitadel.session.v2.SessionService/ListSessions"),
        condition("response", "service", "zitadel.session.v2.SessionService"),
        condition("request", "service", "zitadel.admin.v1.AdminService"),
        condition("request", "all"),
        condition("response", "all"),
        condition("function", "name", "presamlresponse"),
        condition("event", "event", "user.human.added"),
        condition("event", "group", "user"),
        condition("event", "group", "user.hum"),
        condition("event", "group", "user.human.added"),
        condition("event", "all"),
    ],
    ids=lambda value: value.execution_id,
)
def test_what_is_registered_can_be_set(existing):
    """
    A group needs one event type that begins with it, without regard to dots.
    """
    assert exists(existing, CATALOGUE)


@pytest.mark.parametrize(
    ("missing", "id_"),
    [
        (condition("request", "method", "/zitadel.session.v2.SessionService/x"), "vysplsevt8"),
        (condition("response", "method", "/zitadel.session.v2.NotThere/List"), "vysplsevt8"),
        (
            condition("request", "method", "zitadel.session.v2.SessionService/ListSessions"),
            "vysplsevt8",
        ),
        (condition("request", "service", "NotExistingService"), "qu6dfhiioq"),
        (condition("response", "service", "/zitadel.session.v2.SessionService"), "qu6dfhiioq"),
        (condition("function", "name", "xxx"), "cdy39t0ksr"),
        (condition("function", "name", "PreUserInfo"), "cdy39t0ksr"),
        (condition("event", "event", "user.human.notexisting"), "74aaqj8fv9"),
        (condition("event", "event", "user.human"), "74aaqj8fv9"),
        (condition("event", "group", "user.notexisting"), "er5oneb5lz"),
        (condition("event", "group", "user.*"), "er5oneb5lz"),
        (condition("event", "group", "user.human.added.x"), "er5oneb5lz"),
    ],
    ids=lambda value: getattr(value, "execution_id", value),
)
def test_what_is_not_registered_cannot_be_set(missing, id_):
    """
    ZITADEL's id for each kind of condition, one text for all.
    """
    assert not exists(missing, CATALOGUE)
    refused = unknown_condition(missing)

    assert f"Execution condition is invalid (COMMAND-{id_})" == str(refused)
    assert missing.value in refused.reason
    assert "outrider catalogue add" in refused.hint


def test_names_that_may_be_meant_are_named():
    """
    Most unknown names are slips.
    """
    refused = unknown_condition(condition("event", "event", "user.add"), ["user.added", "user.all"])

    assert refused.hint.startswith("did you mean user.added or user.all? otherwise add it")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("evnt/x", "a condition begins with one of request, response, function, event, not 'evnt'"),
        ("", "a condition begins with one of request, response, function, event, not ''"),
        ("function", "the condition 'function' names nothing after function/"),
        ("event/", "the condition 'event/' names nothing after event/"),
        ("request//", "the condition 'request//' names nothing after request/"),
    ],
)
def test_an_id_that_no_condition_has_is_refused(text, reason):
    """
    With what was written, and how ids look.
    """
    with pytest.raises(InvalidRequest) as refused:
        read_condition_id(text)

    assert reason == refused.value.reason
    assert refused.value.hint


def test_a_method_may_be_written_with_its_slash():
    """
    So it stands in a proto file's comments and in logs.
    """
    assert read_condition_id("request//a.B/C") == read_condition_id("request/a.B/C")
