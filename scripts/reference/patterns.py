"""Regular expressions of the texts that the server takes, for JSON Schema.

Nothing in them looks ahead and no count is above 1000: Go's expressions have neither.
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_DURATION_SECONDS = 315_576_000_000
_FRACTION = r"(?:\.[0-9]{1,9})?"
_NO_FRACTION = r"(?:\.0{1,9})?"
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DAY = "(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"

BASE64 = "^(?:{})$".format(
    "|".join(
        f"(?:[{letters}]{{4}})*(?:[{letters}]{{2}}={{0,2}}|[{letters}]{{3}}=?)?"
        for letters in ("A-Za-z0-9+/", "A-Za-z0-9_-")
    )
)
"""Either alphabet, padded or not."""
TIMESTAMP = f"^{_YEAR}-{_DAY}T{_MINUTE}:[0-5][0-9]{_FRACTION}(?:Z|[+-]{_MINUTE})$"
"""RFC 3339 without leap seconds, in capitals, to the nanosecond."""


def up_to(limit: int) -> str:
    """The decimal numbers from 0 to `limit`, without zeros in front; one group."""
    return f"(?:{'|'.join(_up_to(str(limit)))})"


def _up_to(limit: str) -> Iterator[str]:
    if len(limit) == 1:
        yield f"[0-{limit}]"
        return
    yield "0"
    yield f"[1-9][0-9]{{0,{len(limit) - 2}}}"
    for position, digit in enumerate(limit):
        least = 0 if position else 1
        if int(digit) > least:
            rest = len(limit) - position - 1
            more = f"[0-9]{{{rest}}}" if rest else ""
            yield f"{limit[:position]}[{least}-{int(digit) - 1}]{more}"
    yield limit


UINT64 = f"^{up_to(2**64 - 1)}$"
INT64 = f"^(?:-?{up_to(2**63 - 1)}|-{2**63})$"
DURATION = f"^-?{up_to(MAX_DURATION_SECONDS)}{_FRACTION}s$"


def duration_up_to(seconds: int | None) -> str:
    """Durations from 0 to a number of seconds, itself included; None: to the longest of all."""
    if seconds is None:
        return DURATION.replace("-?", "", 1)
    below = f"{up_to(seconds - 1)}{_FRACTION}|" if seconds else ""
    return f"^(?:{below}{seconds}{_NO_FRACTION})s$"
