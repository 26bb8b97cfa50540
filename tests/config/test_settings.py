"""Settings: where they come from, which source wins, and what is refused."""

from __future__ import annotations

import base64
import os
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.config.loading import (
    SETTINGS,
    LogFormat,
    LogLevel,
    Settings,
    SettingsError,
    from_environ,
    load_settings,
    to_environ,
)
from outrider.domain.net.egress_policy import EgressProfile

MASTER_KEY = bytes(range(32))
ISSUERS = '[{"issuer": "https://id.example", "audience": "1", "default_roles": "IAM_OWNER"}]'
MASTER_KEY_TEXT = base64.b64encode(MASTER_KEY).decode()


def error_of(flags=None, environ=None, directory=None) -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings(flags or {}, environ or {}, directory=directory)
    return str(raised.value)


def test_without_anything_the_defaults_hold(tmp_path):
    """
    `outrider serve` works on a machine without any configuration.
    """
    settings = load_settings({}, {}, directory=tmp_path)

    assert ("127.0.0.1", 8080) == (settings.host, settings.port)
    assert Path.cwd() / "data" == settings.data_dir
    assert Path.cwd() / "data" / "outrider.db" == settings.database_file
    assert EgressProfile.STRICT is settings.egress_profile
    assert 1 <= settings.workers
    assert (None, None) == (settings.admin_token, settings.master_key)


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(tmp_path):
    """
    The nearer to the command, the more a setting counts.
    """
    (tmp_path / "outrider.toml").write_text("port = 1\nworkers = 11\nhost = '10.0.0.1'\n")
    environ = {"OUTRIDER_PORT": "2", "OUTRIDER_WORKERS": "12"}

    settings = load_settings({"port": 3, "workers": None}, environ, directory=tmp_path)

    assert (3, 12, "10.0.0.1") == (settings.port, settings.workers, settings.host)


def test_the_file_has_the_types_of_toml(tmp_path):
    """
    A port is a number there, a switch true or false, and a list a list.
    """
    (tmp_path / "outrider.toml").write_text(
        'port = 0\ndev = true\ndrain_timeout = 2.5\nlog_level = "debug"\nlog_format = "json"\n'
        'egress_allow = ["10.0.0.0/8", "hooks.internal"]\nexternal_url = "https://a.example/b/"\n'
    )

    settings = load_settings({}, {}, directory=tmp_path)

    assert (0, True, 2.5) == (settings.port, settings.dev, settings.drain_timeout)
    assert (LogLevel.DEBUG, LogFormat.JSON) == (settings.log_level, settings.log_format)
    assert "10.0.0.0/8,hooks.internal" == settings.egress_allow
    assert "https://a.example/b" == settings.external_url


@pytest.mark.parametrize("source", ["flag", "environment"])
def test_a_file_can_be_named(tmp_path, source):
    """
    One machine, several servers.
    """
    path = tmp_path / "second.toml"
    path.write_text("port = 9999\n")
    flags = {"config": path} if source == "flag" else {}
    environ = {"OUTRIDER_CONFIG": str(path)} if source == "environment" else {}

    assert 9999 == load_settings(flags, environ, directory=tmp_path).port


def test_a_named_file_that_is_missing_is_an_error(tmp_path):
    """
    Only the default file may be missing: a file that is named must be there.
    """
    error = error_of({"config": "nothing.toml"}, directory=tmp_path)

    assert f"{tmp_path}/nothing.toml: no such file (from --config): name a TOML file" == error


def test_a_file_that_is_not_toml_is_named(tmp_path):
    """
    The line and the column are in the sentence.
    """
    (tmp_path / "outrider.toml").write_text("port == 1\n")

    error = error_of(directory=tmp_path)

    assert error.startswith(f"{tmp_path}/outrider.toml: is not TOML: ")
    assert "line 1" in error


