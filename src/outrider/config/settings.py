# ruff: noqa: RUF009 - the calls make dataclass fields, each its own
"""Every setting, declared once: name, default, meaning, and how its text is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from outrider.config.parsers import (
    MAX_CONCURRENCY,
    MAX_PORT,
    MAX_WORKERS,
    LogAttempts,
    LogFormat,
    LogLevel,
    default_workers,
    is_postgres,
    read_admin_token,
    read_database_url,
    read_egress_allow,
    read_host,
    read_http_url,
    read_master_key,
    read_oidc_issuers,
    read_one_of,
    read_path,
    read_period,
    read_proxy_url,
    read_relay_sources,
    read_schema,
    read_seconds,
    read_whole_number,
    read_yes_or_no,
    sqlite_file,
)
from outrider.domain.net.egress_policy import EgressProfile

DATABASE_FILE = "outrider.db"
PREFIX = "OUTRIDER_"


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting.

    `read` turns text into the value, or raises ValueError with half a sentence: what the value
    must be. `help` says what it is for, `default` is the documented text of the default.
    """

    name: str
    read: Callable[[str], Any]
    help: str
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


_DECLARATION = "outrider.setting"


def _declare(
    read: Callable[[str], Any],
    help_text: str,
    *,
    default: Any = MISSING,
    make: Any = MISSING,
    default_text: str | None = None,
    secret: bool = False,
) -> Any:
    text = default_text or ("none" if default is None else str(default))
    declaration = {"read": read, "help": help_text, "default": text, "secret": secret}
    metadata = {_DECLARATION: declaration}
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
        default_text="./data",
    )
    database_url: str | None = _declare(
        read_database_url,
        "Where deliveries are kept: `sqlite:///FILE`, or for several nodes "
        "`postgresql://USER:PASSWORD@HOST/DATABASE`; see [PostgreSQL](../postgresql.md).",
        default=None,
        default_text="a file in the data directory",
        secret=True,
    )
    database_schema: str | None = _declare(
        read_schema,
        "Schema of PostgreSQL that the tables are in; made when it is missing. See "
        "[Beside other tables](../postgresql.md#beside-other-tables).",
        default=None,
        default_text="where tables of outrider are, else the first one of the search_path; "
        "outrider when others' tables are there, and for an embedded engine",
    )
    dev: bool = _declare(
        read_yes_or_no,
        "For a developer's machine: targets on loopback and in private networks may be called.",
        default=False,
        default_text="false",
    )
    egress_profile: EgressProfile = _declare(
        read_one_of(EgressProfile),
        "How far calls may reach: `strict` is globally routable addresses only, `cluster` is also "
        "private networks, `dev` is also loopback.",
        default=EgressProfile.STRICT,
        default_text="strict; dev when `dev` is true",
    )
    egress_allow: str = _declare(
        read_egress_allow,
        "Networks, addresses and host names that may be called whatever the profile says, divided "
        "by commas, such as `10.1.0.0/16, hooks.internal`.",
        default="",
        default_text="none",
    )
    egress_proxy: str | None = _declare(
        read_proxy_url,
        "HTTP or HTTPS proxy that calls go through, as `http://user:password@host:port`, where a "
        "target's policy names no other. It may be in any network; see [Proxies]"
        "(../egress.md#proxies).",
        default=None,
        secret=True,
    )
    admin_token: str | None = _declare(
        read_admin_token,
        "Bearer token that may do everything: at least 16 characters, 8 of them different. Without "
        "it one is made at the first start, in `admin.token` in the data directory.",
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
        default_text="one less than the cores, at least 1",
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
        default_text="300",
    )
    drain_delay: float = _declare(
        read_seconds,
        "Seconds for which a stopping server still answers every call, after it has said that it is "
        "not ready; see [Stopping](../production.md#stopping).",
        default=5.0,
        default_text="5; 0 when `dev` is true",
    )
    drain_timeout: float = _declare(
        read_seconds,
        "Seconds that a stopping process gives to the calls in flight, after `drain_delay`.",
        default=20.0,
        default_text="20",
    )
    retention_delivered: float = _declare(
        read_period,
        "How long a delivery stays in the log after it was delivered or cancelled, such as `7d` or "
        "`12h`.",
        default=7 * 86_400.0,
        default_text="7d",
    )
    retention_dead: float = _declare(
        read_period,
        "How long a dead delivery stays in the log: so long it can be replayed.",
        default=30 * 86_400.0,
        default_text="30d",
    )
    retention_events: float = _declare(
        read_period,
        "How long the id of an event is remembered: so long publishing it again makes no second "
        "delivery. An event stays at least as long as its deliveries.",
        default=7 * 86_400.0,
        default_text="7d",
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
        default_text="console on a terminal, else json",
    )
    log_attempts: LogAttempts = _declare(
        read_one_of(LogAttempts),
        "Which attempts of deliveries leave a line at the level `info`: those that were not accepted, "
        "`failed`, or `all`. A line costs about as much as the delivery.",
        default=LogAttempts.FAILED,
    )
    metrics_public: bool = _declare(
        read_yes_or_no,
        "Whether `/metrics` may be read without a token; see [Prometheus]"
        "(../observability.md#prometheus).",
        default=False,
        default_text="false",
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
        default_text="none",
    )
    relay_sources: str = _declare(
        read_relay_sources,
        "Servers whose events the relay takes, such as a ZITADEL: a JSON list of objects, in a file "
        "`[[relay_sources]]` tables. Each has `name`, and `signing_keys` or `issuer`; see [Sources]"
        "(../relay.md#sources).",
        default="",
        default_text="none",
        secret=True,
    )

    @property
    def database_file(self) -> Path:
        """The SQLite file: the one of `database_url`, or `outrider.db` in the data directory."""
        if self.database_url is None or self.postgres_url is not None:
            return self.data_dir / DATABASE_FILE
        return sqlite_file(self.database_url)

    @property
    def postgres_url(self) -> str | None:
        """The database of PostgreSQL, where `database_url` names one."""
        url = self.database_url
        return url if url is not None and is_postgres(url) else None


def _setting(setting_field: Field[Any]) -> Setting:
    return Setting(name=setting_field.name, **setting_field.metadata[_DECLARATION])


SETTINGS: Mapping[str, Setting] = {
    setting_field.name: _setting(setting_field) for setting_field in fields(Settings)
}
"""Every declaration by its name, in the order of the reference."""
