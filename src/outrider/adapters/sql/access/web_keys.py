"""Web keys in SQL."""

from __future__ import annotations

import builtins
import json
from collections.abc import Sequence

from outrider.adapters.sql.schema.connection import (
    Connection,
    Row,
    Secrets,
    bump_routing_revision,
    from_time,
    remember_sonyflake,
    to_number,
    to_time,
)
from outrider.domain.access.web_key import (
    Algorithm,
    SigningWebKey,
    WebKey,
    WebKeyConfig,
    WebKeyState,
)
from outrider.domain.ids import InstanceId, WebKeyId

_SELECT = "SELECT id, algorithm, rsa_bits, state, public_jwk, created_at, changed_at FROM web_keys"
# Written out, and not a parameter: the indexes of the schema are partial.
_IS_ACTIVE = f"instance_id = ? AND state = {WebKeyState.ACTIVE:d}"
_IS_NOT_REMOVED = f"instance_id = ? AND state <> {WebKeyState.REMOVED:d}"


class SqlWebKeys:
    """`ports.store.WebKeys` on one connection, inside its transaction."""

    def __init__(self, connection: Connection, secrets: Secrets) -> None:
        self._connection = connection
        self._secrets = secrets

    def add(self, instance: InstanceId, web_key: WebKey, private_key: bytes) -> None:
        self._connection.execute(
            "INSERT INTO web_keys (id, instance_id, algorithm, rsa_bits, state, public_jwk,"
            " sealed_private_key, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                int(web_key.id),
                instance,
                web_key.config.algorithm.value,
                web_key.config.rsa_bits,
                web_key.state.value,
                json.dumps(dict(web_key.public_jwk)),
                self._secrets.seal(private_key, belongs_to=_owner(instance, web_key.id)),
                from_time(web_key.created_at),
                from_time(web_key.changed_at),
            ),
        )
        remember_sonyflake(self._connection, web_key.id)
        bump_routing_revision(self._connection)

    def get(self, instance: InstanceId, web_key: WebKeyId) -> WebKey | None:
        row = self._connection.execute(
            f"{_SELECT} WHERE instance_id = ? AND id = ?", (instance, to_number(web_key))
        ).fetchone()
        return None if row is None else _web_key(row)

    def replace(self, instance: InstanceId, web_key: WebKey) -> None:
        self._connection.execute(
            "UPDATE web_keys SET state = ?, changed_at = ?,"
            " sealed_private_key = CASE WHEN ? = 1 THEN NULL ELSE sealed_private_key END"
            " WHERE instance_id = ? AND id = ?",
            (
                web_key.state.value,
                from_time(web_key.changed_at),
                int(web_key.state is WebKeyState.REMOVED),
                instance,
                int(web_key.id),
            ),
        )
        bump_routing_revision(self._connection)

    def list(self, instance: InstanceId) -> Sequence[WebKey]:
        rows = self._connection.execute(
            f"{_SELECT} WHERE {_IS_NOT_REMOVED} ORDER BY created_at, id", (instance,)
        )
        return builtins.list(map(_web_key, rows))

    def active(self, instance: InstanceId) -> WebKey | None:
        row = self._connection.execute(f"{_SELECT} WHERE {_IS_ACTIVE}", (instance,)).fetchone()
        return None if row is None else _web_key(row)

    def signing(self, instance: InstanceId) -> SigningWebKey | None:
        row = self._connection.execute(
            f"SELECT id, algorithm, sealed_private_key FROM web_keys WHERE {_IS_ACTIVE}",  # noqa: S608 - ours
            (instance,),
        ).fetchone()
        if row is None:
            return None
        web_key_id = WebKeyId(str(row[0]))
        return SigningWebKey(
            id=web_key_id,
            algorithm=Algorithm(row[1]),
            private_key=self._secrets.open(row[2], belongs_to=_owner(instance, web_key_id)),
        )


def _owner(instance: InstanceId, web_key: WebKeyId) -> str:
    return f"private part of web key {instance}/{web_key}"


def _web_key(row: Row) -> WebKey:
    return WebKey(
        id=WebKeyId(str(row[0])),
        config=WebKeyConfig(Algorithm(row[1]), row[2]),
        state=WebKeyState(row[3]),
        public_jwk=json.loads(row[4]),
        created_at=to_time(row[5]),
        changed_at=to_time(row[6]),
    )
