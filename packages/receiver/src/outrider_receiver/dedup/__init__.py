"""Do the work of one delivery once, though it may come several times.

A sender that promises at least once will send again what you have done already, when your answer got
lost. A store claims an id with a lease before the work, and marks it done after success. A call
that comes meanwhile is told to come later; a call that comes after is answered immediately. A worker that died
loses its lease, and the work is done by the next attempt.

    receiver = Receiver(signing_keys=..., deduplicate=SqliteStore("seen.db"))

An event is known by the signed id of its delivery. Without that id, which ZITADEL does not send and
an attacker who recorded a call can leave out, the signed bytes themselves are known for as long as their
signature is valid: a handled call does not run again because its id was removed. With
`Receiver(deduplicate_by="event")` replays, and deliveries to other targets of this receiver, count as
the same event: its id in `Outrider-Event` together with its body. That id is not signed. Who can
change calls on their way can have a replay handled that way, but no call twice, and stop no other
event.

Only events are deduplicated: an interception is answered each time that it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

LEASE_SECONDS = 60.0
"""How long a handler may take before its work is given to the next attempt. Longer than a sender
waits for an answer: outrider 10 s, unless the target says otherwise."""

KEEP_SECONDS = 7 * 86_400.0
"""How long an id is remembered after success: longer than a sender keeps trying."""


class State(str, Enum):
    """The state of an id in a store."""

    MINE = "mine"
    """Claimed: do the work, then say `done`, or `release` if it failed."""

    BUSY = "busy"
    """Another call has the lease."""

    DONE = "done"
    """The work is done."""

    def __str__(self) -> str:
        """The bare value, on every version of Python."""
        return self.value


@dataclass(frozen=True)
class Claimed:
    """The answer to a claim."""

    state: State
    token: str = ""
    """Whose lease it is, when it is mine: who lost it cannot end another's."""


class DeduplicationStore(Protocol):
    """A store of claims. Called from any thread; each call is one atomic step."""

    def claim(self, delivery_id: str, lease_seconds: float) -> Claimed:
        """Take the id for `lease_seconds`, unless it is done or another call has it."""
        ...

    def done(self, delivery_id: str, token: str, keep_seconds: float) -> bool:
        """Remember that the work is done; False when another call has taken over the lease."""
        ...

    def release(self, delivery_id: str, token: str) -> None:
        """Give the id back: the work failed. Nothing happens if the lease was lost."""
        ...


def new_token() -> str:
    """Return a unique name for one lease."""
    from secrets import token_hex  # noqa: PLC0415 - needed for claims only

    return token_hex(16)
