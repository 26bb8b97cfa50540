"""Ports of access: instances and service accounts in the store, their new keys, and their JWTs.

Repositories are parts of `store.Unit`; they read and write in its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from outrider.domain.access.instance import Instance
from outrider.domain.access.permission import Role
from outrider.domain.access.service_account import AccountKey, ServiceAccount
from outrider.domain.access.web_key import KeyPair, SigningWebKey, WebKey, WebKeyConfig
from outrider.domain.ids import AccountId, AccountKeyId, InstanceId, TokenId, WebKeyId

DELETED_AT_ONCE = 1000
"""About how many rows of a deleted instance one transaction deletes."""


class Instances(Protocol):
    """The tenants of this store, and the host names that choose them."""

    def add(self, instance: Instance) -> None:
        """Raise `AlreadyExists` when its name or one of its hosts is taken.

        Every node routes its hosts within a second.
        """
        ...

    def list(self) -> Sequence[Instance]:
        """Oldest first."""
        ...

    def delete(self, instance: InstanceId) -> bool:
        """Delete an instance; return whether it was there.

        Its hosts and its name are free. Of many rows this deletes a bounded part: `finish_deletion`
        deletes the others. What a worker is attempting has nothing left to settle then.
        """
        ...

    def finish_deletion(self, instance: InstanceId) -> bool:
        """Delete the next part of a deleted instance's rows; whether none is left."""
        ...

    def unfinished_deletions(self) -> Sequence[InstanceId]:
        """Deleted instances of which rows are left."""
        ...

    def hosts(self) -> Mapping[str, InstanceId]:
        """The instance of every host name."""
        ...


class Accounts(Protocol):
    """Service accounts with their keys and secrets. Those of other instances do not exist."""

    def add(self, instance: InstanceId, account: ServiceAccount) -> None:
        """Raise `AlreadyExists` when the name is taken."""
        ...

    def get(self, instance: InstanceId, account: AccountId) -> ServiceAccount | None:
        """None for what was deleted, or was never there."""
        ...

    def list(self, instance: InstanceId) -> Sequence[ServiceAccount]:
        """Oldest first."""
        ...

    def delete(self, instance: InstanceId, account: AccountId) -> None:
        """Delete it with its tokens, keys and secret; nothing happens when it is not there."""
        ...

    def add_key(self, instance: InstanceId, account_key: AccountKey) -> None:
        """Write a new key of an account that is there."""
        ...

    def get_key(self, instance: InstanceId, account_key: AccountKeyId) -> AccountKey | None:
        """Expired as it may be."""
        ...

    def list_keys(self, instance: InstanceId, account: AccountId) -> Sequence[AccountKey]:
        """The keys of one account, expired ones too, oldest first."""
        ...

    def delete_key(
        self, instance: InstanceId, account: AccountId, account_key: AccountKeyId
    ) -> bool:
        """Delete a key of this account; return whether it was there."""
        ...

    def set_secret(self, instance: InstanceId, account: AccountId, secret_hash: bytes) -> None:
        """Give an account that is there its secret, in place of a former one."""
        ...

    def secret_hash(self, instance: InstanceId, account: AccountId) -> bytes | None:
        """None for an account that has no secret, as for no account."""
        ...


@dataclass(frozen=True, slots=True)
class NewAccountKey:
    """A new key: `public_key` as in `AccountKey`, `private_pem` PKCS #1 in PEM, for its owner."""

    public_key: bytes
    private_pem: str = field(repr=False)


class AccountKeyPairs(Protocol):
    """Makes keys for accounts: the slow half."""

    async def make(self) -> NewAccountKey:
        """Return a new RSA key of 2048 bits each time; other tasks run meanwhile."""
        ...


class Jwts(Protocol):
    """JSON Web Tokens in their compact form (RFC 7519)."""

    def header(self, compact: str) -> Mapping[str, Any]:
        """The content of its header; nothing is verified. Raise `ValueError` for what is no JWT."""
        ...

    async def sign(self, claims: Mapping[str, Any], web_key: SigningWebKey, typ: str) -> str:
        """Return a JWT whose header has `alg`, `kid` and this `typ`."""
        ...

    def verified(self, compact: str, web_key: WebKey) -> Mapping[str, Any]:
        """Return the claims of what this key signed. Raise `ValueError` for everything else."""
        ...

    def verified_assertion(self, compact: str, public_key: bytes) -> Mapping[str, Any]:
        """Return the claims of what an account's key signed with RS256. Raise `ValueError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token of a service account; the secret itself is not kept."""

    id: TokenId
    instance_id: InstanceId
    account_id: AccountId
    account_name: str
    roles: frozenset[Role]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None


class Tokens(Protocol):
    """Tokens and the accounts they belong to. Found by the hash of the secret."""

    def add(self, token: Token, secret_hash: bytes) -> None:
        """Write the token, and its account when that is new; an account's roles are replaced."""
        ...

    def account_id(self, instance: InstanceId, account_name: str) -> AccountId | None:
        """The account of that name."""
        ...

    def by_hash(self, secret_hash: bytes) -> Token | None:
        """The token with its account's roles, revoked or expired as it may be."""
        ...

    def get(self, instance: InstanceId, token: TokenId) -> Token | None:
        """None for another instance's."""
        ...

    def list(self, instance: InstanceId) -> Sequence[Token]:
        """Tokens that are not revoked, oldest first."""
        ...

    def revoke(self, instance: InstanceId, token: TokenId, at: datetime) -> None:
        """Nothing accepts it from now on."""
        ...


class WebKeys(Protocol):
    """Web keys of all instances. A removed key is found by `get` alone."""

    def add(self, instance: InstanceId, web_key: WebKey, private_key: bytes) -> None:
        """Write a new key; the private part is sealed."""
        ...

    def get(self, instance: InstanceId, web_key: WebKeyId) -> WebKey | None:
        """None for another instance's key, as for no key."""
        ...

    def replace(self, instance: InstanceId, web_key: WebKey) -> None:
        """Write a changed state. The private part of a removed key is erased."""
        ...

    def list(self, instance: InstanceId) -> Sequence[WebKey]:
        """In the order of their creation."""
        ...

    def active(self, instance: InstanceId) -> WebKey | None:
        """The one that signs."""
        ...

    def signing(self, instance: InstanceId) -> SigningWebKey | None:
        """The active key with its private part."""
        ...


class KeyPairs(Protocol):
    """Makes keys: the slow half of a new web key."""

    async def make(self, config: WebKeyConfig) -> KeyPair:
        """Return a new pair each time; other tasks run meanwhile."""
        ...
