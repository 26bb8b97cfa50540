"""Payloads of calls: one frozen dataclass for each kind.

Names are ZITADEL's (docs/contract.md of outrider) in Python's spelling: `aggregateID` is
`aggregate_id`. `extra` keeps members that a newer sender adds. `parse_payload` trusts the bytes:
verify them first, or let `Receiver` do both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from outrider_receiver._refusal import InvalidCall, Reason
from outrider_receiver._wire import (
    Read,
    decode,
    encode,
    members_or_base64,
    parse_object,
    position,
    text_or_digits,
)
from outrider_receiver.users import (
    Actor,
    Application,
    Org,
    TokenRequest,
    User,
    UserGrant,
    UserMetadata,
)

MAX_ACTORS = 32
"""How many actors may act for one another; nobody delegates that far."""


_CALL: Mapping[str, str] = {
    "full_method": "fullMethod",
    "instance_id": "instanceID",
    "org_id": "orgID",
    "project_id": "projectID",
    "user_id": "userID",
}
_EVENT: Mapping[str, str] = {
    "aggregate_id": "aggregateID",
    "aggregate_type": "aggregateType",
    "resource_owner": "resourceOwner",
    "instance_id": "instanceID",
    "user_id": "userID",
}
_EVENT_READERS: Mapping[str, Read] = {
    "aggregate_id": text_or_digits,
    "aggregate_type": text_or_digits,
    "resource_owner": text_or_digits,
    "instance_id": text_or_digits,
    "user_id": text_or_digits,
    "version": text_or_digits,
    "sequence": position,
    "event_payload": members_or_base64,
}


@dataclass(frozen=True)
class Event:
    """Something that happened. It cannot be refused, only received.

    A member of another type than its field counts as absent, and is in `extra` unchanged.
    """

    _wire: ClassVar[Mapping[str, str]] = _EVENT
    _is_lenient: ClassVar[bool] = True
    _readers: ClassVar[Mapping[str, Read]] = _EVENT_READERS
    _always: ClassVar[tuple[str, ...]] = ("event_type",)

    aggregate_id: str = ""
    aggregate_type: str = ""
    resource_owner: str = ""
    instance_id: str = ""
    version: str = ""
    sequence: int = 0
    event_type: str = ""
    created_at: datetime | None = None
    """In UTC, rounded down to microseconds."""
    user_id: str = ""
    event_payload: Mapping[str, Any] | None = None
    """The event's data, also where the sender wrote it as Base64; None for an event without, and
    for data that is no object: that is in `extra`."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Unknown members, and members of another type, unchanged."""


@dataclass(frozen=True)
class Request:
    """A call of the application's API, before it is carried out."""

    _wire: ClassVar[Mapping[str, str]] = _CALL
    _always: ClassVar[tuple[str, ...]] = ("request",)

    full_method: str = ""
    """`/package.Service/Method`."""
    instance_id: str = ""
    org_id: str = ""
    project_id: str = ""
    user_id: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    """The message in protojson: lowerCamelCase, defaults left out, 64-bit numbers as strings."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Those that targets may see, with their names as they came."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class Response:
    """A call of the application's API, after it was carried out."""

    _wire: ClassVar[Mapping[str, str]] = _CALL
    _always: ClassVar[tuple[str, ...]] = ("request", "response")

    full_method: str = ""
    """`/package.Service/Method`."""
    instance_id: str = ""
    org_id: str = ""
    project_id: str = ""
    user_id: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    """The message that was answered, as the request's own targets left it."""
    response: Mapping[str, Any] = field(default_factory=dict)
    """The answer in protojson."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Those that targets may see, with their names as they came."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class _Token:
    """What the two functions of tokens have in common."""

    function: str = ""
    """`function/preuserinfo` or `function/preaccesstoken`."""
    userinfo: Mapping[str, Any] = field(default_factory=dict)
    """The claims so far."""
    user: User = field(default_factory=User)
    user_metadata: tuple[UserMetadata, ...] = ()
    org: Org = field(default_factory=Org)
    user_grants: tuple[UserGrant, ...] = ()
    application: Application = field(default_factory=Application)
    request: TokenRequest = field(default_factory=TokenRequest)
    """What the client asked for, such as the scopes."""
    actor: Actor | None = None
    """Who acts for the user, after a token exchange."""
    response: Mapping[str, Any] = field(default_factory=dict)
    """What the targets before this one answered."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class PreUserinfo(_Token):
    """Userinfo, an id token or an introspection is about to be answered."""


@dataclass(frozen=True)
class PreAccessToken(_Token):
    """A JWT access token is about to be made."""


@dataclass(frozen=True)
class PreSamlResponse:
    """A SAML assertion is about to be made."""

    function: str = ""
    """`function/presamlresponse`."""
    userinfo: Mapping[str, Any] = field(default_factory=dict)
    """The user's claims. Senders before ZITADEL's newest release leave it out."""
    user: User = field(default_factory=User)
    user_grants: tuple[UserGrant, ...] = ()
    response: Mapping[str, Any] = field(default_factory=dict)
    """What the targets before this one answered."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class CustomFunction:
    """A function that an application registered with outrider: its payload is in `extra`."""

    function: str = ""
    """`function/` and its name."""
    response: Mapping[str, Any] = field(default_factory=dict)
    """What the targets before this one answered."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """The application's own payload."""


FunctionPayload = PreUserinfo | PreAccessToken | PreSamlResponse | CustomFunction
"""What a function's handler is given."""

Payload = Event | Request | Response | FunctionPayload
"""Whatever a call says."""

FUNCTIONS: Mapping[str, type[FunctionPayload]] = {
    "function/preuserinfo": PreUserinfo,
    "function/preaccesstoken": PreAccessToken,
    "function/presamlresponse": PreSamlResponse,
}
"""ZITADEL's functions and their payloads."""


def parse_payload(body: bytes) -> Payload:
    """The JSON of a verified call, as the kind that it is.

    Raises:
        InvalidCall: it is not JSON, it is of no kind, or a member has another type than its field.
            Of an event, such a member is in `extra`.
    """
    if not isinstance(body, bytes):
        raise TypeError(f"body is the raw bytes of the call, not {type(body).__name__}")
    found = parse_object(body, lenient="event_type")
    _bound_actors(found.get("actor"))
    return decode(_kind_of(found), found)


def payload_bytes(payload: Payload) -> bytes:
    """The JSON that a sender would send: for tests. What is empty is left out."""
    import json  # noqa: PLC0415 - only tests of receivers come here

    return json.dumps(encode(payload), separators=(",", ":"), ensure_ascii=False).encode()


def _kind_of(found: Mapping[str, Any]) -> type[Payload]:
    if isinstance(found.get("event_type"), str):
        return Event
    if "event_type" in found:
        raise InvalidCall(Reason.MALFORMED, "event_type of the payload is not a string")
    function = found.get("function")
    if isinstance(function, str) and function.startswith("function/"):
        return FUNCTIONS.get(function, CustomFunction)
    if "fullMethod" in found:
        return Response if "response" in found else Request
    raise InvalidCall(Reason.MALFORMED, "the body is no event, request, response or function")


def _bound_actors(actor: object) -> None:
    for _ in range(MAX_ACTORS):
        if not isinstance(actor, dict):
            return
        actor = actor.get("actor")
    raise InvalidCall(Reason.MALFORMED, "too many actors act for one another")
