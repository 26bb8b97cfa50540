"""What makes a valid target, what a change makes of it, and which keys sign when."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.ids import TargetId
from outrider.domain.net.egress_policy import EgressPolicy
from outrider.domain.targets.target import (
    DEFAULT_TIMEOUT,
    MAX_KEY_GRACE,
    NewTarget,
    PayloadType,
    SigningKey,
    Target,
    TargetChange,
    TargetType,
    change_target,
    check_target_change,
    create_target,
)
from outrider.domain.targets.tunnel import ReverseTunnel, tunnel_of
from outrider.errors import InvalidRequest
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_new_target, a_target
from support.runtime import NOW

LATER = NOW + timedelta(days=1)
NEW_KEY = "the new signing key"
STRICT = EgressPolicy()
NO_TIME = timedelta(0)
A_URL = "https://receiver.example/hook"

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


def create(new: NewTarget) -> Target:
    return create_target(
        new, TargetId("7"), instance=INSTANCE, egress=STRICT, now=NOW, signing_key=NEW_KEY
    )


def check(change: TargetChange) -> None:
    check_target_change(change, INSTANCE, STRICT)


def changed_by(change: TargetChange, target: Target, *, now=LATER) -> Target:
    return change_target(target, change, now=now, signing_key=NEW_KEY)


def test_a_new_target_is_what_was_asked_for():
    """
    With one key that never expires, created and changed now.
    """
    new = a_new_target(
        name="audit",
        type=TargetType.REST_CALL,
        endpoint="https://a.example",
        timeout=timedelta(seconds=270),
        interrupt_on_error=True,
        payload_type=PayloadType.JWE,
    )
    created = create(new)

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
    created = create(a_new_target(timeout=None))

    assert timedelta(seconds=10) == DEFAULT_TIMEOUT == created.timeout


@pytest.mark.parametrize("type_", TargetType)
def test_no_caller_waits_for_rest_async_so_it_cannot_interrupt(type_):
    """
    Neither when it is created, nor when it becomes one.
    """
    created = create(a_new_target(type=type_, interrupt_on_error=True))
    changed = changed_by(TargetChange(type=type_, interrupt_on_error=True), a_target())

    assert (type_ is not TargetType.REST_ASYNC) == created.interrupt_on_error
    assert (type_ is not TargetType.REST_ASYNC) == changed.interrupt_on_error
    assert (type_ is not TargetType.REST_ASYNC) == created.is_awaited


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (a_new_target(name=""), "Target is invalid (COMMAND-ddqbm9us5p)"),
        (a_new_target(timeout=NO_TIME), "Target has no timeout (COMMAND-39f35d8uri)"),
        (a_new_target(name="", timeout=NO_TIME), "Target is invalid (COMMAND-ddqbm9us5p)"),
        (a_new_target(endpoint="x"), "Target has an invalid URL (COMMAND-1r2k6qo6wg)"),
        (a_new_target(timeout=NO_TIME, endpoint="x"), "Target has no timeout (COMMAND-39f35d8uri)"),
        (a_new_target(endpoint="http://[::1]"), "Errors.Target.DeniedURL (COMMAND-NcJUKo)"),
    ],
)
def test_what_cannot_be_a_target_is_refused_in_order(new, text):
    """
    ZITADEL's order: the name, the timeout, the URL, where it leads.
    """
    with pytest.raises(InvalidRequest) as refused:
        create(new)

    assert text == str(refused.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (TargetChange(name=""), "Target is invalid (COMMAND-d1wx4lm0zr)"),
        (TargetChange(timeout=NO_TIME), "Target has no timeout (COMMAND-08b39vdi57)"),
        (TargetChange(name="", timeout=NO_TIME), "Target is invalid (COMMAND-d1wx4lm0zr)"),
        (TargetChange(endpoint="x"), "Target has an invalid URL (COMMAND-jsbaera7b6)"),
        (TargetChange(timeout=NO_TIME, endpoint="x"), "Target has no timeout (COMMAND-08b39vdi57)"),
        (TargetChange(endpoint="http://[::1]"), "Errors.Target.DeniedURL (COMMAND-jKbbu2)"),
    ],
)
def test_what_cannot_be_changed_is_refused_in_order(change, text):
    """
    The same order, with other ids.
    """
    with pytest.raises(InvalidRequest) as refused:
        check(change)

    assert text == str(refused.value)


def test_what_can_be_a_target_passes():
    """
    The shortest time-out there is, and none at all.
    """
    create(a_new_target(timeout=timedelta(microseconds=1)))
    create(a_new_target(timeout=None))
    check(TargetChange(name="n", timeout=timedelta(microseconds=1)))
    check(TargetChange(endpoint=A_URL))
    check(TargetChange())


@pytest.mark.parametrize(
    ("instance", "is_allowed"), [(INSTANCE, True), (ANOTHER_INSTANCE, False)], ids=["own", "other"]
)
def test_a_target_leads_only_into_tunnels_of_the_same_instance(instance, is_allowed):
    """
    Else a tenant could call the machine of another tenant's developer.
    """
    endpoint = ReverseTunnel(instance, "laptop").endpoint
    if is_allowed:
        assert endpoint == create(a_new_target(endpoint=endpoint)).endpoint
        return
    with pytest.raises(InvalidRequest, match="COMMAND-NcJUKo"):
        create(a_new_target(endpoint=endpoint))
    with pytest.raises(InvalidRequest, match="COMMAND-jKbbu2"):
        check(TargetChange(endpoint=endpoint))


SPELLINGS = [
    "laptop.{}.tunnel.outrider.interna\uff4c",
    "laptop.{}.\uff34unnel.outrider.internal",
    "laptop.{}\u3002tunnel\uff0eoutrider\uff61internal",
    "\uff4captop.{}.TUNNEL.outrider.internal.",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_a_tunnel_is_known_in_every_spelling_of_its_name(host):
    """
    IDNA makes ASCII letters of full-width ones before a name is looked up.
    """
    own, other = (f"http://{host.format(name)}/" for name in (INSTANCE, ANOTHER_INSTANCE))

    assert ReverseTunnel(INSTANCE, "laptop") == tunnel_of(own)
    assert own == create(a_new_target(endpoint=own)).endpoint
    with pytest.raises(InvalidRequest, match="COMMAND-NcJUKo"):
        create(a_new_target(endpoint=other))


@given(TARGETS, CHANGES)
def test_only_what_is_named_changes(target, change):
    """
    A partial update leaves everything else as it is.
    """
    changed = changed_by(change, target)
    named = {name for name in ("name", "endpoint", "timeout") if getattr(change, name) is not None}
    named |= {"type", "interrupt_on_error"} if change.type is not None else set()
    named |= {"payload_type"} if change.payload_type else set()

    for field in fields(Target):
        before, after = getattr(target, field.name), getattr(changed, field.name)
        if field.name == "changed_at":
            continue
        assert field.name in named or before == after
    for name in named - {"interrupt_on_error"}:
        assert getattr(change, name) == getattr(changed, name)


@given(TARGETS, CHANGES)
def test_no_difference_is_no_change(target, change):
    """
    The date of the last change is answered again, and nothing is written.
    """
    changed = changed_by(change, target)
    differs = replace(changed, changed_at=target.changed_at) != target

    assert differs == (changed is not target)
    assert changed.changed_at == (LATER if differs else NOW)
    assert changed is changed_by(change, changed)


def test_interrupt_can_be_switched_off_right_after_creation():
    """
    ZITADEL loses this change; we do not copy that.
    """
    created = a_target(type=TargetType.REST_CALL, interrupt_on_error=True)
    changed = changed_by(TargetChange(type=TargetType.REST_CALL), created)

    assert not changed.interrupt_on_error
    assert LATER == changed.changed_at


@given(GRACES)
def test_a_rotated_key_signs_until_its_grace_is_over(grace):
    """
    Receivers learn the new key while the old one still works. Some read one signature, the first:
    they have the old key, and must not break before it ends.
    """
    old = a_target().signing_key
    changed = changed_by(TargetChange(key_grace=grace), a_target())
    just_before = LATER + grace - timedelta(microseconds=1)

    assert NEW_KEY == changed.signing_key
    assert (NEW_KEY,) == changed.signing_secrets(LATER + grace)
    if grace:
        assert (old, NEW_KEY) == changed.signing_secrets(just_before)
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
        target = change_target(target, TargetChange(key_grace=grace), now=now, signing_key=secret)
        newest, *older = born
        retired = [(newest[0], now + grace)]
        born = [(secret, None), *retired, *older] if grace else [(secret, None)]
        valid = tuple(old for old, until in reversed(born) if until is None or now < until)

        assert valid == target.signing_secrets(now)
        assert secret == target.signing_key


def test_expired_keys_are_forgotten_with_the_next_rotation():
    """
    A secret that signs nothing any more is only there to leak.
    """
    week = timedelta(days=7)
    once = changed_by(TargetChange(key_grace=week), a_target())
    twice = change_target(
        once, TargetChange(key_grace=week), now=LATER + week, signing_key="the newest"
    )

    assert ["the newest", NEW_KEY] == [signing_key.secret for signing_key in twice.signing_keys]


def test_secrets_are_not_shown():
    """
    Targets are printed in logs and in failed tests.
    """
    target = changed_by(TargetChange(key_grace=timedelta(days=1)), a_target())

    assert NEW_KEY not in repr(target)
    assert a_target().signing_key not in repr(target)


def test_keys_in_grace_are_bounded():
    """
    A thousand rotations must not make headers that receivers refuse.
    """
    target = a_target()
    for number in range(20):
        change = TargetChange(key_grace=timedelta(days=7))
        target = change_target(target, change, now=NOW, signing_key=f"key {number}")

    assert [f"key {number}" for number in range(12, 20)] == list(target.signing_secrets(NOW))


@pytest.mark.parametrize("name", ["", "\0", "audit\0log"])
def test_a_name_that_no_store_can_keep_is_refused(name):
    """
    SQL texts end at NUL in one store and cannot hold it in another.
    """
    with pytest.raises(InvalidRequest, match="COMMAND-ddqbm9us5p"):
        create(a_new_target(name=name))
    with pytest.raises(InvalidRequest, match="COMMAND-d1wx4lm0zr"):
        check(TargetChange(name=name))
