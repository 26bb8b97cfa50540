"""A small real service behind the whole API, for tests of what lies around the handlers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from protobuf.wkt import Timestamp

from api.asgi_client import ApiClient, in_process
from outrider.api.app import build_app
from outrider.api.rpc.interceptors import actor_of
from outrider.api.rpc.service import serve
from outrider.domain.access.permission import Actor, Role
from outrider.domain.ids import AccountId
from outrider.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    Unauthenticated,
    UnknownFailure,
)
from outrider_api.outrider.v1.delivery_service_connect import (
    DeliveryService,
    DeliveryServiceASGIApplication,
)
from outrider_api.zitadel.action.v2.action_service_connect import (
    ActionService,
    ActionServiceASGIApplication,
)
from outrider_api.zitadel.action.v2.action_service_pb import (
    CreateTargetResponse,
    DeleteTargetResponse,
    GetTargetResponse,
    ListExecutionFunctionsResponse,
    ListTargetsResponse,
    UpdateTargetResponse,
)
from outrider_api.zitadel.action.v2.target_pb import Target
from support.builders import INSTANCE

OWNER = {"authorization": "Bearer owner"}
VIEWER = {"authorization": "Bearer viewer"}
SECRET = "hunter2"


ROLES = {OWNER["authorization"]: Role.IAM_OWNER, VIEWER["authorization"]: Role.IAM_OWNER_VIEWER}


async def authenticate(_host: str, authorization: str | None) -> Actor:
    """Knows an owner, who may do everything, and a viewer, who may read."""
    if authorization is None:
        raise Unauthenticated("auth header missing")
    if authorization not in ROLES:
        raise Unauthenticated("Errors.Token.Invalid", "AUTH-7fs1e")
    account = AccountId(authorization.removeprefix("Bearer "))
    return Actor(INSTANCE, account, frozenset({ROLES[authorization]}))


FAILURES = {
    "missing": NotFound("Target not found", "QUERY-hj5oaniyrz"),
    "taken": AlreadyExists("Errors.Target.AlreadyExists", "V3-DKcYh"),
    "wrong": InvalidRequest("Target has no timeout", "COMMAND-39f35d8uri"),
    "state": FailedPrecondition("Target not found", "ErrKeyNotFound"),
    "plain": InvalidRequest("no id, no detail"),
    "strange": UnknownFailure("values array must not be empty"),
    "umlaut": NotFound("Zürich: 50% “nicht” da\n", "ID-ä"),
    "bug": RuntimeError(f"password {SECRET}"),
}


class SampleActions(ActionService):
    """Handlers whose answers the tests know."""

    async def create_target(self, request, ctx, /):
        return CreateTargetResponse(
            id=actor_of(ctx).account_id,
            signing_key=request.name,
            creation_date=Timestamp(seconds=request.timeout.seconds if request.timeout else 0),
        )

    async def get_target(self, request, ctx, /):
        if request.id in FAILURES:
            raise FAILURES[request.id]
        return GetTargetResponse(target=Target(id=request.id, name="name"))

    async def update_target(self, request, ctx, /):
        return UpdateTargetResponse(signing_key=f"{request.id} {request.name}")

    async def delete_target(self, request, ctx, /):
        # Not a string: the answer cannot be written.
        return DeleteTargetResponse(deletion_date=SECRET)

    async def list_targets(self, request, ctx, /):
        await asyncio.Event().wait()
        return ListTargetsResponse()

    async def list_execution_functions(self, request, ctx, /):
        return ListExecutionFunctionsResponse(functions=[actor_of(ctx).account_id])


class EmptyDeliveries(DeliveryService):
    """A service whose handlers are still to be written."""


@dataclass
class Lines:
    """A log that can be read."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def info(self, event: str, /, **fields: object) -> None:
        self.lines.append({"event": event, **fields})

    def error(self, event: str, /, **fields: object) -> None:
        self.lines.append({"event": event, "level": "error", **fields})


async def always_ready() -> str | None:
    """Nothing to wait for."""
    return None


def sample_app(log: Lines, **options: Any) -> Any:
    """The API with the sample's handlers."""
    rows = (
        (ActionServiceASGIApplication, SampleActions(), ActionService),
        (DeliveryServiceASGIApplication, EmptyDeliveries(), DeliveryService),
    )
    services = [
        serve(application, handlers, service.desc(), authenticate, log)
        for application, handlers, service in rows
    ]
    return build_app(services, ready=options.pop("ready", always_ready), log=log, **options)


def sample_client(log: Lines | None = None, **options: Any) -> ApiClient:
    """A caller of the sample, in-process."""
    return ApiClient(in_process(sample_app(log or Lines(), **options)))
