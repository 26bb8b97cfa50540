"""Find the handler of a call: the most specific that was registered, as ZITADEL's router decides.

event      `user.human.added`, then `user.human.*`, then `user.*`, then all
request    `/package.Service/Method`, then `package.Service`, then all; response the same
function   its name
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from outrider_receiver.payloads import Event, Payload, Request, Response

_PREFIX = "function/"
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:\.\*)?")
_METHOD = re.compile(r"/[A-Za-z0-9_.]+/[A-Za-z0-9_]+")
_SERVICE = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
_FUNCTION = re.compile(r"[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True)
class Handler:
    """One function of yours, and what it is called for."""

    kind: str
    """`event`, `request`, `response` or `function`."""

    name: str
    """A type of events or a group of them (`user.human.*`), a method, a service, a function. Empty:
    all."""

    function: Callable[..., Any] = field(repr=False)
    """Called with the payload, and with the `VerifiedCall` too if it takes two."""

    takes_call: bool = False
    """Whether it takes two."""


class Handlers:
    """The registered handlers. Reading and adding are for one thread, or for before serving."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], Handler] = {}

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._by_name.values())

    def add(self, kind: str, name: str, function: Callable[..., Any]) -> None:
        """Register one.

        Raises:
            ValueError: the name cannot be one of this kind, or has a handler already.
        """
        normal = _normal(kind, name)
        if (kind, normal) in self._by_name:
            raise ValueError(f"there is a handler for {kind} {name or '(all)'} already")
        handler = Handler(kind, normal, function, _takes_two(function))
        self._by_name[kind, normal] = handler

    def find(self, payload: Payload) -> Handler | None:
        """Return the most specific handler, None when none is registered for the call."""
        kind, names = _candidates(payload)
        for name in names:
            handler = self._by_name.get((kind, name))
            if handler is not None:
                return handler
        return None


def _normal(kind: str, name: str) -> str:
    if not name and kind != "function":
        return ""
    if kind == "event" and _EVENT_TYPE.fullmatch(name):
        return name
    if kind == "function" and _FUNCTION.fullmatch(name.removeprefix(_PREFIX)):
        return name.removeprefix(_PREFIX)
    if kind in {"request", "response"} and (_METHOD.fullmatch(name) or _SERVICE.fullmatch(name)):
        return name
    raise ValueError(f"{name!r} is no name for {kind}: say {_WANTED[kind]}")


_WANTED = {
    "event": "user.human.added, user.human.*, or nothing for all",
    "request": "/package.Service/Method, package.Service, or nothing for all",
    "response": "/package.Service/Method, package.Service, or nothing for all",
    "function": "preuserinfo, preaccesstoken, presamlresponse, or your own function",
}


def _candidates(payload: Payload) -> tuple[str, list[str]]:
    if isinstance(payload, Event):
        return "event", _event_names(payload.event_type)
    if isinstance(payload, (Request, Response)):
        service = payload.full_method.strip("/").rpartition("/")[0]
        kind = "request" if isinstance(payload, Request) else "response"
        return kind, [payload.full_method, *([service] if service else []), ""]
    return "function", [payload.function.removeprefix(_PREFIX)]


def _event_names(event_type: str) -> list[str]:
    names, group = [event_type], event_type
    # No group has more segments than that.
    for _ in range(20):
        group = group.rpartition(".")[0]
        if not group:
            break
        names.append(f"{group}.*")
    return [*names, ""]


def _takes_two(function: Callable[..., Any]) -> bool:
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in positional and parameter.default is inspect.Parameter.empty
    ]
    if len(parameters) not in {1, 2}:
        raise TypeError("a handler takes the payload, or the payload and the verified call")
    return len(parameters) == 2  # noqa: PLR2004 - two
