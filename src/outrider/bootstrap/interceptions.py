"""Way 3 wired: what runs requests, responses and functions through their targets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from outrider.bootstrap.calling import ENVELOPES, open_caller
from outrider.bootstrap.parts import Opened
from outrider.observability.instruments import Intercepting as CountedInterceptions
from outrider.settings import Settings
from outrider.usecases.bulkheads import Bulkheads
from outrider.usecases.explain import Explain
from outrider.usecases.handover import Handover
from outrider.usecases.interceptions import Interceptions
from outrider.usecases.known_callees import KnownCallees
from outrider.usecases.routing import Routing
from outrider.usecases.target_chain import TargetChain
from outrider.usecases.target_tests import TestTarget


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
