"""The tables of a memory store: dictionaries of values that never change."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Self

from outrider.domain.access.instance import Instance
from outrider.domain.access.service_account import AccountKey, ServiceAccount
from outrider.domain.access.web_key import WebKey
from outrider.domain.delivery.delivery import Delivery
from outrider.domain.delivery.target_queue import TargetKey, TargetQueue
from outrider.domain.ids import (
    AccountId,
    AccountKeyId,
    DeliveryId,
    EventId,
    ExecutionId,
    InstanceId,
    TargetId,
    WebKeyId,
)
from outrider.domain.routing.catalogue_entry import Entry, EntryName
from outrider.domain.routing.execution import Execution
from outrider.domain.targets.policy import StoredPolicy
from outrider.domain.targets.public_key import PublicKey
from outrider.domain.targets.target import Target
from outrider.usecases.ports.access import Token
from outrider.usecases.ports.deliveries import StoredEvent

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedDelivery:
    """A delivery with what the queue knows of it.

    `depends_on` is the delivery in front of it, until that one lets it go. `owner` and `claimed_at`
    are set while a worker has claimed it. `aggregate` is its ordering key while it takes part in
    the order, `waits_on` is the delivery in front of it there. `replay_root` is the first of those that
    a replay goes back to; `was_redelivered`: retention has deleted a replay that was delivered.
    """

    instance: InstanceId
    delivery: Delivery
    has_dependents: bool
    depends_on: DeliveryId | None = None
    owner: str | None = None
    claimed_at: datetime | None = None
    aggregate: str | None = None
    waits_on: DeliveryId | None = None
    replay_root: DeliveryId | None = None
    was_redelivered: bool = False

    @property
    def target_key(self) -> TargetKey:
        """The target whose queue it is in, if that target has one."""
        return self.instance, self.delivery.target_id

    @property
    def due_at(self) -> datetime | None:
        """When it is due; None while it waits on another one."""
        return None if self.waits_on is not None else self.delivery.next_attempt_at

    @property
    def logged(self) -> Delivery:
        """As the log shows it."""
        return replace(self.delivery, next_attempt_at=self.due_at)


@dataclass(slots=True)
class Tables:
    """All tables."""

    instances: dict[InstanceId, Instance] = field(default_factory=dict)
    targets: dict[tuple[InstanceId, TargetId], Target] = field(default_factory=dict)
    deleted_targets: dict[tuple[InstanceId, TargetId], datetime] = field(default_factory=dict)
    public_keys: dict[tuple[InstanceId, TargetId], tuple[PublicKey, ...]] = field(
        default_factory=dict
    )
    public_key_removals: dict[tuple[InstanceId, TargetId], datetime] = field(default_factory=dict)
    policies: dict[tuple[InstanceId, TargetId], StoredPolicy] = field(default_factory=dict)
    executions: dict[tuple[InstanceId, ExecutionId], Execution] = field(default_factory=dict)
    accounts: dict[tuple[InstanceId, AccountId], ServiceAccount] = field(default_factory=dict)
    account_keys: dict[tuple[InstanceId, AccountKeyId], AccountKey] = field(default_factory=dict)
    secret_hashes: dict[tuple[InstanceId, AccountId], bytes] = field(default_factory=dict)
    tokens: dict[bytes, Token] = field(default_factory=dict)
    """By the hash of the secret; their roles are those of their accounts."""
    web_keys: dict[tuple[InstanceId, WebKeyId], WebKey] = field(default_factory=dict)
    private_keys: dict[tuple[InstanceId, WebKeyId], bytes] = field(default_factory=dict, repr=False)
    """Those of web keys that are not removed."""
    events: dict[tuple[InstanceId, EventId], StoredEvent] = field(default_factory=dict)
    published_at: dict[tuple[InstanceId, EventId], datetime] = field(default_factory=dict)
    """Of the events."""
    deliveries: dict[DeliveryId, QueuedDelivery] = field(default_factory=dict)
    """In the order in which they were written."""
    target_queues: dict[TargetKey, TargetQueue] = field(default_factory=dict)
    shared_last_claimed_at: datetime = EPOCH
    """When something was last claimed that is in no target queue."""
    cancel_requests: set[DeliveryId] = field(default_factory=set)
    """Deliveries that were cancelled while they were attempted."""
    leases: dict[str, datetime] = field(default_factory=dict)
    leader_lease: tuple[str, datetime] | None = None
    """The cleaner that leads, and until when."""
    entries: dict[tuple[InstanceId, EntryName], Entry] = field(default_factory=dict)
    routing_revision: int = 0

    def copied(self) -> Self:
        """The same values in separate dictionaries: changes there do not show here."""
        return type(self)(**{table.name: copy(getattr(self, table.name)) for table in fields(self)})
