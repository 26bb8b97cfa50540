"""What becomes of a target when somebody changes it, and which keys sign when."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.ids import TargetId
from outrider.domain.targets.target import (
    DEFAULT_TIMEOUT,
    MAX_KEY_GRACE,
    PayloadType,
    SigningKey,
    Target,
    TargetChange,
    TargetType,
    changed_target,
    check_new_target,
    check_target_change,
    new_target,
)
from outrider.errors import InvalidRequest
from support.builders import a_new_target, a_target
from support.runtime import NOW

LATER = NOW + timedelta(days=1)
NEW_KEY = "the new signing key"

TYPES = st.sampled_from(TargetType)
GRACES = st.timedeltas(timedelta(0), MAX_KEY_GRACE)
CHANGES = st.builds(
    TargetChange,
    name=st.none() | st.sampled_from(["target 101", "another"]),
    type=st.none() | TYPES,
    interrupt_on_error=st.booleans(),
    endpoint=st.none() | st.sampled_from(["https://receiver.example/hook", "https://b.example"]),
    timeout=st.none() | st.sampled_from([timedelta(seconds=10), timedelta(seconds=20)]),
    payload_type=st.integers(0, 4),
)
TARGETS = st.builds(
    a_target,
    type=st.sampled_from([TargetType.REST_WEBHOOK, TargetType.REST_CALL]),
    interrupt_on_error=st.booleans(),
    payload_type=st.integers(0, 3),
)


def change(target: Target, wanted: TargetChange, *, now=LATER) -> Target:
    return changed_target(target, wanted, now=now, new_key=NEW_KEY)


def test_a_new_target_is_what_was_asked_for():
    """
    With one key that never expires, created and changed now.
    """
    wanted = a_new_target(
        name="audit",
        type=TargetType.REST_CALL,
        endpoint="https://a.example",
        timeout=timedelta(seconds=270),
        interrupt_on_error=True,
        payload_type=PayloadType.JWE,
    )
    created = new_target(wanted, TargetId("7"), now=NOW, new_key=NEW_KEY)

    assert created == a_target(
        "7",
        name="audit",
        type=TargetType.REST_CALL,
        endpoint="https://a.example",
        timeout=timedelta(seconds=270),
        interrupt_on_error=True,
        payload_type=PayloadType.JWE,
        signing_keys=[SigningKey(NEW_KEY)],
    )
    assert NEW_KEY == created.signing_key


def test_an_absent_timeout_is_the_default():
    """
    The API reference shows the field as optional.
    """
    created = new_target(a_new_target(timeout=None), TargetId("7"), now=NOW, new_key=NEW_KEY)

    assert timedelta(seconds=10) == DEFAULT_TIMEOUT == created.timeout


@pytest.mark.parametrize("type_", TargetType)
def test_nobody_waits_for_rest_async_so_it_cannot_interrupt(type_):
    """
    Neither when it is created, nor when it becomes one.
    """
    wanted = a_new_target(type=type_, interrupt_on_error=True)
    created = new_target(wanted, TargetId("7"), now=NOW, new_key=NEW_KEY)
    changed = change(a_target(), TargetChange(type=type_, interrupt_on_error=True))

    assert (type_ is not TargetType.REST_ASYNC) == created.interrupt_on_error
    assert (type_ is not TargetType.REST_ASYNC) == changed.interrupt_on_error
    assert (type_ is not TargetType.REST_ASYNC) == created.is_awaited


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (a_new_target(name=""), "Target is invalid (COMMAND-ddqbm9us5p)"),
        (a_new_target(timeout=timedelta(0)), "Target has no timeout (COMMAND-39f35d8uri)"),
        (a_new_target(name="", timeout=timedelta(0)), "Target is invalid (COMMAND-ddqbm9us5p)"),
    ],
)
def test_what_cannot_be_a_target_is_refused_in_order(wanted, text):
    """
    Section 2.1 of the contract, steps 2 and 3.
    """
    with pytest.raises(InvalidRequest) as refused:
        check_new_target(wanted)

    assert text == str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (TargetChange(name=""), "Target is invalid (COMMAND-d1wx4lm0zr)"),
        (TargetChange(timeout=timedelta(0)), "Target has no timeout (COMMAND-08b39vdi57)"),
        (TargetChange(name="", timeout=timedelta(0)), "Target is invalid (COMMAND-d1wx4lm0zr)"),
    ],
)
def test_what_cannot_be_changed_is_refused_in_order(wanted, text):
    """
    Section 2.2 of the contract.
    """
    with pytest.raises(InvalidRequest) as refused:
        check_target_change(wanted)

    assert text == str(refused.value)


def test_what_can_be_a_target_passes():
    """
    The shortest time-out there is, and none at all.
    """
    check_new_target(a_new_target(timeout=timedelta(microseconds=1)))
    check_new_target(a_new_target(timeout=None))
    check_target_change(TargetChange(name="n", timeout=timedelta(microseconds=1)))
    check_target_change(TargetChange())


@given(TARGETS, CHANGES)
def test_only_what_is_named_changes(target, wanted):
    """
    A partial update leaves everything else as it is.
    """
    changed = change(target, wanted)
    named = {name for name in ("name", "endpoint", "timeout") if getattr(wanted, name) is not None}
    named |= {"type", "interrupt_on_error"} if wanted.type is not None else set()
    named |= {"payload_type"} if wanted.payload_type else set()

    for field in fields(Target):
        before, after = getattr(target, field.name), getattr(changed, field.name)
        if field.name == "changed_at":
            continue
        assert field.name in named or before == after
    for name in named - {"interrupt_on_error"}:
        assert getattr(wanted, name) == getattr(changed, name)


@given(TARGETS, CHANGES)
def test_no_difference_is_no_change(target, wanted):
    """
    The date of the last change is answered again, and nothing is written.
    """
    changed = change(target, wanted)
    differs = replace(changed, changed_at=target.changed_at) != target

    assert differs == (changed is not target)
    assert changed.changed_at == (LATER if differs else NOW)
    assert changed is change(changed, wanted)


def test_interrupt_can_be_switched_off_right_after_creation():
    """
    ZITADEL loses this change; we do not copy that.
    """
    created = a_target(type=TargetType.REST_CALL, interrupt_on_error=True)
    changed = change(created, TargetChange(type=TargetType.REST_CALL))

    assert not changed.interrupt_on_error
    assert LATER == changed.changed_at


@given(GRACES)
def test_a_rotated_key_signs_until_its_grace_is_over(grace):
    """
    Receivers learn the new key while the old one still works.
    """
    old = a_target().signing_key
    changed = change(a_target(), TargetChange(key_grace=grace))
    just_before = LATER + grace - timedelta(microseconds=1)

    assert NEW_KEY == changed.signing_key
    assert (NEW_KEY,) == changed.signing_secrets(LATER + grace)
    if grace:
        assert (NEW_KEY, old) == changed.signing_secrets(just_before)
    assert LATER == changed.changed_at


@given(st.lists(st.tuples(GRACES, GRACES), min_size=1, max_size=6))
def test_at_every_moment_the_valid_keys_sign_newest_first(rotations):
    """
    However often and however soon a key is replaced; a rotation without grace drops all others.
    """
    target, now, born = a_target(), NOW, [(a_target().signing_key, None)]
    for number, (pause, grace) in enumerate(rotations):
        now += pause
        secret = f"key {number}"
        target = changed_target(target, TargetChange(key_grace=grace), now=now, new_key=secret)
        newest, *older = born
        retired = [(newest[0], now + grace)]
        born = [(secret, None), *retired, *older] if grace else [(secret, None)]
        valid = tuple(each for each, until in born if until is None or now < until)

        assert valid == target.signing_secrets(now)
        assert secret == target.signing_key


def test_expired_keys_are_forgotten_with_the_next_rotation():
    """
    A secret that signs nothing any more is only there to leak.
    """
    week = timedelta(days=7)
    once = change(a_target(), TargetChange(key_grace=week))
    twice = changed_target(
        once, TargetChange(key_grace=week), now=LATER + week, new_key="the newest"
    )

    assert ["the newest", NEW_KEY] == [each.secret for each in twice.signing_keys]


def test_secrets_are_not_shown():
    """
    Targets are printed in logs and in failed tests.
    """
    target = change(a_target(), TargetChange(key_grace=timedelta(days=1)))

    assert NEW_KEY not in repr(target)
    assert a_target().signing_key not in repr(target)


def test_keys_in_grace_are_bounded():
    """
    Whoever rotates a key a thousand times must not make headers that receivers refuse.
    """
    target = a_target()
    for turn in range(20):
        change = TargetChange(key_grace=timedelta(days=7))
        target = changed_target(target, change, now=NOW, new_key=f"key {turn}")

    assert [f"key {turn}" for turn in range(19, 11, -1)] == list(target.signing_secrets(NOW))


@pytest.mark.parametrize("name", ["", "\0", "audit\0log"])
def test_a_name_that_no_store_can_keep_is_refused(name):
    """
    SQL texts end at NUL in one store and cannot hold it in another.
    """
    with pytest.raises(InvalidRequest, match="COMMAND-ddqbm9us5p"):
        check_new_target(a_new_target(name=name))
    with pytest.raises(InvalidRequest, match="COMMAND-d1wx4lm0zr"):
        check_target_change(TargetChange(name=name))
