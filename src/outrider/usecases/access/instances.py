"""Instances: made, listed, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.instance import Instance, normal_hosts
from outrider.domain.access.permission import Role
from outrider.domain.access.service_account import hash_secret
from outrider.domain.ids import AccountId, InstanceId, TokenId, shown_id
from outrider.errors import AlreadyExists, FailedPrecondition, InvalidRequest, NotFound
from outrider.runtime import Runtime
from outrider.usecases.access.authenticate import Authenticate
from outrider.usecases.access.web_keys import ManageWebKeys
from outrider.usecases.ports.access import DELETED_AT_ONCE, Token
from outrider.usecases.ports.store import Load, Store, Unit
from outrider.usecases.routing.routing_table import Routing

FIRST_ACCOUNT = "admin"
"""Name of the account that a new instance begins with."""


@dataclass(frozen=True, slots=True)
class ManageInstances:
    """Create, list and delete instances. Only the admin token may, which belongs to none of them.

    `default_hosts` are names that the default instance is known by: no other can take them.
    """

    store: Store
    runtime: Runtime
    routing: Routing
    web_keys: ManageWebKeys
    authenticate: Authenticate
    default: InstanceId
    default_hosts: frozenset[str] = frozenset()

    async def create(self, name: str, hosts: Sequence[str]) -> tuple[Instance, str]:
        """Return a new instance, and the token of its first owner, which is shown this once.

        It has its first web keys. Raise `InvalidRequest` for what is no host, `AlreadyExists` when
        the name or a host is taken.
        """
        instance = Instance(
            id=InstanceId(str(self.runtime.new_id())),
            name=name,
            hosts=_checked(hosts),
            created_at=self.runtime.now(),
        )
        if not self.default_hosts.isdisjoint(instance.hosts):
            raise AlreadyExists(
                "Host already exists",
                "OUTRIDER-host",
                reason="a host name of the call is the default instance's own (OUTRIDER_EXTERNAL_URL)",
                hint="choose another host name",
            )
        pairs = await self.web_keys.first_pairs()
        token, secret = self._first_token(instance), self.runtime.new_token()

        def add(unit: Unit) -> None:
            unit.instances.add(instance)
            self.web_keys.add_first(unit, instance.id, pairs)
            unit.tokens.add(token, hash_secret(secret))

        await self.routing.write(add)
        return instance, secret

    async def list(self) -> Sequence[Instance]:
        """Oldest first."""
        return await self.store.read(lambda unit: unit.instances.list())

    async def delete(self, instance: InstanceId) -> datetime:
        """Delete an instance with all that is in it, in many transactions; return when.

        The first part removes the instance. If this process ends before the last, a worker continues.

        Raise `FailedPrecondition` for the default one, `NotFound` for one that is not there.
        """
        if instance == self.default:
            raise FailedPrecondition(
                "The default instance cannot be deleted",
                "OUTRIDER-default",
                reason=f"instance {instance} answers every host name that is no other instance's",
                hint="delete what is in it instead: its targets, accounts and tokens",
            )

        def apply(unit: Unit) -> None:
            if not unit.instances.delete(instance):
                raise NotFound(
                    "Instance not found",
                    "OUTRIDER-instance",
                    reason=f"there is no instance {shown_id(instance)}",
                    hint="give an id that `outrider instance list` shows, not the name",
                )

        load = Load(instance, DELETED_AT_ONCE)
        await self.routing.write(apply, load=load)
        self.authenticate.forget()
        while not await self.store.write(
            lambda unit: unit.instances.finish_deletion(instance), load=load
        ):
            pass
        return self.runtime.now()

    def _first_token(self, instance: Instance) -> Token:
        return Token(
            id=TokenId(str(self.runtime.new_id())),
            instance_id=instance.id,
            account_id=AccountId(str(self.runtime.new_id())),
            account_name=FIRST_ACCOUNT,
            roles=frozenset({Role.IAM_OWNER}),
            created_at=instance.created_at,
            expires_at=None,
        )


def _checked(hosts: Sequence[str]) -> tuple[str, ...]:
    for position, host in enumerate(hosts):
        try:
            normal_hosts([host])
        except ValueError:
            raise InvalidRequest(
                f"invalid CreateInstanceRequest.Hosts[{position}]:"
                " value must be a host name or an IP address, without a port",
                reason=f"{host!r} is neither",
                hint="write it as in hooks.example.com, without https:// and without a port",
            ) from None
    return normal_hosts(hosts)
