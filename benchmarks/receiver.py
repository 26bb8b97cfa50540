"""The cost of the receiver's SDK: verifying a call of 1 KiB, and importing the package.

`bare` is nothing but `hmac.digest` over the signed bytes. `by hand` is what a receiver without the SDK
must do at least: join timestamp and body, `hmac.digest`, compare. `verify` is the SDK with the one
header that ZITADEL sends; `verify, outrider` with all those that outrider sends, where two signatures
are checked. CPU time, alternately, so that a busy machine slows all of them.
"""

from __future__ import annotations

import hmac
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.options import Options
from benchmarks.results import Result, spread, table
from outrider_receiver import verify
from outrider_receiver.testing import SIGNING_KEY, Sender

NAME = "receiver"
_AT = 1_700_000_000
_BODY = b'{"event_type":"a","event_payload":{"a":"' + b"x" * (1024 - 43) + b'"}}'
_SLICES = 40
_PACKAGE = Path(__file__).parents[1] / "packages" / "receiver" / "src"
_IMPORTS = {
    "import outrider_receiver": "import outrider_receiver",
    "with Receiver and payloads": "from outrider_receiver import *",
}
_TIMED = "import sys, time; sys.path.insert(0, {path!r}); t = time.process_time(); {what}; print(time.process_time() - t)"


def run(options: Options) -> Result:
    """A round takes each variant in short slices, one after the other, and sums them up."""
    calls = options.count or options.of(100_000, 400)
    result = Result(NAME, {"calls": calls, "body_bytes": len(_BODY)})
    for _ in range(options.rounds or options.of(5, 1)):
        measured: dict[str, float] = _verified(calls)
        measured |= {name: _imported(what) for name, what in _IMPORTS.items()}
        result.rounds.append(measured)
    result.table = _table(result)
    return result


def _verified(calls: int) -> dict[str, float]:
    """Microseconds of CPU a call."""
    calls_per_slice = max(calls // _SLICES, 1)
    variants = _variants()
    spent = dict.fromkeys(variants, 0.0)
    for _ in range(_SLICES):
        for name, variant in variants.items():
            started = time.process_time()
            for _ in range(calls_per_slice):
                variant()
            spent[name] += time.process_time() - started
    return {name: seconds / (calls_per_slice * _SLICES) * 1e6 for name, seconds in spent.items()}


def _variants() -> dict[str, Callable[[], object]]:
    secret, signed = SIGNING_KEY.encode(), b"%d." % _AT + _BODY
    one = Sender(as_zitadel=True, clock=lambda: _AT).call(_BODY).headers
    every = Sender(clock=lambda: _AT).call(_BODY).headers
    del one["Content-Type"]
    expected = hmac.digest(secret, signed, "sha256").hex()

    def by_hand() -> bool:
        found = hmac.digest(secret, b"%d." % _AT + _BODY, "sha256").hex()
        return hmac.compare_digest(found, expected)

    return {
        "bare": lambda: hmac.digest(secret, signed, "sha256"),
        "by hand": by_hand,
        "verify": lambda: verify(_BODY, one, signing_keys=SIGNING_KEY, now=_AT),
        "verify, outrider": lambda: verify(_BODY, every, signing_keys=SIGNING_KEY, now=_AT),
    }


def _imported(what: str) -> float:
    """Milliseconds of CPU in a new interpreter: the best of five, without what it warms up."""
    code = _TIMED.format(path=str(_PACKAGE), what=what)
    runs = [
        subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True)
        for _ in range(5)
    ]
    return min(float(run.stdout) for run in runs) * 1000


def _table(result: Result) -> str:
    rows = []
    bare = [figures["bare"] for figures in result.rounds]
    for name in ("bare", "by hand", "verify", "verify, outrider"):
        values = [figures[name] for figures in result.rounds]
        ratio = median(base / value for base, value in zip(bare, values, strict=True))
        rows.append((f"{name}, µs", spread(values, ".2f"), f"{ratio:.2f}"))
    rows += [
        (f"{name}, ms", spread([figures[name] for figures in result.rounds], ".1f"), "")
        for name in _IMPORTS
    ]
    return table(("CPU", "each", "of bare"), rows)
