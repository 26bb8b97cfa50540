"""The supervised worker: `python -m outrider.worker_main`, settings from the environment."""

from __future__ import annotations

import os
import sys

import structlog
import uvloop

from outrider.bootstrap.processes import run_worker
from outrider.config.loading import from_environ
from outrider.errors import StartupError


def main() -> None:
    """Deliver until stopped."""
    log = structlog.get_logger()
    settings = from_environ(os.environ)
    try:
        uvloop.run(
            run_worker(settings, announce=lambda text: log.debug("worker.notice", text=text))
        )
    except StartupError as failure:
        log.error("worker.not_started", reason=str(failure))  # noqa: TRY400 - no bug
        sys.exit(1)


if __name__ == "__main__":
    main()
