"""Tokens of service accounts: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.times import optional_time, to_optional_timestamp, to_timestamp
from outrider.domain.ids import TokenId
from outrider.usecases.access.tokens import ManageTokens
from outrider.usecases.ports.store import Token
from outrider_api.outrider.v1 import account_service_pb as pb
from outrider_api.outrider.v1.account_service_connect import AccountService


class TokenHandlers(AccountService):
    """`outrider.v1.AccountService`, as far as it is about tokens."""

    def __init__(self, tokens: ManageTokens) -> None:
        self._tokens = tokens

    async def create_token(
        self, request: pb.CreateTokenRequest, ctx: Context, /
    ) -> pb.CreateTokenResponse:
        """The secret is shown this once."""
        expires_at = optional_time(request.expiration_date, "CreateTokenRequest.ExpirationDate")
        token, secret = await self._tokens.create(
            actor_of(ctx), request.account, request.roles, expires_at
        )
        return pb.CreateTokenResponse(
            id=token.id, token=secret, creation_date=to_timestamp(token.created_at)
        )

    async def list_tokens(
        self, _request: pb.ListTokensRequest, ctx: Context, /
    ) -> pb.ListTokensResponse:
        """Oldest first, without revoked ones."""
        tokens = await self._tokens.list(actor_of(ctx))
        return pb.ListTokensResponse(tokens=[_token_to_proto(each) for each in tokens])

    async def revoke_token(
        self, request: pb.RevokeTokenRequest, ctx: Context, /
    ) -> pb.RevokeTokenResponse:
        """Also for a token that was revoked before: then with the date of then."""
        revoked_at = await self._tokens.revoke(actor_of(ctx), TokenId(request.id))
        return pb.RevokeTokenResponse(revocation_date=to_timestamp(revoked_at))


def _token_to_proto(token: Token) -> pb.Token:
    return pb.Token(
        id=token.id,
        account=token.account_name,
        roles=sorted(token.roles),
        creation_date=to_timestamp(token.created_at),
        expiration_date=to_optional_timestamp(token.expires_at),
    )
