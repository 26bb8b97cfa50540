"""Ports of access: instances and service accounts in the store, their new keys, and their JWTs.

Repositories are parts of `store.Unit`; they read and write in its transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from outrider.domain.access.instance import Instance
from outrider.domain.access.service_account import AccountKey, ServiceAccount
from outrider.domain.access.web_key import SigningWebKey, WebKey
from outrider.domain.ids import AccountId, AccountKeyId, InstanceId


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
        """Delete every row of the instance; return whether it was there.

        Its hosts and its name are free. What a worker is attempting has nothing left to settle.
        """
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
        """Return a new RSA key of 2048 bits each time; others go on meanwhile."""
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
