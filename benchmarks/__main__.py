"""`python -m benchmarks`: run them, print tables, keep raw results."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import cores, facts, today, wait_for_quiet
from benchmarks.options import Options

NAMES = (
    "deliveries",
    "publish",
    "start",
    "memory",
    "latency",
    "lists",
    "payloads",
    "interceptions",
    "receiver",
    "backlog",
    "sizes",
    "workers",
    "hot_path",
    "stall",
)
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Run what was asked for, one after the other."""
    arguments = _arguments()
    options = Options(
        scratch=arguments.scratch,
        is_quick=arguments.quick,
        count=arguments.count,
        rounds=arguments.rounds,
        environ=dict(assignment.split("=", 1) for assignment in arguments.set),
        database=arguments.database,
        max_targets=arguments.max_targets,
        max_rows=arguments.max_rows,
    )
    # The driver stays off the core that is measured.
    os.sched_setaffinity(0, {cores()[1]})
    documents = [_run(name, options, arguments) for name in arguments.only or NAMES]
    if arguments.out:
        arguments.out.write_text(json.dumps(documents, indent=1) + "\n")


def _run(name: str, options: Options, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.wait_for_quiet:
        wait_for_quiet(arguments.quiet, arguments.wait_for_quiet)
    before = facts(options.scratch)
    benchmark = importlib.import_module(f"benchmarks.{name}")
    result = benchmark.run(options)
    document = result.document({**before, "load_average_after": os.getloadavg()})
    print(f"\n## {name}\n\n{result.table}", flush=True)
    if not (arguments.out or options.is_quick):
        path = RESULTS / f"{today()}-{name}.json"
        path.write_text(json.dumps(document, indent=1) + "\n")
        print(f"\nraw: {path}", file=sys.stderr)
    return document


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="little of everything; keeps no file")
    parser.add_argument("--count", type=int, help="deliveries, calls or runs instead of the usual")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--out", type=Path, metavar="FILE", help="all raw results in this file")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR")
    parser.add_argument("--set", action="append", default=[], metavar="OUTRIDER_NAME=VALUE")
    parser.add_argument(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="what `deliveries` are kept in",
    )
    parser.add_argument("--max-targets", type=int, default=10_000, metavar="N")
    parser.add_argument("--max-rows", type=int, default=5_000_000, metavar="N")
    parser.add_argument("--wait-for-quiet", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--quiet", type=float, default=0.3, metavar="LOAD")
    return parser.parse_args()


if __name__ == "__main__":
    main()
