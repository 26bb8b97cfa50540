"""Do the work of one delivery once, though it may come several times.

A sender that promises at least once will send again what you have done already, when your answer got
lost. A store claims an id with a lease before the work, and marks it done after success. Whoever
comes meanwhile is told to come later; whoever comes after is answered at once. A worker that died
loses its lease, and the work is done by the next attempt.

    receiver = Receiver(signing_keys=..., deduplicate=SqliteStore("seen.db"))

An event is known by the signed id of its delivery. Without that id, which ZITADEL does not send and
somebody who recorded a call can leave out, the signed bytes themselves are known for as long as their
signature is believed: what was handled does not run again for having lost its id. With
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
    """What a store knows of an id."""

    MINE = "mine"
    """Claimed: do the work, then say `done`, or `release` if it failed."""

    BUSY = "busy"
    """Somebody else has the lease."""

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
    """Where claims are kept. Called from any thread; each call is one atomic step."""

    def claim(self, delivery_id: str, lease_seconds: float) -> Claimed:
        """Take the id for so long, unless it is done or somebody has it."""
        ...

    def done(self, delivery_id: str, token: str, keep_seconds: float) -> bool:
        """Remember that the work is done; False when the lease was lost to somebody else."""
        ...

    def release(self, delivery_id: str, token: str) -> None:
        """Give the id back: the work failed. Nothing happens if the lease was lost."""
        ...


def new_token() -> str:
    """A name for one lease that nobody else has."""
    from secrets import token_hex  # noqa: PLC0415 - imported by whoever claims, not by everybody

    return token_hex(16)
