"""What the server's process imports, seen from the inside."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = "import gc, outrider.asgi; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"


def test_garbage_is_collected_once_the_imports_are_done():
    """
    Off while they run, for a quicker start; left off, the server would grow for ever.
    """
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=False
    )

    assert ("True True", "") == (ended.stdout.strip(), ended.stderr)