def test_an_unknown_setting_in_the_file_is_an_error(tmp_path):
    """
    A misspelt setting must not be a silent default.
    """
    (tmp_path / "outrider.toml").write_text("data_dri = '/var/lib/outrider'\n")

    error = error_of(directory=tmp_path)

    where = f"(in {tmp_path}/outrider.toml)"
    assert f"data_dri: no such setting {where}. Did you mean data_dir?" == error


def test_an_unknown_name_in_the_environment_is_an_error():
    """
    The same typo costs the same minute wherever it is made.
    """
    error = error_of(environ={"OUTRIDER_EGRES_ALLOW": "10.0.0.0/8"})

    assert (
        "OUTRIDER_EGRES_ALLOW: no such setting (in the environment)."
        " Did you mean OUTRIDER_EGRESS_ALLOW?" == error
    )


def test_the_names_of_the_command_line_are_known():
    """
    A shell that is set up for the client may start a server too.
    """
    environ = {"OUTRIDER_URL": "http://x", "OUTRIDER_TOKEN": "y", "OUTRIDER_SIGNING_KEY": "z"}

    assert load_settings({}, {}) == load_settings({}, environ)


def test_other_peoples_variables_are_none_of_our_business():
    """
    Only our own prefix is ours to check.
    """
    assert load_settings({}, {}) == load_settings({}, {"OUTRIDE_PORT": "1", "PORT": "2"})


def test_an_empty_variable_counts_as_not_set():
    """
    Compose files pass `NAME=` for what was not filled in.
    """
    assert 8080 == load_settings({}, {"OUTRIDER_PORT": "", "OUTRIDER_ADMIN_TOKEN": ""}).port


def test_all_problems_are_told_together():
    """
    One start must find all five typos.
    """
    error = error_of({"port": 70000}, {"OUTRIDER_WORKERS": "none", "OUTRIDER_HSOT": "x"})

    assert 3 == len(error.splitlines())
    assert (
        "OUTRIDER_HSOT: no such setting (in the environment). Did you mean OUTRIDER_HOST?" in error
    )
    assert "workers = 'none': must be a whole number from 1 to 256 (from the environment: " in error
    assert "port = '70000': must be a whole number from 0 to 65535 (from --port)." in error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "-1"),
        ("port", "65536"),
        ("port", "8080 "),
        ("port", "٣"),
        ("host", "a b"),
        ("data_dir", "  "),
        ("database_url", "mysql://x"),
        ("database_url", "sqlite://"),
        ("database_url", "sqlite:///"),
        ("dev", "maybe"),
        ("egress_profile", "open"),
        ("egress_allow", "10.0.0.0/33"),
        ("egress_proxy", "proxy:3128"),
        ("egress_proxy", "socks5://proxy:1080"),
        ("egress_proxy", "http://proxy:3128/path"),
        ("admin_token", "two words, and some more"),
        ("admin_token", "a"),
        ("admin_token", "15-characters-x"),
        ("admin_token", "1234567123456712345671234567"),
        ("drain_delay", "-1"),
        ("drain_delay", "\uff13"),
        ("master_key", "c2hvcnQ="),
        ("master_key", "not base64"),
        ("workers", "0"),
        ("worker_concurrency", "1e3"),
        ("drain_timeout", "-1"),
        ("drain_timeout", "nan"),
        ("retention_delivered", "0"),
        ("retention_dead", "59s"),
        ("retention_dead", "36501d"),
        ("retention_events", "1 week"),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("external_url", "ftp://x"),
        ("external_url", "https://user:word@x"),
        ("oidc_issuers", "https://id.example"),
        ("oidc_issuers", '[{"issuer": "https://id.example"}]'),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(name, text):
    """
    Refused when the server starts, with the variable's name, not at the first event.
    """
    variable = f"OUTRIDER_{name.upper()}"

    error = error_of(environ={variable: text})

    assert error.startswith(name)
    assert error.endswith(f"(from the environment: {variable}).")


