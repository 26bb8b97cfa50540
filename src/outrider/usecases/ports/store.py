"""The port of the store: transactions, and every repository in them.

A unit of work is a plain function. It gets a `Unit` and runs inside one transaction, in the store's
thread. It must be quick, must not await, and may run twice (then the first run was rolled back).
Its changes are durable when `Store.write` returns; an exception rolls them back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from outrider.errors import Unavailable
from outrider.usecases.ports.access import Accounts, Instances, Tokens, WebKeys
from outrider.usecases.ports.deliveries import Deliveries, Events, Leases
from outrider.usecases.ports.delivery_log import (
    Cancellations,
    DeliveryCounts,
    LogScans,
    Replays,
    Retention,
)
from outrider.usecases.ports.targets import (
    CatalogueEntries,
    Executions,
    PublicKeys,
    TargetPolicies,
    Targets,
)

T = TypeVar("T")


class WriteRefused(Unavailable):
    """The store answers, and refuses every write: its disk is full, say, or it is read-only.

    `reason` also tells an operator why the server is not ready. `advice` is what the operator does
    about it, as half a sentence; callers do not get it.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(f"{reason}: nothing of this call was stored")
        self._cause = reason
        self.advice = advice

    @property
    def reason(self) -> str:
        """Why the store takes no writes, without what that means for a call."""
        return self._cause


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
    def log_scans(self) -> LogScans: ...  # noqa: D102
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
        """Grows with every change of what routing and calls depend on.

        These are targets, executions, public keys, web keys, the names of the catalogue with
        the schemas of its methods, and instances with their hosts.
        """
        ...


@dataclass(frozen=True, slots=True)
class Load:
    """What a unit of work asks of the writer: for which tenant, and about how many rows.

    The writer takes tenants in turn, the units of one tenant in their order. Units that name none
    count as one tenant's: theirs are small.
    """

    tenant: str = ""
    rows: int = 1


LIGHT = Load()
"""Some rows, for any tenant."""


class Store(Protocol):
    """The one truth about everything."""

    async def write(
        self, work: Callable[[Unit], T], *, shared: bool = False, load: Load = LIGHT
    ) -> T:
        """Run `work` in a transaction; return when it is on disk (fsync).

        Units happen one after the other, also those of other processes: what one of them read is
        still so when it writes. That does not hold among `shared` units: of the rows that one is
        about to change it takes those that no other has, as `claim`, `settle` and `append` do.
        `load` says whose turn it is, and keeps a large unit out of the commit of small ones.

        Raise `Unavailable` when the store cannot be reached, `WriteRefused` when it takes no
        writes. When the connection was lost during
        the commit, whether it happened is not known: the unit may then be repeated, so that it
        finds what it did.
        """
        ...

    async def read(self, work: Callable[[Unit], T]) -> T:
        """Run `work` on a snapshot; it must not change anything."""
        ...

    async def check_writable(self) -> None:
        """Return when a commit has just succeeded, or succeeds now.

        Otherwise raise `WriteRefused`, or `Unavailable` when the store cannot be reached. It takes
        the way of every write and leaves nothing behind: nothing grows, however often it is asked.
        Once writes succeed again, so does this.
        """
        ...

    async def changes(self) -> int:
        """A number that moves when another process has committed: cheap to ask often."""
        ...

    def subscribe(self, on_notification: Callable[[], None]) -> None:
        """Call it soon after a commit, here or elsewhere, by which a delivery may be due.

        In a thread of the store's, until it is closed. A notification may come late, twice or
        never.
        """
        ...
