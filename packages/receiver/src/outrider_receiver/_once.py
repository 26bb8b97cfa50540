"""Detect a call that has been received before, and decide which attempt does the work.

A call with a signed id is known by that id, the same on every attempt. The other headers are not
signed by ZITADEL's scheme, so who recorded a call can send it again without its id: then the signed
bytes themselves tell. Each of these is a name:

- `<id>`: the delivery;
- `event:<digest>`: the event's id and its body, when replays and other targets count as well;
- `signed:<mac>`: the signed bytes, of a call that had an id or was handled without one;
- `anonymous:<mac>`: the signed bytes of a call that was handled without an id.

Two deliveries may have the same bytes in the same second, so a call with an id is not stopped by
`signed:` names; a call without one is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from outrider_receiver.dedup import State

if TYPE_CHECKING:
    from outrider_receiver._calls import OpenedCall
    from outrider_receiver.dedup import DeduplicationStore


class CallNames(NamedTuple):
    """The names of one call."""

    delivery_id: str | None
    event: str | None
    signed: tuple[str, ...]
    anonymous: tuple[str, ...]

    @property
    def work(self) -> tuple[str, ...]:
        """The names under which the work is claimed."""
        return tuple(name for name in (self.delivery_id, self.event) if name is not None)


def names_of(opened: OpenedCall, *, by_event: bool) -> CallNames:
    """The names of a call; that of its event only when events are to be told apart by it."""
    return CallNames(
        opened.verified.delivery_id,
        _event_name(opened) if by_event else None,
        tuple(f"signed:{mac}" for mac in opened.macs),
        tuple(f"anonymous:{mac}" for mac in opened.macs),
    )


def _event_name(opened: OpenedCall) -> str:
    # The id is not signed, the body is: with another id on the same body, or the same id on
    # another body, it is another name, which stops nothing else.
    hashed = hashlib.sha256((opened.verified.event_id or "").encode())
    hashed.update(b"\0")
    hashed.update(opened.body)
    return f"event:{hashed.hexdigest()}"


@dataclass
class Work:
    """The claims of one call in a store. `begin` first, `end` when its state is MINE."""

    store: DeduplicationStore
    names: CallNames
    lease_seconds: float
    keep_seconds: float
    signed_seconds: float
    _claims: list[tuple[str, str, float]] = field(default_factory=list)

    def begin(self) -> State:
        """Return whether the work is this call's, done, or another call's."""
        state = self._begin()
        if state is not State.MINE:
            # A delivery whose event was handled before is done, too, whatever its event is said to
            # be next time. Bytes without an id may be those of a delivery that is still to be done.
            self._end_all(is_done=state is State.DONE and self.names.delivery_id is not None)
        return state

    def end(self, *, is_done: bool) -> bool:
        """The work is done, or is to be done again; False when a lease was lost to another call."""
        return self._end_all(is_done=is_done)

    def _begin(self) -> State:
        names = self.names
        if names.delivery_id is None:
            first = (*names.anonymous, *names.signed)
        else:
            first = ()
            for signed, anonymous in zip(names.signed, names.anonymous, strict=True):
                if self._claim(signed, self.signed_seconds) is not State.MINE:
                    # Another delivery with these bytes, or a copy of this one without its id?
                    state = self._claim(anonymous, self.signed_seconds)
                    if state is not State.MINE:
                        if state is State.DONE:
                            self._claim_all(names.work)
                        return state
                    name, token, _ = self._claims.pop()
                    self.store.release(name, token)
        state = self._claim_all(first, self.signed_seconds)
        return state if state is not State.MINE else self._claim_all(names.work)

    def _claim_all(self, names: tuple[str, ...], keep_seconds: float | None = None) -> State:
        for name in names:
            state = self._claim(name, keep_seconds or self.keep_seconds)
            if state is not State.MINE:
                return state
        return State.MINE

    def _claim(self, name: str, keep_seconds: float) -> State:
        claimed = self.store.claim(name, self.lease_seconds)
        if claimed.state is State.MINE:
            self._claims.append((name, claimed.token, keep_seconds))
        return claimed.state

    def _end_all(self, *, is_done: bool) -> bool:
        is_kept = True
        for name, token, keep_seconds in self._claims:
            # Bytes that came with an id are never to be handled without it, however it went.
            stays = is_done or (self.names.delivery_id is not None and name in self.names.signed)
            if not stays:
                self.store.release(name, token)
            elif not self.store.done(name, token, keep_seconds):
                is_kept = False
        self._claims.clear()
        return is_kept
