# ruff: noqa: RUF009 - the calls make dataclass fields, each its own
"""Every setting, declared once: name, default, meaning, and how its text is read.

Flags win over the environment (`OUTRIDER_<NAME>`), which wins over `outrider.toml`. All three are
read by the same function, so that a setting cannot mean two things. What nobody declared is an
error that names where it stands: a misspelt setting must not be a silent default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from outrider.domain.address import EgressProfile
from outrider.setting_values import (
    MAX_CONCURRENCY,
    MAX_PORT,
    MAX_WORKERS,
    LogFormat,
    LogLevel,
    as_text,
    default_workers,
    is_own_issuer,
    meant,
    read_database_url,
    read_egress_allow,
    read_host,
    read_http_url,
    read_master_key,
    read_oidc_issuers,
    read_one_of,
    read_path,
    read_seconds,
    read_visible,
    read_whole_number,
    read_yes_or_no,
    sqlite_file,
    to_text,
)

__all__ = [
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
DATABASE_FILE = "outrider.db"
PREFIX = "OUTRIDER_"

# Names that others read: the command line, and children who ask who their parent is.
OTHER_NAMES = (
    "OUTRIDER_CONFIG",
    "OUTRIDER_URL",
    "OUTRIDER_TOKEN",
    "OUTRIDER_SIGNING_KEY",
    "OUTRIDER_PARENT_PID",
)


class SettingsError(Exception):
    """Settings that cannot be used. The text says what is wrong, where it stands, what to do.

    One line for each problem, all of them at once; never the value of a secret.
    """


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting.

    `read` turns text into the value, or raises ValueError with half a sentence: what the value
    must be. `default` is the documented text of the default.
    """

    name: str
    read: Callable[[str], Any]
    says: str
    default: str
    secret: bool

    @property
    def environ_name(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """Its name on the command line, for the settings that have a flag."""
        return "--" + self.name.replace("_", "-")


_DECLARED = "outrider.setting"


def _declare(
    read: Callable[[str], Any],
    says: str,
    *,
    default: Any = MISSING,
    make: Any = MISSING,
    shown: str | None = None,
    secret: bool = False,
) -> Any:
    shown = shown or ("none" if default is None else str(default))
    declared = {"read": read, "says": says, "default": shown, "secret": secret}
    metadata = {_DECLARED: declared}
    if make is not MISSING:
        return field(default_factory=make, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `load_settings` gives: complete and checked. Paths are absolute."""

    host: str = _declare(read_host, "Address to listen on.", default="127.0.0.1")
    port: int = _declare(
        read_whole_number(0, MAX_PORT),
        "Port to listen on; 0 takes any free one.",
        default=8080,
    )
    data_dir: Path = _declare(
        read_path,
        "Directory of the database, the admin token and the master key; made when it is missing.",
        default=Path("data"),
        shown="./data",
    )
    database_url: str | None = _declare(
        read_database_url,
        "Where deliveries are kept, as `sqlite:///FILE`. PostgreSQL comes with a later release.",
        default=None,
        shown="a file in the data directory",
        secret=True,
    )
    dev: bool = _declare(
        read_yes_or_no,
        "For a developer's machine: targets on loopback and in private networks may be called.",
        default=False,
        shown="false",
    )
    egress_profile: EgressProfile = _declare(
        read_one_of(EgressProfile),
        "How far calls may reach: `strict` is globally routable addresses only, `cluster` is also "
        "private networks, `dev` is also loopback.",
        default=EgressProfile.STRICT,
        shown="strict; dev when `dev` is true",
    )
    egress_allow: str = _declare(
        read_egress_allow,
        "Networks, addresses and host names that may be called whatever the profile says, divided "
        "by commas, such as `10.1.0.0/16, hooks.internal`.",
        default="",
        shown="none",
    )
    admin_token: str | None = _declare(
        read_visible,
        "Bearer token that may do everything. Without it one is made at the first start, in "
        "`admin.token` in the data directory.",
        default=None,
        secret=True,
    )
    master_key: bytes | None = _declare(
        read_master_key,
        "Base64 of the 32 bytes that seal secrets at rest. Without it one is made at the first "
        "start, in the data directory.",
        default=None,
        secret=True,
    )
    workers: int = _declare(
        read_whole_number(1, MAX_WORKERS),
        "Child processes that deliver.",
        make=default_workers,
        shown="one less than the cores, at least 1",
    )
    worker_concurrency: int = _declare(
        read_whole_number(1, MAX_CONCURRENCY),
        "Calls in flight in each of these processes.",
        default=64,
    )
    intercept_timeout: float = _declare(
        read_seconds,
        "Seconds that all targets of one request, response or function may take together.",
        default=300.0,
        shown="300",
    )
    drain_timeout: float = _declare(
        read_seconds,
        "Seconds that a stopping process gives to the calls in flight.",
        default=20.0,
        shown="20",
    )
    log_level: LogLevel = _declare(
        read_one_of(LogLevel),
        "The least severe lines that are logged: `debug`, `info`, `warning` or `error`.",
        default=LogLevel.INFO,
    )
    log_format: LogFormat | None = _declare(
        read_one_of(LogFormat),
        "`console` for people, `json` for programs.",
        default=None,
        shown="console on a terminal, else json",
    )
    external_url: str | None = _declare(
        read_http_url,
        "The URL under which others reach this server, where it is not `http://host:port`.",
        default=None,
    )
    oidc_issuers: str = _declare(
        read_oidc_issuers,
        "OpenID Connect issuers whose tokens count here too: a JSON list of objects, in a file "
        "`[[oidc_issuers]]` tables. Each has `issuer`, `audience`, `roles_claim` and `roles`, from "
        "a value of that claim to roles of ours; see [Tokens of another issuer]"
        "(../access.md#tokens-of-another-issuer).",
        default="",
        shown="none",
    )

    @property
    def database_file(self) -> Path:
        """The SQLite file: the one of `database_url`, or `outrider.db` in the data directory."""
        if self.database_url is None:
            return self.data_dir / DATABASE_FILE
        return sqlite_file(self.database_url)


def _setting(declared: Field[Any]) -> Setting:
    return Setting(name=declared.name, **declared.metadata[_DECLARED])


SETTINGS: Mapping[str, Setting] = {each.name: _setting(each) for each in fields(Settings)}
"""Every declaration by its name, in the order of the reference."""

_BY_ENVIRON = {setting.environ_name: setting.name for setting in SETTINGS.values()}


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as somebody wrote it, and where."""

    value: object
    where: str


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
    given = dict(_from_file(path, problems)) if path else {}
    given |= _from_environ(environ)
    problems += unknown_names(environ)
    given |= {
        name: _Given(value, f"from {SETTINGS[name].flag}")
        for name, value in flags.items()
        if name != "config" and value is not None
    }
    return _settings(given, problems)


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Settings of a child process: what `to_environ` wrote, and no file.

    Raises:
        SettingsError: with a line for each problem.
    """
    return _settings(_from_environ(environ), [])


def from_arguments(
    arguments: Mapping[str, object], environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings of who calls this from Python: by name, None for what is not given; no file.

    Arguments win over `environ`, which is read like a server's.

    Raises:
        SettingsError: with a line for each problem.
    """
    environ = environ or {}
    problems = unknown_names(environ)
    given = _from_environ(environ)
    for name, value in arguments.items():
        if name not in SETTINGS:
            problems.append(f"{name}: no such setting.{meant(name, list(SETTINGS))}")
        elif value is not None:
            text = to_text(value) if isinstance(value, bytes | Enum) else value
            given[name] = _Given(text, f"from the argument {name}")
    return _settings(given, problems)


def to_environ(settings: Settings) -> dict[str, str]:
    """Every setting as an environment variable, secrets too: for a child process.

    A setting that is not set is the empty text, so that it also hides what the child inherits.
    """
    return {
        setting.environ_name: to_text(getattr(settings, name)) for name, setting in SETTINGS.items()
    }


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each `OUTRIDER_…` variable that nobody reads."""
    known = [*_BY_ENVIRON, *OTHER_NAMES]
    return [
        f"{name}: no such setting (in the environment).{meant(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    ]


def _config_path(
    flags: Mapping[str, object], environ: Mapping[str, str], directory: Path
) -> Path | None:
    named = flags.get("config") or environ.get("OUTRIDER_CONFIG")
    if not named:
        default = directory / DEFAULT_FILE
        return default if default.exists() else None
    where = "--config" if flags.get("config") else "OUTRIDER_CONFIG"
    path = directory / Path(str(named)).expanduser()
    if not path.is_file():
        raise SettingsError(f"{path}: no such file (from {where}). Name a TOML file.")
    return path


def _from_file(path: Path, problems: list[str]) -> Iterator[tuple[str, _Given]]:
    import tomllib  # noqa: PLC0415 - most starts have no file

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValueError as error:
        # TOML and UTF-8 errors; both say where, neither repeats a value.
        raise SettingsError(f"{path}: is not TOML: {error}.") from None
    for name, value in content.items():
        if name in SETTINGS:
            yield name, _Given(value, f"from {path}")
        else:
            problems.append(f"{name}: no such setting (in {path}).{meant(name, list(SETTINGS))}")


def _from_environ(environ: Mapping[str, str]) -> dict[str, _Given]:
    return {
        setting: _Given(environ[name], f"from the environment: {name}")
        for name, setting in _BY_ENVIRON.items()
        if environ.get(name)
    }


def _settings(given: Mapping[str, _Given], problems: Sequence[str]) -> Settings:
    problems = list(problems)
    values: dict[str, Any] = {"data_dir": read_path("data")}
    for name, written in given.items():
        try:
            values[name] = SETTINGS[name].read(as_text(written.value))
        except ValueError as error:
            problems.append(_problem(SETTINGS[name], written, error))
    if is_own_issuer(values.get("external_url"), values.get("oidc_issuers", "")):
        problems.append("oidc_issuers: one of them is external_url, which is this server.")
    if problems:
        raise SettingsError("\n".join(problems))
    if values.get("dev"):
        values.setdefault("egress_profile", EgressProfile.DEV)
    return Settings(**values)


def _problem(setting: Setting, written: _Given, error: ValueError) -> str:
    shown = "" if setting.secret else f" = {str(written.value)!r}"
    return f"{setting.name}{shown}: {error} ({written.where})."
