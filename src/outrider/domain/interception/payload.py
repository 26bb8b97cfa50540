"""What targets are told about an intercepted call, and when nobody is told at all.

The payloads of the sheet's section 3.8: keys in ZITADEL's order, printed as Go prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from outrider.domain.formats import go_json
from outrider.domain.ids import ExecutionId, InstanceId
from outrider.domain.interception.message import Replaceable
from outrider.domain.routing.condition import ConditionKind

M = TypeVar("M")

# What targets may see of a call's headers: never credentials (sheet, section 3.8).
_SHOWN_HEADERS = frozenset(
    {"content-type", "x-forwarded-for", "x-forwarded-host", "host", "origin"}
)
# Who repairs an execution must not be stopped by it (outrider-v1, Deliberate differences).
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
    """Whether calls of this method never trigger anything, so that nobody can lock himself out."""
    service = full_method.removeprefix("/").rpartition("/")[0]
    return service in _EXEMPT_SERVICES or service.startswith(_EXEMPT_PACKAGES)


def method_lookup_id(kind: ConditionKind, full_method: str) -> ExecutionId:
    """What the router is asked for: `request/package.Service/Method` or `response/…`."""
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


class Subject(Protocol):
    """What the targets of one execution are told, one after the other, and may change."""

    def render(self) -> bytes:
        """Return the body for the next target. Raise `ValueError` for what JSON cannot say."""
        ...

    def apply(self, body: bytes) -> None:
        """Take a target's answer over; an empty body changes nothing. Raise `InvalidResponse`."""
        ...


@dataclass(slots=True)
class RenderedOnce:
    """A subject that is rendered anew only when an answer has changed it."""

    subject: Subject
    _body: bytes | None = field(default=None, repr=False)

    def render(self) -> bytes:
        """See `Subject`."""
        if self._body is None:
            self._body = self.subject.render()
        return self._body

    def apply(self, body: bytes) -> None:
        """See `Subject`."""
        if body:
            self._body = None
            self.subject.apply(body)


@dataclass(slots=True)
class RequestSubject(Generic[M]):
    """The request of an intercepted call, as the targets so far left it."""

    call: InterceptedCall
    instance: InstanceId
    message: Replaceable[M]

    def render(self) -> bytes:
        """See `Subject`."""
        return call_payload(self.call, self.instance, self.message.text())

    def apply(self, body: bytes) -> None:
        """See `Subject`."""
        self.message.apply(body)


@dataclass(slots=True)
class ResponseSubject(Generic[M]):
    """The response of an intercepted call, as the targets so far left it.

    `request` is compact JSON: what the application answered, after its own request executions.
    """

    call: InterceptedCall
    instance: InstanceId
    request: str
    message: Replaceable[M]

    def render(self) -> bytes:
        """See `Subject`."""
        return call_payload(self.call, self.instance, self.request, self.message.text())

    def apply(self, body: bytes) -> None:
        """See `Subject`."""
        self.message.apply(body)
