"""Targets: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from protobuf import Oneof

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.paging import checked_filters, page_from_proto, page_to_proto
from outrider.api.services.messages.times import (
    optional_duration,
    to_duration,
    to_optional_timestamp,
    to_timestamp,
)
from outrider.domain.ids import TargetId
from outrider.domain.targets.search import (
    NameFilter,
    TargetFilter,
    TargetIdsFilter,
    TargetSort,
    TextMethod,
)
from outrider.domain.targets.target import NewTarget, Target, TargetChange, TargetType
from outrider.errors import UnknownFailure
from outrider.usecases.targets.targets import ManageTargets
from outrider_api.zitadel.action.v2 import action_service_pb as pb
from outrider_api.zitadel.action.v2 import target_pb
from outrider_api.zitadel.action.v2.query_pb import TargetFieldName, TargetSearchFilter

_TYPES = {
    "rest_webhook": TargetType.REST_WEBHOOK,
    "rest_call": TargetType.REST_CALL,
    "rest_async": TargetType.REST_ASYNC,
}
_SORTS = {
    TargetFieldName.ID: TargetSort.ID,
    TargetFieldName.CREATED_DATE: TargetSort.CREATED,
    TargetFieldName.CHANGED_DATE: TargetSort.CHANGED,
    TargetFieldName.NAME: TargetSort.NAME,
    TargetFieldName.TARGET_TYPE: TargetSort.TYPE,
    TargetFieldName.URL: TargetSort.ENDPOINT,
    TargetFieldName.TIMEOUT: TargetSort.TIMEOUT,
    TargetFieldName.INTERRUPT_ON_ERROR: TargetSort.INTERRUPT,
}


class TargetHandlers:
    """The calls of `zitadel.action.v2.ActionService` about targets."""

    def __init__(self, targets: ManageTargets) -> None:
        self._targets = targets

    async def create_target(
        self, request: pb.CreateTargetRequest, ctx: Context, /
    ) -> pb.CreateTargetResponse:
        """The server chooses the id and the signing key."""
        target = await self._targets.create(actor_of(ctx), _new_target(request))
        return pb.CreateTargetResponse(
            id=target.id,
            creation_date=to_timestamp(target.created_at),
            signing_key=target.signing_key,
        )

    async def update_target(
        self, request: pb.UpdateTargetRequest, ctx: Context, /
    ) -> pb.UpdateTargetResponse:
        """The signing key is answered when it was changed."""
        change = _target_change(request)
        target = await self._targets.update(actor_of(ctx), TargetId(request.id), change)
        return pb.UpdateTargetResponse(
            change_date=to_timestamp(target.changed_at),
            signing_key=None if change.key_grace is None else target.signing_key,
        )

    async def delete_target(
        self, request: pb.DeleteTargetRequest, ctx: Context, /
    ) -> pb.DeleteTargetResponse:
        """No date: there never was such a target."""
        deleted_at = await self._targets.delete(actor_of(ctx), TargetId(request.id))
        return pb.DeleteTargetResponse(deletion_date=to_optional_timestamp(deleted_at))

    async def get_target(
        self, request: pb.GetTargetRequest, ctx: Context, /
    ) -> pb.GetTargetResponse:
        """The target of this id."""
        target = await self._targets.get(actor_of(ctx), TargetId(request.id))
        return pb.GetTargetResponse(target=target_to_proto(target))

    async def list_targets(
        self, request: pb.ListTargetsRequest, ctx: Context, /
    ) -> pb.ListTargetsResponse:
        """Newest first, unless the caller asks for another order."""
        messages = checked_filters(request.filters, "ListTargetsRequest")
        page = page_from_proto(request.pagination)
        filters = [_filter(message) for message in messages]
        sort = _SORTS.get(request.sorting_column, TargetSort.CREATED)
        found = await self._targets.search(actor_of(ctx), filters, sort, page)
        return pb.ListTargetsResponse(
            pagination=page_to_proto(page, found.total),
            targets=[target_to_proto(row) for row in found.rows],
        )


def target_to_proto(target: Target) -> target_pb.Target:
    """A target with its signing key, as in ZITADEL."""
    return target_pb.Target(
        id=target.id,
        creation_date=to_timestamp(target.created_at),
        change_date=to_timestamp(target.changed_at),
        name=target.name,
        target_type=_type_to_proto(target),
        timeout=to_duration(target.timeout),
        endpoint=target.endpoint,
        signing_key=target.signing_key,
        payload_type=target_pb.PayloadType(target.payload_type),
    )


def _type_to_proto(target: Target) -> Any:
    if target.type is TargetType.REST_ASYNC:
        return Oneof("rest_async", target_pb.RESTAsync())
    kind = target_pb.RESTCall if target.type is TargetType.REST_CALL else target_pb.RESTWebhook
    return Oneof(target.type.name.lower(), kind(interrupt_on_error=target.interrupt_on_error))


def _new_target(request: pb.CreateTargetRequest) -> NewTarget:
    type_, interrupts = _type_from_proto(request.target_type)
    return NewTarget(
        name=request.name,
        type=type_ or TargetType.REST_WEBHOOK,  # validation has refused a request without
        endpoint=request.endpoint,
        timeout=optional_duration(request.timeout),
        interrupt_on_error=interrupts,
        payload_type=int(request.payload_type),
    )


def _target_change(request: pb.UpdateTargetRequest) -> TargetChange:
    type_, interrupts = _type_from_proto(request.target_type)
    return TargetChange(
        name=request.name if request.has_field("name") else None,
        type=type_,
        interrupt_on_error=interrupts,
        endpoint=request.endpoint if request.has_field("endpoint") else None,
        timeout=optional_duration(request.timeout),
        payload_type=int(request.payload_type),
        key_grace=_grace(request),
    )


def _grace(request: pb.UpdateTargetRequest) -> timedelta | None:
    return optional_duration(request.expiration_signing_key)


def _type_from_proto(target_type: Any) -> tuple[TargetType | None, bool]:
    if target_type is None:
        return None, False
    interrupts = getattr(target_type.value, "interrupt_on_error", False)
    return _TYPES[target_type.field], interrupts


def _filter(message: TargetSearchFilter) -> TargetFilter:
    chosen: Any = message.filter
    if chosen.field == "target_name_filter":
        return NameFilter(chosen.value.target_name, TextMethod(int(chosen.value.method)))
    if not chosen.value.target_ids:
        raise UnknownFailure(
            "values array must not be empty",
            reason="the filter lists no target id",
            hint="name at least one, or leave the filter out",
        )
    return TargetIdsFilter(tuple(map(TargetId, chosen.value.target_ids)))
