"""What the table of calls is written in.

    Row(
        "a target that does not exist is not found",
        Call("GetTarget", {"id": "1"}),
        ExpectedError("not_found", "Target not found", "QUERY-hj5oaniyrz"),
    )

A row is data: `runner` makes its calls over a wire and compares. Requests and answers are
protobuf's JSON, whatever the wire. A text in them may name what was kept of an earlier answer
(`$target`), the instance (`$instance`), and `$unique`, a word that no other run of any row has:
rows share one service, and every row reads only what carries its own word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from api.wires import Wire

EVERY_WIRE = tuple(Wire)
# For empty ids: REST has ids in its paths, where an empty one makes another path.
ALL_BUT_REST = tuple(wire for wire in Wire if wire is not Wire.REST)


class Caller(StrEnum):
    """Who calls. What each of them sends is in `service`."""

    ADMIN = "admin"
    VIEWER = "viewer"
    PUBLISHER = "publisher"
    ORG_OWNER = "owner of an organisation"
    ROLELESS = "account without roles"
    NOBODY = "no header"
    OTHER_SCHEME = "another scheme"
    LOWER_CASE = "scheme in lower case"
    UNKNOWN = "unknown token"
    EXPIRED = "expired token"
    REVOKED = "revoked token"


@dataclass(frozen=True)
class Call:
    """One call. `rpc` is a method's name, preceded by `package.Service/` where it is a v2beta's.

    `keep` gives names to parts of the answer, by their dotted paths, for later texts. `fails` is
    for calls before that of the row which must be refused; any other must succeed.
    """

    rpc: str
    request: Mapping[str, Any] = field(default_factory=dict)
    caller: Caller = Caller.ADMIN
    keep: Mapping[str, str] = field(default_factory=dict)
    fails: bool = False


@dataclass(frozen=True)
class ExpectedError:
    """An error: its code, its text without the id, and the id in its detail.

    None: there is no detail, and the text stands alone. Empty: there is one without an id.
    `target` is the id of the target that interrupted, in a separate detail. `reason` is compared
    when it is given. Every error with an id has one, and a hint, but for what targets forward.
    """

    code: str
    text: str
    id: str | None = None
    target: str | None = None
    reason: str | None = None

    @property
    def wire_text(self) -> str:
        """The text on the wire."""
        return self.text if self.id is None else f"{self.text} ({self.id})"


@dataclass(frozen=True)
class Row:
    """One call and its answer.

    `given` is called before it; `after` comes last, whatever happens, and undoes what other rows
    would notice.
    """

    title: str
    call: Call
    expected: Mapping[str, Any] | ExpectedError
    given: Sequence[Call] = ()
    after: Sequence[Call] = ()
    wires: Sequence[Wire] = EVERY_WIRE
