"""The documentation of what can be observed is made from the declarations, and its alerts exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from outrider.observability.metrics import DECLARED, Kind

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
SUFFIXES = ("_bucket", "_sum", "_count")
EXPRESSIONS = PAGE.partition("### Alerts worth having")[2].partition("## Traces")[0]


def declared_name(sample: str) -> str:
    for suffix in SUFFIXES:
        name = sample.removesuffix(suffix)
        if name in DECLARED and DECLARED[name].kind is Kind.HISTOGRAM:
            return name
    return sample


def test_the_tables_are_current():
    """
    Update them with: python scripts/observability_tables.py
    """
    script = ROOT / "scripts" / "observability_tables.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_every_alert_names_a_declared_metric():
    """
    An alert on a metric that was renamed never fires.
    """
    names = set(re.findall(r"outrider_[a-z_]+", EXPRESSIONS))

    assert len(names) >= 7
    assert set() == {name for name in names if declared_name(name) not in DECLARED}


def test_every_label_in_an_alert_has_that_value():
    """
    So does a matcher that matches nothing.
    """
    matchers = re.findall(r'(outrider_[a-z_]+)\{([a-z]+)(?:=~|!=|=)"([^"]+)"\}', EXPRESSIONS)
    wrong = []
    for name, label, pattern in matchers:
        metric = DECLARED[declared_name(name)]
        known = {
            value[0]
            for dimension in metric.dimensions
            if dimension.names == (label,)
            for value in dimension.values
        }
        wrong += [(name, label, part) for part in pattern.split("|") if part not in known]

    assert [] == wrong
    assert len(matchers) >= 4


def test_expressions_are_balanced():
    """
    The least that can be said without Prometheus's own parser.
    """
    expressions = re.findall(r"expr: (?:\|\n)?((?:.*\n)(?:            .*\n)*)", EXPRESSIONS)

    assert len(expressions) == PAGE.count("- alert:")
    for expression in expressions:
        without_comment = re.sub(r"  +#.*", "", expression)
        assert without_comment.count("(") == without_comment.count(")")
        assert without_comment.count("{") == without_comment.count("}")
