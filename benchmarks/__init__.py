"""Measurements of outrider, each a number with the number that it is read against."""

import sys
from pathlib import Path

# Builders and the PostgreSQL starter are those of the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
