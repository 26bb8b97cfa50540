"""Which handler a call is for, and what its answer becomes."""

from __future__ import annotations

import asyncio
import functools
import json
import threading

import pytest

from outrider_receiver import (
    Answer,
    CustomFunction,
    Event,
    HttpAnswer,
    InvalidCall,
    PreAccessToken,
    PreSamlResponse,
    PreUserinfo,
    Receiver,
    Request,
    Response,
    VerifiedCall,
    refuse,
    replace,
)
from outrider_receiver.answers import Attribute
from outrider_receiver.testing import SIGNING_KEY, Sender

SENDER = Sender()


@pytest.fixture
def receiver() -> Receiver:
    return Receiver(signing_keys=SIGNING_KEY)


def both(receiver: Receiver, call) -> HttpAnswer:
    """The answer, which is the same from a thread and from a loop."""
    answer = receiver.handle(*call)
    assert answer == asyncio.run(receiver.handle_async(*call))
    return answer


def body_of(answer: HttpAnswer):
    assert 200 == answer.status
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("event_type", "handler"),
    [
        ("user.human.added", "exact"),
        ("user.human.changed", "group"),
        ("user.human.email.changed", "group"),
        ("user.machine.added", "wide"),
        ("user.human", "wide"),
        ("org.added", "all"),
        ("user", "all"),
        ("username.human.added", "all"),
    ],
)
def test_the_most_specific_handler_gets_the_event(receiver, event_type, handler):
    """
    As the sender's own router decides.
    """
    seen: list[str] = []
    for name, conditions in {
        "all": (),
        "wide": ("user.*",),
        "exact": ("user.human.added", "a.b"),
        "group": ("user.human.*",),
    }.items():
        receiver.event(*conditions)(lambda _, name=name: seen.append(name))

    assert 204 == both(receiver, SENDER.event(event_type)).status
    assert [handler] * 2 == seen


@pytest.mark.parametrize("kind", ["request", "response"])
def test_the_most_specific_handler_gets_the_method(receiver, kind):
    """
    A method, a service, all.
    """
    register = receiver.request if kind == "request" else receiver.response
    for name, conditions in {"all": (), "service": ("a.B",), "method": ("/a.B/C",)}.items():
        register(*conditions)(lambda _, name=name: {"by": name})
    found = []
    for method in ("/a.B/C", "/a.B/D", "/x.Y/Z"):
        messages = [{}] if kind == "request" else [{}, {}]
        call = getattr(SENDER, kind)(method, *messages)
        found.append(body_of(both(receiver, call))["by"])

    assert ["method", "service", "all"] == found


def test_each_kind_is_handed_over_typed(receiver):
    """
    What a handler is annotated with is what it gets.
    """
    seen: list[type] = []

    def see(payload) -> None:
        seen.append(type(payload))

    receiver.event()(see)
    receiver.request()(see)
    receiver.response()(see)
    receiver.function("preuserinfo", "function/preaccesstoken", "presamlresponse", "ours")(see)
    for call in (
        SENDER.event(),
        SENDER.request("/a.B/C", {}),
        SENDER.response("/a.B/C", {}, {}),
        SENDER.function("preuserinfo"),
        SENDER.function("preaccesstoken"),
        SENDER.function("presamlresponse"),
        SENDER.call({"function": "function/ours", "cart": [1]}),
    ):
        assert 204 == receiver.handle(*call).status

    kinds = [Event, Request, Response, PreUserinfo, PreAccessToken, PreSamlResponse, CustomFunction]
    assert kinds == seen


def test_a_handler_may_take_the_verified_call_too(receiver):
    """
    For the id and the number of the attempt.
    """
    seen: list[VerifiedCall] = []

    @receiver.event()
    def see(_event: Event, call: VerifiedCall) -> None:
        seen.append(call)

    receiver.handle(*SENDER.call({"event_type": "a"}, delivery_id="7", attempt=3, hops=2))
    assert [("7", 3, 2)] == [(call.delivery_id, call.attempt, call.hops) for call in seen]


