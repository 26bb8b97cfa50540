"""Policies of targets: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from outrider.api.rpc.error_mapping import bounded
from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.structs import given_object
from outrider.api.services.messages.times import (
    optional_duration,
    to_duration,
    to_optional_timestamp,
    to_timestamp,
)
from outrider.api.services.outrider.deliveries import attempt_to_proto
from outrider.domain.ids import TargetId
from outrider.domain.targets.policy import (
    DEFAULT_OPEN_FOR,
    DEFAULT_POLICY,
    Breaker,
    OnDead,
    OnUnreachable,
    Ordering,
    RetryPolicy,
    TargetPolicy,
    TlsPolicy,
)
from outrider.usecases.targets.policies import ManageTargetPolicies
from outrider.usecases.targets.sample_call import TestTarget
from outrider_api.outrider.v1 import target_policy_service_pb as pb
from outrider_api.outrider.v1.target_policy_service_connect import TargetPolicyService


class TargetPolicyHandlers(TargetPolicyService):
    """`outrider.v1.TargetPolicyService`."""

    def __init__(self, policies: ManageTargetPolicies, test_target: TestTarget) -> None:
        self._policies = policies
        self._test_target = test_target

    async def get_target_policy(
        self, request: pb.GetTargetPolicyRequest, ctx: Context, /
    ) -> pb.GetTargetPolicyResponse:
        """Without what is write-only."""
        stored = await self._policies.get(actor_of(ctx), TargetId(request.target_id))
        return pb.GetTargetPolicyResponse(
            policy=policy_to_proto(stored.policy),
            change_date=to_optional_timestamp(stored.changed_at),
            paused_at=to_optional_timestamp(stored.paused_at),
            breaker_open_until=to_optional_timestamp(stored.breaker_open_until),
        )

    async def set_target_policy(
        self, request: pb.SetTargetPolicyRequest, ctx: Context, /
    ) -> pb.SetTargetPolicyResponse:
        """Replaces it whole."""
        policy = policy_from_proto(request.policy or pb.TargetPolicy())
        changed_at = await self._policies.set(actor_of(ctx), TargetId(request.target_id), policy)
        return pb.SetTargetPolicyResponse(change_date=to_timestamp(changed_at))

    async def test_target(
        self, request: pb.TestTargetRequest, ctx: Context, /
    ) -> pb.TestTargetResponse:
        """Once, now, whatever the policy prescribes for retries and pauses."""
        payload = given_object(request.payload, request.payload_json, "TestTargetRequest.Payload")
        result = await self._test_target(actor_of(ctx), TargetId(request.target_id), payload)
        error = result.caller_error
        return pb.TestTargetResponse(
            attempt=attempt_to_proto(result.attempt),
            payload=result.body,
            execution=result.execution or "",
            caller_error=None
            if error is None
            else pb.CallerError(code=error.code.value, message=bounded(str(error))),
        )

    async def pause_target(
        self, request: pb.PauseTargetRequest, ctx: Context, /
    ) -> pb.PauseTargetResponse:
        """Twice is as once."""
        paused_at = await self._policies.pause(actor_of(ctx), TargetId(request.target_id))
        return pb.PauseTargetResponse(change_date=to_timestamp(paused_at))

    async def resume_target(
        self, request: pb.ResumeTargetRequest, ctx: Context, /
    ) -> pb.ResumeTargetResponse:
        """Twice is as once."""
        resumed_at = await self._policies.resume(actor_of(ctx), TargetId(request.target_id))
        return pb.ResumeTargetResponse(change_date=to_optional_timestamp(resumed_at))


def policy_from_proto(policy: pb.TargetPolicy) -> TargetPolicy:
    """The policy that a caller wants; what is absent or zero has its default."""
    return TargetPolicy(
        retry=_retry(policy.retry or pb.RetryPolicy()),
        max_concurrency=policy.max_concurrency,
        rate_per_second=policy.rate_per_second,
        ordering=Ordering(int(policy.ordering)),
        breaker=_breaker(policy.breaker or pb.BreakerPolicy()),
        headers=_headers(policy.headers),
        on_unreachable=OnUnreachable(int(policy.on_unreachable)),
        tls=_tls(policy.tls or pb.TlsPolicy()),
        check_async_status=policy.check_async_status,
        proxy_url=policy.proxy_url,
        on_dead=OnDead(int(policy.on_dead)),
    )


def policy_to_proto(policy: TargetPolicy) -> pb.TargetPolicy:
    """A policy as it is given back; parts that are the default are absent."""
    return pb.TargetPolicy(
        retry=None if policy.retry == DEFAULT_POLICY.retry else _retry_to_proto(policy.retry),
        max_concurrency=policy.max_concurrency,
        rate_per_second=policy.rate_per_second,
        ordering=pb.Ordering(policy.ordering.value),
        breaker=None
        if policy.breaker == DEFAULT_POLICY.breaker
        else _breaker_to_proto(policy.breaker),
        headers=dict(policy.headers),
        on_unreachable=pb.OnUnreachable(policy.on_unreachable.value),
        tls=None if policy.tls == DEFAULT_POLICY.tls else _tls_to_proto(policy.tls),
        check_async_status=policy.check_async_status,
        proxy_url=policy.proxy_url,
        on_dead=pb.OnDead(policy.on_dead.value),
    )


def _retry(retry: pb.RetryPolicy) -> RetryPolicy:
    return RetryPolicy(
        waits=tuple(wait.to_timedelta() for wait in retry.waits),
        jitter=retry.jitter if retry.has_field("jitter") else None,
        max_age=optional_duration(retry.max_age) or None,
        final_statuses=frozenset(retry.final_statuses),
        honor_retry_after=(
            retry.honor_retry_after if retry.has_field("honor_retry_after") else None
        ),
    )


def _retry_to_proto(retry: RetryPolicy) -> pb.RetryPolicy:
    return pb.RetryPolicy(
        waits=[to_duration(wait) for wait in retry.waits],
        jitter=retry.jitter,
        max_age=None if retry.max_age is None else to_duration(retry.max_age),
        final_statuses=sorted(retry.final_statuses),
        honor_retry_after=retry.honor_retry_after,
    )


def _breaker(breaker: pb.BreakerPolicy) -> Breaker:
    open_for = optional_duration(breaker.open_for) or timedelta(0)
    return Breaker(breaker.failures, open_for or DEFAULT_OPEN_FOR)


def _breaker_to_proto(breaker: Breaker) -> pb.BreakerPolicy:
    return pb.BreakerPolicy(failures=breaker.failures, open_for=to_duration(breaker.open_for))


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(headers.items()))


def _tls(tls: pb.TlsPolicy) -> TlsPolicy:
    return TlsPolicy(
        ca_pem=tls.ca_pem, client_cert_pem=tls.client_cert_pem, client_key_pem=tls.client_key_pem
    )


def _tls_to_proto(tls: TlsPolicy) -> pb.TlsPolicy:
    return pb.TlsPolicy(ca_pem=tls.ca_pem, client_cert_pem=tls.client_cert_pem)
