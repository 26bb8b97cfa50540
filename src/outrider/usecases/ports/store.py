"""What the use cases need from the outside, in their own words.

A unit of work is a plain function that gets a `Unit` and runs inside one transaction, in the
store's thread: it must be quick, must not await, and may run twice (then the first run was rolled
back). Its changes are durable when `Store.write` returns; an exception rolls them back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from outrider.domain.access.permission import Role
from outrider.domain.access.web_key import KeyPair, SigningWebKey, WebKey, WebKeyConfig
from outrider.domain.calls.request import OutboundRequest, Response
from outrider.domain.delivery.delivery import PlannedDelivery
from outrider.domain.events.event import Event
from outrider.domain.ids import (
    AccountId,
    EventId,
    ExecutionId,
    InstanceId,
    PublicKeyId,
    TargetId,
    TokenId,
    WebKeyId,
)
from outrider.domain.page import Listing, Page
from outrider.domain.routing.execution import Execution
from outrider.domain.search import (
    ExecutionFilter,
    ExecutionSort,
    TargetFilter,
    TargetSort,
)
from outrider.domain.targets.public_key import PublicKey, PublicKeyFilter, PublicKeySort
from outrider.domain.targets.target import Target
from outrider.usecases.ports.access import Accounts, Instances
from outrider.usecases.ports.deliveries import Deliveries, Leases
from outrider.usecases.ports.delivery_log import (
    Cancellations,
    DeliveryCounts,
    Replays,
    Retention,
)
from outrider.usecases.ports.targets import CatalogueEntries, TargetPolicies

T = TypeVar("T")


class Targets(Protocol):
    """Targets of all instances. A deleted target is absent everywhere but in `deleted_at`."""

    def add(self, instance: InstanceId, target: Target) -> None:
        """Raise `AlreadyExists` when the name is taken, in any case of its letters."""
        ...

    def get(self, instance: InstanceId, target: TargetId) -> Target | None:
        """Return None for another instance's target, as for no target."""
        ...

    def get_many(
        self, wanted: Collection[tuple[InstanceId, TargetId]]
    ) -> dict[tuple[InstanceId, TargetId], Target]:
        """Return those that exist."""
        ...

    def replace(self, instance: InstanceId, target: Target) -> None:
        """Write a changed target. Raise `AlreadyExists` when its new name is taken."""
        ...

    def delete(self, instance: InstanceId, target: TargetId, at: datetime) -> None:
        """Delete it, cancel its open deliveries and release those that waited for them.

        A delivery that is being attempted ends with that attempt.
        """
        ...

    def deleted_at(self, instance: InstanceId, target: TargetId) -> datetime | None:
        """When it was deleted; None when it exists or never did."""
        ...

    def existing(self, instance: InstanceId, targets: Collection[TargetId]) -> set[TargetId]:
        """Return those of `targets` that exist."""
        ...

    def search(
        self, instance: InstanceId, filters: Sequence[TargetFilter], sort: TargetSort, page: Page
    ) -> Listing[Target]:
        """Filters are ANDed. Rows that compare equal are in the order of their ids."""
        ...


class PublicKeys(Protocol):
    """Public keys of targets. A deleted target has none, and neither has a removed key an effect."""

    def add(self, instance: InstanceId, target: TargetId, public_key: PublicKey) -> None:
        """Write a new key."""
        ...

    def of_target(self, instance: InstanceId, target: TargetId) -> Sequence[PublicKey]:
        """Every key that was not removed, oldest first; none for a target that does not exist."""
        ...

    def replace(self, instance: InstanceId, target: TargetId, public_key: PublicKey) -> None:
        """Write a changed key."""
        ...

    def remove(
        self, instance: InstanceId, target: TargetId, public_key: PublicKeyId, at: datetime
    ) -> None:
        """Nobody finds it any more."""
        ...

    def last_removal(self, instance: InstanceId, target: TargetId) -> datetime | None:
        """When a key of this target was removed last; None when none was."""
        ...

    def search(
        self,
        instance: InstanceId,
        target: TargetId,
        filters: Sequence[PublicKeyFilter],
        sort: PublicKeySort,
        page: Page,
    ) -> Listing[PublicKey]:
        """Filters are ANDed. Rows that compare equal are in the order of their ids.

        Keys that never expire sort as the last to expire. A target that does not exist has none.
        """
        ...


class Executions(Protocol):
    """Executions of all instances, under the ids of their conditions."""

    def get(self, instance: InstanceId, execution: ExecutionId) -> Execution | None:
        """The list as it was set, deleted targets included; None when it was never set."""
        ...

    def put(self, instance: InstanceId, execution: Execution) -> None:
        """Write it whole, over what is there."""
        ...

    def search(
        self,
        instance: InstanceId,
        filters: Sequence[ExecutionFilter],
        sort: ExecutionSort,
        page: Page,
    ) -> Listing[Execution]:
        """Only executions with a target that still exists, and only those targets, in order."""
        ...

    def routes(self) -> dict[InstanceId, dict[ExecutionId, tuple[RoutedTarget, ...]]]:
        """Every execution that can fire, with its existing targets in order."""
        ...