def test_a_database_of_several_nodes_is_named_by_its_url():
    """
    As every other program of the operator names it, and whatever its driver understands.
    """
    url = "postgresql://me:hunter2@db/outrider?sslmode=verify-full"
    settings = load_settings({}, {"OUTRIDER_DATABASE_URL": url})

    assert url == settings.postgres_url
    assert "hunter2" not in repr(settings)
    assert None is load_settings({}, {}).postgres_url


@pytest.mark.parametrize("name", ["admin_token", "master_key", "database_url", "egress_proxy"])
def test_the_value_of_a_secret_is_never_repeated(name):
    """
    Error messages end up in logs and tickets.
    """
    error = error_of(environ={f"OUTRIDER_{name.upper()}": "hunter2 hunter2"})

    assert "hunter2" not in error


def test_secrets_are_not_in_the_repr():
    """
    Programs log their settings.
    """
    settings = Settings(
        admin_token="hunter2",
        master_key=MASTER_KEY,
        database_url="sqlite:////h",
        egress_proxy="http://a:hunter2@b",
    )

    shown = repr(settings)

    assert "hunter2" not in shown
    assert repr(MASTER_KEY) not in shown
    assert "sqlite" not in shown


@pytest.mark.parametrize("text", [MASTER_KEY_TEXT, f" {MASTER_KEY_TEXT}\n"])
def test_a_master_key_is_32_bytes(text):
    """
    `openssl rand -base64 32` and a file's last newline are both fine.
    """
    assert MASTER_KEY == load_settings({}, {"OUTRIDER_MASTER_KEY": text}).master_key


def test_dev_also_opens_loopback():
    """
    One flag is enough on a developer's machine.
    """
    assert EgressProfile.DEV is load_settings({"dev": True}, {}).egress_profile


def test_dev_does_not_wait_for_a_balancer():
    """
    Ctrl-C ends a developer's server immediately.
    """
    assert 5.0 == load_settings({}, {}).drain_delay
    assert 0.0 == load_settings({"dev": True}, {}).drain_delay
    assert 2.0 == load_settings({"dev": True, "drain_delay": "2"}, {}).drain_delay


@pytest.mark.parametrize("text", ["0123456789abcdef", "otr_of_the_admin", "x" * 9 + "abcdefg"])
def test_a_token_of_sixteen_characters_is_enough(text):
    assert text == load_settings({}, {"OUTRIDER_ADMIN_TOKEN": text}).admin_token


def test_a_profile_that_is_named_is_not_changed_by_dev():
    """
    What is written down counts more than what another setting implies.
    """
    settings = load_settings({"dev": True}, {"OUTRIDER_EGRESS_PROFILE": "cluster"})

    assert EgressProfile.CLUSTER is settings.egress_profile


def test_paths_are_made_absolute():
    """
    A child process may work in another directory and must find the same files.
    """
    settings = load_settings(
        {"data_dir": Path("here")}, {"OUTRIDER_DATABASE_URL": "sqlite:///x.db"}
    )

    assert Path.cwd() / "here" == settings.data_dir
    assert Path.cwd() / "x.db" == settings.database_file
    assert f"sqlite:///{Path.cwd()}/x.db" == settings.database_url


def test_an_absolute_database_file_stays_where_it_is():
    """
    Four slashes, as other programs write it.
    """
    settings = load_settings({}, {"OUTRIDER_DATABASE_URL": "sqlite:////srv/o.db"})

    assert Path("/srv/o.db") == settings.database_file


def test_issuers_are_tables_in_the_file_and_json_in_the_environment(tmp_path):
    """
    JSON in TOML is hard to write, and a variable is one line.
    """
    (tmp_path / "outrider.toml").write_text(
        '[[oidc_issuers]]\nissuer = "https://id.example"\naudience = "1"\n'
        'default_roles = "IAM_OWNER"\n'
    )

    assert ISSUERS == load_settings({}, {}, directory=tmp_path).oidc_issuers
    assert ISSUERS == load_settings({}, {"OUTRIDER_OIDC_ISSUERS": ISSUERS}).oidc_issuers


