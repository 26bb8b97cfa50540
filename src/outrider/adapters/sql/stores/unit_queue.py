"""Units of work that wait for the writer, and which of them share the next commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from outrider.usecases.ports.store import Load, Unit

# How many units share one commit. More would only make the first of them wait longer.
MAX_UNITS = 256
# How many rows they write together, unless one of them alone writes more.
MAX_ROWS = 2500


@dataclass(slots=True)
class Job:
    """A unit of work whose caller waits."""

    work: Callable[[Unit], Any]
    is_shared: bool
    load: Load
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


Group = Sequence[Job]


@dataclass(slots=True)
class UnitQueue:
    """A queue for each tenant. A group takes one unit of each in turn, as many as fit.

    The tenant whose unit did not fit is the first of the next group: with many small units of
    others in it, or one large unit alone.
    """

    _by_tenant: dict[str, deque[Job]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._by_tenant)

    def add(self, job: Job) -> None:
        """Put it behind those of its tenant."""
        self._by_tenant.setdefault(job.load.tenant, deque()).append(job)

    def next_group(self) -> Group:
        """Take the units of the next commit: at least one when there is any."""
        group: list[Job] = []
        rows, tenants = 0, list(self._by_tenant)
        while tenants:
            served = []
            for tenant in tenants:
                job = self._by_tenant[tenant][0]
                rows += job.load.rows
                if group and rows > MAX_ROWS:
                    rows -= job.load.rows
                    continue
                group.append(job)
                if len(group) == MAX_UNITS:
                    self._take_from(tenant)
                    return group
                if self._take_from(tenant):
                    served.append(tenant)
            tenants = served
        return group

    def _take_from(self, tenant: str) -> bool:
        """Drop the first unit of a tenant, whose turn is last now; whether it has more."""
        jobs = self._by_tenant.pop(tenant)
        jobs.popleft()
        if jobs:
            self._by_tenant[tenant] = jobs
        return bool(jobs)
