"""From the bytes of a call to the bytes of its answer: verify, understand, hand over, answer.

    receiver = Receiver(signing_keys=os.environ["OUTRIDER_SIGNING_KEY"])

    @receiver.event("user.human.added")
    def greet(event: Event) -> None: ...

    @receiver.function("preaccesstoken")
    async def groups(call: PreAccessToken) -> Answer:
        return Answer(claims={"groups": ["staff"]})

`outrider_receiver.frameworks` puts it behind an endpoint of yours, `python -m outrider_receiver`
behind its own server. Handlers may be coroutines or plain functions, in either.

| what happened | status |
|---|---|
| handled, no handler is registered, or it was done before | 200, or 204 without an answer |
| the call is not to be believed | 400 and why |
| it is being handled already, or the issuer's keys cannot be had | 503: it comes again |
| the body is too large | 413 |
| the handler raised | 500, and the log has it |
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from outrider_receiver._calls import HttpAnswer, OpenedCall
from outrider_receiver._handlers import Handler, Handlers
from outrider_receiver._headers import Headers
from outrider_receiver._once import Work, names_of
from outrider_receiver._refusal import InvalidCall, KeysUnavailable, Reason
from outrider_receiver._signing_keys import secrets_of
from outrider_receiver._steps import Step, Steps, walk, walk_async
from outrider_receiver._verify import TOLERANCE, VerifiedCall, verify_with_macs
from outrider_receiver.answers import Refusal, render, render_message, render_refusal
from outrider_receiver.dedup import (
    KEEP_SECONDS,
    LEASE_SECONDS,
    DeduplicationStore,
    State,
)
from outrider_receiver.payloads import (
    Event,
    FunctionPayload,
    Payload,
    Request,
    Response,
    parse_payload,
)

if TYPE_CHECKING:
    from logging import Logger

    from outrider_receiver.inbox import Inbox
    from outrider_receiver.jose import Tokens

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Of a call, unless the receiver is told otherwise. outrider's events are below 1 MiB."""

JSON, JWT, JWE = "json", "jwt", "jwe"
"""The payload types."""

DELIVERY, EVENT = "delivery", "event"
"""What is handled once."""

# Clocks of a store and of a receiver may differ by so much.
_SIGNED_MARGIN_SECONDS = 60.0

EventHandler = Callable[[Event], Any] | Callable[[Event, VerifiedCall], Any]
RequestHandler = Callable[[Request], Any] | Callable[[Request, VerifiedCall], Any]
ResponseHandler = Callable[[Response], Any] | Callable[[Response, VerifiedCall], Any]
FunctionHandler = Callable[[Any], Any] | Callable[[Any, VerifiedCall], Any]

E = TypeVar("E", bound=EventHandler)
Q = TypeVar("Q", bound=RequestHandler)
S = TypeVar("S", bound=ResponseHandler)
F = TypeVar("F", bound=FunctionHandler)


def _log() -> Logger:
    import logging  # noqa: PLC0415 - 5 ms, when there is something to say

    return logging.getLogger("outrider_receiver")


