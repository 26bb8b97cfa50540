"""A server listens on its one port, and on nothing else that others on the machine could reach."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from system.processes import ENVOY, children_of, children_running, kill, wait_gone

LISTENS = "0A"


def listening_ports(processes: list[int]) -> set[int]:
    """The TCP ports that these processes listen on, at whatever address."""
    own = {inode for process in processes for inode in sockets_of(process)}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {
        int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENS and row[9] in own
    }


def sockets_of(process: int) -> set[str]:
    """The inodes of a process's sockets."""
    found = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):
            kind, _, inode = str(descriptor.readlink()).partition(":")
            if kind == "socket":
                found.add(inode.strip("[]"))
    return found


async def test_only_the_port_of_the_api_is_open(launch, data_dir):
    """
    Envoy's admin interface has no authentication: on a port every account could end the API, and
    have it log tokens.
    """
    server = await launch().ready()
    everything = [server.pid, *children_of(server.pid)]
    ports = listening_ports(everything)
    mode = stat.S_IMODE((data_dir / "envoy.admin").stat().st_mode)
    await server.stop()

    assert {server.address[1]} == ports
    assert 0o600 == mode
    assert not (data_dir / "envoy.admin").exists()


async def test_a_deep_data_directory_works_as_any_other(launch, tmp_path):
    """
    The name of a socket is short, those of directories are not.
    """
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    server = await launch(data_dir=deep).ready()
    [envoy] = children_running(server.pid, ENVOY)
    kill(envoy)
    await wait_gone(envoy, within=5)
    await server.output.line(lambda line: "starting it again" in line, within=5)
    code = await server.stop()

    assert 0 == code
