# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""Targets and executions for the handlers of a file: one of each for a handler.

They are known by their names, so those of an earlier start are used again. Targets without a handler
are deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outrider.cli.remote.client import RemoteServer
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import text_of
from outrider.cli.terminal.parsing import condition_message, parse_condition
from outrider_receiver import Handler

if TYPE_CHECKING:
    from outrider_api.outrider.v1.catalogue_service_pb import CatalogueEntry

PREFIX = "dev: "
MAX_PAGE = 1000
_NAME_ONE = "handle one of them by its full name"
_ADVICE = {"event": "publish one of them, and save again"}


@dataclass(frozen=True, slots=True)
class HandlerBinding:
    """The condition and key of one handler. `problem` says why it is not called; empty when it is."""

    condition: str
    signing_key: str = ""
    problem: str = ""


class HandlerBinder:
    """Gives handlers their targets and executions on a server, each time that the file changes."""

    def __init__(self, server: RemoteServer, receiver_url: str) -> None:
        self._server = server
        self._url = receiver_url

    def bind(self, handlers: Sequence[Handler]) -> list[HandlerBinding]:
        """Make the targets and executions match these handlers. Return a binding for each, in order.

        Raises:
            CommandError: the server refused or did not answer.
        """
        targets = self._known_targets()
        bindings = []
        for handler in handlers:
            condition = condition_of(handler)
            known_target = targets.pop(PREFIX + condition, None)
            bindings.append(self._bind(handler, condition, known_target))
        for name, target in targets.items():
            self._unbind(name.removeprefix(PREFIX), text_of(target, "id"))
        return bindings

    def _bind(
        self, handler: Handler, condition: str, existing: dict[str, Any] | None
    ) -> HandlerBinding:
        target = existing or self._create_target(handler, condition)
        target_id = text_of(target, "id")
        endpoint = self._endpoint(condition)
        if text_of(target, "endpoint") not in {"", endpoint}:
            self._change_endpoint(target_id, endpoint)
        try:
            self._register(handler)
            self._set_execution(condition, [target_id])
        except CommandError as failure:
            problem = failure.message
            if handler.name and _entry_of(handler) is None:
                advice = _ADVICE.get(handler.kind, _NAME_ONE)
                problem += f"; nothing of that name is known yet: {advice}"
            return HandlerBinding(condition, text_of(target, "signingKey"), problem)
        return HandlerBinding(condition, text_of(target, "signingKey"))

    def _unbind(self, condition: str, target_id: str) -> None:
        from outrider_api.zitadel.action.v2.action_service_pb import DeleteTargetRequest

        self._set_execution(condition, [])
        self._server.call(self._server.actions.delete_target, DeleteTargetRequest(id=target_id))

    def _endpoint(self, condition: str) -> str:
        return f"{self._url}/{condition.replace('*', 'all')}"

    def _known_targets(self) -> dict[str, dict[str, Any]]:
        from outrider_api.zitadel.action.v2.action_service_pb import ListTargetsRequest
        from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest

        request = ListTargetsRequest(pagination=PaginationRequest(limit=MAX_PAGE))
        response = self._server.call(self._server.actions.list_targets, request)
        named = {text_of(target, "name"): target for target in response.get("targets", ())}
        return {name: target for name, target in named.items() if name.startswith(PREFIX)}

    def _create_target(self, handler: Handler, condition: str) -> dict[str, Any]:
        from protobuf import Oneof

        from outrider_api.zitadel.action.v2.action_service_pb import CreateTargetRequest
        from outrider_api.zitadel.action.v2.target_pb import RESTCall, RESTWebhook

        # An event's answer is not read. That of other calls is, and `refuse` has to stop them.
        kind: Any = (
            Oneof("rest_webhook", RESTWebhook())
            if handler.kind == "event"
            else Oneof("rest_call", RESTCall(interrupt_on_error=True))
        )
        request = CreateTargetRequest(
            name=PREFIX + condition, endpoint=self._endpoint(condition), target_type=kind
        )
        return self._server.call(self._server.actions.create_target, request)

    def _change_endpoint(self, target_id: str, endpoint: str) -> None:
        from outrider_api.zitadel.action.v2.action_service_pb import UpdateTargetRequest

        request = UpdateTargetRequest(id=target_id, endpoint=endpoint)
        self._server.call(self._server.actions.update_target, request)

    def _register(self, handler: Handler) -> None:
        """Let conditions name what the application calls its methods, functions and events."""
        from outrider_api.outrider.v1.catalogue_service_pb import AddEntriesRequest

        entry = _entry_of(handler)
        if entry is not None:
            self._server.call(
                self._server.catalogue.add_entries, AddEntriesRequest(entries=[entry])
            )

    def _set_execution(self, condition: str, targets: list[str]) -> None:
        from outrider_api.zitadel.action.v2.action_service_pb import SetExecutionRequest

        message = condition_message(parse_condition(condition))
        request = SetExecutionRequest(condition=message, targets=targets)
        self._server.call(self._server.actions.set_execution, request, advice="see the catalogue")


def condition_of(handler: Handler) -> str:
    """The id of the condition that a handler is for: `event/user.human.added`."""
    name = handler.name.strip("/")
    return f"{handler.kind}/{name}" if name else handler.kind


def _entry_of(handler: Handler) -> CatalogueEntry | None:
    """Return the entry to register; None for groups, services and all, which have no name."""
    from outrider_api.outrider.v1.catalogue_service_pb import CatalogueEntry, CatalogueKind

    name = handler.name
    if handler.kind == "function":
        return CatalogueEntry(kind=CatalogueKind.FUNCTION, name=name)
    if handler.kind == "event" and name and not name.endswith("*"):
        return CatalogueEntry(kind=CatalogueKind.EVENT_TYPE, name=name)
    if handler.kind in {"request", "response"} and name.startswith("/"):
        return CatalogueEntry(kind=CatalogueKind.METHOD, name=name)
    return None
