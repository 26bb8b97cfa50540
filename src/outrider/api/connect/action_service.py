"""`zitadel.action.v2.ActionService`: targets and executions on one service."""

from __future__ import annotations

from outrider.api.connect.executions import ExecutionHandlers
from outrider.api.connect.targets import TargetHandlers
from outrider.usecases.executions import ManageExecutions
from outrider.usecases.targets import ManageTargets
from outrider_api.zitadel.action.v2.action_service_connect import ActionService


class ActionHandlers(TargetHandlers, ExecutionHandlers, ActionService):
    """What it does not have yet answers `unimplemented`, by the generated service."""

    def __init__(self, targets: ManageTargets, executions: ManageExecutions) -> None:
        TargetHandlers.__init__(self, targets)
        ExecutionHandlers.__init__(self, executions)