@dataclass(frozen=True, slots=True)
class RoutedTarget:
    """What routing needs to know of a target."""

    id: TargetId
    is_awaited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token of a service account; the secret itself is not kept."""

    id: TokenId
    instance_id: InstanceId
    account_id: AccountId
    account_name: str
    roles: frozenset[Role]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None


class Tokens(Protocol):
    """Tokens and the accounts they belong to. Found by the hash of the secret."""

    def add(self, token: Token, secret_hash: bytes) -> None:
        """Write the token, and its account when that is new; an account's roles are replaced."""
        ...

    def account_id(self, instance: InstanceId, account_name: str) -> AccountId | None:
        """The account of that name."""
        ...

    def by_hash(self, secret_hash: bytes) -> Token | None:
        """The token with its account's roles, revoked or expired as it may be."""
        ...

    def get(self, instance: InstanceId, token: TokenId) -> Token | None:
        """None for another instance's."""
        ...

    def list(self, instance: InstanceId) -> Sequence[Token]:
        """Tokens that are not revoked, oldest first."""
        ...

    def revoke(self, instance: InstanceId, token: TokenId, at: datetime) -> None:
        """Nothing accepts it from now on."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with the body that its targets get and the deliveries that it owes.

    `trace` is that of the publish (`TraceContext.text`), empty when it had none.
    """

    event: Event
    body: bytes
    execution: ExecutionId | None
    deliveries: Sequence[PlannedDelivery]
    trace: str = ""


class Events(Protocol):
    """Events with their deliveries."""

    def append(
        self, instance: InstanceId, events: Sequence[StoredEvent], now: datetime
    ) -> list[int | None]:
        """Write events and deliveries; for an id that is known already, write nothing.

        Return, in order, how many deliveries were written, None for a known id: also for the
        second of two with the same id in one call.
        """
        ...

    def delivery_counts(
        self, instance: InstanceId, events: Collection[EventId]
    ) -> dict[EventId, int]:
        """How many deliveries each of these events has."""
        ...


class WebKeys(Protocol):
    """Web keys of all instances. A removed key is found by `get` alone."""

    def add(self, instance: InstanceId, web_key: WebKey, private_key: bytes) -> None:
        """Write a new key; the private part is sealed."""
        ...

    def get(self, instance: InstanceId, web_key: WebKeyId) -> WebKey | None:
        """None for another instance's key, as for no key."""
        ...

    def replace(self, instance: InstanceId, web_key: WebKey) -> None:
        """Write a changed state. The private part of a removed key is erased."""
        ...

    def list(self, instance: InstanceId) -> Sequence[WebKey]:
        """In the order of their creation."""
        ...

    def active(self, instance: InstanceId) -> WebKey | None:
        """The one that signs."""
        ...

    def signing(self, instance: InstanceId) -> SigningWebKey | None:
        """The active key with its private part."""
        ...


class KeyPairs(Protocol):
    """Makes keys: the slow half of a new web key."""

    async def make(self, config: WebKeyConfig) -> KeyPair:
        """Return a new pair each time; others go on meanwhile."""
        ...


class Unit(Protocol):
    """One transaction."""

    @property
    def instances(self) -> Instances: ...  # noqa: D102
    @property
    def targets(self) -> Targets: ...  # noqa: D102
    @property
    def public_keys(self) -> PublicKeys: ...  # noqa: D102
    @property
    def policies(self) -> TargetPolicies: ...  # noqa: D102
    @property
    def executions(self) -> Executions: ...  # noqa: D102
    @property
    def tokens(self) -> Tokens: ...  # noqa: D102
    @property
    def accounts(self) -> Accounts: ...  # noqa: D102
    @property
    def web_keys(self) -> WebKeys: ...  # noqa: D102
    @property
    def events(self) -> Events: ...  # noqa: D102
    @property
    def deliveries(self) -> Deliveries: ...  # noqa: D102
    @property
    def replays(self) -> Replays: ...  # noqa: D102
    @property
    def cancellations(self) -> Cancellations: ...  # noqa: D102
    @property
    def delivery_counts(self) -> DeliveryCounts: ...  # noqa: D102
    @property
    def retention(self) -> Retention: ...  # noqa: D102
    @property
    def leases(self) -> Leases: ...  # noqa: D102
    @property
    def catalogue(self) -> CatalogueEntries: ...  # noqa: D102

    def routing_revision(self) -> int:
        """Grows with every change of what routing and calls go by.

        These are targets, executions, public keys, web keys, the names of the catalogue, and
        instances with their hosts.
        """
        ...


class Store(Protocol):
    """The one truth about everything."""

    async def write(self, work: Callable[[Unit], T], *, shared: bool = False) -> T:
        """Run `work` in a transaction; return when it is on disk (fsync).

        Units happen one after the other, also those of other processes: what one of them read is
        still so when it writes. A `shared` unit gives that up among shared ones: of what it is
        about to change it takes what no other has, as `claim`, `settle` and `append` do.

        Raise `Unavailable` when the store cannot be reached. When the connection was lost during
        the commit, whether it happened is not known: the unit may then be repeated, so that it
        finds what it did.
        """
        ...

    async def read(self, work: Callable[[Unit], T]) -> T:
        """Run `work` on a snapshot; it must not change anything."""
        ...

    async def changes(self) -> int:
        """A number that moves when another process has committed: cheap to ask often."""
        ...

    def subscribe(self, tell: Callable[[], None]) -> None:
        """Call `tell` soon after a commit, here or elsewhere, by which something may be due.

        In a thread of the store's, until it is closed. A hint: it may come late, twice or never.
        """
        ...


class HttpClient(Protocol):
    """Calls receivers."""

    async def send(self, call: OutboundRequest) -> Response:
        """Return the answer, whatever its status. Raise `RequestError` when there is none."""
        ...
