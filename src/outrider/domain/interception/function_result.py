"""Effects of a function's result on claims, attributes and metadata.

For the issuer of the token or the assertion. It writes the metadata first, then adds what these
functions return. No function here changes its arguments.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from outrider.domain.interception.function import (
    APPEND_ATTRIBUTE,
    APPEND_CLAIMS,
    APPEND_LOG_CLAIMS,
    SET_METADATA,
    function_lookup_id,
    knows,
)
from outrider.domain.interception.message import JsonObject

_RESERVED_PREFIX = "urn:zitadel:iam"


@dataclass(frozen=True, slots=True)
class Metadata:
    """One entry to be written to the user."""

    name: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SamlAttribute:
    """One attribute of an assertion."""

    name: str
    name_format: str
    values: tuple[str, ...]


def log_claim(function: str) -> str:
    """The name of the claim, or of the SAML attribute, that holds the log."""
    return f"{_RESERVED_PREFIX}:action:{function_lookup_id(function)}:log"


def metadata_to_set(result: JsonObject) -> list[Metadata]:
    """Return the metadata to write, in order. `result` is that of a function of ZITADEL's own."""
    return [
        Metadata(entry["key"], base64.b64decode(entry["value"]))
        for entry in result.get(SET_METADATA, ())
    ]


def added_claims(
    function: str,
    existing: Mapping[str, object],
    result: JsonObject,
    failed_metadata: Collection[str] = (),
) -> JsonObject:
    """Return the claims to add to `existing`, the log claim last.

    Claims with the reserved prefix are left out without a trace. A claim that exists is never
    overwritten; the log records that. `failed_metadata` are the names that could not be written. A
    function that has no claims, such as one that an application registered, adds none.
    """
    log = _metadata_log(failed_metadata)
    added: JsonObject = {}
    if not knows(function, APPEND_CLAIMS):
        return added
    for claim in result.get(APPEND_CLAIMS, ()):
        name = claim["key"]
        if name.startswith(_RESERVED_PREFIX):
            continue
        if name in existing or name in added:
            log.append(f'key "{name}" already exists')
        else:
            added[name] = claim["value"]
    log.extend(result.get(APPEND_LOG_CLAIMS, ()))
    return {**added, log_claim(function): log} if log else added


def added_attributes(
    function: str, result: JsonObject, failed_metadata: Collection[str] = ()
) -> Sequence[SamlAttribute]:
    """Return the attributes to add, in order; several may have the same name.

    A function that has no attributes adds none, as `added_claims` does.
    """
    if not knows(function, APPEND_ATTRIBUTE):
        return []
    added = [
        SamlAttribute(attribute["name"], attribute["name_format"], tuple(attribute["value"]))
        for attribute in result.get(APPEND_ATTRIBUTE, ())
    ]
    log = _metadata_log(failed_metadata)
    return [*added, SamlAttribute(log_claim(function), "", tuple(log))] if log else added


def _metadata_log(failed: Collection[str]) -> list[str]:
    return [f'failed to set user metadata key "{name}"' for name in failed]
