"""The user, the grants and the organization in the payload of a function.

Names are ZITADEL's (docs/contract.md of outrider). The sender omits empty members; they have their
default here. States and types stay numbers, because ZITADEL adds new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar


@dataclass(frozen=True)
class Human:
    """What a user is who is a person."""

    first_name: str = ""
    last_name: str = ""
    nick_name: str = ""
    display_name: str = ""
    avatar_key: str = ""
    preferred_language: str = ""
    gender: int = 0
    email: str = ""
    is_email_verified: bool = False
    phone: str = ""
    is_phone_verified: bool = False
    password_change_required: bool = False
    password_changed: datetime | None = None
    mfa_init_skipped: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class Machine:
    """What a user is who is a program."""

    name: str = ""
    description: str = ""
    encoded_hash: str = ""
    access_token_type: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class User:
    """The user whose token, userinfo or assertion is made. `type` is 1 for a human, 2 for a machine."""

    id: str = ""
    creation_date: datetime | None = None
    change_date: datetime | None = None
    resource_owner: str = ""
    sequence: int = 0
    state: int = 0
    type: int = 0
    username: str = ""
    login_names: tuple[str, ...] = ()
    preferred_login_name: str = ""
    human: Human | None = None
    machine: Machine | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class UserMetadata:
    """One entry of the user's metadata. `value` is decoded from Base64."""

    _wire: ClassVar[Mapping[str, str]] = {"name": "key"}

    creation_date: datetime | None = None
    change_date: datetime | None = None
    resource_owner: str = ""
    sequence: int = 0
    name: str = ""
    """`key` in the payload."""
    value: bytes = b""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class Org:
    """The organization of the user."""

    id: str = ""
    name: str = ""
    primary_domain: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class UserGrant:
    """The roles that the user has in one project."""

    id: str = ""
    creation_date: datetime | None = None
    change_date: datetime | None = None
    sequence: int = 0
    roles: tuple[str, ...] = ()
    grant_id: str = ""
    state: int = 0
    user_id: str = ""
    username: str = ""
    user_type: int = 0
    user_resource_owner: str = ""
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    display_name: str = ""
    avatar_url: str = ""
    preferred_login_name: str = ""
    resource_owner: str = ""
    org_name: str = ""
    org_primary_domain: str = ""
    project_resource_owner: str = ""
    project_id: str = ""
    project_name: str = ""
    granted_org_id: str = ""
    granted_org_name: str = ""
    granted_org_domain: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class Application:
    """The client that asked for the token."""

    client_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class TokenRequest:
    """The request that the token is made for."""

    scope: tuple[str, ...] = ()
    """The scopes that the client asked for. Senders before ZITADEL's newest release leave it out."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""


@dataclass(frozen=True)
class Actor:
    """Who acts for the user, after a token exchange; and for whom that one acts."""

    actor: Actor | None = None
    user_id: str = ""
    issuer: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Members that are unknown here, unchanged."""
