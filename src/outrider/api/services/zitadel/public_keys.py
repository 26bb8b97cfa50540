"""Public keys of targets: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from typing import Any

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.paging import checked_filters, page_from_proto, page_to_proto
from outrider.api.services.messages.times import (
    optional_time,
    to_optional_timestamp,
    to_timestamp,
    zero_timestamp,
)
from outrider.api.services.zitadel.changes import report_replaced
from outrider.domain.ids import PublicKeyId, TargetId
from outrider.domain.targets.public_key import (
    ActiveFilter,
    ExpiryFilter,
    PublicKey,
    PublicKeyFilter,
    PublicKeyIdsFilter,
    PublicKeySort,
    TimeMethod,
)
from outrider.errors import InvalidRequest, UnknownFailure
from outrider.usecases.targets.public_keys import ManagePublicKeys
from outrider_api.zitadel.action.v2 import action_service_pb as pb
from outrider_api.zitadel.action.v2 import target_pb
from outrider_api.zitadel.action.v2.query_pb import PublicKeyFieldName, PublicKeySearchFilter

_SORTS = {
    PublicKeyFieldName.CREATION_DATE: PublicKeySort.CREATED,
    PublicKeyFieldName.CHANGE_DATE: PublicKeySort.CHANGED,
    PublicKeyFieldName.EXPIRATION_DATE: PublicKeySort.EXPIRES,
}


class PublicKeyHandlers:
    """The calls of `zitadel.action.v2.ActionService` about public keys."""

    def __init__(self, public_keys: ManagePublicKeys) -> None:
        self._public_keys = public_keys

    async def add_public_key(
        self, request: pb.AddPublicKeyRequest, ctx: Context, /
    ) -> pb.AddPublicKeyResponse:
        """The new key is inactive."""
        expires_at = optional_time(request.expiration_date, "AddPublicKeyRequest.ExpirationDate")
        added = await self._public_keys.add(
            actor_of(ctx), TargetId(request.target_id.strip()), request.public_key, expires_at
        )
        return pb.AddPublicKeyResponse(
            key_id=added.id, creation_date=to_timestamp(added.created_at)
        )

    async def activate_public_key(
        self, request: pb.ActivatePublicKeyRequest, ctx: Context, /
    ) -> pb.ActivatePublicKeyResponse:
        """Every other key of the target becomes inactive; a response header names the former one."""
        changed, former = await self._public_keys.activate(actor_of(ctx), *_ids(request))
        report_replaced(ctx, former)
        return pb.ActivatePublicKeyResponse(change_date=to_timestamp(changed.changed_at))

    async def deactivate_public_key(
        self, request: pb.DeactivatePublicKeyRequest, ctx: Context, /
    ) -> pb.DeactivatePublicKeyResponse:
        """Also an expired one."""
        changed = await self._public_keys.deactivate(actor_of(ctx), *_ids(request))
        return pb.DeactivatePublicKeyResponse(change_date=to_timestamp(changed.changed_at))

    async def remove_public_key(
        self, request: pb.RemovePublicKeyRequest, ctx: Context, /
    ) -> pb.RemovePublicKeyResponse:
        """The date is never absent: Go's zero time when nothing is known."""
        removed_at = await self._public_keys.remove(actor_of(ctx), *_ids(request))
        date = zero_timestamp() if removed_at is None else to_timestamp(removed_at)
        return pb.RemovePublicKeyResponse(deletion_date=date)

    async def list_public_keys(
        self, request: pb.ListPublicKeysRequest, ctx: Context, /
    ) -> pb.ListPublicKeysResponse:
        """Newest first, unless the caller asks for another order."""
        filters = checked_filters(request.filters, "ListPublicKeysRequest")
        page = page_from_proto(request.pagination)
        found = await self._public_keys.search(
            actor_of(ctx),
            TargetId(request.target_id.strip()),
            [_filter(message) for message in filters],
            _SORTS.get(request.sorting_column, PublicKeySort.CREATED),
            page,
        )
        return pb.ListPublicKeysResponse(
            pagination=page_to_proto(page, found.total),
            public_keys=[_public_key_to_proto(row) for row in found.rows],
        )


def _ids(request: Any) -> tuple[TargetId, PublicKeyId]:
    # ZITADEL trims them: blanks are a missing id, not a broken rule.
    return TargetId(request.target_id.strip()), PublicKeyId(request.key_id.strip())


def _filter(message: PublicKeySearchFilter) -> PublicKeyFilter:
    chosen: Any = message.filter
    if chosen is None:
        raise InvalidRequest(
            "List.Query.Invalid",
            "GRPC-vR9nC",
            reason="a filter of the list is empty",
            hint="set keyIdsFilter, activeFilter or expirationDateFilter in it",
        )
    if chosen.field == "active_filter":
        return ActiveFilter(chosen.value)
    if chosen.field == "key_ids_filter":
        if not chosen.value.ids:
            raise UnknownFailure(
                "values array must not be empty",
                reason="the filter lists no key id",
                hint="name at least one, or leave the filter out",
            )
        return PublicKeyIdsFilter(tuple(map(PublicKeyId, chosen.value.ids)))
    at = optional_time(chosen.value.timestamp, "TimestampFilter.Timestamp")
    if at is None:
        raise InvalidRequest(
            "invalid TimestampFilter.Timestamp: value is required",
            hint="give the timestamp that expiration dates are compared with",
        )
    return ExpiryFilter(at, TimeMethod(int(chosen.value.method)))


def _public_key_to_proto(public_key: PublicKey) -> target_pb.PublicKey:
    return target_pb.PublicKey(
        key_id=public_key.id,
        active=public_key.is_active,
        public_key=public_key.pem,
        fingerprint=public_key.fingerprint,
        expiration_date=to_optional_timestamp(public_key.expires_at),
        creation_date=to_timestamp(public_key.created_at),
        change_date=to_timestamp(public_key.changed_at),
    )
