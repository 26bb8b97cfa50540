"""One HTTP call to a target, and how it can end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from outrider.domain.outcome import Outcome

# What ZITADEL reads at most (sheet, section 3.10).
MAX_ANSWER_BYTES = 20 * 1024 * 1024


class Stage(StrEnum):
    """How far a call got."""

    BUILD = "build"
    RESOLVE = "resolve"
    GUARD = "guard"
    CONNECT = "connect"
    TLS = "tls"
    SEND = "send"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Call:
    """A POST that is ready to leave. `timeout` is in seconds, for the whole exchange."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names in lower case, the body at most `MAX_ANSWER_BYTES` long."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


class CallFailed(Exception):
    """No usable answer. `reason` is a sentence for the attempt log, without secrets."""

    def __init__(self, outcome: Outcome, stage: Stage, reason: str) -> None:
        super().__init__(outcome, stage, reason)
        self.outcome = outcome
        self.stage = stage
        self.reason = reason
