"""The supervised worker: `python -m outrider.worker_main`, settings from the environment."""

from __future__ import annotations

import os

import structlog
import uvloop

from outrider.bootstrap.processes import run_worker
from outrider.config.loading import from_environ


def main() -> None:
    """Deliver until stopped."""
    log = structlog.get_logger()
    settings = from_environ(os.environ)
    uvloop.run(run_worker(settings, announce=lambda text: log.debug("worker.notice", text=text)))


if __name__ == "__main__":
    main()
