"""How the text of a setting becomes its value.

Each reader raises ValueError with half a sentence, what the value must be, and never repeats the
text: it may be a secret.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from enum import Enum, StrEnum
from pathlib import Path

from outrider.domain.access.external_issuer import parse_issuers
from outrider.domain.events.relay_source import parse_relay_sources
from outrider.domain.net.egress_policy import parse_allow
from outrider.domain.net.proxy import parse_proxy

MAX_PORT = 65535
MASTER_KEY_BYTES = 32
MIN_TOKEN_CHARS = 16
MIN_TOKEN_SIGNS = 8
MAX_WORKERS = 256
MAX_CONCURRENCY = 10_000
MAX_DRAIN_SECONDS = 3600.0
# What was settled just now must be counted before it may be deleted.
MIN_PERIOD_SECONDS = 60.0
MAX_PERIOD_SECONDS = 36_500 * 86_400.0

_MAX_NAME_BYTES = 63
_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")
_STANDARD = str.maketrans("-_", "+/")  # the two alphabets of RFC 4648
_PERIOD = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,9})?)(s|m|h|d)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_VISIBLE = re.compile(r"[!-~]+")
_HTTP_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?", re.IGNORECASE)


class LogLevel(StrEnum):
    """How much is logged: this and everything more severe."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogAttempts(StrEnum):
    """Which attempts leave a line in the log."""

    FAILED = "failed"
    ALL = "all"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    CONSOLE = "console"
    JSON = "json"


def read_host(text: str) -> str:
    """An address or a name; whether it exists shows when the server binds it."""
    if not _VISIBLE.fullmatch(text):
        raise ValueError("must be an address or a host name")
    return text


