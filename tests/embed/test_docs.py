"""The programs of docs/embedding.md run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
OUTPUTS = ["{'amount': 2} request/acme.v1.Shop/Create\n", "", "", ""]


@pytest.mark.parametrize(("program", "output"), list(zip(PROGRAMS, OUTPUTS, strict=True)))
def test_a_program_of_the_documentation_runs(tmp_path, program, output):
    """
    People copy them before they read anything.
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (0, output) == (done.returncode, done.stdout), done.stderr
