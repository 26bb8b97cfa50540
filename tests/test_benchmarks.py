"""The benchmarks run. What they measure is nobody's business here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_smallest_run_drains_what_it_owes_and_leaves_a_raw_result(tmp_path: Path) -> None:
    """A benchmark that rots is found when somebody needs its number."""
    out = tmp_path / "result.json"
    arguments = ["--quick", "--only", "deliveries", "--count", "1000", "--out", str(out)]

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments, "--scratch", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    [document] = json.loads(out.read_text())
    assert ("deliveries", 1000) == (document["benchmark"], document["settings"]["deliveries"])
    [measured] = document["rounds"]
    assert min(measured["bare"]["per_s"], measured["worker"]["per_s"]) > 0
    assert document["table"]
