"""Target policies as two columns: plain JSON, and JSON of the secrets that is sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from outrider.adapters.sql.schema.connection import from_duration, to_duration
from outrider.domain.targets.policy import (
    Breaker,
    OnDead,
    OnUnreachable,
    Ordering,
    RetryPolicy,
    TargetPolicy,
    TlsPolicy,
)


def plain_json(policy: TargetPolicy) -> str:
    """Everything but the secrets; durations are microseconds."""
    return json.dumps(
        {
            "retry": _retry_members(policy.retry),
            "max_concurrency": policy.max_concurrency,
            "rate_per_second": policy.rate_per_second,
            "ordering": policy.ordering.value,
            "breaker": [policy.breaker.failures, from_duration(policy.breaker.open_for)],
            "on_unreachable": policy.on_unreachable.value,
            "ca_pem": policy.tls.ca_pem,
            "client_cert_pem": policy.tls.client_cert_pem,
            "check_async_status": policy.check_async_status,
            "on_dead": policy.on_dead.value,
        }
    )


def secret_json(policy: TargetPolicy) -> bytes:
    """The secrets, which only the master key opens."""
    secrets = {
        "headers": policy.headers,
        "client_key_pem": policy.tls.client_key_pem,
        "proxy_url": policy.proxy_url,
    }
    return json.dumps(secrets).encode()


def policy_from_json(plain_text: str, secret_text: bytes) -> TargetPolicy:
    """The policy in these two columns."""
    plain, secret = json.loads(plain_text), json.loads(secret_text)
    failures, open_for = plain["breaker"]
    return TargetPolicy(
        retry=_retry(plain["retry"]),
        max_concurrency=plain["max_concurrency"],
        rate_per_second=plain["rate_per_second"],
        ordering=Ordering(plain["ordering"]),
        breaker=Breaker(failures, to_duration(open_for)),
        headers=tuple((name, value) for name, value in secret["headers"]),
        on_unreachable=OnUnreachable(plain["on_unreachable"]),
        tls=TlsPolicy(
            ca_pem=plain["ca_pem"],
            client_cert_pem=plain["client_cert_pem"],
            client_key_pem=secret["client_key_pem"],
        ),
        check_async_status=plain["check_async_status"],
        proxy_url=secret["proxy_url"],
        on_dead=OnDead(plain["on_dead"]),
    )


def _retry_members(retry: RetryPolicy) -> Mapping[str, Any]:
    return {
        "waits": [from_duration(wait) for wait in retry.waits],
        "jitter": retry.jitter,
        "max_age": None if retry.max_age is None else from_duration(retry.max_age),
        "final_statuses": sorted(retry.final_statuses),
        "honor_retry_after": retry.honor_retry_after,
    }


def _retry(members: Mapping[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        waits=tuple(map(to_duration, members["waits"])),
        jitter=members["jitter"],
        max_age=_optional_duration(members["max_age"]),
        final_statuses=frozenset(members["final_statuses"]),
        honor_retry_after=members["honor_retry_after"],
    )


def _optional_duration(microseconds: int | None) -> timedelta | None:
    return None if microseconds is None else to_duration(microseconds)
