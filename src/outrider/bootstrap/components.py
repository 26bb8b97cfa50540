"""Way 3 wired: what runs requests, responses and functions through their targets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from outrider.bootstrap.app_context import Opened
from outrider.bootstrap.http_client import ENVELOPES, open_caller
from outrider.config.loading import Settings
from outrider.observability.collectors import Intercepting as CountedInterceptions
from outrider.usecases.interception.concurrency_limits import Bulkheads
from outrider.usecases.interception.enqueuer import Handover
from outrider.usecases.interception.intercept import Interceptions
from outrider.usecases.interception.target_chain import TargetChain
from outrider.usecases.routing.explain import Explain
from outrider.usecases.routing.routing_table import Routing
from outrider.usecases.routing.target_cache import KnownCallees
from outrider.usecases.targets.sample_call import TestTarget


@dataclass(frozen=True, slots=True)
class Intercepting:
    """What calls targets while somebody waits, and what says whom it would call."""

    interceptions: Interceptions
    explain: Explain
    test_target: TestTarget


@asynccontextmanager
async def open_interceptions(
    settings: Settings, opened: Opened, routing: Routing, log: Any
) -> AsyncIterator[Intercepting]:
    """Everything that calls targets outside of deliveries; it ends before the store does."""
    store, ambient = opened.store, opened.ambient
    handover = Handover(store, ambient, log)
    measures = CountedInterceptions(opened.counting.meter)
    async with open_caller(settings, settings.worker_concurrency) as caller:
        opened.counting.callers.append(caller)
        interceptions = Interceptions(
            routing,
            KnownCallees(store, routing),
            TargetChain(ambient, ENVELOPES, caller, Bulkheads(), log, measures, opened.tracing),
            handover,
            settings.intercept_timeout,
        )
        test_target = TestTarget(store, ambient, routing, ENVELOPES, caller)
        try:
            yield Intercepting(interceptions, Explain(store, ambient, routing), test_target)
        finally:
            await handover.aclose()
