"""Generates src/outrider_api from proto/, offline, with tools from the development environment.

Besides the messages and services these are the OpenAPI document and the page that shows it.

Without arguments it writes the package. With `--check` it writes nothing, names the files that
are not current, and fails if there are any.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import shutil
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]
from reference.contract import read_contract
from reference.document import document_of
from reference.page import page_of

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = ROOT / "src" / "outrider_api"

# Generated modules import their dependencies as siblings, so these are generated too. The status
# is what gRPC packs the details of an error into.
BORROWED = (
    "google/api/annotations.proto",
    "google/api/http.proto",
    "google/rpc/status.proto",
)

PACKAGE_DOCSTRING = '"""Generated from proto/ by scripts/generate.py. Do not edit."""\n'


class GenerationError(Exception):
    """The compiler refused the contract; the reason is on standard error."""


def include_paths() -> list[Path]:
    """Our contract, google/api, and google/protobuf, in the order they are searched."""
    site_packages = Path(sysconfig.get_paths()["purelib"])
    return [PROTO, site_packages, Path(str(files("grpc_tools"))) / "_proto"]


def plugin(name: str) -> str:
    """The protoc argument that names a plugin next to the running interpreter."""
    return f"--plugin={name}={Path(sysconfig.get_path('scripts')) / name}"


def sources() -> list[str]:
    """Every file of the contract, relative to its include path, in a stable order."""
    own = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    return [*own, *BORROWED]


def generate(target: Path) -> None:
    """Writes the whole package into `target`, an empty directory."""
    compile_files(
        plugin("protoc-gen-py"),
        plugin("protoc-gen-connectrpc"),
        f"--py_out={target}",
        f"--connectrpc_out={target}",
    )
    (target / "__init__.py").write_text(PACKAGE_DOCSTRING)
    describe(target)


def compile_files(*arguments: str) -> None:
    """Runs protoc on every file of the contract."""
    paths = (f"--proto_path={path}" for path in include_paths())
    if protoc.main(["protoc", *paths, *arguments, *sources()]) != 0:
        raise GenerationError


def describe(target: Path) -> None:
    """Writes what callers read: openapi.json and docs.html."""
    with tempfile.NamedTemporaryFile() as found:
        compile_files(
            "--include_imports", "--include_source_info", f"--descriptor_set_out={found.name}"
        )
        contract = read_contract(Path(found.name).read_bytes())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    document = document_of(contract, project["version"])
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (target / "openapi.json").write_text(text + "\n", encoding="utf-8")
    (target / "docs.html").write_text(page_of(document), encoding="utf-8")


def generated_files(root: Path) -> Iterator[str]:
    """Paths under `root` that belong to the package, without what Python caches there."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(root).as_posix()


def differences(fresh: Path, committed: Path) -> list[str]:
    """Files that only one side has, or that differ."""
    names = {*generated_files(fresh), *generated_files(committed)}
    return sorted(name for name in names if not same(fresh / name, committed / name))


def same(one: Path, other: Path) -> bool:
    """Return whether both files exist with the same bytes."""
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def replace(fresh: Path, committed: Path) -> None:
    """Make `committed` equal to `fresh`: also delete files that `fresh` lacks."""
    shutil.rmtree(committed, ignore_errors=True)
    shutil.copytree(fresh, committed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 when the check found differences."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args(arguments).check
    with tempfile.TemporaryDirectory() as directory:
        fresh = Path(directory)
        generate(fresh)
        stale = differences(fresh, PACKAGE)
        if not check:
            replace(fresh, PACKAGE)
            return 0
    for name in stale:
        print(f"not current: src/outrider_api/{name}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
