"""Reading the settings, which `config.settings` declares.

Flags win over the environment (`OUTRIDER_<NAME>`), which wins over `outrider.toml`. All three are
read by the same function, so that a setting cannot mean two things. A name without a declaration
is an error that says where it stands: a misspelt setting must not be a silent default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from outrider.config.parsers import (
    LogFormat,
    LogLevel,
    as_text,
    is_own_issuer,
    read_path,
    suggestion,
    to_text,
)
from outrider.config.service_links import is_service_link
from outrider.config.settings import PREFIX, SETTINGS, Setting, Settings
from outrider.domain.net.egress_policy import EgressProfile

__all__ = [
    "PREFIX",
    "SETTINGS",
    "LogFormat",
    "LogLevel",
    "Setting",
    "Settings",
    "SettingsError",
    "from_arguments",
    "from_environ",
    "load_settings",
    "to_environ",
    "unknown_names",
]

DEFAULT_FILE = "outrider.toml"

# Names that others read: the command line, and children that ask for their parent's process.
OTHER_NAMES = (
    "OUTRIDER_CONFIG",
    "OUTRIDER_URL",
    "OUTRIDER_TOKEN",
    "OUTRIDER_SIGNING_KEY",
    "OUTRIDER_PARENT_PID",
)


class SettingsError(Exception):
    """Settings that cannot be used. The text says what is wrong, where it stands, what to do.

    One line for each problem, all of them together; never the value of a secret.
    """


_BY_ENVIRON = {setting.environ_name: setting.name for setting in SETTINGS.values()}


@dataclass(frozen=True, slots=True)
class _RawValue:
    """A value as it was written, and where."""

    value: object
    source: str


def load_settings(
    flags: Mapping[str, object], environ: Mapping[str, str], *, directory: Path | None = None
) -> Settings:
    """Settings from flags over environment over file.

    `flags` are by setting name, None for a flag that was not given; `config` names the file.
    Without it and without `OUTRIDER_CONFIG` the file is `outrider.toml` in `directory` (default:
    the working directory), which may be missing. An empty environment variable counts as not set.

    Raises:
        SettingsError: with a line for each problem.
    """
    problems: list[str] = []
    path = _config_path(flags, environ, directory or Path.cwd())
    raw_values = dict(_from_file(path, problems)) if path else {}
    raw_values |= _from_environ(environ)
    problems += unknown_names(environ)
    raw_values |= {
        name: _RawValue(value, f"from {SETTINGS[name].flag}")
        for name, value in flags.items()
        if name != "config" and value is not None
    }
    return _settings(raw_values, problems)


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Settings of a child process: what `to_environ` wrote, and no file.

    Raises:
        SettingsError: with a line for each problem.
    """
    return _settings(_from_environ(environ), [])


def from_arguments(
    arguments: Mapping[str, object], environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings of a program that calls this from Python: by name, None for what is not given; no file.

    Arguments win over `environ`, which is read like a server's.

    Raises:
        SettingsError: with a line for each problem.
    """
    environ = environ or {}
    problems = unknown_names(environ)
    raw_values = _from_environ(environ)
    for name, value in arguments.items():
        if name not in SETTINGS:
            problems.append(f"{name}: no such setting.{suggestion(name, list(SETTINGS))}")
        elif value is not None:
            text = to_text(value) if isinstance(value, bytes | Enum) else value
            raw_values[name] = _RawValue(text, f"from the argument {name}")
    return _settings(raw_values, problems)


def to_environ(settings: Settings) -> dict[str, str]:
    """Every setting as an environment variable, secrets too: for a child process.

    A setting that is not set is the empty text, so that it also hides what the child inherits.
    """
    return {
        setting.environ_name: to_text(getattr(settings, name)) for name, setting in SETTINGS.items()
    }


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each `OUTRIDER_…` variable that is no setting.

    Those that Kubernetes sets for a Service are none, and no mistake either.
    """
    known = [*_BY_ENVIRON, *OTHER_NAMES]
    return [
        f"{name}: no such setting (in the environment).{suggestion(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and name not in known
        and not is_service_link(name, environ[name])
    ]


def _config_path(
    flags: Mapping[str, object], environ: Mapping[str, str], directory: Path
) -> Path | None:
    name = flags.get("config") or environ.get("OUTRIDER_CONFIG")
    if not name:
        default = directory / DEFAULT_FILE
        return default if default.exists() else None
    source = "--config" if flags.get("config") else "OUTRIDER_CONFIG"
    path = directory / Path(str(name)).expanduser()
    if not path.is_file():
        raise SettingsError(f"{path}: no such file (from {source}): name a TOML file")
    return path


def _from_file(path: Path, problems: list[str]) -> Iterator[tuple[str, _RawValue]]:
    import tomllib  # noqa: PLC0415 - most starts have no file

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        # TOML and UTF-8 errors; both say where, neither repeats a value.
        raise SettingsError(f"{path}: is not TOML: {error}") from None
    for name, value in content.items():
        if name in SETTINGS:
            yield name, _RawValue(value, f"from {path}")
        else:
            problems.append(
                f"{name}: no such setting (in {path}).{suggestion(name, list(SETTINGS))}"
            )


def _from_environ(environ: Mapping[str, str]) -> dict[str, _RawValue]:
    return {
        setting: _RawValue(environ[name], f"from the environment: {name}")
        for name, setting in _BY_ENVIRON.items()
        if environ.get(name) and not is_service_link(name, environ[name])
    }


def _settings(raw_values: Mapping[str, _RawValue], problems: Sequence[str]) -> Settings:
    problems = list(problems)
    values: dict[str, Any] = {"data_dir": read_path("data")}
    for name, raw in raw_values.items():
        try:
            values[name] = SETTINGS[name].read(as_text(raw.value))
        except ValueError as error:
            problems.append(_problem(SETTINGS[name], raw, error))
    if is_own_issuer(values.get("external_url"), values.get("oidc_issuers", "")):
        problems.append("oidc_issuers: one of them is external_url, which is this server.")
    if problems:
        raise SettingsError("\n".join(problems))
    if values.get("dev"):
        values.setdefault("egress_profile", EgressProfile.DEV)
        values.setdefault("drain_delay", 0.0)
    return Settings(**values)


def _problem(setting: Setting, raw: _RawValue, error: ValueError) -> str:
    shown = "" if setting.secret else f" = {str(raw.value)!r}"
    return f"{setting.name}{shown}: {error} ({raw.source})."
