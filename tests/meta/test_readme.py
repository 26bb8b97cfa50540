"""The README's commands work as they stand, from a clone."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
ON_PATH = 'export PATH="$PWD/.venv/bin:$PATH"'


def commands(page: Path) -> list[str]:
    """What a reader types, without the comments behind it."""
    typed = (line for line in page.read_text("utf-8").splitlines() if line.startswith("$ "))
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in typed]


def test_the_command_is_on_the_path_before_it_is_used():
    """
    A clone has it in .venv/bin alone.
    """
    found = commands(ROOT / "README.md")
    first = next(at for at, line in enumerate(found) if line.startswith("outrider "))

    assert "make run" == found[0]
    assert ON_PATH in found[:first]


def test_every_listener_has_the_key_of_its_target():
    """
    Without it, it prints "not verified" at every call.
    """
    listeners = [
        line for line in commands(ROOT / "README.md") if line.startswith("outrider listen")
    ]

    assert 2 == len(listeners)
    assert [] == [line for line in listeners if "--signing-key" not in line]
