"""Host names without a store: each instance is reached at its own id."""

from __future__ import annotations

from outrider.domain.ids import InstanceId
from support.builders import INSTANCE


def instance_at(host: str) -> InstanceId:
    """The instance of this name; that of every test when there is none."""
    return InstanceId(host) if host else INSTANCE
