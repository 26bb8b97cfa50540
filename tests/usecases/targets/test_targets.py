"""Targets: the checks in ZITADEL's order, and what is answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile
from outrider.domain.page import Page
from outrider.domain.targets.search import NameFilter, TargetSort, TextMethod
from outrider.domain.targets.target import PayloadType, TargetChange, TargetType
from outrider.errors import AlreadyExists, InvalidRequest, NotFound
from support.builders import (
    ANOTHER_INSTANCE,
    a_new_target,
    an_actor,
    an_event,
    an_event_condition,
)
from support.runtime import FIRST_SONYFLAKE, NOW

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
HOUR = timedelta(hours=1)
NO_TIME = timedelta(0)

NOT_URLS = ["", "example.com", "/hook", "::", "http://", "ftp://example.com", "http://ex ample.com"]
UNREACHABLE = ["http://127.0.0.1/", "https://[::1]/", "http://10.0.0.1", "http://0x7f.1/"]
# One request that is wrong in several ways, from the first check to the last.
# Each case corrects what the case before it was refused for.
WRONG = a_new_target(name="", timeout=NO_TIME, endpoint="")


async def names(targets, actor=ACTOR) -> list[str]:
    listing = await targets.search(actor, [], TargetSort.ID, Page(ascending=True))
    return [row.name for row in listing.rows]


async def test_a_target_is_created_with_an_id_and_a_key_of_ours(targets):
    """
    A client chooses neither; both come from the runtime, like the date.
    """
    created = await targets.create(ACTOR, a_new_target(name="audit"))

    assert str(FIRST_SONYFLAKE) == created.id
    assert f"SigningKey{1:026d}" == created.signing_key
    assert (NOW, NOW) == (created.created_at, created.changed_at)
    assert created == await targets.get(ACTOR, created.id)


@pytest.mark.parametrize(
    ("mended", "text"),
    [
        ({}, "Target is invalid (COMMAND-ddqbm9us5p)"),
        ({"name": "Audit"}, "Target has no timeout (COMMAND-39f35d8uri)"),
        (
            {"name": "Audit", "timeout": HOUR},
            "Target has an invalid URL (COMMAND-1r2k6qo6wg)",
        ),
        (
            {"name": "Audit", "timeout": HOUR, "endpoint": "http://127.0.0.1"},
            "Errors.Target.DeniedURL (COMMAND-NcJUKo)",
        ),
        (
            {"name": "Audit", "timeout": HOUR, "endpoint": "https://example.com"},
            "Errors.Target.AlreadyExists (V3-DKcYh)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_request_to_create_is_checked_in_zitadels_order(targets, mended, text):
    """
    A caller that sees the first complaint corrects that one first.
    """
    await targets.create(ACTOR, a_new_target(name="audit"))

    with pytest.raises((InvalidRequest, AlreadyExists)) as refused:
        await targets.create(ACTOR, replace(WRONG, **mended))
    assert text == str(refused.value)
    assert ["audit"] == await names(targets)


@pytest.mark.parametrize("endpoint", NOT_URLS)
async def test_what_is_no_url_can_never_be_called(targets, endpoint):
    """
    So it is refused when it is saved, with ZITADEL's two ids.
    """
    created = await targets.create(ACTOR, a_new_target())

    with pytest.raises(InvalidRequest) as refused:
        await targets.create(ACTOR, a_new_target(name="another", endpoint=endpoint))
    assert "Target has an invalid URL (COMMAND-1r2k6qo6wg)" == str(refused.value)
    with pytest.raises(InvalidRequest) as refused:
        await targets.update(ACTOR, created.id, TargetChange(endpoint=endpoint))
    assert "Target has an invalid URL (COMMAND-jsbaera7b6)" == str(refused.value)


@pytest.mark.parametrize("endpoint", UNREACHABLE)
async def test_what_the_egress_profile_never_allows_is_refused_when_it_is_set(targets, endpoint):
    """
    In every spelling that leads there.
    """
    created = await targets.create(ACTOR, a_new_target())

    with pytest.raises(InvalidRequest) as refused:
        await targets.create(ACTOR, a_new_target(name="another", endpoint=endpoint))
    assert "Errors.Target.DeniedURL (COMMAND-NcJUKo)" == str(refused.value)
    with pytest.raises(InvalidRequest) as refused:
        await targets.update(ACTOR, created.id, TargetChange(endpoint=endpoint))
    assert "Errors.Target.DeniedURL (COMMAND-jKbbu2)" == str(refused.value)


async def test_names_are_resolved_when_the_connection_is_made(targets):
    """
    A receiver may get its address after its target was created.
    """
    created = await targets.create(ACTOR, a_new_target(endpoint="https://not-there.invalid/"))

    assert "https://not-there.invalid/" == created.endpoint


async def test_a_wider_profile_allows_more(targets):
    """
    Development happens on loopback.
    """
    wider = replace(targets, egress=EgressPolicy(EgressProfile.DEV))
    created = await wider.create(ACTOR, a_new_target(endpoint="http://127.0.0.1:8080/hook"))

    assert "http://127.0.0.1:8080/hook" == created.endpoint


async def test_a_name_is_taken_inside_an_instance(targets):
    """
    And never across instances.
    """
    await targets.create(ACTOR, a_new_target(name="audit"))
    await targets.create(STRANGER, a_new_target(name="audit"))

    assert ["audit"] == await names(targets, STRANGER)


@pytest.mark.parametrize(
    ("id_", "change", "text"),
    [
        ("", {}, "ID missing (COMMAND-1l6ympeagp)"),
        ("7", {}, "Target is invalid (COMMAND-d1wx4lm0zr)"),
        ("7", {"name": "Taken"}, "Target has no timeout (COMMAND-08b39vdi57)"),
        (
            "7",
            {"name": "Taken", "timeout": HOUR},
            "Target has an invalid URL (COMMAND-jsbaera7b6)",
        ),
        (
            "7",
            {"name": "Taken", "timeout": HOUR, "endpoint": "http://127.0.0.1"},
            "Errors.Target.DeniedURL (COMMAND-jKbbu2)",
        ),
        (
            "7",
            {"name": "Taken", "timeout": HOUR, "endpoint": "https://example.com"},
            "Target not found (COMMAND-xj14f2cccn)",
        ),
        (
            "existing",
            {"name": "Taken", "timeout": HOUR, "endpoint": "https://example.com"},
            "Errors.Target.AlreadyExists (V3-DKcYh)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_request_to_update_is_checked_in_zitadels_order(targets, id_, change, text):
    """
    Each case corrects what the one before was refused for.
    """
    existing = await targets.create(ACTOR, a_new_target(name="audit"))
    await targets.create(ACTOR, a_new_target(name="taken"))
    wrong = TargetChange(name="", timeout=NO_TIME, endpoint="")
    id_ = existing.id if id_ == "existing" else id_

    with pytest.raises((InvalidRequest, NotFound, AlreadyExists)) as refused:
        await targets.update(ACTOR, id_, replace(wrong, **change))
    assert text == str(refused.value)
    assert existing == await targets.get(ACTOR, existing.id)


async def test_an_update_changes_what_it_names(targets, clock):
    """
    And answers the target as it is now.
    """
    created = await targets.create(ACTOR, a_new_target())
    later = clock.advance(HOUR)
    change = TargetChange(name="archive", type=TargetType.REST_CALL, interrupt_on_error=True)
    updated = await targets.update(ACTOR, created.id, change)

    assert updated == replace(
        created,
        name="archive",
        type=TargetType.REST_CALL,
        interrupt_on_error=True,
        changed_at=later,
    )
    assert updated == await targets.get(ACTOR, created.id)


@pytest.mark.parametrize(
    "change",
    [
        TargetChange(),
        TargetChange(endpoint=a_new_target().endpoint),
        TargetChange(name="audit", timeout=timedelta(seconds=10), type=TargetType.REST_WEBHOOK),
        TargetChange(payload_type=PayloadType.UNSPECIFIED),
    ],
)
async def test_an_update_without_a_difference_answers_the_last_date(targets, clock, change):
    """
    Terraform asks for the same thing again and again.
    """
    created = await targets.create(ACTOR, a_new_target())
    clock.advance(HOUR)

    assert created == await targets.update(ACTOR, created.id, change)
    assert NOW == (await targets.get(ACTOR, created.id)).changed_at


async def test_a_key_is_rotated_when_asked_for_and_only_then(targets, clock):
    """
    With a grace period the old one signs, too.
    """
    created = await targets.create(ACTOR, a_new_target())
    unchanged = await targets.update(ACTOR, created.id, TargetChange(name="archive"))
    rotated = await targets.update(ACTOR, created.id, TargetChange(key_grace=HOUR))
    replaced = await targets.update(ACTOR, created.id, TargetChange(key_grace=NO_TIME))

    assert created.signing_keys == unchanged.signing_keys
    assert (created.signing_key, rotated.signing_key) == rotated.signing_secrets(clock())
    assert (replaced.signing_key,) == replaced.signing_secrets(clock())
    assert 3 == len({created.signing_key, rotated.signing_key, replaced.signing_key})


async def test_another_instances_target_cannot_be_touched(targets):
    """
    It is not found, deleted, changed or listed.
    """
    created = await targets.create(ACTOR, a_new_target())

    with pytest.raises(NotFound):
        await targets.update(STRANGER, created.id, TargetChange(name="mine"))
    with pytest.raises(NotFound):
        await targets.get(STRANGER, created.id)
    assert None is await targets.delete(STRANGER, created.id)
    assert [] == await names(targets, STRANGER)
    assert created == await targets.get(ACTOR, created.id)


async def test_a_missing_target_is_not_found(targets):
    """
    With ZITADEL's text and id.
    """
    with pytest.raises(NotFound) as refused:
        await targets.get(ACTOR, "7")

    assert "Target not found (QUERY-hj5oaniyrz)" == str(refused.value)


async def test_deleting_answers_the_date_of_the_first_deletion(targets, clock):
    """
    A target that does not exist is no error, as in ZITADEL.
    """
    created = await targets.create(ACTOR, a_new_target())
    deleted_at = clock.advance(HOUR)
    first = await targets.delete(ACTOR, created.id)
    clock.advance(HOUR)

    assert [deleted_at] * 2 == [first, await targets.delete(ACTOR, created.id)]
    assert None is await targets.delete(ACTOR, "7")
    with pytest.raises(NotFound):
        await targets.get(ACTOR, created.id)
    with pytest.raises(InvalidRequest) as refused:
        await targets.delete(ACTOR, "")
    assert "ID missing (COMMAND-obqos2l3no)" == str(refused.value)


async def test_deleting_a_target_stops_its_deliveries(targets, executions, publish, deliveries):
    """
    Immediately on the node that deleted it: the next event is not even planned for it.
    """
    created = await targets.create(ACTOR, a_new_target())
    await executions.set(ACTOR, an_event_condition(), [created.id])
    [before] = await publish(ACTOR, [an_event("before")])
    await targets.delete(ACTOR, created.id)
    [after] = await publish(ACTOR, [an_event("after")])
    log, _ = await deliveries.search(ACTOR, DeliverySearch())

    assert (1, 0) == (before.deliveries, after.deliveries)
    assert [DeliveryState.CANCELLED] == [delivery.state for delivery in log]


async def test_a_changed_type_changes_who_waits(targets, executions, publish, deliveries):
    """
    Immediately on the node that changed it.
    """
    first = await targets.create(ACTOR, a_new_target(name="a"))
    second = await targets.create(ACTOR, a_new_target(name="b"))
    await executions.set(ACTOR, an_event_condition(), [first.id, second.id])
    await targets.update(ACTOR, first.id, TargetChange(type=TargetType.REST_ASYNC))
    await publish(ACTOR, [an_event()])
    log, _ = await deliveries.search(ACTOR, DeliverySearch())

    assert [NOW, NOW] == [delivery.next_attempt_at for delivery in log]


async def test_targets_are_found(targets):
    """
    Filters, sorting and pages are the store's.
    """
    for name in ("audit", "archive", "mail"):
        await targets.create(ACTOR, a_new_target(name=name))
    starts = NameFilter("a", TextMethod.STARTS_WITH)
    listing = await targets.search(ACTOR, [starts], TargetSort.NAME, Page(limit=1))

    assert (["audit"], 2) == ([row.name for row in listing.rows], listing.total)
