"""What `outrider doctor` finds, in directories and on ports made for it."""

from __future__ import annotations

import base64
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from cli.conftest import run
from outrider.cli.doctor import checks
from outrider.cli.doctor.checks import Status
from outrider.config.loading import Settings


@pytest.fixture
def settings(tmp_path) -> Settings:
    """A directory that does not exist yet, and any free port."""
    return Settings(port=0, data_dir=tmp_path / "data")


def in_data_dir(settings: Settings, name: str, text: str = "") -> Path:
    settings.data_dir.mkdir(exist_ok=True)
    path = settings.data_dir / name
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong_with_this_machine(settings, check):
    """
    The tests run on a machine that can run a server; and a check reports what it found.
    """
    finding = check(settings)

    assert Status.OK is finding.status, finding
    assert finding.message


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_a_check_changes_nothing(settings, check):
    """
    The doctor only reports.
    """
    check(settings)

    assert not settings.data_dir.exists()


def test_a_data_directory_in_use_is_seen(server):
    """
    It is why a second server does not start.
    """
    finding = checks.check_data_dir(Settings(data_dir=server.data_dir))

    assert Status.WARN is finding.status
    assert "in use" in finding.message


def test_a_data_directory_that_cannot_be_made_is_seen(tmp_path):
    """
    A file stands where a directory should be.
    """
    (tmp_path / "file").touch()

    finding = checks.check_data_dir(Settings(data_dir=tmp_path / "file" / "data"))

    assert Status.FAIL is finding.status
    assert "--data-dir" in finding.advice


def test_a_lost_master_key_is_seen(settings):
    """
    The database is there, its key is not: worse than no database.
    """
    in_data_dir(settings, "outrider.db")

    finding = checks.check_master_key(settings)

    assert Status.FAIL is finding.status
    assert "OUTRIDER_MASTER_KEY" in finding.advice


def test_a_master_key_in_the_settings_is_enough(settings):
    """
    Then the file is not needed.
    """
    in_data_dir(settings, "outrider.db")

    finding = checks.check_master_key(replace(settings, master_key=bytes(32)))

    assert Status.OK is finding.status


def test_a_master_key_that_cannot_be_read_is_seen(settings):
    """
    And what stands in the file is not repeated.
    """
    in_data_dir(settings, "master.key", "hunter2")

    finding = checks.check_master_key(settings)

    assert Status.FAIL is finding.status
    assert "hunter2" not in finding.message + finding.advice


def test_a_master_key_that_all_users_may_read_is_seen(settings):
    """
    It is worth nothing when all users of the machine can read it.
    """
    path = in_data_dir(settings, "master.key", base64.b64encode(bytes(32)).decode())
    path.chmod(0o644)

    finding = checks.check_master_key(settings)

    assert Status.WARN is finding.status
    assert f"chmod 600 {path}" in finding.advice


@pytest.mark.parametrize(
    ("name", "mode", "status"),
    [
        ("admin.token", 0o644, Status.WARN),
        ("admin.token", 0o666, Status.FAIL),
        ("master.key", 0o666, Status.FAIL),
        ("outrider.db", 0o666, Status.FAIL),
    ],
)
def test_files_that_all_users_may_read_are_seen(settings, name, mode, status):
    """
    Before a server refuses to start on them.
    """
    path = in_data_dir(settings, name)
    path.chmod(mode)
    finding = checks.check_file_modes(settings)

    assert status is finding.status
    assert f"{path} has mode {mode:04o}" in finding.message
    assert f"chmod 600 {path}" in finding.advice


def test_a_directory_that_all_users_may_change_is_seen(settings):
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o777)

    assert Status.WARN is checks.check_file_modes(settings).status


@pytest.mark.parametrize("text", ["a", "two words and some more"])
def test_an_admin_token_that_no_server_takes_is_seen(settings, text):
    in_data_dir(settings, "admin.token", text)
    finding = checks.check_admin_token(settings)

    assert Status.FAIL is finding.status
    assert "at least 16 characters" in finding.message or "visible ASCII" in finding.message
    assert "Delete it" in finding.advice


