"""Values with defaults for everything that a test is not about.

Identifiers of targets, deliveries and tokens are decimal numbers, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from outrider.adapters.crypto.sealing import Sealing
from outrider.domain.access.permission import Actor, Role
from outrider.domain.calls.request import Stage
from outrider.domain.delivery.delivery import (
    Attempt,
    ClaimedDelivery,
    DeliveryState,
    Dependents,
    PlannedDelivery,
    Settlement,
    plan_deliveries,
)
from outrider.domain.events.content import content_of
from outrider.domain.events.event import Event, render
from outrider.domain.ids import (
    AccountId,
    DeliveryId,
    EventId,
    ExecutionId,
    InstanceId,
    PublicKeyId,
    TargetId,
    TokenId,
)
from outrider.domain.outcome import HAS_ANSWER, Outcome
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.domain.routing.execution import Execution
from outrider.domain.targets.public_key import PublicKey
from outrider.domain.targets.target import NewTarget, PayloadType, SigningKey, Target, TargetType
from outrider.usecases.ports.access import Token
from outrider.usecases.ports.deliveries import StoredEvent
from support.runtime import NOW

DIGEST = Sealing(bytes(32)).digest
INSTANCE = InstanceId("instance-a")
ANOTHER_INSTANCE = InstanceId("instance-b")
SIGNING_KEY = "98KmsU67ABCdef0123456789ghijklMNOPQR"
EVENT_TYPE = "user.human.added"


def an_actor(*roles: Role, instance: InstanceId = INSTANCE) -> Actor:
    """An actor who may do everything, unless roles are named."""
    return Actor(instance, AccountId("1"), frozenset(roles or {Role.IAM_OWNER}))


def a_public_key(
    id: str = "601",  # noqa: A002 - the name of the field
    *,
    pem: bytes = b"a key",
    is_active: bool = False,
    expires_at: datetime | None = None,
    created_at: datetime = NOW,
    changed_at: datetime = NOW,
) -> PublicKey:
    """A key that is not usable: the store does not read it."""
    return PublicKey(
        id=PublicKeyId(id),
        pem=pem,
        fingerprint=f"SHA256:{id}",
        is_active=is_active,
        expires_at=expires_at,
        created_at=created_at,
        changed_at=changed_at,
    )


def a_target(
    id: str = "101",  # noqa: A002 - the name of the field
    *,
    name: str | None = None,
    type: TargetType = TargetType.REST_WEBHOOK,  # noqa: A002 - the name of the field
    endpoint: str = "https://receiver.example/hook",
    timeout: timedelta = timedelta(seconds=10),
    interrupt_on_error: bool = False,
    payload_type: int = PayloadType.UNSPECIFIED,
    signing_keys: Sequence[SigningKey] = (SigningKey(SIGNING_KEY),),
    created_at: datetime = NOW,
    changed_at: datetime | None = None,
) -> Target:
    """A webhook; named after its id, and changed when it was created."""
    return Target(
        id=TargetId(id),
        name=f"target {id}" if name is None else name,
        type=type,
        endpoint=endpoint,
        timeout=timeout,
        interrupt_on_error=interrupt_on_error,
        payload_type=payload_type,
        signing_keys=tuple(signing_keys),
        created_at=created_at,
        changed_at=created_at if changed_at is None else changed_at,
    )


def a_new_target(
    *,
    name: str = "audit",
    type: TargetType = TargetType.REST_WEBHOOK,  # noqa: A002 - the name of the field
    endpoint: str = "https://receiver.example/hook",
    timeout: timedelta | None = timedelta(seconds=10),
    interrupt_on_error: bool = False,
    payload_type: int = PayloadType.UNSPECIFIED,
) -> NewTarget:
    """What a caller asks for who wants a webhook."""
    return NewTarget(
        name=name,
        type=type,
        endpoint=endpoint,
        timeout=timeout,
        interrupt_on_error=interrupt_on_error,
        payload_type=payload_type,
    )


def an_event_condition(event_type: str = EVENT_TYPE) -> Condition:
    """One event type."""
    return Condition(ConditionKind.EVENT, Scope.EVENT, event_type)


def an_execution(
    *targets: str,
    condition: Condition | None = None,
    created_at: datetime = NOW,
    changed_at: datetime | None = None,
) -> Execution:
    """An execution of one event type, changed when it was created."""
    return Execution(
        condition=condition or an_event_condition(),
        targets=tuple(map(TargetId, targets)),
        created_at=created_at,
        changed_at=created_at if changed_at is None else changed_at,
    )


def an_event(
    id: str = "event-1",  # noqa: A002 - the name of the field
    *,
    event_type: str = EVENT_TYPE,
    created_at_ns: int = 1_735_787_045_678_901_000,
    aggregate_id: str = "1",
    aggregate_type: str = "user",
    resource_owner: str = "2",
    version: str = "v2",
    sequence: int = 7,
    user_id: str = "4",
    payload_json: str | None = '{"userName":"a&b"}',
) -> Event:
    """The event of ZITADEL's documentation; in instance `3` its body is the one there."""
    return Event(
        id=EventId(id),
        event_type=event_type,
        created_at_ns=created_at_ns,
        aggregate_id=aggregate_id,
        aggregate_type=aggregate_type,
        resource_owner=resource_owner,
        version=version,
        sequence=sequence,
        user_id=user_id,
        payload_json=payload_json,
    )


