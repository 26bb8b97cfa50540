"""What is installed: nothing else, quickly, typed and explained, on every Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import outrider_receiver

HERE = Path(__file__).parent
OLDEST, NEWEST = 10, 14
MAX_IMPORT_SECONDS = 0.05


def interpreters() -> list[str]:
    """This one, and every other from 3.10 to 3.14 that is on the machine."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {Path(sys.executable).resolve()}
    for minor in range(OLDEST, NEWEST + 1):
        found |= {path.resolve() for path in root.glob(f"versions/3.{minor}.*/bin/python")}
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            path = Path(folder) / f"python3.{minor}"
            # pyenv's shims are scripts that may have nothing behind them.
            if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
                found.add(path.resolve())
    return sorted(map(str, found))


@pytest.mark.parametrize("interpreter", interpreters())
def test_the_core_does_the_same_on_every_python(interpreter):
    """
    Every result of the vectors, the samples, the stores: without anything installed.
    """
    run = subprocess.run(
        [interpreter, "-I", "-W", "error", str(HERE / "everywhere.py")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (run.returncode, run.stderr)
    assert int(run.stdout) > 300


def test_installing_it_installs_nothing_else():
    """
    It goes into other people's services: each dependency would be theirs to update.
    """
    required = metadata.requires("outrider-receiver") or []

    assert {"jose"} == set(metadata.metadata("outrider-receiver").get_all("Provides-Extra"))
    assert [] == [line for line in required if "extra ==" not in line]
    assert {"joserfc", "cryptography"} == {line.split(">")[0] for line in required}


def test_importing_it_is_quick():
    """
    A function that starts cold answers sooner. In CPU time, the best of ten.
    """
    code = "import time; t = time.process_time(); import outrider_receiver; print(time.process_time() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(10)
    ]

    assert min(float(run.stdout) for run in runs) < MAX_IMPORT_SECONDS


@pytest.mark.timeout(180)
def test_every_public_name_is_typed_and_explained():
    """
    By the type checker's own count.
    """
    folder = str(Path(sys.executable).parent)
    run = subprocess.run(
        [
            Path(folder) / "basedpyright",
            "--verifytypes",
            "outrider_receiver",
            "--ignoreexternal",
            "--outputjson",
        ],
        env={**os.environ, "PATH": os.pathsep.join([folder, os.environ["PATH"]])},
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(run.stdout)["typeCompleteness"]
    counts = found["exportedSymbolCounts"]

    assert counts["withKnownType"] > 400
    assert (0, 0) == (counts["withAmbiguousType"], counts["withUnknownType"])
    assert (0, 0) == (found["missingFunctionDocStringCount"], found["missingClassDocStringCount"])


def test_every_name_of_the_package_is_there():
    """
    They are imported when they are named.
    """
    for name in outrider_receiver.__all__:
        assert name in dir(outrider_receiver)
        assert getattr(outrider_receiver, name).__doc__
    with pytest.raises(AttributeError, match="verifi"):
        _ = outrider_receiver.verifi
