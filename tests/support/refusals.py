"""`vectors/refusals.json`: what targets may answer, for the tests of every layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[2] / "vectors" / "refusals.json"
METHOD = "/shop.v1.Things/Change"
MESSAGE = {"id": "1", "n": 1}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One answer; the vectors say what the fields mean."""

    name: str
    body: str
    effect: str
    kind: str | None = None
    type: str = "REST_CALL"
    method: str = METHOD
    message: Mapping[str, Any] = field(default_factory=lambda: MESSAGE)
    schema: Mapping[str, Any] | None = None
    forwarded: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    leaves: Mapping[str, Any] | None = None

    @property
    def is_applied(self) -> bool:
        return self.type == "REST_CALL"

    def has_kind(self, kind: str) -> bool:
        return self.kind in (None, kind)


CASES = [Case(**case) for case in json.loads(PATH.read_text(encoding="utf-8"))["cases"]]