def planned(
    delivery: str,
    target: str = "101",
    *,
    depends_on: str | None = None,
    has_dependents: bool = False,
) -> PlannedDelivery:
    """A delivery as it is written with its event."""
    front = None if depends_on is None else DeliveryId(depends_on)
    return PlannedDelivery(DeliveryId(delivery), TargetId(target), front, has_dependents)


def planned_chain(*deliveries: tuple[str, str]) -> list[PlannedDelivery]:
    """Deliveries of one execution, each dependent on the one in front; (delivery, target) each."""
    return plan_deliveries(
        [(DeliveryId(delivery), TargetId(target), True) for delivery, target in deliveries]
    )


def a_stored_event(
    *deliveries: PlannedDelivery, event: Event | None = None, instance: InstanceId = INSTANCE
) -> StoredEvent:
    """An event with its deliveries. Without any, no execution matched."""
    event = event or an_event()
    execution = ExecutionId(f"event/{event.event_type}") if deliveries else None
    body, payload = render(event, instance)
    digest = DIGEST(content_of(event, payload))
    return StoredEvent(event, body, execution, deliveries, digest=digest)


def a_claimed_delivery(
    id: str = "1",  # noqa: A002 - the name of the field
    *,
    instance: InstanceId = INSTANCE,
    target: str = "101",
    attempt_number: int = 1,
    created_at: datetime = NOW,
    has_dependents: bool = False,
    body: bytes = b"{}",
) -> ClaimedDelivery:
    """A delivery that a worker has claimed."""
    return ClaimedDelivery(
        id=DeliveryId(id),
        instance_id=instance,
        target_id=TargetId(target),
        attempt_number=attempt_number,
        created_at=created_at,
        has_dependents=has_dependents,
        body=body,
    )


def an_attempt(
    number: int = 1,
    outcome: Outcome = Outcome.ACCEPTED,
    *,
    started_at: datetime = NOW,
    duration: timedelta = timedelta(milliseconds=25),
    stage: Stage = Stage.ANSWER,
    status_code: int | None = None,
    error: str = "",
    body_prefix: bytes = b"",
) -> Attempt:
    """An attempt that was accepted with status 200, unless it says otherwise."""
    if status_code is None:
        status_code = {Outcome.ACCEPTED: 200, Outcome.REFUSED: 400, Outcome.OVERLOADED: 429}.get(
            outcome, 500 if outcome in HAS_ANSWER else 0
        )
    return Attempt(
        number=number,
        started_at=started_at,
        duration=duration,
        outcome=outcome,
        stage=stage,
        status_code=status_code,
        error=error,
        body_prefix=body_prefix,
    )


def a_settlement(
    delivery: str,
    state: DeliveryState = DeliveryState.DELIVERED,
    *,
    attempt: Attempt | None = None,
    due_at: datetime | None = None,
    dependents: Dependents = Dependents.WAIT,
) -> Settlement:
    """What an attempt led to; a first attempt that fits the state when none is given."""
    if attempt is None:
        is_delivered = state is DeliveryState.DELIVERED
        attempt = an_attempt(outcome=Outcome.ACCEPTED if is_delivered else Outcome.FAILED)
    return Settlement(DeliveryId(delivery), state, attempt, due_at, dependents)


def a_token(
    id: str = "501",  # noqa: A002 - the name of the field
    *,
    instance: InstanceId = INSTANCE,
    account: str = "11",
    account_name: str = "publisher",
    roles: Sequence[Role] = (Role.EVENT_PUBLISHER,),
    created_at: datetime = NOW,
    expires_at: datetime | None = None,
) -> Token:
    """A token that never expires."""
    return Token(
        id=TokenId(id),
        instance_id=instance,
        account_id=AccountId(account),
        account_name=account_name,
        roles=frozenset(roles),
        created_at=created_at,
        expires_at=expires_at,
    )
