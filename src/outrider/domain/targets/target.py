"""Where to call, and how."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum

from outrider.domain.ids import TargetId
from outrider.errors import InvalidRequest

DEFAULT_TIMEOUT = timedelta(seconds=10)  # what the API reference's example gets
MAX_KEY_GRACE = timedelta(days=7)
# No SQL store keeps it in a text.
_NUL = "\0"
# Each key makes the headers longer, and receivers bound what they read.
MAX_SIGNING_KEYS = 8


class TargetType(IntEnum):
    """What becomes of the answer. The numbers are the order of ZITADEL's sorting by type."""

    REST_WEBHOOK = 0
    """The status of the answer counts, its body does not."""
    REST_CALL = 1
    """The body of the answer replaces what was sent."""
    REST_ASYNC = 2
    """Nobody waits for the answer."""


class PayloadType(IntEnum):
    """How the body is wrapped. UNSPECIFIED behaves as JSON."""

    UNSPECIFIED = 0
    JSON = 1
    JWT = 2
    JWE = 3


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A target's HMAC secret. `expires_at` is set on a key that was replaced and still signs."""

    secret: str = field(repr=False)
    expires_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it signs at `now`."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to call, and how. Immutable: a change is a new value.

    `signing_keys` holds the current key first, then replaced ones in their grace period.
    `payload_type` is stored as sent: a number that no `PayloadType` has cannot be delivered.
    """

    id: TargetId
    name: str
    type: TargetType
    endpoint: str
    timeout: timedelta
    interrupt_on_error: bool
    payload_type: int
    signing_keys: tuple[SigningKey, ...]
    created_at: datetime
    changed_at: datetime

    @property
    def signing_key(self) -> str:
        """The current key."""
        return self.signing_keys[0].secret

    def signing_secrets(self, now: datetime) -> tuple[str, ...]:
        """Every key that signs at `now`, the current one first."""
        return tuple([each.secret for each in self.signing_keys if each.is_valid(now)])

    @property
    def is_awaited(self) -> bool:
        """Whether targets behind it in an execution wait for its first attempt."""
        return self.type is not TargetType.REST_ASYNC


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTarget:
    """What a caller asks for. `timeout` None is the default; 0 is refused."""

    name: str
    type: TargetType
    endpoint: str
    timeout: timedelta | None = None
    interrupt_on_error: bool = False
    payload_type: int = PayloadType.UNSPECIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChange:
    """A partial update: None leaves the field as it is, as does payload type UNSPECIFIED.

    `type` and `interrupt_on_error` come together. `key_grace` asks for a new signing key and
    says how long the old one goes on signing.
    """

    name: str | None = None
    type: TargetType | None = None
    interrupt_on_error: bool = False
    endpoint: str | None = None
    timeout: timedelta | None = None
    payload_type: int = PayloadType.UNSPECIFIED
    key_grace: timedelta | None = None


def check_new_target(wanted: NewTarget) -> None:
    """Raise `InvalidRequest` in the order of the sheet's section 2.1, steps 2 and 3."""
    if not wanted.name or _NUL in wanted.name:
        raise InvalidRequest("Target is invalid", "COMMAND-ddqbm9us5p")
    if wanted.timeout is not None and not wanted.timeout:
        raise InvalidRequest("Target has no timeout", "COMMAND-39f35d8uri")


def check_target_change(change: TargetChange) -> None:
    """Raise `InvalidRequest` in the order of the sheet's section 2.2, before the endpoint."""
    if change.name is not None and (not change.name or _NUL in change.name):
        raise InvalidRequest("Target is invalid", "COMMAND-d1wx4lm0zr")
    if change.timeout is not None and not change.timeout:
        raise InvalidRequest("Target has no timeout", "COMMAND-08b39vdi57")
    if change.key_grace is not None and not timedelta(0) <= change.key_grace <= MAX_KEY_GRACE:
        raise InvalidRequest(
            "invalid UpdateTargetRequest.ExpirationSigningKey:"
            " value must be inside range [0s, 168h0m0s]"
        )


def changed_target(target: Target, change: TargetChange, *, now: datetime, new_key: str) -> Target:
    """Return the target with `change` applied, or `target` itself when nothing differs."""
    fields: dict[str, object] = {}
    if change.name is not None:
        fields["name"] = change.name
    if change.endpoint is not None:
        fields["endpoint"] = change.endpoint
    if change.timeout is not None:
        fields["timeout"] = change.timeout
    if change.type is not None:
        fields["type"] = change.type
        fields["interrupt_on_error"] = _may_interrupt(change.type, change.interrupt_on_error)
    if change.payload_type != PayloadType.UNSPECIFIED:
        fields["payload_type"] = change.payload_type
    if change.key_grace is not None:
        fields["signing_keys"] = _rotated(target, new_key, change.key_grace, now)
    wanted = replace(target, **fields)  # type: ignore[arg-type]
    return target if wanted == target else replace(wanted, changed_at=now)


def new_target(wanted: NewTarget, target_id: TargetId, *, now: datetime, new_key: str) -> Target:
    """Return the target that `wanted` describes. The checks are `check_new_target`'s."""
    return Target(
        id=target_id,
        name=wanted.name,
        type=wanted.type,
        endpoint=wanted.endpoint,
        timeout=DEFAULT_TIMEOUT if wanted.timeout is None else wanted.timeout,
        interrupt_on_error=_may_interrupt(wanted.type, wanted.interrupt_on_error),
        payload_type=wanted.payload_type,
        signing_keys=(SigningKey(new_key),),
        created_at=now,
        changed_at=now,
    )


def _may_interrupt(type_: TargetType, wanted: bool) -> bool:  # noqa: FBT001 - one flag, private
    # Nobody waits for a rest_async target, so it cannot interrupt (sheet, section 2.2).
    return wanted and type_ is not TargetType.REST_ASYNC


def _rotated(
    target: Target, new_key: str, grace: timedelta, now: datetime
) -> tuple[SigningKey, ...]:
    retiring = [SigningKey(target.signing_key, now + grace)] if grace else []
    # A rotation without grace ends the grace of earlier keys too: it is how a leaked key is dropped.
    older = [each for each in target.signing_keys[1:] if grace and each.is_valid(now)]
    return (SigningKey(new_key), *retiring, *older)[:MAX_SIGNING_KEYS]
