"""The body for targets of an intercepted call, and the methods that are exempt.

Members are in ZITADEL's order, printed as Go prints them
(docs/contract.md#body-of-a-request-or-response).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from outrider.domain.calls.classify import ForwardedError
from outrider.domain.formats import go_json
from outrider.domain.ids import ExecutionId, InstanceId
from outrider.domain.interception.message import InvalidResponse, MessageType
from outrider.domain.interception.response_check import KnowsMembers, MessageSchema, check_response
from outrider.domain.routing.condition import ConditionKind

M = TypeVar("M")

# The headers of a call that targets may see: never credentials.
_SHOWN_HEADERS = frozenset(
    {"content-type", "x-forwarded-for", "x-forwarded-host", "host", "origin"}
)
# An operator who repairs an execution must not be stopped by it.
_EXEMPT_SERVICES = frozenset(
    {
        "zitadel.action.v2.ActionService",
        "zitadel.action.v2beta.ActionService",
        "zitadel.webkey.v2.WebKeyService",
        "zitadel.webkey.v2beta.WebKeyService",
        "grpc.health.v1.Health",
    }
)
_EXEMPT_PACKAGES = ("outrider.v1.", "grpc.reflection.")


@dataclass(frozen=True, slots=True, kw_only=True)
class InterceptedCall:
    """A call of the application's own API. `full_method` is `/package.Service/Method`.

    `headers` may hold everything that came: only those of the allow-list are shown to targets.
    """

    full_method: str
    org_id: str = ""
    project_id: str = ""
    user_id: str = ""
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)


def is_exempt(full_method: str) -> bool:
    """Whether calls of this method never trigger: operators must not lock themselves out."""
    service = full_method.removeprefix("/").rpartition("/")[0]
    return service in _EXEMPT_SERVICES or service.startswith(_EXEMPT_PACKAGES)


def method_lookup_id(kind: ConditionKind, full_method: str) -> ExecutionId:
    """Return the id to look up: `request/package.Service/Method` or `response/…`."""
    return ExecutionId(f"{kind.value}/{full_method.removeprefix('/')}")


def call_payload(
    call: InterceptedCall, instance: InstanceId, request: str, response: str | None = None
) -> bytes:
    """Return the body for targets. `request` and `response` are compact JSON, escaped as Go does."""
    texts = (
        ("fullMethod", call.full_method),
        ("instanceID", instance),
        ("orgID", call.org_id),
        ("projectID", call.project_id),
        ("userID", call.user_id),
    )
    parts = [f'"{name}":{go_json.quote(text)}' for name, text in texts if text]
    parts.append(f'"request":{request}')
    if response is not None:
        parts.append(f'"response":{response}')
    shown = shown_headers(call.headers)
    if shown:
        parts.append(f'"headers":{go_json.dumps(shown)}')
    return ("{" + ",".join(parts) + "}").encode()


def shown_headers(headers: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The headers that targets may see, with their names as they came."""
    return {
        name: list(values)
        for name, values in headers.items()
        if values and name.lower() in _SHOWN_HEADERS
    }


@dataclass(slots=True)
class InterceptionPayload(Generic[M]):
    """The body for the targets of one execution, and the message that their responses replace.

    `request` is None for an intercepted request. For a response it is the request that the
    application handled, after its own executions: compact JSON, escaped as Go does. `schema` is
    what the catalogue knows about the message; None: nothing.
    """

    call: InterceptedCall
    instance: InstanceId
    type: MessageType[M]
    message: M = field(repr=False)
    request: str | None = field(default=None, repr=False)
    schema: MessageSchema | None = field(default=None, repr=False)
    _body: bytes | None = field(default=None, repr=False)

    def render(self) -> bytes:
        """Return the body for the next target. Raise `ValueError` for what JSON cannot express.

        It is rendered again only after a response that was not empty.
        """
        if self._body is None:
            text = self.type.render(self.message)
            texts = (text,) if self.request is None else (self.request, text)
            self._body = call_payload(self.call, self.instance, *texts)
        return self._body

    def forwarded_error(self, body: bytes, *, is_applied: bool) -> ForwardedError | None:
        """Return the error that the body of a 2xx answer forwards.

        Raise `InvalidResponse` for a refusal that is misspelled, and for a message that violates
        the schema of the method.
        """
        return check_response(
            body, self._shown, self.schema, is_applied=is_applied, has_member=self._has_member
        )

    def _has_member(self, name: str) -> bool:
        in_schema = self.schema is not None and self.schema.has_member(name)
        return in_schema or (isinstance(self.type, KnowsMembers) and self.type.has_member(name))

    def _shown(self) -> str:
        return self.type.render(self.message)

    def apply(self, body: bytes) -> None:
        """Replace the message by the body of a response. Raise `InvalidResponse`.

        An empty body changes nothing. One that is invalid leaves the message as it was, except for
        `null`: as in ZITADEL, it leaves an empty message behind.
        """
        if not body:
            return
        # Before the rest: a parser that fails may have changed the message all the same.
        self._body = None
        if body.strip() == b"null":
            self.message = self.type.empty()
            raise InvalidResponse("the answer is null")
        self.message = self.type.parse(body)
