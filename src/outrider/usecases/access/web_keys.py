"""Web keys: made, activated, removed, published, and what signs right now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from outrider.domain.access.permission import Actor
from outrider.domain.access.web_key import (
    FIRST_CONFIGS,
    KeyPair,
    SigningWebKey,
    WebKey,
    WebKeyConfig,
    WebKeyState,
    activated,
    jwk_of,
    new_web_key,
    no_active_web_key,
    removed,
)
from outrider.domain.ids import InstanceId, WebKeyId, shown_id
from outrider.errors import NotFound
from outrider.runtime import Runtime
from outrider.usecases.ports.access import KeyPairs
from outrider.usecases.ports.store import Store, Unit


@dataclass(frozen=True, slots=True)
class ManageWebKeys:
    """Create, activate, delete and list web keys."""

    store: Store
    runtime: Runtime
    key_pairs: KeyPairs

    async def create(self, actor: Actor, config: WebKeyConfig) -> WebKey:
        """Add a key; it is active immediately when the instance has no active key."""
        # A pair takes up to seconds: no transaction waits for it.
        pair = await self.key_pairs.make(config)
        return await self.store.write(lambda unit: self._add(unit, actor.instance_id, config, pair))

    async def ensure_first(self, instance: InstanceId) -> None:
        """Give an instance its first keys, unless it has an active one."""
        if await self.store.read(lambda unit: unit.web_keys.active(instance)) is not None:
            return
        pairs = await self.first_pairs()
        await self.store.write(lambda unit: self.add_first(unit, instance, pairs))

    async def first_pairs(self) -> Sequence[KeyPair]:
        """Make what `add_first` takes: no transaction waits for it."""
        return await asyncio.gather(*map(self.key_pairs.make, FIRST_CONFIGS))

    def add_first(self, unit: Unit, instance: InstanceId, pairs: Sequence[KeyPair]) -> None:
        """Give an instance its first keys in this unit, unless it has an active one."""
        if unit.web_keys.active(instance) is None:
            for config, pair in zip(FIRST_CONFIGS, pairs, strict=True):
                self._add(unit, instance, config, pair)

    async def activate(
        self, actor: Actor, web_key_id: WebKeyId
    ) -> tuple[datetime, Sequence[WebKeyId]]:
        """Let this key sign from now on; the former one stays published.

        Return when it was activated, now or before, and the id of the one that signed until now.
        Raise `NotFound` for a key that is removed or was never there.
        """
        now = self.runtime.now()

        def apply(unit: Unit) -> tuple[datetime, Sequence[WebKeyId]]:
            web_key = unit.web_keys.get(actor.instance_id, web_key_id)
            if web_key is None or web_key.state is WebKeyState.REMOVED:
                raise NotFound(
                    "Web key not found",
                    "COMMAND-teiG3",
                    reason=f"there is no web key {shown_id(web_key_id)} in this instance, or it was"
                    " deleted",
                    hint="give the id of a key that ListWebKeys answers",
                )
            changed = activated(web_key, unit.web_keys.active(actor.instance_id), now)
            for changed_key in changed:
                unit.web_keys.replace(actor.instance_id, changed_key)
            changed_at = changed[-1].changed_at if changed else web_key.changed_at
            return changed_at, [former.id for former in changed[:-1]]

        return await self.store.write(apply)

    async def delete(self, actor: Actor, web_key_id: WebKeyId) -> datetime | None:
        """Remove a key for good: what it has signed can no longer be verified.

        Return when it was removed, now or before; None when it never existed. Raise
        `FailedPrecondition` for the active key.
        """
        now = self.runtime.now()

        def apply(unit: Unit) -> datetime | None:
            web_key = unit.web_keys.get(actor.instance_id, web_key_id)
            if web_key is None:
                return None
            changed = removed(web_key, now)
            if changed is not web_key:
                unit.web_keys.replace(actor.instance_id, changed)
            return changed.changed_at

        return await self.store.write(apply)

    async def list(self, actor: Actor) -> Sequence[WebKey]:
        """Keys that are not removed, oldest first."""
        return await self.store.read(lambda unit: unit.web_keys.list(actor.instance_id))

    def _add(self, unit: Unit, instance: InstanceId, config: WebKeyConfig, pair: KeyPair) -> WebKey:
        web_key = new_web_key(
            config,
            pair.public_jwk,
            WebKeyId(str(self.runtime.new_sonyflake())),
            active=unit.web_keys.active(instance),
            now=self.runtime.now(),
        )
        unit.web_keys.add(instance, web_key, pair.private_key)
        return web_key


@dataclass(frozen=True, slots=True)
class UseWebKeys:
    """The web keys of an instance, for signing and for verifying."""

    store: Store

    async def published_jwks(self, instance: InstanceId) -> Sequence[dict[str, str]]:
        """Every key that is not removed as a member of a JWK set, oldest first."""
        web_keys = await self.store.read(lambda unit: unit.web_keys.list(instance))
        return [jwk_of(web_key) for web_key in web_keys]

    async def algorithms(self, instance: InstanceId) -> Sequence[str]:
        """Return the algorithms of the published keys, each once: any of them may become active."""
        web_keys = await self.store.read(lambda unit: unit.web_keys.list(instance))
        return sorted({web_key.config.algorithm.value for web_key in web_keys})

    async def signing_key(self, instance: InstanceId) -> SigningWebKey:
        """The active key with its private part. Raise `Internal` when there is none."""
        found = await self.store.read(lambda unit: unit.web_keys.signing(instance))
        if found is None:
            raise no_active_web_key()
        return found
