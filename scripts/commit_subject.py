"""Check the subject of a commit message: `commit_subject.py FILE` as git calls a commit-msg hook."""

from __future__ import annotations

import sys
from pathlib import Path

MAX_CHARS = 72


def problem_of(message: str) -> str | None:
    """Return why the message is refused, or None."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = lines[0] if lines else ""
    if not subject.strip():
        return "the first line is empty: write an imperative subject there"
    if len(subject) > MAX_CHARS and not subject.startswith(("Merge ", "Revert ")):
        return f"the subject has {len(subject)} characters: write at most {MAX_CHARS}"
    if subject.endswith("."):
        return "the subject ends with a full stop: remove it"
    if len(lines) > 1 and lines[1].strip():
        return "the second line is not empty: separate the body from the subject"
    return None


if __name__ == "__main__":
    problem = problem_of(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit(f"commit message: {problem}" if problem else 0)
