"""Room at each target: one that hangs fills its own room, and nobody else's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType

from outrider.domain.calls.request import RequestError, Stage
from outrider.domain.ids import InstanceId, TargetId
from outrider.domain.outcome import Outcome

DEFAULT_ROOM = 256
"""Calls at the same time to a target whose policy names no number."""


_Name = tuple[InstanceId, TargetId]


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

    _rooms: dict[_Name, _Room] = field(default_factory=dict)

    def __repr__(self) -> str:
        taken = sum(room.taken for room in self._rooms.values())
        waiting = sum(len(room.waiting) for room in self._rooms.values())
        return f"<Bulkheads {len(self)} rooms [taken {taken} | waiting {waiting}]>"

    def __len__(self) -> int:
        """How many targets are called right now."""
        return len(self._rooms)

    def place(self, instance: InstanceId, target: TargetId, places: int, seconds: float) -> _Place:
        """Hold one of the target's places in an `async with`; 0 `places` are `DEFAULT_ROOM`.

        Entering raises `RequestError` when none became free within `seconds`.
        """
        return _Place(self, (instance, target), places or DEFAULT_ROOM, seconds)

    async def _enter(self, name: _Name, places: int, seconds: float) -> _Room:
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room(places)
        room.places = places
        # The policy may have made room meanwhile: who waits longest is in before us.
        _admit(room)
        if room.taken >= places:
            await self._wait(name, room, seconds)
        else:
            room.taken += 1
        return room

    async def _wait(self, name: _Name, room: _Room, seconds: float) -> None:
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
                raise RequestError(Outcome.UNREACHABLE, Stage.CONNECT, reason) from None
            raise

    def _leave(self, name: _Name, room: _Room) -> None:
        room.taken -= 1
        _admit(room)
        if not room.taken and not room.waiting:
            self._rooms.pop(name, None)


class _Place:
    """A place while it is held. A class: a decorated generator takes three times as long."""

    __slots__ = ("_bulkheads", "_name", "_places", "_room", "_seconds")

    def __init__(self, bulkheads: Bulkheads, name: _Name, places: int, seconds: float) -> None:
        self._bulkheads = bulkheads
        self._name = name
        self._places = places
        self._seconds = seconds

    async def __aenter__(self) -> None:
        enter = self._bulkheads._enter  # noqa: SLF001 - a part of it
        self._room = await enter(self._name, self._places, self._seconds)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bulkheads._leave(self._name, self._room)  # noqa: SLF001 - a part of it


def _admit(room: _Room) -> None:
    while room.waiting and room.taken < room.places:
        turn = next(iter(room.waiting))
        del room.waiting[turn]
        if not turn.done():
            room.taken += 1
            turn.set_result(None)
