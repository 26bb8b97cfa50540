"""A call that is answered past the protocol library, when it is plain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from protobuf import DescMethod, Message

from outrider.domain.access.permission import Actor

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """The answer to a call, and headers of the response."""

    message: Message
    headers: Mapping[str, str] = field(default_factory=dict)


class DirectCall(Protocol[C]):
    """One procedure, by JSON."""

    @property
    def method(self) -> DescMethod:
        """The procedure."""
        ...

    @property
    def is_watched(self) -> bool:
        """Return whether the call is cancelled when its caller disconnects: it may take long."""
        ...

    async def read(self, body: bytes, /) -> C:
        """Return what the body asks for. Raise `HandOver` for a body that is not plain."""
        ...

    async def run(self, actor: Actor, command: C, /) -> DirectAnswer:
        """Do it. Raise what a handler raises."""
        ...
