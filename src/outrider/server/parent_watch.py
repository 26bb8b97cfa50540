"""Children do not outlive the server: a process that lost its parent ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping

PARENT_VARIABLE = "_OUTRIDER_PARENT_PID"  # no OUTRIDER_ name: those are settings
_CHECK_EVERY_S = 0.25


def watch_parent(environ: Mapping[str, str], on_orphaned: Callable[[], object]) -> None:
    """Call `on_orphaned` from a thread when the parent that the environment names has ended.

    Does nothing in a process without a supervisor.
    """
    text = environ.get(PARENT_VARIABLE)
    if text is None:
        return
    parent = int(text)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_CHECK_EVERY_S)
        on_orphaned()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
