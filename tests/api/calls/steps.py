"""Calls that many rows begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.calls.table import Call

ENDPOINT = "https://receiver.example/hook"
EVENT_TYPE = "$unique.happened"
"""An event type that only this run of this row knows."""


def webhook(**fields: Any) -> dict[str, Any]:
    """A CreateTargetRequest that is right, but for what is given."""
    return {
        "name": "hook $unique",
        "endpoint": ENDPOINT,
        "restWebhook": {},
        "timeout": "10s",
        **fields,
    }


def of_type(type_: str, *, interrupts: bool | None = None, **fields: Any) -> dict[str, Any]:
    """A CreateTargetRequest of one type."""
    others = {name: value for name, value in webhook(**fields).items() if name != "restWebhook"}
    return {**others, type_: {} if interrupts is None else {"interruptOnError": interrupts}}


def create(request: Mapping[str, Any], called: str = "target") -> Call:
    """Create a target; keep its id, its date and its signing key."""
    keep = {called: "id", f"{called}_created": "creationDate", f"{called}_key": "signingKey"}
    return Call("CreateTarget", request, keep=keep)


def a_target(called: str = "target", **fields: Any) -> Call:
    """Create a webhook named after what it is called here."""
    return create(webhook(**{"name": f"{called} $unique", **fields}), called)


def update(target: str = "$target", **fields: Any) -> Call:
    """Change a target; keep the date."""
    return Call("UpdateTarget", {"id": target, **fields}, keep={"changed": "changeDate"})


def delete(target: str = "$target") -> Call:
    """Delete a target that exists; keep the date."""
    return Call("DeleteTarget", {"id": target}, keep={"deleted": "deletionDate"})


def set_targets(condition: Mapping[str, Any], targets: Sequence[str] = ("$target",)) -> Call:
    """Set an execution; keep the date."""
    request = {"condition": condition, "targets": targets}
    return Call("SetExecution", request, keep={"set": "setDate"})


def publish(*events: Mapping[str, Any]) -> Call:
    """Publish events."""
    return Call("PublishEvents", {"events": events})


def on_event(event_type: str = EVENT_TYPE) -> dict[str, Any]:
    """The condition of one event type."""
    return {"event": {"event": event_type}}


KNOWN = publish({"eventType": EVENT_TYPE})
"""The catalogue has the event type of this run."""

METHOD = "/$unique.Service/Do"
"""A method that only this run of this row knows; its service is `$unique.Service`."""

KNOWN_METHOD = Call("AddEntries", {"entries": [{"kind": "CATALOGUE_KIND_METHOD", "name": METHOD}]})
"""The catalogue has the method of this run."""

FUNCTION = "$unique"
"""A function that only this run of this row knows."""

KNOWN_FUNCTION = Call(
    "AddEntries", {"entries": [{"kind": "CATALOGUE_KIND_FUNCTION", "name": FUNCTION}]}
)
"""The catalogue has the function of this run."""


def responder(called: str = "target", *, interrupts: bool = False, **fields: Any) -> Call:
    """Create a rest_call target named after what it is called here."""
    named = {"name": f"{called} $unique", **fields}
    return create(of_type("restCall", interrupts=interrupts, **named), called)


def on_request(method: str = METHOD) -> dict[str, Any]:
    """The condition of the requests of one method."""
    return {"request": {"method": method}}


def on_response(method: str = METHOD) -> dict[str, Any]:
    """The condition of the responses of one method."""
    return {"response": {"method": method}}


def on_function(function: str = FUNCTION) -> dict[str, Any]:
    """The condition of one function."""
    return {"function": {"name": function}}
