"""Files that every account of the machine may read or change."""

from __future__ import annotations

from pathlib import Path

import pytest

from outrider.errors import StartupError
from outrider.server.file_modes import exposed_files, refuse_exposed_files

SECRETS = ["master.key", "admin.token", "outrider.db", "outrider.db-wal", "outrider.db-shm"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory as a server leaves it."""
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    for name in SECRETS:
        (made / name).touch(mode=0o600)
    return made


def refused(directory: Path) -> list[str]:
    return [
        exposed.message for exposed in refuse_exposed_files(directory, directory / "outrider.db")
    ]


def test_what_a_server_makes_is_private(directory):
    assert [] == refused(directory)


@pytest.mark.parametrize("mode", [0o640, 0o660, 0o440])
@pytest.mark.parametrize("name", SECRETS)
def test_a_group_is_trusted(directory, name, mode):
    """
    Volumes of Kubernetes and OpenShift give files to a group.
    """
    (directory / name).chmod(mode)

    assert [] == refused(directory)


@pytest.mark.parametrize("name", SECRETS)
def test_a_file_that_all_users_may_read_is_a_warning(directory, name):
    """
    Secrets of Kubernetes are mounted with 0644.
    """
    (directory / name).chmod(0o644)

    assert [
        f"{directory / name} has mode 0644: every account of this machine may read it"
    ] == refused(directory)


@pytest.mark.parametrize("mode", [0o666, 0o602])
@pytest.mark.parametrize("name", SECRETS)
def test_a_file_that_all_users_may_change_is_refused(directory, name, mode):
    """
    Every account could make itself the administrator.
    """
    (directory / name).chmod(mode)
    with pytest.raises(StartupError) as failure:
        refused(directory)

    path = directory / name
    assert f"{path} has mode {mode:04o}: every account of this machine may change it;" in str(
        failure.value
    )
    assert f"run: chmod 600 {path}" in str(failure.value)


@pytest.mark.parametrize(("mode", "is_exposed"), [(0o777, True), (0o1777, False), (0o770, False)])
def test_a_directory_in_which_all_users_may_replace_files_is_a_warning(directory, mode, is_exposed):
    directory.chmod(mode)
    found = [exposed.path for exposed in exposed_files(directory, None)]

    assert ([directory] if is_exposed else []) == found


def test_the_file_of_a_database_on_another_server_is_not_looked_for(directory):
    (directory / "outrider.db").chmod(0o666)

    assert [] == refuse_exposed_files(directory, None)
