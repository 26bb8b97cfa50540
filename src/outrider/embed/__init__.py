"""outrider inside an application: no server, the same store, the same code.

    from outrider.embed import Engine, Event

`outrider.embed.asgi` intercepts the calls of an ASGI application, `outrider.embed.grpc` those of a
`grpc.aio` server. Neither is imported here: nor are the libraries that they are about.
"""

from outrider.domain.delivery.delivery import DeliveryState
from outrider.domain.delivery.replay import BulkCounts
from outrider.domain.delivery.search import DeliverySearch
from outrider.domain.interception.message import InvalidResponse, MessageType
from outrider.domain.routing.condition import Condition, ConditionKind
from outrider.domain.routing.execution import Execution, ExecutionChange
from outrider.domain.targets.policy import TargetPolicy
from outrider.domain.targets.target import PayloadType, Target, TargetChange, TargetType
from outrider.embed.conditions import on_event, on_function, on_request, on_response
from outrider.embed.engine import Engine
from outrider.embed.events import Event
from outrider.usecases.delivery.known_events import PublishResult
from outrider.usecases.interception.intercept import InterceptionResult

__all__ = [
    "BulkCounts",
    "Condition",
    "ConditionKind",
    "DeliverySearch",
    "DeliveryState",
    "Engine",
    "Event",
    "Execution",
    "ExecutionChange",
    "InterceptionResult",
    "InvalidResponse",
    "MessageType",
    "PayloadType",
    "PublishResult",
    "Target",
    "TargetChange",
    "TargetPolicy",
    "TargetType",
    "on_event",
    "on_function",
    "on_request",
    "on_response",
]
