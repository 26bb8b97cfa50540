"""What instances need from the store; `ports.Unit` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from outrider.domain.access.instance import Instance
from outrider.domain.ids import InstanceId


class Instances(Protocol):
    """The tenants of this store, and the host names that choose them."""

    def add(self, instance: Instance) -> None:
        """Raise `AlreadyExists` when its name or one of its hosts is taken.

        Every node routes its hosts within a second.
        """
        ...

    def list(self) -> Sequence[Instance]:
        """Oldest first."""
        ...

    def delete(self, instance: InstanceId) -> bool:
        """Delete every row that is the instance's; return whether it was there.

        Its hosts and its name are free. What a worker is attempting has nothing left to settle.
        """
        ...

    def hosts(self) -> Mapping[str, InstanceId]:
        """Whose each host name is."""
        ...
