"""The store's part of targets, executions and the catalogue; `ports.store.Unit` has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from outrider.domain.ids import ExecutionId, InstanceId, PublicKeyId, TargetId
from outrider.domain.page import Listing, Page
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.domain.routing.execution import Execution
from outrider.domain.routing.search import ExecutionFilter, ExecutionSort
from outrider.domain.targets.policy import StoredPolicy, TargetPolicy
from outrider.domain.targets.public_key import PublicKey, PublicKeyFilter, PublicKeySort
from outrider.domain.targets.search import TargetFilter, TargetSort
from outrider.domain.targets.target import Target

CANCELLED_AT_ONCE = 500
"""About how many deliveries of a deleted target are cancelled in one transaction."""


@dataclass(frozen=True, slots=True)
class RoutedTarget:
    """The properties of a target that routing needs."""

    id: TargetId
    is_awaited: bool


class Targets(Protocol):
    """Targets of all instances. A deleted target is absent everywhere but in `deleted_at`."""

    def add(self, instance: InstanceId, target: Target) -> None:
        """Raise `AlreadyExists` when the name is taken, in any case of its letters."""
        ...

    def get(self, instance: InstanceId, target: TargetId) -> Target | None:
        """Return None for another instance's target, as for no target."""
        ...

    def get_many(
        self, ids: Collection[tuple[InstanceId, TargetId]]
    ) -> dict[tuple[InstanceId, TargetId], Target]:
        """Return those that exist."""
        ...

    def replace(self, instance: InstanceId, target: Target) -> None:
        """Write a changed target. Raise `AlreadyExists` when its new name is taken."""
        ...

    def delete(self, instance: InstanceId, target: TargetId, at: datetime) -> None:
        """Delete it, cancel its open deliveries and release those that depend on them.

        A delivery that is being attempted ends with that attempt. Of many deliveries this cancels
        a bounded part: `finish_deletion` cancels the others.
        """
        ...

    def finish_deletion(self, instance: InstanceId, target: TargetId, at: datetime) -> bool:
        """Cancel the next part of a deleted target's deliveries; whether none is left."""
        ...

    def unfinished_deletions(self) -> Sequence[tuple[InstanceId, TargetId]]:
        """Deleted targets, of any instance, of whose deliveries some are still to be cancelled."""
        ...

    def deleted_at(self, instance: InstanceId, target: TargetId) -> datetime | None:
        """When it was deleted; None when it exists or never did."""
        ...

    def existing(self, instance: InstanceId, targets: Collection[TargetId]) -> set[TargetId]:
        """Return those of `targets` that exist."""
        ...

    def routed(
        self, instance: InstanceId, targets: Collection[TargetId]
    ) -> dict[TargetId, RoutedTarget]:
        """Return what routing needs to know of those that exist, without opening their secrets."""
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
        """No other method finds it any more."""
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


class TargetPolicies(Protocol):
    """Policies of targets, and which targets are paused. Both go with their target.

    Every change moves the routing revision. Secrets are sealed at rest.
    """

    def get(self, instance: InstanceId, target: TargetId) -> StoredPolicy | None:
        """None when nothing was written: the target has the default and is not paused.

        None for another instance's target and for a deleted one, too.
        """
        ...

    def get_many(
        self, ids: Collection[tuple[InstanceId, TargetId]]
    ) -> dict[tuple[InstanceId, TargetId], StoredPolicy]:
        """Return those of which something was written."""
        ...

    def put(
        self, instance: InstanceId, target: TargetId, policy: TargetPolicy, at: datetime
    ) -> None:
        """Write it whole, over what is there. Whether the target is paused stays as it is."""
        ...

    def pause(self, instance: InstanceId, target: TargetId, at: datetime) -> None:
        """Suspend a target: its deliveries are not claimed. It stays paused when it was.

        A delivery that is being attempted ends with that attempt.
        """
        ...

    def resume(self, instance: InstanceId, target: TargetId) -> None:
        """End the pause: each delivery is due when it would have been, so most of them immediately."""
        ...


class Executions(Protocol):
    """Executions of all instances, under the ids of their conditions."""

    def get(self, instance: InstanceId, execution: ExecutionId) -> Execution | None:
        """The list as it was set, deleted targets included; None when it was never set."""
        ...

    def existing(
        self, instance: InstanceId, executions: Collection[ExecutionId]
    ) -> set[ExecutionId]:
        """Return those of `executions` that were set, also to lists that are empty now."""
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
        """Every execution that has an existing target, with these targets in order."""
        ...


class CatalogueEntries(Protocol):
    """The entries that instances added to the catalogue, or described in it."""

    def put(self, instance: InstanceId, entries: Sequence[Entry]) -> set[EntryName]:
        """Write them, over what is there. Return the names that were not there.

        Of two with one name the last one stays.
        """
        ...

    def remove(self, instance: InstanceId, names: Collection[EntryName]) -> set[EntryName]:
        """Remove what is there of these names, and return it."""
        ...

    def remember(self, instance: InstanceId, event_types: Collection[str]) -> None:
        """Add event types without a description; known ones are passed over."""
        ...

    def get_many(self, instance: InstanceId, names: Collection[EntryName]) -> Sequence[Entry]:
        """Return those that are there, in any order."""
        ...

    def names(self) -> Mapping[InstanceId, Mapping[EntryKind, frozenset[str]]]:
        """Every name, by instance and kind. A kind without names may be absent."""
        ...
