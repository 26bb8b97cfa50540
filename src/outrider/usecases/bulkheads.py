"""Room at each target: one that hangs fills its own room, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from outrider.domain.call import CallFailed, Stage
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.outcome import Outcome

DEFAULT_ROOM = 256
"""Calls at the same time to a target whose policy names no number."""


@dataclass(slots=True)
class _Room:
    places: int
    taken: int = 0
    waiting: dict[asyncio.Future[None], None] = field(default_factory=dict)


@dataclass(slots=True, repr=False)
class Bulkheads:
    """Counts the calls at each target. Belongs to one event loop; who waits longest is next.

    `repr` shows them all together: `<Bulkheads 1 rooms [taken 256 | waiting 3]>`.
    """

    _rooms: dict[tuple[InstanceId, TargetId], _Room] = field(default_factory=dict)

    def __repr__(self) -> str:
        taken = sum(room.taken for room in self._rooms.values())
        waiting = sum(len(room.waiting) for room in self._rooms.values())
        return f"<Bulkheads {len(self)} rooms [taken {taken} | waiting {waiting}]>"

    def __len__(self) -> int:
        """How many targets are called right now."""
        return len(self._rooms)

    @asynccontextmanager
    async def place(
        self, instance: InstanceId, target: TargetId, places: int, seconds: float
    ) -> AsyncIterator[None]:
        """Hold one of the target's places; 0 `places` are `DEFAULT_ROOM`.

        Raise `CallFailed` when none became free within `seconds`.
        """
        name = instance, target
        room = self._rooms.setdefault(name, _Room(0))
        room.places = places or DEFAULT_ROOM
        # The policy may have made room meanwhile: who waits longest is in before us.
        _admit(room)
        if room.taken >= room.places:
            await self._wait(name, room, seconds)
        else:
            room.taken += 1
        try:
            yield
        finally:
            self._leave(name, room)

    async def _wait(self, name: tuple[InstanceId, TargetId], room: _Room, seconds: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        room.waiting[turn] = None
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as failure:
            room.waiting.pop(turn, None)
            if turn.done() and not turn.cancelled():
                # The place came in the very moment in which nobody wanted it any more.
                self._leave(name, room)
            if isinstance(failure, TimeoutError):
                reason = f"all {room.places} places at this target were taken for {seconds:.3g} s"
                raise CallFailed(Outcome.UNREACHABLE, Stage.CONNECT, reason) from None
            raise

    def _leave(self, name: tuple[InstanceId, TargetId], room: _Room) -> None:
        room.taken -= 1
        _admit(room)
        if not room.taken and not room.waiting:
            self._rooms.pop(name, None)


def _admit(room: _Room) -> None:
    while room.waiting and room.taken < room.places:
        turn = next(iter(room.waiting))
        del room.waiting[turn]
        if not turn.done():
            room.taken += 1
            turn.set_result(None)
