"""Targets, and the checks that every target has passed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum

from outrider.domain.ids import InstanceId, TargetId, shown_id
from outrider.domain.net.egress_policy import EgressPolicy, check_endpoint
from outrider.domain.net.endpoint import InvalidUrl, parse_written_endpoint
from outrider.domain.targets.tunnel import is_tunnel_url, tunnel_of
from outrider.errors import InvalidRequest, NotFound

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
    """No caller waits for the answer."""


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
        """Every key that signs at `now`, the oldest one first and the current one last.

        A receiver that reads one signature only, the first, goes on with the key that it has.
        """
        return tuple(
            [
                signing_key.secret
                for signing_key in reversed(self.signing_keys)
                if signing_key.is_valid(now)
            ]
        )

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


def create_target(
    new: NewTarget,
    target_id: TargetId,
    *,
    instance: InstanceId,
    egress: EgressPolicy,
    now: datetime,
    signing_key: str,
) -> Target:
    """Return the target that `new` describes, valid in every field.

    Raise `InvalidRequest` for the first of these that is wrong, in ZITADEL's order: the name, the
    timeout, the endpoint as a URL, where it leads.
    """
    _check_name(new.name, "COMMAND-ddqbm9us5p")
    _check_timeout(new.timeout, "COMMAND-39f35d8uri")
    _check_endpoint(new.endpoint, instance, egress, "COMMAND-1r2k6qo6wg", "COMMAND-NcJUKo")
    return Target(
        id=target_id,
        name=new.name,
        type=new.type,
        endpoint=new.endpoint,
        timeout=DEFAULT_TIMEOUT if new.timeout is None else new.timeout,
        interrupt_on_error=_interrupts(new.type, new.interrupt_on_error),
        payload_type=new.payload_type,
        signing_keys=(SigningKey(signing_key),),
        created_at=now,
        changed_at=now,
    )


def check_target_change(change: TargetChange, instance: InstanceId, egress: EgressPolicy) -> None:
    """Raise `InvalidRequest` for what no target may become, whatever it is now.

    In ZITADEL's order: the name, the timeout, the grace period, the endpoint as a URL, where it
    leads.
    """
    if change.name is not None:
        _check_name(change.name, "COMMAND-d1wx4lm0zr")
    _check_timeout(change.timeout, "COMMAND-08b39vdi57")
    if change.key_grace is not None and not timedelta(0) <= change.key_grace <= MAX_KEY_GRACE:
        raise InvalidRequest(
            "invalid UpdateTargetRequest.ExpirationSigningKey:"
            " value must be inside range [0s, 168h0m0s]",
            hint="give how long the old key signs too, at most 7 days; 0s ends it at once",
        )
    if change.endpoint is not None:
        _check_endpoint(change.endpoint, instance, egress, "COMMAND-jsbaera7b6", "COMMAND-jKbbu2")


def change_target(
    target: Target, change: TargetChange, *, now: datetime, signing_key: str
) -> Target:
    """Return the target with a checked `change`, or `target` itself when nothing differs.

    `signing_key` is the new one, for a change that asks for one.
    """
    fields: dict[str, object] = {}
    if change.name is not None:
        fields["name"] = change.name
    if change.endpoint is not None:
        fields["endpoint"] = change.endpoint
    if change.timeout is not None:
        fields["timeout"] = change.timeout
    if change.type is not None:
        fields["type"] = change.type
        fields["interrupt_on_error"] = _interrupts(change.type, change.interrupt_on_error)
    if change.payload_type != PayloadType.UNSPECIFIED:
        fields["payload_type"] = change.payload_type
    if change.key_grace is not None:
        fields["signing_keys"] = _rotated_keys(target, signing_key, change.key_grace, now)
    changed = replace(target, **fields)  # type: ignore[arg-type]
    return target if changed == target else replace(changed, changed_at=now)


def target_not_found(target_id: TargetId, error_id: str = "QUERY-hj5oaniyrz") -> NotFound:
    """The error for a target that the instance does not have."""
    return NotFound(
        "Target not found",
        error_id,
        reason=f"there is no target {shown_id(target_id)} in this instance",
        hint="give an id that `outrider target list` shows",
    )


def _check_endpoint(
    endpoint: str, instance: InstanceId, egress: EgressPolicy, invalid_id: str, denied_id: str
) -> None:
    # This refuses only what can never be called. Unlike in ZITADEL, a name is resolved, and its
    # address checked, when a connection is made.
    try:
        parse_written_endpoint(endpoint)
    except InvalidUrl as invalid:
        raise InvalidRequest(
            "Target has an invalid URL", invalid_id, reason=str(invalid), hint=invalid.hint
        ) from None
    if is_tunnel_url(endpoint) and not _is_tunnel_of(instance, endpoint):
        raise InvalidRequest(
            "Errors.Target.DeniedURL",
            denied_id,
            reason="the endpoint leads into no tunnel of this instance",
            hint="let `outrider listen --forward URL` make the target",
        )
    denial = check_endpoint(egress, endpoint)
    if denial is not None:
        reason, _, hint = denial.partition("; ")
        raise InvalidRequest("Errors.Target.DeniedURL", denied_id, reason=reason, hint=hint)


def _check_name(name: str, invalid_id: str) -> None:
    if not name or _NUL in name:
        raise InvalidRequest(
            "Target is invalid",
            invalid_id,
            reason="the name contains a NUL character" if name else "the name is empty",
            hint="give a name of 1 to 1000 characters",
        )


def _check_timeout(timeout: timedelta | None, invalid_id: str) -> None:
    if timeout is not None and not timeout:
        raise InvalidRequest(
            "Target has no timeout",
            invalid_id,
            reason="the timeout is 0s",
            hint="give one above 0s and up to 270s, or leave it out",
        )


def _is_tunnel_of(instance: InstanceId, endpoint: str) -> bool:
    tunnel = tunnel_of(endpoint)
    return tunnel is not None and tunnel.instance == instance


def _interrupts(type_: TargetType, interrupt_on_error: bool) -> bool:  # noqa: FBT001 - one flag, private
    # No caller waits for a rest_async target, so it cannot interrupt one.
    return interrupt_on_error and type_ is not TargetType.REST_ASYNC


def _rotated_keys(
    target: Target, new_key: str, grace: timedelta, now: datetime
) -> tuple[SigningKey, ...]:
    retiring = [SigningKey(target.signing_key, now + grace)] if grace else []
    # A rotation without grace ends the grace of earlier keys too: it is how a leaked key is dropped.
    older = [
        signing_key
        for signing_key in target.signing_keys[1:]
        if grace and signing_key.is_valid(now)
    ]
    return (SigningKey(new_key), *retiring, *older)[:MAX_SIGNING_KEYS]
