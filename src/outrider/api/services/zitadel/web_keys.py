"""Web keys: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from typing import Any

from protobuf import Oneof

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.times import to_optional_timestamp, to_timestamp
from outrider.api.services.zitadel.changes import report_replaced
from outrider.domain.access.web_key import (
    DEFAULT_CONFIG,
    WebKey,
    WebKeyConfig,
    ecdsa_config,
    ed25519_config,
    rsa_config,
)
from outrider.domain.ids import WebKeyId
from outrider.usecases.access.web_keys import ManageWebKeys
from outrider_api.zitadel.webkey.v2 import key_pb
from outrider_api.zitadel.webkey.v2 import webkey_service_pb as pb
from outrider_api.zitadel.webkey.v2.webkey_service_connect import WebKeyService

_BITS = {
    key_pb.RSABits.RSA_BITS_2048: 2048,
    key_pb.RSABits.RSA_BITS_3072: 3072,
    key_pb.RSABits.RSA_BITS_4096: 4096,
}
_HASH_BITS = {
    key_pb.RSAHasher.SHA256: 256,
    key_pb.RSAHasher.SHA384: 384,
    key_pb.RSAHasher.SHA512: 512,
}
_CURVES = {
    key_pb.ECDSACurve.P256: "P-256",
    key_pb.ECDSACurve.P384: "P-384",
    key_pb.ECDSACurve.P512: "P-521",  # ZITADEL's misnomer: docs/contract.md#web-keys
}
_KINDS: dict[WebKeyConfig, Any] = {
    ed25519_config(): Oneof("ed25519", key_pb.ED25519()),
    **{
        ecdsa_config(curve): Oneof("ecdsa", key_pb.ECDSA(curve=number))
        for number, curve in _CURVES.items()
    },
    **{
        rsa_config(size, hash_size): Oneof("rsa", key_pb.RSA(bits=bits, hasher=hasher))
        for bits, size in _BITS.items()
        for hasher, hash_size in _HASH_BITS.items()
    },
}


class WebKeyHandlers(WebKeyService):
    """`zitadel.webkey.v2.WebKeyService`."""

    def __init__(self, web_keys: ManageWebKeys) -> None:
        self._web_keys = web_keys

    async def create_web_key(
        self, request: pb.CreateWebKeyRequest, ctx: Context, /
    ) -> pb.CreateWebKeyResponse:
        """RSA 2048 with SHA-256 when no kind is named."""
        web_key = await self._web_keys.create(actor_of(ctx), _config(request.key))
        return pb.CreateWebKeyResponse(
            id=web_key.id, creation_date=to_timestamp(web_key.created_at)
        )

    async def activate_web_key(
        self, request: pb.ActivateWebKeyRequest, ctx: Context, /
    ) -> pb.ActivateWebKeyResponse:
        """The date of the first time when it is active already; a header names the former key."""
        web_key_id = WebKeyId(request.id)
        changed_at, former = await self._web_keys.activate(actor_of(ctx), web_key_id)
        report_replaced(ctx, former)
        return pb.ActivateWebKeyResponse(change_date=to_timestamp(changed_at))

    async def delete_web_key(
        self, request: pb.DeleteWebKeyRequest, ctx: Context, /
    ) -> pb.DeleteWebKeyResponse:
        """No date: there never was such a key."""
        deleted_at = await self._web_keys.delete(actor_of(ctx), WebKeyId(request.id))
        return pb.DeleteWebKeyResponse(deletion_date=to_optional_timestamp(deleted_at))

    async def list_web_keys(
        self, _request: pb.ListWebKeysRequest, ctx: Context, /
    ) -> pb.ListWebKeysResponse:
        """Oldest first, all of them."""
        web_keys = await self._web_keys.list(actor_of(ctx))
        return pb.ListWebKeysResponse(web_keys=[_web_key_to_proto(web_key) for web_key in web_keys])


def _config(chosen: Any) -> WebKeyConfig:
    # Validation has refused numbers without a name.
    if chosen is None:
        return DEFAULT_CONFIG
    if chosen.field == "rsa":
        return rsa_config(_BITS[chosen.value.bits], _HASH_BITS[chosen.value.hasher])
    if chosen.field == "ecdsa":
        return ecdsa_config(_CURVES[chosen.value.curve])
    return ed25519_config()


def _web_key_to_proto(web_key: WebKey) -> key_pb.WebKey:
    return key_pb.WebKey(
        id=web_key.id,
        creation_date=to_timestamp(web_key.created_at),
        change_date=to_timestamp(web_key.changed_at),
        state=key_pb.State(web_key.state.value),
        key=_KINDS[web_key.config],
    )