class Receiver:
    """Your handlers, and what is needed to believe who calls them. See the module."""

    def __init__(
        self,
        *,
        signing_keys: str | Sequence[str] | None = None,
        tokens: Tokens | None = None,
        accept: Collection[str] | None = None,
        tolerance: timedelta = TOLERANCE,
        deduplicate: DeduplicationStore | None = None,
        deduplicate_by: str = DELIVERY,
        lease_seconds: float = LEASE_SECONDS,
        keep_seconds: float = KEEP_SECONDS,
        max_body_bytes: int = MAX_BODY_BYTES,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Everything has a default but who to believe.

        Args:
            signing_keys: what CreateTarget returned, of every target that calls here. None: those
                in the environment, `OUTRIDER_SIGNING_KEY`, or `OUTRIDER_SIGNING_KEYS` divided by
                commas, read at the first call.
            tokens: for the payload types JWT and JWE; see `outrider_receiver.jose`.
            accept: the payload types that are accepted, of `json`, `jwt` and `jwe`. By default
                `json`; with tokens `jwt`; with tokens that have private keys only `jwe`.
            tolerance: how far a signature's time may be from now.
            deduplicate: do the work of an event once; see `outrider_receiver.dedup`.
            deduplicate_by: `delivery`, so that a replay is handled again, or `event`, so that an
                event is handled once, whichever of its targets and replays comes first. Also what
                an inbox goes by.
            lease_seconds: how long the work of one event may take.
            keep_seconds: how long it is remembered that it was done.
            max_body_bytes: of one call.
            clock: Unix seconds; the system's clock when absent.

        Raises:
            TypeError, ValueError: the arguments are wrong, or a signing key is empty.
        """
        self._signing_keys = None if signing_keys is None else secrets_of(signing_keys)
        self._tokens: Tokens | None = None
        self._accept: frozenset[str] = frozenset()
        self.use_tokens(tokens, accept=accept)
        self._tolerance = tolerance
        if deduplicate_by not in {DELIVERY, EVENT}:
            raise ValueError(f"deduplicate_by is {DELIVERY} or {EVENT}, not {deduplicate_by!r}")
        self._by_event = deduplicate_by == EVENT
        self._store = deduplicate
        self._lease_seconds = lease_seconds
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._handlers = Handlers()
        self._inbox: Inbox | None = None
        self.max_body_bytes: int = max_body_bytes

    def __repr__(self) -> str:
        return f"<Receiver of {', '.join(sorted(self._accept))}: {len(self.handlers)} handlers>"

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """The registered handlers, in the order of their registration."""
        return tuple(self._handlers)

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The keys that are believed; setting it changes them from the next call on.

        Raises:
            ValueError: there is none, neither here nor in the environment.
        """
        if self._signing_keys is None:
            self._signing_keys = secrets_of(_keys_of_environment())
        return self._signing_keys

    @signing_keys.setter
    def signing_keys(self, signing_keys: str | Sequence[str]) -> None:
        """Believe these instead, as in the constructor."""
        self._signing_keys = secrets_of(signing_keys)

    def event(self, *event_types: str) -> Callable[[E], E]:
        """Call this for events of these types: `user.human.added`, or a group, `user.human.*`.

        Without a type: for every event that no other handler is for. What it returns is ignored.
        """
        return cast("Callable[[E], E]", self._registered("event", event_types))

    def request(self, *methods: str) -> Callable[[Q], Q]:
        """Call this before these methods: `/package.Service/Method`, or a service; without: all.

        It returns the whole message as it shall be, `refuse(...)`, or None to change nothing.
        """
        return cast("Callable[[Q], Q]", self._registered("request", methods))

    def response(self, *methods: str) -> Callable[[S], S]:
        """Call this after these methods, as `request` before them."""
        return cast("Callable[[S], S]", self._registered("response", methods))

    def function(self, *names: str) -> Callable[[F], F]:
        """Call this for these functions: `preuserinfo`, `preaccesstoken`, `presamlresponse`.

        It returns an `Answer`, `refuse(...)`, or None to add nothing. For a function of your
        application it may return any mapping.

        Raises:
            ValueError: no function is named.
        """
        if not names:
            raise ValueError("a handler of functions says which ones")
        return cast("Callable[[F], F]", self._registered("function", names))

    def accept_and_queue(self, inbox: Inbox) -> None:
        """Answer events when they are safe in the inbox; their handlers run later, from there.

        See `outrider_receiver.inbox`.
        """
        self._inbox = inbox

    def use_tokens(self, tokens: Tokens | None, *, accept: Collection[str] | None = None) -> None:
        """Accept these payload types from the next call on; arguments as in the constructor.

        Raises:
            ValueError: `accept` names a type that cannot be read.
        """
        self._accept = _accepted(tokens, accept)
        self._tokens = tokens

    def open(self, body: bytes, headers: Headers) -> OpenedCall:
        """Believe a call and say what it says; no handler is called. It may wait for web keys.

        Raises:
            InvalidCall: whatever the caller sent that is not right.
            KeysUnavailable: the issuer's keys could not be had.
        """
        return walk(self._opening(body, headers))

    def handle(self, body: bytes, headers: Headers) -> HttpAnswer:
        """Handle one call in this thread. What the caller or a handler does wrong is an answer.

        Args:
            body: the raw bytes of the request.
            headers: a mapping, an object with `items()`, or pairs of name and value.

        Raises:
            TypeError, ValueError: the arguments are wrong, or there is no signing key.
        """
        return walk(self._handling(body, headers))

    async def handle_async(self, body: bytes, headers: Headers) -> HttpAnswer:
        """The same in an event loop. Handlers that are plain functions run in a thread."""
        return await walk_async(self._handling(body, headers))

    def run_handler(self, opened: OpenedCall) -> HttpAnswer:
        """Call the handler of a call that is believed already: what an inbox does."""
        return walk(self._answering(opened))

    def _registered(self, kind: str, names: Sequence[str]) -> Callable[[Any], Any]:
        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            for name in names or ("",):
                self._handlers.add(kind, name, function)
            return function

        return register

    def _opening(self, body: bytes, headers: Headers) -> Steps[OpenedCall]:
        # The signature comes first, for tokens too: it is cheap, and it has the time.
        payload_type = _payload_type(body)
        if payload_type not in self._accept:
            raise InvalidCall(Reason.NOT_ALLOWED, f"payloads of type {payload_type} are not taken")
        now = self._clock() if self._clock else None
        verified, macs = verify_with_macs(body, headers, self.signing_keys, now, self._tolerance)
        tokens = self._tokens
        if payload_type != JSON and tokens is not None:
            body = yield Step(
                functools.partial(tokens.open, body), functools.partial(tokens.open_async, body)
            )
        return OpenedCall(verified, parse_payload(body), body, macs)

    def _handling(self, body: bytes, headers: Headers) -> Steps[HttpAnswer]:
        if isinstance(body, bytes) and len(body) > self.max_body_bytes:
            return HttpAnswer(413)
        try:
            opened = yield from self._opening(body, headers)
        except InvalidCall as refusal:
            _log().warning("a call was refused: %s: %s", refusal.reason, refusal)
            return _plain(400, f"{refusal.reason}: {refusal}")
        except KeysUnavailable as failure:
            _log().warning("a call could not be verified: %s", failure)
            return _plain(503, str(failure), _LATER)
        if isinstance(opened.payload, Event):
            return (yield from self._receiving(opened))
        return (yield from self._answering(opened))

    def _receiving(self, opened: OpenedCall) -> Steps[HttpAnswer]:
        try:
            if self._inbox is not None:
                yield Step(functools.partial(self._inbox.put, opened, by_event=self._by_event))
                return HttpAnswer(202)
            if self._store is None:
                return (yield from self._answering(opened))
            work = self._work(self._store, opened)
            state = yield Step(work.begin)
        except Exception:  # noqa: BLE001 - a disk, a network: the event comes again
            _log().exception("an event could not be kept or claimed")
            return _plain(503, "try again", _LATER)
        if state is State.DONE:
            return HttpAnswer(204)
        if state is State.BUSY:
            return _plain(503, "this delivery is being handled", _LATER)
        answer = yield from self._answering(opened)
        yield Step(functools.partial(self._end, work, answer))
        return answer

    def _work(self, store: DeduplicationStore, opened: OpenedCall) -> Work:
        # A signature is believed until its time and the tolerance are over, in either direction.
        signed_seconds = 2 * self._tolerance.total_seconds() + _SIGNED_MARGIN_SECONDS
        names = names_of(opened, by_event=self._by_event)
        return Work(store, names, self._lease_seconds, self._keep_seconds, signed_seconds)

    def _end(self, work: Work, answer: HttpAnswer) -> None:
        try:
            if not work.end(is_done=answer.status < _FIRST_FAILURE):
                _log().warning("a handler took longer than its lease: its work may be done twice")
        except Exception:  # noqa: BLE001 - the lease ends by itself
            _log().exception("the claim of an event could not be ended")

    def _answering(self, opened: OpenedCall) -> Steps[HttpAnswer]:
        handler = self._handlers.find(opened.payload)
        if handler is None:
            _log().info("no handler for this %s", type(opened.payload).__name__)
            return HttpAnswer(204)
        try:
            returned = yield _call_of(handler, opened)
        except Refusal as refusal:
            returned = refusal
        except Exception:  # noqa: BLE001 - whatever a handler raises
            return _failed(handler)
        try:
            body = _rendered(opened.payload, returned)
        except (TypeError, ValueError, RecursionError):
            return _failed(handler)
        return HttpAnswer(200, body) if body else HttpAnswer(204)


def _failed(handler: Handler) -> HttpAnswer:
    _log().exception("the handler of %s %s failed", handler.kind, handler.name or "(all)")
    return HttpAnswer(500)


_LATER = (("Retry-After", "1"),)
_FIRST_FAILURE = 400


def _call_of(handler: Handler, opened: OpenedCall) -> Step:
    import inspect  # noqa: PLC0415

    arguments: Iterator[Any] = iter(
        (opened.payload, opened.verified) if handler.takes_call else (opened.payload,)
    )
    call = functools.partial(handler.function, *arguments)
    # A coroutine function does not block the loop: it needs no thread.
    return Step(call, call if inspect.iscoroutinefunction(handler.function) else None)


def _rendered(payload: Payload, returned: object) -> bytes:
    if isinstance(payload, Event):
        return b""
    if isinstance(returned, Refusal):
        return render_refusal(returned)
    if isinstance(payload, (Request, Response)):
        return render_message(returned)
    function: FunctionPayload = payload
    return render(function.function, returned)


def _plain(status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> HttpAnswer:
    return HttpAnswer(status, text.encode(), "text/plain; charset=utf-8", headers)


def _payload_type(body: bytes) -> str:
    if not isinstance(body, bytes) or body[:1] == b"{":
        return JSON  # what is not bytes, `verify` has advice about
    return JWE if body.count(b".") == 4 else JWT  # noqa: PLR2004 - five parts


def _accepted(tokens: Tokens | None, accept: Collection[str] | None) -> frozenset[str]:
    if accept is None:
        accept = [JSON] if tokens is None else [JWE if tokens.decrypts else JWT]
    accepted = frozenset([accept] if isinstance(accept, str) else accept)
    if not accepted or accepted - {JSON, JWT, JWE}:
        raise ValueError("accept is some of json, jwt and jwe")
    if accepted != {JSON} and tokens is None:
        raise ValueError("jwt and jwe need tokens: see outrider_receiver.jose")
    if JWE in accepted and tokens is not None and not tokens.decrypts:
        raise ValueError("jwe needs private keys")
    return accepted


def _keys_of_environment() -> list[str]:
    several = os.environ.get("OUTRIDER_SIGNING_KEYS", "").split(",")
    found = [text.strip() for text in (os.environ.get("OUTRIDER_SIGNING_KEY", ""), *several)]
    if not any(found):
        raise ValueError("there is no signing key: set OUTRIDER_SIGNING_KEY, or give signing_keys")
    return [signing_key for signing_key in found if signing_key]
