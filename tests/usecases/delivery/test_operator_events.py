"""Operator events, and what they tell of the event that they are about."""

from __future__ import annotations

from dataclasses import replace

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.routing.condition import Condition, ConditionKind, Scope
from outrider.usecases.delivery.operator_events import record_and_notify
from support.builders import a_new_target, a_settlement, an_actor, an_event
from support.runtime import NOW

ACTOR = an_actor()
EVERY_EVENT = Condition(ConditionKind.EVENT, Scope.ALL, "")


async def test_a_death_has_the_hops_of_its_event(publish, targets, executions, store, runtime):
    """
    A receiver that publishes when it hears of a death is a part of the circle as well.
    """
    target = await targets.create(ACTOR, a_new_target())
    await executions.set(ACTOR, EVERY_EVENT, [target.id])
    await publish(ACTOR, [replace(an_event(), hops=5)])

    def die(unit):
        [claimed] = unit.deliveries.claim("w", NOW, 10)
        dead = a_settlement(claimed.id, DeliveryState.DEAD)
        record_and_notify(unit, runtime, "w", [dead], NOW)
        return unit.deliveries.claim("w", NOW, 10)

    [told] = await store.write(die)

    assert b'"event_type":"outrider.delivery.dead"' in told.body
    assert 5 == told.hops