def test_a_bad_issuer_is_named_with_what_is_wrong(tmp_path):
    """
    A list of five issuers and "invalid" would be an afternoon.
    """
    (tmp_path / "outrider.toml").write_text(
        '[[oidc_issuers]]\nissuer = "https://a.example"\naudience = "1"\n'
        'default_roles = "IAM_OWNER"\n'
        '[[oidc_issuers]]\nissuer = "http://b.example"\naudience = "1"\n'
        'default_roles = "IAM_OWNER"\nsince = 2026-01-01\n'
    )
    error = error_of(directory=tmp_path)

    assert "entry 2: since is unknown; known are " in error
    assert error.endswith(f"(from {tmp_path}/outrider.toml).")


def test_this_server_is_no_external_issuer():
    """
    Our own tokens would be checked by the laxer rules for others'.
    """
    environ = {"OUTRIDER_OIDC_ISSUERS": ISSUERS, "OUTRIDER_EXTERNAL_URL": "https://id.example/"}

    assert "oidc_issuers: one of them is external_url, which is this server." == error_of(
        environ=environ
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("12h", 43_200), ("7d", 604_800)]
)
def test_periods_are_written_as_people_write_them(text, seconds):
    """
    A month in seconds is hard to read.
    """
    assert seconds == load_settings({}, {"OUTRIDER_RETENTION_DEAD": text}).retention_dead


@given(
    st.builds(
        Settings,
        port=st.integers(0, 65535),
        data_dir=st.sampled_from([Path("/a"), Path("/a b/ü")]),
        database_url=st.sampled_from([None, "sqlite:////x/y.db"]),
        dev=st.booleans(),
        egress_profile=st.sampled_from(EgressProfile),
        egress_allow=st.sampled_from(["", "10.0.0.0/8, a.b"]),
        egress_proxy=st.sampled_from([None, "http://user:pass@proxy.example:3128"]),
        admin_token=st.none() | st.text("abc/=_-+", min_size=1).map("a-token_of=0123/".__add__),
        master_key=st.none() | st.binary(min_size=32, max_size=32),
        workers=st.integers(1, 256),
        worker_concurrency=st.integers(1, 10_000),
        drain_timeout=st.integers(0, 3_600_000).map(lambda ms: ms / 1000),
        retention_dead=st.integers(60, 3_153_600_000).map(float),
        log_level=st.sampled_from(LogLevel),
        log_format=st.none() | st.sampled_from(LogFormat),
        external_url=st.none() | st.just("https://o.example"),
        oidc_issuers=st.sampled_from(["", ISSUERS]),
    )
)
def test_a_child_gets_identical_settings_by_its_environment(settings):
    """
    Two processes with two opinions about one setting would be found last.
    """
    assert settings == from_environ(to_environ(settings))


def test_a_child_does_not_inherit_what_its_parent_did_not_use():
    """
    The parent's word is final: it hides what stands in the environment that both have.
    """
    inherited = {"OUTRIDER_DATABASE_URL": "sqlite:////old", "OUTRIDER_PORT": "1"}
    settings = replace(load_settings({}, {}), port=2)

    child = from_environ({**inherited, **to_environ(settings)})

    assert (2, None) == (child.port, child.database_url)


def test_every_setting_has_a_help_sentence():
    """
    The reference is made of these sentences.
    """
    for setting in SETTINGS.values():
        assert setting.help[0].isupper() or setting.help[0] == "`", setting.name
        assert setting.help.endswith("."), setting.name
        assert setting.default, setting.name


def test_defaults_that_are_shown_are_the_defaults():
    """
    A reference that lies about a default is worse than none.
    """
    defaults = Settings()

    for declared in fields(Settings):
        shown = SETTINGS[declared.name].default
        if SETTINGS[declared.name].secret or " " in shown or shown in {"none", "./data"}:
            continue
        assert SETTINGS[declared.name].read(shown) == getattr(defaults, declared.name)


def test_workers_leave_a_core_to_the_api():
    """
    One process uses one core.
    """
    assert max(1, len(os.sched_getaffinity(0)) - 1) == Settings().workers