@pytest.mark.parametrize("handler", [lambda: None, lambda a, b, c: None, lambda *, a: None])
def test_a_handler_that_cannot_be_called_is_refused_when_it_is_registered(receiver, handler):
    """
    Not when the first call comes.
    """
    with pytest.raises(TypeError, match="a handler takes"):
        receiver.event()(handler)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("event", "user human"),
        ("event", "*"),
        ("event", ".user"),
        ("event", "user.**"),
        ("request", "a.B/C"),
        ("request", "/a.B"),
        ("response", "/a.B/C/D"),
        ("function", "pre user"),
        ("function", ""),
    ],
)
def test_a_name_that_can_never_come_is_refused_when_it_is_registered(receiver, kind, name):
    """
    A handler that waits for nothing looks like a sender that does not call.
    """
    with pytest.raises(ValueError, match=kind):
        getattr(receiver, kind)(name)(lambda _: None)


def test_two_handlers_for_one_thing_are_a_mistake(receiver):
    """
    Which one should answer?
    """
    receiver.function("preuserinfo")(lambda _: None)
    with pytest.raises(ValueError, match="already"):
        receiver.function("function/preuserinfo")(lambda _: None)
    with pytest.raises(ValueError, match="which ones"):
        receiver.function()
    assert [("function", "preuserinfo")] == [
        (handler.kind, handler.name) for handler in receiver.handlers
    ]


def test_an_event_without_a_handler_is_accepted_and_changes_nothing(receiver):
    """
    A target may be told more than it has handlers for.
    """
    for call in (SENDER.event(), SENDER.function("preuserinfo"), SENDER.request("/a.B/C", {})):
        assert HttpAnswer(204) == both(receiver, call)


def test_a_message_is_replaced_as_a_whole(receiver):
    """
    The contract knows no merge: `replace` keeps the rest.
    """
    receiver.request("/a.B/C")(lambda call: replace(call.request, price=9))
    receiver.request("/a.B/D")(lambda _: {})
    call = SENDER.request("/a.B/C", {"amount": 10, "price": 12})

    assert {"amount": 10, "price": 9} == body_of(both(receiver, call))
    assert {} == body_of(both(receiver, SENDER.request("/a.B/D", {"a": 1})))


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize("kind", ["request", "response", "function"])
def test_a_refusal_is_returned_or_raised(receiver, kind, raised):
    """
    Whichever reads better.
    """

    def no(_call):
        refusal = refuse(403, "not you")
        if raised:
            raise refusal
        return refusal

    calls = {
        "request": SENDER.request("/a.B/C", {}),
        "response": SENDER.response("/a.B/C", {}, {}),
        "function": SENDER.function("preuserinfo"),
    }
    getattr(receiver, kind)(*(["preuserinfo"] if kind == "function" else []))(no)

    expected = {"forwardedStatusCode": 403, "forwardedErrorMessage": "not you"}
    assert expected == body_of(both(receiver, calls[kind]))


@pytest.mark.parametrize(("status", "message"), [(200, "x"), (399, "x"), (600, "x"), (403, "")])
def test_a_refusal_that_would_refuse_nothing_is_a_mistake(status, message):
    """
    A status of success, or an error without a word.
    """
    with pytest.raises(ValueError, match="refusal"):
        refuse(status, message)


def test_a_function_answers_in_the_contracts_lists(receiver):
    """
    Claims, log, metadata in Base64; attributes for SAML.
    """
    answer = Answer(claims={"a": [1], "b": None}, log=["x"], metadata={"m": "ü", "n": b"\0"})
    receiver.function("preuserinfo")(lambda _: answer)
    receiver.function("presamlresponse")(
        lambda _: Answer(attributes={"groups": ["a", "b"]}, metadata={"m": "1"})
    )
    receiver.function("ours")(lambda _: {"total": 7})

    assert {
        "set_user_metadata": [{"key": "m", "value": "w7w="}, {"key": "n", "value": "AA=="}],
        "append_claims": [{"key": "a", "value": [1]}, {"key": "b", "value": None}],
        "append_log_claims": ["x"],
    } == body_of(both(receiver, SENDER.function("preuserinfo")))
    assert {
        "set_user_metadata": [{"key": "m", "value": "MQ=="}],
        "append_attribute": [{"name": "groups", "name_format": "", "value": ["a", "b"]}],
    } == body_of(both(receiver, SENDER.function("presamlresponse")))
    assert {"total": 7} == body_of(both(receiver, SENDER.call({"function": "function/ours"})))


