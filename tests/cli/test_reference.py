"""The reference pages agree with the code."""

from __future__ import annotations

from pathlib import Path

from reference import commands

from outrider.cli.terminal.errors import ExitCode
from outrider.config.loading import OTHER_NAMES

PAGES = Path(__file__).parents[2] / "docs" / "reference"


def test_the_page_of_settings_is_current():
    """
    `make generate` writes it again.
    """
    assert commands.settings_page() == (PAGES / "settings.md").read_text(encoding="utf-8")


def test_the_page_of_the_command_line_is_current():
    """
    `make generate` writes it again.
    """
    assert commands.cli_page() == (PAGES / "cli.md").read_text(encoding="utf-8")


def test_every_exit_code_and_every_variable_is_explained():
    """
    A number without a meaning is of no use to a script.
    """
    assert set(ExitCode) == set(commands.EXITS)
    assert set(OTHER_NAMES) == set(commands.OTHERS)
