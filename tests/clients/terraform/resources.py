"""The resources of ZITADEL's Terraform provider: which calls each of them makes, and with what.

A resource's state is what the provider would write into the state file. `read` answers None where
the provider takes the resource out of its state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc

from clients.terraform.connection import Connection, Message

State = Mapping[str, Any]
IMPORTED_ID = re.compile(r"^\d{18}$")
"""The provider's `ZitadelGeneratedIdOnlyRegex`."""
TYPES = ("rest_webhook", "rest_call", "rest_async")
POLLS = 60


class TooManyReadsError(Exception):
    """What was read never met the condition."""


def eventually(read: Callable[[], Any], is_met: Callable[[Any], bool]) -> int:
    """Read until the condition is met, as the provider's own tests do; return how often that was.

    There, what was written is seen a while later. Here the first read has to see it.
    """
    for count in range(1, POLLS + 1):
        if is_met(read()):
            return count
    raise TooManyReadsError


class InvalidImportError(Exception):
    """The provider refuses an id before it asks the server."""


def imported(text: str, *names: str) -> State:
    """What `terraform import` starts with: ids between colons, each checked before it is used."""
    for part in (parts := text.split(":")):
        if not IMPORTED_ID.match(part):
            raise InvalidImportError(f'id "{part}" does not match regular expression')
    return dict(zip(names, parts, strict=True))


class Target:
    """`zitadel_action_target`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, **plan: Any) -> State:
        """The signing key is in the answer; the provider never reads it again."""
        attributes = {"payload_type": "PAYLOAD_TYPE_JSON", **plan}
        created = self._connection.call("CreateTarget", **_target_fields(attributes))
        return {**attributes, "id": created.id, "signing_key": created.signing_key}

    def read(self, state: State) -> State | None:
        """As the server has it."""
        try:
            target = self._connection.call("GetTarget", id=state["id"]).target
        except grpc.RpcError as error:
            if error.code().value[0] != 5:
                raise
            return None
        kind = target.WhichOneof("target_type")
        return {
            "id": target.id,
            "name": target.name,
            "endpoint": target.endpoint,
            "timeout": target.timeout.ToSeconds(),
            "target_type": kind,
            "interrupt_on_error": getattr(getattr(target, kind), "interrupt_on_error", False),
            "payload_type": _payload_type(target),
            "signing_key": state["signing_key"],
        }

    def update(self, state: State, **plan: Any) -> State:
        """Only what differs is sent; a type with its flag is one thing."""
        changed = {name: value for name, value in plan.items() if state.get(name) != value}
        if {"target_type", "interrupt_on_error"} & changed.keys():
            both = ("target_type", "interrupt_on_error")
            changed |= {name: {**state, **plan}[name] for name in both}
        fields = _target_fields(changed)
        answer = self._connection.call("UpdateTarget", id=state["id"], **fields)
        rotated = {"signing_key": answer.signing_key} if answer.HasField("signing_key") else {}
        kept = {name: value for name, value in plan.items() if name != "expiration_signing_key"}
        return {**state, **kept, **rotated}

    def delete(self, state: State) -> None:
        """It is not there afterwards."""
        self._connection.call("DeleteTarget", id=state["id"])


def _target_fields(attributes: State) -> dict[str, Any]:
    fields = {name: value for name, value in attributes.items() if name in {"name", "endpoint"}}
    if "payload_type" in attributes:
        fields["payload_type"] = attributes["payload_type"]
    for name in ("timeout", "expiration_signing_key"):
        if name in attributes:
            fields[name] = {"seconds": attributes[name]}
    kind = attributes.get("target_type")
    if kind is not None:
        flag = {"interrupt_on_error": attributes.get("interrupt_on_error", False)}
        fields[kind] = {} if kind == "rest_async" else flag
    return fields


def _payload_type(target: Message) -> str:
    value = target.DESCRIPTOR.fields_by_name["payload_type"].enum_type.values_by_number
    # The unset type of older targets is shown as what it means.
    return str(value[target.payload_type or 1].name)


class PublicKey:
    """`zitadel_action_target_public_key`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, target: str, pem: str, *, active: bool | None = None) -> State:
        """Added, and activated when the plan has it. If the plan leaves it out, it stays as it is."""
        added = self._connection.call("AddPublicKey", target_id=target, public_key=pem.encode())
        state = {"target_id": target, "key_id": added.key_id, "public_key": pem, "active": False}
        return self.update(state, active=active)

    def read(self, state: State) -> State | None:
        """Found by its id in the list."""
        ids = {"key_ids_filter": {"ids": [state["key_id"]]}}
        found = self._connection.call(
            "ListPublicKeys", target_id=state["target_id"], filters=[ids]
        ).public_keys
        if not found:
            return None
        (listed,) = found
        seen = {"public_key": listed.public_key.decode(), "active": listed.active}
        return {**state, **seen, "key_id": listed.key_id}

    def update(self, state: State, *, active: bool | None) -> State:
        """The id stays."""
        if active is None or active == state["active"]:
            return state
        self._switch("ActivatePublicKey" if active else "DeactivatePublicKey", state)
        return {**state, "active": active}

    def delete(self, state: State) -> None:
        """An active key cannot be removed; one that cannot be deactivated may be gone already."""
        try:
            self._switch("DeactivatePublicKey", state)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
        self._switch("RemovePublicKey", state)

    def _switch(self, procedure: str, state: State) -> None:
        ids = {"target_id": state["target_id"], "key_id": state["key_id"]}
        self._connection.call(procedure, **ids)


class Execution:
    """`zitadel_action_execution_request`, `…_response`, `…_event`, `…_function`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, condition: State, targets: Sequence[str]) -> State:
        """Create and update are the same: each target must be there, then the list is set."""
        for target in targets:
            self._connection.call("GetTarget", id=target)
        self._connection.call("SetExecution", condition=condition, targets=list(targets))
        return {"condition": condition, "targets": list(targets)}

    def read(self, state: State) -> State | None:
        """The first page of all, which is searched here: there is no call for one."""
        for listed in self._connection.call("ListExecutions").executions:
            if _same(listed.condition, state["condition"]):
                return {**state, "targets": list(listed.targets)}
        return None

    def delete(self, state: State) -> None:
        """Nothing is left of an execution without targets."""
        self._connection.call("SetExecution", condition=state["condition"], targets=[])


def _same(listed: Message, condition: State) -> bool:
    return bool(listed == type(listed)(**condition))


class WebKey:
    """`zitadel_webkey`, and the resource that chooses the active one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, **kind: Any) -> State:
        """It signs nothing yet."""
        return {"id": self._connection.call("CreateWebKey", **kind).id}

    def read(self, state: State) -> State | None:
        """Its kind and whether it is the active one; STATE_ACTIVE is 2."""
        for listed in self._connection.call("ListWebKeys").web_keys:
            if listed.id == state["id"]:
                kind = listed.WhichOneof("key")
                return {"id": listed.id, "kind": kind, "active": listed.state == 2}
        return None

    def active(self) -> str:
        """The id of the active one."""
        listed = self._connection.call("ListWebKeys").web_keys
        (found,) = [web_key.id for web_key in listed if web_key.state == 2]
        return str(found)

    def activate(self, key_id: str) -> None:
        """Another stops to be active."""
        self._connection.call("ActivateWebKey", id=key_id)

    def delete(self, state: State) -> None:
        """Not the active one."""
        self._connection.call("DeleteWebKey", id=state["id"])