def test_variables_of_kubernetes_are_named(tmp_path):
    """
    OUTRIDER_PORT is set, and is not the port.
    """
    result = run(
        *("doctor", "--json"), cwd=tmp_path, OUTRIDER_PORT="tcp://10.96.0.17:8080",
    )  # fmt: skip
    settings_check = result.json["checks"][0]

    assert "ok" == settings_check["status"]
    assert "Kubernetes' own: OUTRIDER_PORT" in settings_check["message"]


def test_a_taken_port_is_seen(settings):
    """
    By something else than us.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1) as taken:
        finding = checks.check_port(replace(settings, port=taken.getsockname()[1]))

    assert Status.FAIL is finding.status
    assert "--port" in finding.advice


def test_a_port_that_our_own_server_has_is_no_failure(server):
    """
    The doctor may run next to a healthy server.
    """
    port = int(server.url.rpartition(":")[2])

    finding = checks.check_port(Settings(port=port))

    assert Status.WARN is finding.status
    assert "already running" in finding.message


def test_a_host_that_is_not_this_machine_is_seen(settings):
    """
    192.0.2.0/24 is not assigned (RFC 5737).
    """
    assert Status.FAIL is checks.check_port(replace(settings, host="192.0.2.1")).status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_server_for_others_without_a_name_is_seen(settings, host):
    """
    A server that is sent a token for its own name could use it here under that name.
    """
    finding = checks.check_external_url(replace(settings, host=host))

    assert Status.WARN is finding.status
    assert "OUTRIDER_EXTERNAL_URL" in finding.advice
    assert host in finding.message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_server_for_this_machine_alone_needs_no_name(settings, host):
    """
    A warning that is always there is not read.
    """
    assert Status.OK is checks.check_external_url(replace(settings, host=host)).status


def test_a_server_with_a_name_may_listen_anywhere(tmp_path):
    """
    The flag is the one of serve, so that the doctor is asked about what will be started.
    """
    options = ("--host", "0.0.0.0", "--port", 0, "--data-dir", tmp_path / "data", "--json")
    name = "https://actions.example.com"
    with_name, without = (
        {check["name"]: check["status"] for check in run("doctor", *options, *more).json["checks"]}
        for more in (("--external-url", name), ())
    )

    assert ("ok", "warn") == (with_name["external URL"], without["external URL"])


def test_a_running_server_is_asked(server):
    """
    Whether it is ready, and what time it believes it is.
    """
    findings = list(checks.check_server(server.url))

    assert [Status.OK, Status.OK] == [finding.status for finding in findings]


def test_a_server_that_does_not_answer_is_a_failure():
    """
    With the reason of the operating system.
    """
    (finding,) = checks.check_server("http://127.0.0.1:9")

    assert Status.FAIL is finding.status
    assert "refused" in finding.message


def test_the_command_ends_with_0_on_a_healthy_machine(tmp_path):
    """
    For scripts; and JSON for programs.
    """
    options = ("--port", 0, "--data-dir", tmp_path / "data")

    for_people = run("doctor", *options)
    for_programs = run("doctor", *options, "--json")

    assert (0, 0) == (for_people.code, for_programs.code)
    assert {"ok"} == {line.split()[0] for line in for_people.out.splitlines()}
    assert for_programs.json["healthy"]
    assert 1 + len(checks.CHECKS) == len(for_programs.json["checks"])


def test_the_command_ends_with_1_when_something_must_be_repaired(tmp_path):
    """
    Wrong settings are a finding; the other checks continue with the defaults.
    """
    result = run("doctor", "--port", "70000", "--json", cwd=tmp_path)

    assert 1 == result.code
    assert not result.json["healthy"]
    first = result.json["checks"][0]
    assert ("settings", "fail") == (first["name"], first["status"])
    assert "--port" in first["message"]


def test_a_server_can_be_checked_from_elsewhere(server, tmp_path):
    """
    `--url` adds its health to the list.
    """
    result = run("doctor", "--port", 0, "--url", server.url, "--json", cwd=tmp_path)

    assert 0 == result.code, json.dumps(result.json)
    assert {"server", "server clock"} <= {check["name"] for check in result.json["checks"]}
