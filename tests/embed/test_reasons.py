"""Errors and changes of an engine say the same as those of a server."""

from __future__ import annotations

import pytest

from outrider.domain.routing.router import Shadowing
from outrider.embed import Event, ExecutionChange, on_event
from outrider.errors import InvalidRequest, NotFound

ENDPOINT = "https://receiver.example/hook"


async def test_an_error_has_its_reason_and_what_to_do(engine):
    """
    The text is ZITADEL's, for those who compare it.
    """
    with pytest.raises(InvalidRequest) as refused:
        await engine.create_target("hook", "https://user:s3cr3t@a.example")

    error = refused.value
    assert "Target has an invalid URL (COMMAND-1r2k6qo6wg)" == str(error)
    assert "the URL contains user information" == error.reason
    assert "outrider target policy set" in error.hint
    assert "s3cr3t" not in f"{error!r}{error.reason}{error.hint}"


async def test_our_own_error_is_its_reason(engine):
    """
    So that a program can always show the reason.
    """
    with pytest.raises(InvalidRequest) as refused:
        await engine.create_target("", ENDPOINT)

    assert "invalid target: name must be of 1 to 1000 characters" == refused.value.reason


async def test_an_unknown_event_type_and_a_repeated_target_say_so(engine):
    """
    Both are "not found" to ZITADEL.
    """
    hook = await engine.create_target("hook", ENDPOINT)
    with pytest.raises(NotFound) as unknown:
        await engine.set_execution(on_event("order.payed"), [hook])
    with pytest.raises(NotFound) as repeated:
        await engine.set_execution(on_event(), [hook, hook])

    assert "the catalogue has no event type order.payed" == unknown.value.reason
    assert f"target {hook.id} is in the list more than once" == repeated.value.reason


async def test_setting_an_execution_returns_what_it_replaced_and_shadows(engine):
    """
    An execution that is not matched any more is missed by a receiver.
    """
    await engine.publish(Event(event_type="inv.paid"))
    wide, narrow = [await engine.create_target(name, ENDPOINT) for name in ("wide", "narrow")]

    first = await engine.set_execution("event/inv.*", [wide])
    expected = await engine.shadowing("event/inv.paid")
    second = await engine.set_execution("event/inv.paid", [narrow])
    third = await engine.set_execution("event/inv.*", [narrow])
    cleared = await engine.delete_execution("event/inv.*")

    assert ExecutionChange(first.set_at) == first
    assert Shadowing(("event/inv.*",)) == expected == second.shadowing
    assert ((wide.id,), Shadowing((), ("event/inv.paid",))) == (third.replaced, third.shadowing)
    assert ((narrow.id,), Shadowing()) == (cleared.replaced, cleared.shadowing)
