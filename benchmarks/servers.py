"""A whole `outrider serve`, as a user starts it."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import stores
from benchmarks.machine import cores
from benchmarks.options import Options
from benchmarks.processes import cpu_seconds, family, pss_mib, started

_READY_S = 30.0
_LISTENING = "listening on "


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready. `seconds` and `cpu_seconds` are what that took, of all processes."""

    pid: int
    url: str
    token: str
    seconds: float
    cpu_seconds: float

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return urlsplit(self.url).port

    def processes(self) -> list[int]:
        """The supervisor, Envoy with the API inside, the workers."""
        return family(self.pid)


@contextmanager
def server(
    data_dir: Path, options: Options, *, on_cores: frozenset[int] | None = None
) -> Iterator[Server]:
    """Start it and wait until `/readyz` says yes; stop it in order on leaving.

    All its processes share the core for what is measured, unless others are named.
    """
    arguments = ["-m", "outrider", "serve", "--port", "0"]
    environ = stores.environ(data_dir, **options.environ)
    begun = time.perf_counter()
    with started(arguments, cores=on_cores or frozenset({cores()[0]}), environ=environ) as process:
        for line in process.stdout:
            if line.startswith(_LISTENING):
                break
        else:
            raise RuntimeError("the server ended before it listened")
        url = line.removeprefix(_LISTENING).strip()
        _until_ready(url)
        seconds = time.perf_counter() - begun
        token = (data_dir / "admin.token").read_text().strip()
        yield Server(process.pid, url, token, seconds, cpu_seconds(family(process.pid)))


def memory_mib(server: Server) -> float:
    """Resident memory of all its processes; pages that they share count once."""
    return sum(pss_mib(pid) for pid in server.processes())


def _until_ready(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            with opener.open(f"{url}/readyz", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
