"""A server that cannot start reports why, and what to do; it never starts half working."""

from __future__ import annotations

import base64
import ctypes
import shutil
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from system.api import ApiError
from system.disk import change
from system.server import Server

# A second server gives the first one's children some seconds to end.
EXIT_WITHIN_S = 15.0
PRCTL_DROP_BOUND = 24
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
ANOTHER_KEY = base64.b64encode(bytes(32)).decode()


async def start_error(server: Server) -> str:
    """The log of a server that does not start; it must end, by itself and with a failure."""
    code = await server.ended(within=EXIT_WITHIN_S)
    assert code not in {0, None}
    assert "Traceback" not in server.logged.text
    return server.logged.text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which a server has run, with a secret in it."""
    directory = tmp_path_factory.mktemp("used") / "data"
    server = Server(directory)
    try:
        await server.ready()
        await server.api.create_target("audit", "http://127.0.0.1:1/")
        await server.stop()
    finally:
        server.kill()
    return directory


@pytest.fixture
def used_dir(used: Path, data_dir: Path) -> Path:
    """A copy of it, where this test's servers run."""
    return shutil.copytree(used, data_dir)


def without_powers_of_root() -> None:
    """In the child before it runs: root, too, has to respect the modes of files."""
    for power in (DAC_OVERRIDE, DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PRCTL_DROP_BOUND, power, 0, 0, 0)


async def test_two_servers_never_share_a_data_directory(launch, data_dir):
    """
    They would deliver twice. The error of the second one names the process of the first.
    """
    first = await launch().ready()
    text = await start_error(second := launch())

    assert f"{data_dir} is in use by another outrider (process {first.pid})" in text
    assert "choose another one with --data-dir" in text
    assert f"waiting for process {first.pid}" in second.output.text
    assert [] == await first.api.deliveries()


async def test_a_port_that_is_taken_is_named(launch):
    """
    Envoy's own words are a page long.
    """
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        text = await start_error(launch(port=port))

    assert f"port {port} on 127.0.0.1 is taken" in text
    assert "choose another --port" in text


async def test_two_servers_never_share_a_port(launch, data_dir):
    """
    The kernel would let both listen, and give each half of the calls.
    """
    first = await launch().ready()
    port = first.address[1]
    text = await start_error(launch(port=port, data_dir=data_dir.with_name("other")))

    assert f"port {port} on 127.0.0.1 is taken" in text


async def test_an_address_of_another_machine_is_named(launch):
    """
    A copied configuration names the machine it was copied from.
    """
    text = await start_error(launch("--host", "192.0.2.1"))

    assert "192.0.2.1 is no address of this machine: choose another --host" in text


async def test_a_directory_that_may_not_be_written_is_named(launch, data_dir):
    """
    The usual trouble with volumes of containers.
    """
    data_dir.mkdir(mode=0o500)
    text = await start_error(launch(before_start=without_powers_of_root))

    assert f"the data directory {data_dir} is not writable" in text
    assert "--data-dir" in text


async def test_a_directory_that_cannot_be_made_is_named(launch, data_dir):
    """
    A file has the name of the directory.
    """
    data_dir.write_text("a file")
    text = await start_error(launch())

    assert f"the data directory {data_dir} cannot be made" in text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lock", ": Permission denied"),
        ("master.key", " cannot be read or made: Permission denied"),
        ("admin.token", ": Permission denied"),
        ("outrider.db", ": unable to open"),
        ("outrider.db.lock", ": Permission denied"),
    ],
)
async def test_a_file_that_may_not_be_used_is_named(launch, used_dir, name, reason):
    """
    Restored by root, started by a service account: every file is another user's.
    """
    (used_dir / name).chmod(0)
    text = await start_error(launch(before_start=without_powers_of_root))

    assert f"{used_dir / name}{reason}" in text


async def test_a_wrong_master_key_is_refused_at_the_start(launch, used_dir):
    """
    Else the first delivery would find out, and every target made until then would be lost.
    """
    text = await start_error(launch(environ={"OUTRIDER_MASTER_KEY": ANOTHER_KEY}))

    assert "the master key does not open" in text
    assert "give the key that this data was made with, in OUTRIDER_MASTER_KEY or in" in text
    assert ANOTHER_KEY not in text


async def test_a_lost_master_key_is_not_replaced(launch, used_dir):
    """
    The server would start with a new key, and open nothing.
    """
    (used_dir / "master.key").unlink()
    text = await start_error(launch())

    assert f"{used_dir / 'master.key'} is missing" in text
    assert "put it back, or give it in OUTRIDER_MASTER_KEY" in text
    assert not (used_dir / "master.key").exists()


async def test_a_master_key_that_moved_into_the_environment_is_accepted(launch, used_dir):
    """
    The remedy that the message offers.
    """
    master_key = (used_dir / "master.key").read_text().strip()
    (used_dir / "master.key").unlink()
    server = await launch(environ={"OUTRIDER_MASTER_KEY": master_key}).ready()

    assert 1 == len((await server.api.post("/v2/actions/targets/search", {}))["targets"])
    assert not (used_dir / "master.key").exists()