def test_an_attribute_may_have_a_format_of_its_name(receiver):
    """
    Some service providers insist.
    """
    basic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
    receiver.function("presamlresponse")(
        lambda _: Answer(attributes=[Attribute("a", ("1",), name_format=basic)])
    )

    found = body_of(both(receiver, SENDER.function("presamlresponse")))
    assert [{"name": "a", "name_format": basic, "value": ["1"]}] == found["append_attribute"]


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("presamlresponse", Answer(claims={"a": 1})),
        ("presamlresponse", Answer(log=["a"])),
        ("presamlresponse", Answer(attributes={"a": "b"})),
        ("preuserinfo", Answer(attributes={"a": ["b"]})),
        ("preuserinfo", Answer(log="a")),
        ("preuserinfo", Answer(claims={"a": object()})),
        ("preuserinfo", Answer(claims={"a": float("nan")})),
        ("preuserinfo", Answer(metadata={"a": 1})),
        (
            "preuserinfo",
            Answer(claims={"a": functools.reduce(lambda a, _: [a], range(50_000), [])}),
        ),
        ("preuserinfo", "claims"),
        ("preuserinfo", [1]),
        ("preuserinfo", {"forwardedStatusCode": 403}),
    ],
)
def test_an_answer_that_the_function_has_no_place_for_is_the_handlers_failure(
    receiver, function, answer, caplog
):
    """
    It would be ignored on the other side, and no log would say why.
    """
    receiver.function(function)(lambda _: answer)

    assert HttpAnswer(500) == both(receiver, SENDER.function(function))
    assert f"the handler of function {function} failed" in caplog.text


def test_what_a_handler_of_events_returns_is_not_sent(receiver):
    """
    An event has no answer; what a test of yours wants to return is yours.
    """
    receiver.event()(lambda _: {"private": True})

    assert HttpAnswer(204) == both(receiver, SENDER.event())


def test_a_handler_that_fails_says_nothing_to_the_caller_and_all_to_the_log(receiver, caplog):
    """
    The event comes again; a stranger learns nothing.
    """

    @receiver.event()
    async def fail(_event) -> None:
        raise OSError("the password of the database is x")

    assert HttpAnswer(500) == both(receiver, SENDER.event())
    assert "password of the database" in caplog.text


async def test_a_loop_is_not_held_up_by_a_plain_function(receiver):
    """
    It runs in its own thread; a coroutine runs in the loop.
    """
    threads: list[threading.Thread] = []

    @receiver.event("plain")
    def plain(_event) -> None:
        threads.append(threading.current_thread())

    @receiver.event("coroutine")
    async def coroutine(_event) -> None:
        threads.append(threading.current_thread())

    for name in ("plain", "coroutine"):
        assert 204 == (await receiver.handle_async(*SENDER.event(name))).status
    assert [False, True] == [thread is threading.main_thread() for thread in threads]


def test_the_keys_of_the_environment_are_believed(monkeypatch):
    """
    One, or several divided by commas; read when the first call comes.
    """
    monkeypatch.delenv("OUTRIDER_SIGNING_KEY", raising=False)
    monkeypatch.delenv("OUTRIDER_SIGNING_KEYS", raising=False)
    receiver = Receiver()
    with pytest.raises(ValueError, match="OUTRIDER_SIGNING_KEY"):
        receiver.handle(*SENDER.event())

    monkeypatch.setenv("OUTRIDER_SIGNING_KEYS", "one, two")
    assert [204, 204, 400] == [
        receiver.handle(*Sender(secret).event()).status for secret in ("one", "two", "three")
    ]
    receiver.signing_keys = "three"
    assert 204 == receiver.handle(*Sender("three").event()).status
    with pytest.raises(ValueError, match="empty"):
        receiver.signing_keys = ["three", ""]


def test_a_body_that_is_not_bytes_is_the_programmers_mistake(receiver):
    """
    The error of `verify`, with its advice.
    """
    call = SENDER.event()
    for body in (call.body.decode(), json.loads(call.body), None):
        with pytest.raises(TypeError, match="raw bytes"):
            receiver.handle(body, call.headers)


def test_opening_alone_calls_no_handler(receiver):
    """
    For a program that continues in its own way.
    """
    receiver.event()(lambda _: pytest.fail("called"))
    opened = receiver.open(*SENDER.event("a.b"))

    assert "a.b" == opened.payload.event_type
    assert "user" not in repr(opened).partition("payload=")[0]
    with pytest.raises(InvalidCall):
        receiver.open(b"{}", {})


def test_a_receiver_shows_what_it_has_and_no_key(receiver):
    """
    It is printed into logs.
    """
    receiver.event()(lambda _: None)

    assert "<Receiver of json: 1 handlers>" == repr(receiver)
    assert SIGNING_KEY not in repr(vars(receiver).get("_handlers"))
