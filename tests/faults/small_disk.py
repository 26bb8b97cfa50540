"""A disk of a few megabytes, which a test can fill and empty again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FILLER = "filler"


@dataclass(frozen=True)
class SmallDisk:
    """A separate file system."""

    root: Path

    @property
    def free_bytes(self) -> int:
        """What can still be written."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def fill(self, *, all_but: int) -> None:
        """Take the space, all but a number of bytes."""
        with (self.root / _FILLER).open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, self.free_bytes - all_but)

    def empty(self) -> None:
        """Give the space back."""
        (self.root / _FILLER).unlink()


@contextmanager
def small_disk(root: Path, *, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs at a directory that does not exist yet; it is gone afterwards."""
    root.mkdir()
    options = f"size={mebibytes}m,mode=0700"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{done.stderr.strip()}: only a user who may mount can make a full disk; run the tests"
            " as root, or as `unshare --map-root-user --mount make test`"
        )
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)
