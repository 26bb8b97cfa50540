"""Terms that this project gave up, each with the field's word for it."""

from __future__ import annotations

# As a part of an identifier: `lane` also forbids `SqlLanes`, `HAS_LANE` and `in_lane`.
IDENTIFIERS = {
    "lane": "target queue",
    "callee": "resolved target",
    "ambient": "runtime",
    "janitor": "cleaner",
    "upkeep": "maintenance",
    "turnstile": "write lock",
    "tally": "rollup, state counts",
    "owed": "pending, created",
    "owe": "pending, created",
    "gatekeeper": "auth interceptor",
    "passage": "transport",
    "envelopes": "request builder",
    "unbuildable": "build failed",
    "verdict": "decision",
    "judgement": "classification",
    "judge": "check, classify",
    "misfit": "invalid response",
    "inapplicable": "invalid response",
    "handover": "enqueuer",
    "doors": "tunnel sockets",
    "door": "tunnel socket",
    "unmeasured": "no metrics",
    "meter": "shared metrics",
    "manners": "response script",
    "masked": "redacted",
    "masking": "redaction",
    "fired": "matched",
    "parks": "halts",
    "unpark": "resume",
    "crowd": "flooding target",
    "ramp": "slow start window",
    "doubtful": "suspect",
    "forgetting": "retention",
    "remarkable": "notable",
    "rig": "harness",
    "reckoning": "invariants",
}

# As a whole identifier only: as parts of others they are ordinary English.
NAMES = {
    "each": "a noun: delivery, row, target_id",
    "wanted": "a noun: query, new_target, options",
    "says": "help, message",
    "said": "output, message",
    "held": "suspended, claimed, buffered",
    "room": "capacity, permits",
    "hints": "notifications",
    "news": "notifications",
    "measures": "metrics",
    "withdrawn": "released",
    "choose": "resolve_instance",
    "misbehaved": "rejected",
    "unapplied": "invalid response",
}

# In comments, docstrings and documents, as whole words; each is a regular expression.
WORDS = {
    r"lanes?": "target queue",
    r"callees?": "resolved target",
    r"janitors?": "cleaner",
    r"gatekeepers?": "auth interceptor",
    r"unbuildable": "build failed (BUILD_FAILED)",
    r"misfits?": "invalid response",
    r"the sheet": "say the fact, or link docs/",
    r"outrider-v1": "say the fact, or link docs/",
    r"ambient": "runtime",
    r"turnstiles?": "write lock",
    r"tall(?:y|ies)": "rollup, state counts",
    r"(?:are|is|be) owed": "pending",
    r"reckonings?": "invariants",
}
