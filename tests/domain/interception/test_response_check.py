"""What a target may answer: the vectors, and that no refusal passes however it is spelled."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from importlib.resources import files

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.adapters.json_schema import JsonSchemas
from outrider.domain.calls.classify import ForwardedError
from outrider.domain.formats.json_bounds import MAX_JSON_VALUES
from outrider.domain.interception.message import JSON_OBJECTS, InvalidResponse, parse_json
from outrider.domain.interception.payload import InterceptedCall, InterceptionPayload
from outrider.domain.interception.proto_schema import ProtoSchemas, proto_schemas_from_json
from outrider.domain.interception.response_check import check_response
from outrider.domain.routing.condition import ConditionKind
from support.builders import INSTANCE
from support.refusals import CASES, MESSAGE, Case

REQUEST = ConditionKind.REQUEST
NAMES = ("forwardedStatusCode", "forwardedErrorMessage")


@cache
def zitadel() -> ProtoSchemas:
    text = files("outrider").joinpath("method_schemas.json").read_text("utf-8")
    return proto_schemas_from_json(json.loads(text))


def schema_of(case: Case, kind: ConditionKind):
    if case.schema is not None:
        return JsonSchemas().compile(
            json.dumps(case.schema), is_of_request=kind is ConditionKind.RESPONSE
        )
    return zitadel().of(case.method, kind)


def answered(case: Case, kind: ConditionKind):
    """What the vectors call the effect, and its details."""
    message = dict(case.message)
    call = InterceptedCall(full_method=case.method)
    payload = InterceptionPayload(
        call, INSTANCE, JSON_OBJECTS, message, schema=schema_of(case, kind)
    )
    body = case.body.encode()
    try:
        forwarded = payload.forwarded_error(body, is_applied=case.is_applied)
        if forwarded is not None:
            return "forwarded", forwarded
        if case.is_applied:
            payload.apply(body)
    except InvalidResponse as invalid:
        return "failure", invalid.reason
    return ("unchanged" if payload.message is message else "replaced"), payload.message


@pytest.mark.parametrize("kind", [ConditionKind.REQUEST, ConditionKind.RESPONSE])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_has_the_effect_that_the_vectors_say(case, kind):
    """
    A refusal that is misspelled passed as data, and replaced the request.
    """
    if not case.has_kind(kind.value):
        return
    effect, detail = answered(case, kind)

    assert effect == case.effect
    if effect == "forwarded":
        assert detail == ForwardedError(**case.forwarded)
    elif effect == "failure":
        assert case.reason in detail
    elif effect == "replaced":
        assert detail == parse_json(case.body.encode())


def spelled(name: str, chance) -> str:
    """A name with other cases, with `_` and `-` anywhere, and with escapes."""
    letters = []
    for letter in name:
        letters.append(chance.choice("  __-").strip() * chance.randint(0, 2))
        form = chance.choice([letter.lower(), letter.upper()])
        letters.append(form if chance.random() < 0.9 else escaped(form))
    return "".join(letters)


def escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}"


REFUSED = st.one_of(
    st.integers(1, 999).map(str),
    st.integers(1, 999).map(lambda status: f'"{status}"'),
    st.floats(allow_nan=False, allow_infinity=False).filter(bool).map(repr),
    st.text(min_size=1).map(json.dumps),
    st.sampled_from(["true", "[]", "{}", "[403]", '{"code":403}', "1e400", "-1"]),
)
AROUND = st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=3)


@given(name=st.sampled_from(NAMES), chance=st.randoms(), value=REFUSED, around=AROUND)
def test_no_spelling_of_a_forwarded_error_passes(name, chance, value, around):
    """
    Whatever a target means by it, an interrupting target that says it stops the call.
    """
    members = [f"{json.dumps(other)}:{number}" for other, number in around.items()]
    body = "{" + ",".join([*members, f'"{spelled(name, chance)}":{value}']) + "}"
    for is_applied in (True, False):
        try:
            forwarded = check_response(body.encode(), lambda: "{}", is_applied=is_applied)
        except InvalidResponse:
            continue
        assert isinstance(forwarded, ForwardedError), body


REFUSING = [
    ("allowed", "false"),
    ("allow", "false"),
    ("denied", "true"),
    ("error", '"no"'),
    ("error", "403"),
    ("error", '{"message":"no"}'),
    ("action", '"deny"'),
]


@given(refusal=st.sampled_from(REFUSING), chance=st.randoms(), around=AROUND)
def test_no_refusal_in_the_words_of_other_systems_passes(refusal, chance, around):
    """
    Targets that were written for another system refuse in its words.
    """
    name, value = refusal
    members = [f"{json.dumps(other)}:{number}" for other, number in around.items()]
    body = "{" + ",".join([f'"{spelled(name, chance)}":{value}', *members]) + "}"
    for is_applied in (True, False):
        with pytest.raises(InvalidResponse):
            check_response(body.encode(), lambda: "{}", is_applied=is_applied)


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*NAMES, "error", "allowed", "a"]), inner, max_size=3)
        ),
    )
    .map(json.dumps)
    .map(str.encode)
)
@example(b'{"forwardedStatusCode":' + b"[" * 100_000)
@example(b'{"forwardedStatusCode":' + b"9" * 100_000 + b"}")
@example(b'{"forwardedStatusCode":1e999999999}')
@example(b'{"forwardedStatusCode":"\xff"}')
@example(b'{"error":NaN}')
def test_no_answer_breaks_the_check(body):
    """
    Receivers send what they like.
    """
    for schema in (None, zitadel().of("/zitadel.user.v2.UserService/AddHumanUser", REQUEST)):
        with suppress(InvalidResponse):
            check_response(body, lambda: json.dumps(MESSAGE), schema)


def test_a_reason_does_not_repeat_what_was_answered():
    """
    Reasons go into the log: places and rules do, values do not.
    """
    schema = zitadel().of("/zitadel.user.v2.UserService/AddHumanUser", REQUEST)
    for body in (
        b'{"password":{"password":["geheim"]}}',
        b'{"forwardedStatusCode":"geheim"}',
        b'{"error":"geheim"}',
        b'{"profile":{"gender":"geheim"}}',
    ):
        with pytest.raises(InvalidResponse) as caught:
            check_response(body, lambda: "{}", schema)
        assert "geheim" not in caught.value.reason


def test_an_answer_of_too_many_values_is_not_read():
    """
    A receiver must not decide how long every other call waits.
    """
    many = b'{"error":[' + b"{}," * MAX_JSON_VALUES + b"{}]}"
    for is_applied in (True, False):
        with pytest.raises(InvalidResponse, match="values"):
            check_response(many, lambda: "{}", is_applied=is_applied)


def test_what_cannot_refuse_is_never_read():
    """
    Nearly every answer is only looked through: the message is not rendered for it.
    """

    def previous() -> str:
        raise AssertionError("rendered")

    assert check_response(b'{"id":"2","actions":["a"],"n":-1}', previous) is None
