"""Writes what the catalogue knows of ZITADEL, from its descriptor set: one command for a new release.

    python scripts/zitadel_catalogue.py [zitadel.binpb]

`zitadel.binpb` is a `google.protobuf.FileDescriptorSet`, as `buf build -o`, `protoc
--include_imports --descriptor_set_out` or the reflection of a server gives it. It is kept as
`proto/zitadel.binpb.xz`; without an argument that file is read. Out of it come

- the methods in `src/outrider/catalogue.json`: all that are in packages of ZITADEL. What is in no
  descriptor set (functions, event types, technical services) stays as it is there;
- `src/outrider/method_schemas.json`: their message types, in the form that
  `outrider.cli.catalogue.descriptor_set` explains.

The same input gives the same bytes. With `--check` it says whether the files are current, and writes
nothing.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outrider.cli.catalogue.descriptor_set import Types, read_descriptor_set, schemas

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "proto" / "zitadel.binpb.xz"
CATALOGUE = ROOT / "src" / "outrider" / "catalogue.json"
SCHEMAS = ROOT / "src" / "outrider" / "method_schemas.json"
ABOUT = (
    "The message types of ZITADEL's methods, written by scripts/zitadel_catalogue.py, which says"
    " where the form is explained. From ZITADEL's protos (Apache-2.0)."
)
PACKAGES = "zitadel."


def catalogue_text(current: Mapping[str, Any], types: Types) -> str:
    """The catalogue with the services of these types in place of ZITADEL's in it."""
    services = {
        name: methods
        for name, methods in current["services"].items()
        if not name.startswith(PACKAGES)
    }
    for method in sorted(types.methods):
        service, _, name = method.removeprefix("/").rpartition("/")
        if service.startswith(PACKAGES):
            services.setdefault(service, []).append(name)
    content = {**current, "services": dict(sorted(services.items()))}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def schemas_text(types: Types) -> str:
    """The message types of ZITADEL's methods."""
    chosen = [method for method in types.methods if method.startswith(f"/{PACKAGES}")]
    content = {"about": ABOUT, **schemas(types, chosen)}
    return json.dumps(content, indent=0, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("descriptors", type=Path, nargs="?")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    kept = lzma.decompress(KEPT.read_bytes()) if KEPT.exists() else b""
    given = options.descriptors.read_bytes() if options.descriptors else kept
    types = read_descriptor_set(given)
    texts = {
        CATALOGUE: catalogue_text(json.loads(CATALOGUE.read_text("utf-8")), types),
        SCHEMAS: schemas_text(types),
    }
    outdated = [path for path, text in texts.items() if path.read_text("utf-8") != text]
    if given != kept:
        outdated.append(KEPT)
    if options.check:
        if outdated:
            names = ", ".join(str(path.relative_to(ROOT)) for path in outdated)
            sys.exit(f"not current: {names}; run this without --check")
        return
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    if given != kept:
        KEPT.write_bytes(lzma.compress(given, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    main()
