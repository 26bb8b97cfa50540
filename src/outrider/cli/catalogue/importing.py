# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Entries of the catalogue out of a file: a descriptor set, or an OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from outrider.cli.catalogue.descriptor_set import InvalidDescriptors, read_descriptor_set, schemas
from outrider.cli.catalogue.openapi import InvalidOpenApi, operations_of, read_openapi
from outrider.domain.routing.catalogue_entry import MAX_DESCRIPTION_BYTES, OWN_METHODS

if TYPE_CHECKING:
    from outrider_api.outrider.v1.catalogue_service_pb import CatalogueEntry

MAX_NODES = 2_000_000
"""Values of a document after its aliases were followed: a few lines of YAML can be billions."""

_OPENAPI_YAML = re.compile(r"""^(?:['"]?)(?:openapi|swagger)(?:['"]?)\s*:""", re.MULTILINE)
_OLD_NAMES = frozenset({"timestamp", "bool"})


class InvalidImport(Exception):
    """The file is of no kind that can be imported, or it is wrong. The text says why."""


def entries_from(data: bytes, service: str) -> list[CatalogueEntry]:
    """The methods of a file, each with schemas and examples of its two messages, by name.

    `service` is the service of an OpenAPI document. Raise `InvalidImport`.
    """
    try:
        content = _openapi_content(data)
        if content is None:
            if service:
                raise InvalidImport("--service is for OpenAPI: a descriptor set names its services")
            entries = _of_descriptors(data)
        else:
            entries = _of_openapi(content, service)
    except (InvalidDescriptors, InvalidOpenApi) as failure:
        raise InvalidImport(str(failure)) from None
    except RecursionError:
        raise InvalidImport("it is nested too deep") from None
    if not entries:
        raise InvalidImport("it has no methods")
    return entries


def _of_descriptors(data: bytes) -> list[CatalogueEntry]:
    from outrider.domain.interception.proto_description import example_of, json_schema_of
    from outrider.domain.interception.proto_schema import proto_schemas_from_json
    from outrider.domain.routing.condition import ConditionKind

    types = read_descriptor_set(data)
    chosen = [name for name in types.methods if not name.startswith(OWN_METHODS)]
    compact = proto_schemas_from_json(schemas(types, chosen))
    entries = []
    for name in sorted(chosen):
        request = compact.index_of(name, ConditionKind.REQUEST)
        response = compact.index_of(name, ConditionKind.RESPONSE)
        if request is None or response is None:
            continue
        texts = (
            json_schema_of(compact, request),
            example_of(compact, request),
            json_schema_of(compact, response),
            example_of(compact, response),
        )
        entries.append(_entry(name, *texts))
    return entries


def _of_openapi(content: Any, service: str) -> list[CatalogueEntry]:
    from outrider.cli.catalogue.openapi_schema import json_schema_of

    document = read_openapi(content)
    return [
        _entry(
            operation.full_method,
            json_schema_of(document, operation.request, is_request=True),
            _example_text(operation.request_example),
            json_schema_of(document, operation.response, is_request=False),
            _example_text(operation.response_example),
        )
        for operation in operations_of(document, service)
    ]


def _entry(
    name: str, schema: str | None, example: str, response_schema: str | None, response_example: str
) -> CatalogueEntry:
    from outrider_api.outrider.v1.catalogue_service_pb import CatalogueEntry, CatalogueKind

    return CatalogueEntry(
        kind=CatalogueKind.METHOD,
        name=name,
        schema_json=schema or "",
        example_json=example,
        response_schema_json=response_schema or "",
        response_example_json=response_example,
    )


def _example_text(example: Any) -> str:
    text = json.dumps(example, ensure_ascii=False, separators=(",", ":"))
    return text if len(text.encode()) <= MAX_DESCRIPTION_BYTES else ""


def _openapi_content(data: bytes) -> Any:
    """Parse an OpenAPI document in JSON or YAML; None: the bytes are something else."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if text.lstrip().startswith("{"):
        try:
            return _plain(json.loads(text), iter(range(MAX_NODES)))
        except ValueError as failure:
            raise InvalidImport(f"is not JSON: {failure}") from None
    if not _OPENAPI_YAML.search(text):
        return None
    return _plain(_read_yaml(text), iter(range(MAX_NODES)))


def _read_yaml(text: str) -> Any:
    import yaml  # type: ignore[import-untyped]

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """YAML as JSON has it: dates are texts, and of `yes`, `on` and `true` only one is true."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if tag.rpartition(":")[2] not in _OLD_NAMES]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"]
    )
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as failure:
        raise InvalidImport(f"is not YAML: {' '.join(str(failure).split())}") from None


def _plain(value: Any, budget: Iterator[int]) -> Any:
    """The value as JSON has it: names are texts."""
    if next(budget, None) is None:
        raise InvalidImport(f"it has more than {MAX_NODES} values")
    if isinstance(value, dict):
        return {str(name): _plain(member, budget) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item, budget) for item in value]
    return value
