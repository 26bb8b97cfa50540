"""Web keys in memory."""

from __future__ import annotations

from collections.abc import Sequence

from fakes.memory.tables import Tables
from outrider.domain.access.web_key import SigningWebKey, WebKey, WebKeyState
from outrider.domain.ids import InstanceId, WebKeyId


class MemoryWebKeys:
    """`ports.store.WebKeys` on one unit's tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, instance: InstanceId, web_key: WebKey, private_key: bytes) -> None:
        self._tables.web_keys[instance, web_key.id] = web_key
        self._tables.private_keys[instance, web_key.id] = private_key
        self._tables.routing_revision += 1

    def get(self, instance: InstanceId, web_key: WebKeyId) -> WebKey | None:
        return self._tables.web_keys.get((instance, web_key))

    def replace(self, instance: InstanceId, web_key: WebKey) -> None:
        self._tables.web_keys[instance, web_key.id] = web_key
        self._tables.routing_revision += 1
        if web_key.state is WebKeyState.REMOVED:
            self._tables.private_keys.pop((instance, web_key.id), None)

    def list(self, instance: InstanceId) -> Sequence[WebKey]:
        shown = (
            web_key
            for (owner, _), web_key in self._tables.web_keys.items()
            if owner == instance and web_key.state is not WebKeyState.REMOVED
        )
        return sorted(shown, key=lambda web_key: (web_key.created_at, int(web_key.id)))

    def active(self, instance: InstanceId) -> WebKey | None:
        return next(
            (web_key for web_key in self.list(instance) if web_key.state is WebKeyState.ACTIVE),
            None,
        )

    def signing(self, instance: InstanceId) -> SigningWebKey | None:
        active = self.active(instance)
        if active is None:
            return None
        return SigningWebKey(
            id=active.id,
            algorithm=active.config.algorithm,
            private_key=self._tables.private_keys[instance, active.id],
        )
