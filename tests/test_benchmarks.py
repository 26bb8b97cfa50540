"""The benchmarks run. What they measure is not checked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def run(out: Path, *arguments: str) -> dict[str, Any]:
    """The raw result of one benchmark."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--out", str(out), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    [document] = json.loads(out.read_text())
    return document


def test_the_smallest_run_drains_its_deliveries_and_leaves_a_raw_result(tmp_path: Path) -> None:
    """A benchmark that rots is found when a maintainer needs its number."""
    arguments = ["--only", "deliveries", "--count", "1000", "--scratch", str(tmp_path)]
    document = run(tmp_path / "result.json", *arguments)

    assert ("deliveries", 1000) == (document["benchmark"], document["settings"]["deliveries"])
    [measured] = document["rounds"]
    assert min(measured["bare"]["per_s"], measured["worker"]["per_s"]) > 0
    assert document["table"]


def test_the_smallest_run_of_interceptions_measures_each_of_their_promises(tmp_path: Path) -> None:
    """Overhead, routing, a hung target, memory: the same arithmetic as the long run."""
    out = tmp_path / "result.json"
    arguments = ["--quick", "--only", "interceptions", "--count", "300", "--out", str(out)]

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments, "--scratch", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    [measured] = json.loads(out.read_text())[0]["rounds"]
    assert {"overhead", "unmatched", "routing", "hung", "api", "memory"} == measured.keys()
    assert min(measured["overhead"].values()) > 0


def test_every_payload_type_is_measured(tmp_path: Path) -> None:
    """A kind of key that is left out is one of unknown cost."""
    document = run(tmp_path / "result.json", "--only", "payloads", "--count", "1")

    [measured] = document["rounds"]
    assert {"JSON", "JWT", "JWE"} == {name.partition(",")[0] for name in measured}
    assert min(times["us"] for times in measured.values()) > 0


def test_the_receivers_sdk_is_measured_next_to_the_bare_hmac(tmp_path: Path) -> None:
    """A developer who copies it wants to know the cost of verification."""
    document = run(tmp_path / "result.json", "--only", "receiver", "--count", "400")

    [measured] = document["rounds"]
    assert {"bare", "by hand", "verify", "verify, outrider"} < measured.keys()
    assert min(measured.values()) > 0


def test_delays_are_measured_with_backlogs_of_dead_targets(tmp_path: Path) -> None:
    """That a dead target delays no other is a number, and numbers get worse unseen."""
    document = run(tmp_path / "result.json", "--only", "backlog", "--count", "300")

    [measured] = document["rounds"]
    assert {"idle", "refuses", "silent"} == measured.keys()
    assert min(times["received_p99_ms"] for times in measured.values()) > 0


def test_rates_are_measured_at_several_sizes(tmp_path: Path) -> None:
    """Many targets and many rows: what works with few may crawl with many."""
    document = run(tmp_path / "result.json", "--only", "sizes", "--count", "300")

    [measured] = document["rounds"]
    assert {"targets": ["1", "10"], "rows": ["0", "1000"]} == {
        kind: list(sizes) for kind, sizes in measured.items()
    }


def test_one_and_two_workers_drain_a_postgresql(tmp_path: Path) -> None:
    """The ratio of two processes to one is what several nodes are worth."""
    document = run(tmp_path / "result.json", "--only", "workers", "--count", "300")

    [measured] = document["rounds"]
    assert min(measured["one"]["per_s"], measured["two"]["per_s"]) > 0


def test_the_hot_path_is_profiled_by_thread_and_by_function(tmp_path: Path) -> None:
    """A developer who makes deliveries faster begins with a profile."""
    document = run(tmp_path / "result.json", "--only", "hot_path", "--count", "300")

    [measured] = document["rounds"]
    assert "main" in measured["threads_us"]
    assert any("worker.py" in function["where"] for function in measured["functions"])


def test_steady_calls_are_measured_during_the_worst_of_another_tenant(tmp_path: Path) -> None:
    """That no caller blocks the others is a number for each kind of call, and none of them fails."""
    document = run(tmp_path / "result.json", "--only", "stall")

    [measured] = document["rounds"]
    assert {"alone", "alone, afterwards"} < measured.keys()
    assert {0} == {figures["failed"] for figures in measured.values()}
    made = {name: figures["statuses"] for name, figures in measured.items() if "calls" in figures}
    assert len(made) > 4
    assert {(200,)} == {tuple(statuses) for statuses in made.values()}
