"""A real pgbouncer in front of a server of `support.postgres`, in one of its ways to pool."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
_UNPRIVILEGED = "nobody"
_READY = "process up"


@contextmanager
def pgbouncer(url: str, pool_mode: str, **settings: object) -> Iterator[str]:
    """The URL of the same database through a pgbouncer, which ends with the block."""
    parts = urlsplit(url)
    server = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    # Next to the server's socket: the user that runs both may go there.
    parent = server if server.startswith("/") else None
    directory = Path(tempfile.mkdtemp(prefix="bouncer-", dir=parent))
    options = {
        "listen_port": 6432,
        "unix_socket_dir": directory,
        "auth_type": "any",
        "pool_mode": pool_mode,
        "ignore_startup_parameters": "extra_float_digits",
        **settings,
    }
    lines = [
        "[databases]",
        f"* = host={server} user={parts.username}",
        "[pgbouncer]",
        *(f"{name} = {value}" for name, value in options.items()),
    ]
    (directory / "pgbouncer.ini").write_text("\n".join(lines))
    user = _give_away(directory)
    process = subprocess.Popen(
        [PROGRAM, directory / "pgbouncer.ini"],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until_ready(process)
        query = f"host={quote(str(directory), safe='')}&port=6432"
        yield parts._replace(query=query).geturl()
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(directory, ignore_errors=True)


def _give_away(directory: Path) -> str | None:
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_UNPRIVILEGED)
    for path in (directory, directory / "pgbouncer.ini"):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    return _UNPRIVILEGED


def _wait_until_ready(process: subprocess.Popen[str]) -> None:
    lines = []
    for line in process.stderr or ():
        lines.append(line)
        if _READY in line:
            return
    raise RuntimeError("".join(lines))
