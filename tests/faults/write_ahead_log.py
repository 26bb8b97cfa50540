"""SQLite's write-ahead log as bytes (https://www.sqlite.org/fileformat2.html#walformat)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER, _FRAME_HEADER = 32, 24


@dataclass(frozen=True)
class Frame:
    """One page in the log. `commits` says that a transaction ends with it."""

    offset: int
    size: int
    commits: bool


@dataclass(frozen=True)
class Log:
    """The file, and the frames in it that count, in order."""

    path: Path
    frames: list[Frame]

    @property
    def end(self) -> int:
        """Where the next frame would be written."""
        return self.frames[-1].offset + self.frames[-1].size

    def last_transactions(self, count: int) -> list[Frame]:
        """The frames of the transactions that were committed last."""
        ends = [position for position, frame in enumerate(self.frames) if frame.commits]
        return self.frames[ends[-count - 1] + 1 : ends[-1] + 1]

    def write(self, offset: int, data: bytes) -> None:
        """Overwrite what is there, and nothing behind it."""
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def cut(self, offset: int) -> None:
        """End the file there."""
        with self.path.open("r+b") as file:
            file.truncate(offset)


def log_of(data_dir: Path) -> Log:
    """The log of a server that was killed. It has at least one frame."""
    path = data_dir / "outrider.db-wal"
    data = path.read_bytes()
    page_size, _, *salts = struct.unpack(">8xIIII8x", data[:_HEADER])
    size = _FRAME_HEADER + page_size
    frames = []
    for offset in range(_HEADER, len(data) - size + 1, size):
        _, pages, *own_salts = struct.unpack(">IIII8x", data[offset : offset + _FRAME_HEADER])
        if own_salts != salts:
            break  # of a round before: the log is used again from its beginning
        frames.append(Frame(offset, size, bool(pages)))
    assert frames
    return Log(path, frames)
