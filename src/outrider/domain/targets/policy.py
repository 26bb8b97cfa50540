"""Settings of a target that ZITADEL's API lacks: retries, limits, order, headers, TLS, proxy.

A target without a policy has `DEFAULT_POLICY`. Fields that are empty, None or zero have the default
that is written next to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from outrider.domain.targets.retry_schedule import RetrySchedule

DEFAULT_OPEN_FOR = timedelta(seconds=60)


class Ordering(IntEnum):
    """In which order deliveries are attempted. The numbers are those of `outrider.v1.Ordering`."""

    UNSPECIFIED = 0
    """As UNORDERED."""
    UNORDERED = 1
    """Whatever is due."""
    BY_AGGREGATE = 2
    """Events of one aggregate in the order in which they were published."""


class OnDead(IntEnum):
    """The effect of a dead delivery on later events of its aggregate, for an ordered target."""

    UNSPECIFIED = 0
    """As SKIP."""
    SKIP = 1
    """Later events are delivered without it."""
    HALT = 2
    """They wait until the dead delivery is replayed or the policy changes."""


class OnUnreachable(IntEnum):
    """The effect of an unreachable target on an interception."""

    UNSPECIFIED = 0
    """What the target's `interrupt_on_error` says."""
    CONTINUE = 1
    INTERRUPT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again.

    `waits` empty: the default schedule. `jitter` None: 0.2. `max_age` counts from the creation of
    the delivery; None: no bound besides the waits. `final_statuses` empty: 410 alone; those
    that are given replace it. `honor_retry_after` None: yes.
    """

    waits: tuple[timedelta, ...] = ()
    jitter: float | None = None
    max_age: timedelta | None = None
    final_statuses: frozenset[int] = frozenset()
    honor_retry_after: bool | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """After `failures` in a row the target is not called for `open_for`. Zero: no breaker."""

    failures: int = 0
    open_for: timedelta = DEFAULT_OPEN_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicy:
    """The CAs to trust instead of the system's, and our client certificate. PEM; empty: none."""

    ca_pem: str = ""
    client_cert_pem: str = ""
    client_key_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPolicy:
    """The policy of a target. Immutable: a change is a new value.

    `max_concurrency` 0 and `rate_per_second` 0: unlimited. `headers` are names and values in the
    order of their names; no name is there twice, in any case of its letters. `proxy_url` may hold
    a password. `check_async_status` classifies the responses of a rest_async target like a webhook's.
    """

    retry: RetryPolicy = RetryPolicy()
    max_concurrency: int = 0
    rate_per_second: float = 0
    ordering: Ordering = Ordering.UNSPECIFIED
    breaker: Breaker = Breaker()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    on_unreachable: OnUnreachable = OnUnreachable.UNSPECIFIED
    tls: TlsPolicy = TlsPolicy()
    check_async_status: bool = False
    proxy_url: str = field(default="", repr=False)
    on_dead: OnDead = OnDead.UNSPECIFIED

    @property
    def is_ordered(self) -> bool:
        """Return whether events of one aggregate wait for each other."""
        return self.ordering is Ordering.BY_AGGREGATE

    @property
    def halts_on_dead(self) -> bool:
        """Return whether later events of an aggregate wait behind a dead one."""
        return self.is_ordered and self.on_dead is OnDead.HALT

    def may_interrupt(self, interrupt_on_error: bool) -> bool:  # noqa: FBT001 - the target's flag
        """Return whether an unreachable target interrupts the request that it intercepts."""
        if self.on_unreachable is OnUnreachable.UNSPECIFIED:
            return interrupt_on_error
        return self.on_unreachable is OnUnreachable.INTERRUPT


DEFAULT_POLICY = TargetPolicy()


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """The stored policy of a target, if one was set, and whether the target is paused.

    `changed_at` None: none was set, `policy` is the default. `paused_at` None: it is not paused.
    `breaker_open_until` None: its breaker is closed, or it has none; in the past: one call at a
    time tries whether it has recovered.
    """

    policy: TargetPolicy = DEFAULT_POLICY
    changed_at: datetime | None = None
    paused_at: datetime | None = None
    breaker_open_until: datetime | None = None


NOTHING_STORED = StoredPolicy()


def retry_schedule(policy: TargetPolicy) -> RetrySchedule:
    """Return the schedule of a policy: the default one, with what the policy says otherwise."""
    default, retry = RetrySchedule(), policy.retry
    return RetrySchedule(
        waits=retry.waits or default.waits,
        jitter=default.jitter if retry.jitter is None else retry.jitter,
        final_statuses=retry.final_statuses or default.final_statuses,
        max_age=retry.max_age,
        honor_retry_after=retry.honor_retry_after is not False,
    )