def read_whole_number(least: int, most: int) -> Callable[[str], int]:
    """Make a reader of decimal numbers within these bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def read_seconds(text: str) -> float:
    """Seconds with or without a fraction, such as `20`, `0.5` or `20s`."""
    number = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s?", text)
    if number is None or float(number[1]) > MAX_DRAIN_SECONDS:
        raise ValueError(f"must be a number of seconds from 0 to {MAX_DRAIN_SECONDS:g}")
    return float(number[1])


def read_period(text: str) -> float:
    """Seconds of a time such as `7d`, `12h`, `90m` or `3600s`; a number alone is seconds."""
    match = _PERIOD.fullmatch(text)
    seconds = float(match[1]) * _UNITS[match[2] or "s"] if match else 0.0
    if not MIN_PERIOD_SECONDS <= seconds <= MAX_PERIOD_SECONDS:
        raise ValueError("must be a time from 1m to 36500d, such as 7d or 12h")
    return seconds


def read_yes_or_no(text: str) -> bool:
    """What people write for true and false."""
    meaning = {"1": True, "true": True, "yes": True, "on": True}
    meaning |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in meaning:
        raise ValueError("must be true or false")
    return meaning[text.lower()]


def read_one_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    """Make a reader of the values of an enumeration, in any case of their letters."""

    def read(text: str) -> StrEnum:
        try:
            return kind(text.lower())
        except ValueError:
            raise ValueError(f"must be one of {', '.join(kind)}") from None

    return read


def read_path(text: str) -> Path:
    """An absolute path. `~` is the home directory, the rest is relative to the working directory."""
    if not text.strip() or not text.isprintable():
        raise ValueError("must be a path")
    # Absolute at once: a child process may work in another directory.
    return Path(text.strip()).expanduser().absolute()


def read_database_url(text: str) -> str:
    """A URL of PostgreSQL as it is, or one of SQLite whose path is absolute."""
    if is_postgres(text):
        return text
    if not text.startswith(_SQLITE) or not text.removeprefix(_SQLITE):
        raise ValueError(
            "must be sqlite:///FILE, or sqlite:////ABSOLUTE/FILE, or"
            " postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return _SQLITE + str(read_path(text.removeprefix(_SQLITE)))


def read_schema(text: str) -> str:
    """The name of a schema of PostgreSQL."""
    if not text.isprintable() or not 0 < len(text.encode()) <= _MAX_NAME_BYTES:
        raise ValueError(f"must be a name of at most {_MAX_NAME_BYTES} bytes")
    if text.startswith("pg_") or text == "information_schema":
        raise ValueError("is a schema of PostgreSQL itself: name another one, such as outrider")
    return text


def is_postgres(database_url: str) -> bool:
    """Whether it names a database of PostgreSQL; its driver checks the rest."""
    return database_url.startswith(_POSTGRES) and database_url.isprintable()


def sqlite_file(database_url: str) -> Path:
    """The path in what `read_database_url` gave."""
    return Path(database_url.removeprefix(_SQLITE))


def read_egress_allow(text: str) -> str:
    """The text itself, once `parse_allow` accepts it."""
    parse_allow(text)
    return text


def read_proxy_url(text: str) -> str:
    """The text itself, once `parse_proxy` accepts it."""
    try:
        parse_proxy(text)
    except ValueError:
        raise ValueError(
            "must be http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before the host if "
            "the proxy asks for it"
        ) from None
    return text


def read_oidc_issuers(text: str) -> str:
    """The text itself, once `parse_issuers` accepts it."""
    parse_issuers(text)
    return text


def read_relay_sources(text: str) -> str:
    """The text itself, once `parse_relay_sources` accepts it."""
    parse_relay_sources(text)
    return text


def is_own_issuer(external_url: str | None, oidc_issuers: str) -> bool:
    """Whether the list names this server, whose tokens are checked by its own rules alone."""
    return external_url in {
        external_issuer.issuer.rstrip("/") for external_issuer in parse_issuers(oidc_issuers)
    }


def read_visible(text: str) -> str:
    """Text that can stand in an HTTP header."""
    if not _VISIBLE.fullmatch(text):
        raise ValueError("must be visible ASCII characters without spaces")
    return text


def read_admin_token(text: str) -> str:
    """Visible text that takes more than a while to guess."""
    if len(read_visible(text)) < MIN_TOKEN_CHARS or len(set(text)) < MIN_TOKEN_SIGNS:
        raise ValueError(
            f"must have at least {MIN_TOKEN_CHARS} characters, {MIN_TOKEN_SIGNS} of them different:"
            " who guesses it may do everything; make one with: openssl rand -hex 32"
        )
    return text


def read_master_key(text: str) -> bytes:
    """The 32 bytes of a Base64 text, standard or URL-safe."""
    try:
        master_key = base64.b64decode(text.strip().translate(_STANDARD), validate=True)
    except ValueError:
        master_key = b""
    if len(master_key) != MASTER_KEY_BYTES:
        raise ValueError(
            f"must be the Base64 of {MASTER_KEY_BYTES} bytes; make one with: "
            f"head -c {MASTER_KEY_BYTES} /dev/urandom | base64"
        )
    return master_key


def read_http_url(text: str) -> str:
    """A URL without a slash at its end."""
    if not _HTTP_URL.fullmatch(text):
        raise ValueError("must be an http:// or https:// URL without query")
    return text.rstrip("/")


def default_workers() -> int:
    """One less than the cores that this process may use, at least one."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(max(1, cores - 1), MAX_WORKERS)


def as_text(value: object) -> str:
    """The text of a flag, a variable or a TOML value; commas between texts, JSON of tables."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float | Path):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return json.dumps(value, default=str)
    raise ValueError("must be text, a number, true or false, or a list of texts")


def to_text(value: object) -> str:
    """What the readers read as this very value; the empty text for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:.9f}" if isinstance(value, float) else str(value)


def suggestion(name: str, known: list[str]) -> str:
    """Half a line about a misspelt name: the known one that is most like it, or all of them."""
    import difflib  # noqa: PLC0415 - only on the way out

    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else f" Known are: {', '.join(known)}."
