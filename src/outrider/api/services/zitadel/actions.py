"""`zitadel.action.v2.ActionService`: targets, their keys, and executions on one service."""

from __future__ import annotations

from outrider.api.services.zitadel.executions import ExecutionHandlers
from outrider.api.services.zitadel.public_keys import PublicKeyHandlers
from outrider.api.services.zitadel.targets import TargetHandlers
from outrider.usecases.routing.executions import ManageExecutions
from outrider.usecases.targets.public_keys import ManagePublicKeys
from outrider.usecases.targets.targets import ManageTargets
from outrider_api.zitadel.action.v2.action_service_connect import ActionService


class ActionHandlers(TargetHandlers, PublicKeyHandlers, ExecutionHandlers, ActionService):
    """All fifteen calls."""

    def __init__(
        self,
        targets: ManageTargets,
        public_keys: ManagePublicKeys,
        executions: ManageExecutions,
    ) -> None:
        TargetHandlers.__init__(self, targets)
        PublicKeyHandlers.__init__(self, public_keys)
        ExecutionHandlers.__init__(self, executions)
