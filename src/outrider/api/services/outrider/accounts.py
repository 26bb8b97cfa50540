"""Service accounts, their keys, secrets and tokens: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.services.messages.times import optional_time, to_optional_timestamp, to_timestamp
from outrider.domain.access.service_account import AccountKey, ServiceAccount
from outrider.domain.ids import AccountId, AccountKeyId, TokenId
from outrider.usecases.access.accounts import ManageAccounts
from outrider.usecases.access.tokens import ManageTokens
from outrider.usecases.ports.access import Token
from outrider_api.outrider.v1 import account_service_pb as pb
from outrider_api.outrider.v1.account_service_connect import AccountService


class AccountHandlers(AccountService):
    """`outrider.v1.AccountService`."""

    def __init__(self, accounts: ManageAccounts, tokens: ManageTokens) -> None:
        self._accounts = accounts
        self._tokens = tokens

    async def create_account(
        self, request: pb.CreateAccountRequest, ctx: Context, /
    ) -> pb.CreateAccountResponse:
        """It may do nothing before it has a token, a key or a secret."""
        account = await self._accounts.create(actor_of(ctx), request.name, request.roles)
        return pb.CreateAccountResponse(
            id=account.id, creation_date=to_timestamp(account.created_at)
        )

    async def list_accounts(
        self, _request: pb.ListAccountsRequest, ctx: Context, /
    ) -> pb.ListAccountsResponse:
        """Oldest first."""
        accounts = await self._accounts.list(actor_of(ctx))
        return pb.ListAccountsResponse(
            accounts=[_account_to_proto(account) for account in accounts]
        )

    async def delete_account(
        self, request: pb.DeleteAccountRequest, ctx: Context, /
    ) -> pb.DeleteAccountResponse:
        """With its keys, its secret and its tokens."""
        deleted_at = await self._accounts.delete(actor_of(ctx), AccountId(request.id))
        return pb.DeleteAccountResponse(deletion_date=to_timestamp(deleted_at))

    async def create_account_key(
        self, request: pb.CreateAccountKeyRequest, ctx: Context, /
    ) -> pb.CreateAccountKeyResponse:
        """The key file is shown this once."""
        account_key, key_file = await self._accounts.create_key(
            actor_of(ctx),
            AccountId(request.account_id),
            optional_time(request.expiration_date, "CreateAccountKeyRequest.ExpirationDate"),
        )
        return pb.CreateAccountKeyResponse(
            key_id=account_key.id,
            key_file=key_file,
            creation_date=to_timestamp(account_key.created_at),
        )

    async def list_account_keys(
        self, request: pb.ListAccountKeysRequest, ctx: Context, /
    ) -> pb.ListAccountKeysResponse:
        """Oldest first."""
        account_keys = await self._accounts.list_keys(actor_of(ctx), AccountId(request.account_id))
        return pb.ListAccountKeysResponse(
            keys=[_key_to_proto(account_key) for account_key in account_keys]
        )

    async def delete_account_key(
        self, request: pb.DeleteAccountKeyRequest, ctx: Context, /
    ) -> pb.DeleteAccountKeyResponse:
        """Access tokens that were given out for it stay valid."""
        deleted_at = await self._accounts.delete_key(
            actor_of(ctx), AccountId(request.account_id), AccountKeyId(request.key_id)
        )
        return pb.DeleteAccountKeyResponse(deletion_date=to_timestamp(deleted_at))

    async def create_account_secret(
        self, request: pb.CreateAccountSecretRequest, ctx: Context, /
    ) -> pb.CreateAccountSecretResponse:
        """The secret is shown this once."""
        secret = await self._accounts.create_secret(actor_of(ctx), AccountId(request.account_id))
        return pb.CreateAccountSecretResponse(client_id=request.account_id, client_secret=secret)

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
        return pb.ListTokensResponse(tokens=[_token_to_proto(token) for token in tokens])

    async def revoke_token(
        self, request: pb.RevokeTokenRequest, ctx: Context, /
    ) -> pb.RevokeTokenResponse:
        """Also for a token that was revoked before: then with the date of then."""
        revoked_at = await self._tokens.revoke(actor_of(ctx), TokenId(request.id))
        return pb.RevokeTokenResponse(revocation_date=to_timestamp(revoked_at))


def _account_to_proto(account: ServiceAccount) -> pb.Account:
    return pb.Account(
        id=account.id,
        name=account.name,
        roles=sorted(account.roles),
        creation_date=to_timestamp(account.created_at),
    )


def _key_to_proto(account_key: AccountKey) -> pb.AccountKey:
    return pb.AccountKey(
        key_id=account_key.id,
        creation_date=to_timestamp(account_key.created_at),
        expiration_date=to_optional_timestamp(account_key.expires_at),
    )


def _token_to_proto(token: Token) -> pb.Token:
    return pb.Token(
        id=token.id,
        account=token.account_name,
        roles=sorted(token.roles),
        creation_date=to_timestamp(token.created_at),
        expiration_date=to_optional_timestamp(token.expires_at),
    )