async def test_a_damaged_master_key_is_named(launch, used_dir):
    """
    An editor added a line, or the disk was full.
    """
    (used_dir / "master.key").write_text("not Base64!\n")
    text = await start_error(launch())

    assert f"{used_dir / 'master.key'}: the master key is not Base64" in text
    assert "not Base64!" not in text


@pytest.mark.parametrize("content", ["", "\n", "tökén", "two words", "short"], ids=repr)
async def test_a_damaged_admin_token_is_named(launch, used_dir, content):
    """
    A server without a usable token seems to work.
    """
    (used_dir / "admin.token").write_text(content)
    text = await start_error(launch())

    assert f"{used_dir / 'admin.token'}" in text
    assert "delete it" in text


@pytest.mark.parametrize("name", ["admin.token", "master.key", "outrider.db"])
async def test_a_file_that_all_users_may_change_is_refused(launch, used_dir, name):
    """
    Every account of the machine could be the administrator.
    """
    (used_dir / name).chmod(0o666)
    text = await start_error(launch())

    assert f"{used_dir / name} has mode 0666: every account of this machine may change it" in text
    assert f"run: chmod 600 {used_dir / name}" in text


async def test_what_all_users_may_read_is_a_warning(launch, used_dir):
    """
    A volume of Kubernetes has this mode, and its pod has no other accounts.
    """
    used_dir.chmod(0o777)
    (used_dir / "admin.token").chmod(0o644)
    server = launch()
    await server.ready()
    notes = [line["note"] for line in server.log if line["event"] == "data_directory.exposed"]

    assert [f"{used_dir} has mode 0777", f"{used_dir / 'admin.token'} has mode 0644"] == [
        note.partition(":")[0] for note in notes
    ]


async def test_it_starts_next_to_a_service_of_the_same_name(launch):
    """
    Kubernetes gives every pod variables of that Service, whose names begin as those of settings do.
    """
    environ = {
        "OUTRIDER_PORT": "tcp://10.96.0.17:8080",
        "OUTRIDER_SERVICE_HOST": "10.96.0.17",
        "OUTRIDER_PORT_8080_TCP_ADDR": "10.96.0.17",
        "OUTRIDER_LOG_LEVEL": "debug",
    }
    server = await launch(environ=environ).ready()
    ignored = await server.logs("settings.ignored", within=10)

    assert [name for name in sorted(environ) if name != "OUTRIDER_LOG_LEVEL"] == ignored["names"]
    assert [] == await server.api.deliveries()


async def test_a_deleted_admin_token_is_made_again(launch, data_dir):
    """
    It makes a new one, when the old one has leaked.
    """
    first = await launch().ready()
    leaked = first.token
    await first.stop()
    (data_dir / "admin.token").unlink()
    second = await launch().ready()

    assert [] == await second.api.deliveries()
    assert leaked != second.token
    with pytest.raises(ApiError) as denied:
        await type(second.api)(second.url, leaked).deliveries()
    assert "unauthenticated" == denied.value.error["code"]


async def test_data_of_a_newer_release_is_left_alone(launch, used_dir):
    """
    An old release would not know what it destroys.
    """
    columns = "(version, name, applied_at)"
    change(used_dir, f"INSERT INTO schema_migrations {columns} VALUES (9999, 'the future', 0)")
    text = await start_error(launch())

    assert f"{used_dir / 'outrider.db'}: the data has schema version 9999" in text
    assert "start the newer release that wrote it, or restore a backup" in text


async def test_a_file_that_is_no_database_is_named(launch, used_dir):
    """
    Restored from the wrong backup.
    """
    for path in used_dir.glob("outrider.db*"):
        path.unlink()
    (used_dir / "outrider.db").write_bytes(b"this is not a database, but long enough" * 100)
    text = await start_error(launch())

    assert f"{used_dir / 'outrider.db'}" in text
    assert "is not a database" in text


async def test_a_misspelt_setting_is_refused(launch):
    """
    Else the server would run with a default and the operator would not notice.
    """
    text = await start_error(launch(environ={"OUTRIDER_WORKER": "3"}))

    assert "OUTRIDER_WORKER: no such setting" in text


async def test_only_the_owner_reads_what_lies_in_the_data_directory(launch, data_dir):
    """
    Events contain what no other user should read, and the keys open everything else.
    """
    data_dir.mkdir(mode=0o755)
    server = await launch().ready()
    await server.api.create_target("audit", "http://127.0.0.1:1/")
    paths = list(data_dir.rglob("*"))
    files = {path.name: modes_of(path) for path in paths if not path.is_dir()}

    assert {"admin.token", "lock", "master.key", "outrider.db", "outrider.db-wal"} <= set(files)
    assert {0o600} == set(files.values())
    assert {0o700} >= {modes_of(path) for path in paths if path.is_dir()}


async def test_a_data_directory_is_made_for_its_owner_alone(launch, data_dir):
    """
    Other users must not see the names of its files, either.
    """
    await launch().ready()

    assert 0o700 == modes_of(data_dir)


def modes_of(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)
