"""`zitadel.action.v2.ActionService`: which handlers answer which call."""

from __future__ import annotations

from outrider.api.services.zitadel.executions import ExecutionHandlers
from outrider.api.services.zitadel.public_keys import PublicKeyHandlers
from outrider.api.services.zitadel.targets import TargetHandlers


class ActionHandlers:
    """All fifteen calls of the service."""

    def __init__(
        self, targets: TargetHandlers, public_keys: PublicKeyHandlers, executions: ExecutionHandlers
    ) -> None:
        self.create_target = targets.create_target
        self.update_target = targets.update_target
        self.delete_target = targets.delete_target
        self.get_target = targets.get_target
        self.list_targets = targets.list_targets

        self.add_public_key = public_keys.add_public_key
        self.activate_public_key = public_keys.activate_public_key
        self.deactivate_public_key = public_keys.deactivate_public_key
        self.remove_public_key = public_keys.remove_public_key
        self.list_public_keys = public_keys.list_public_keys

        self.set_execution = executions.set_execution
        self.list_executions = executions.list_executions
        self.list_execution_functions = executions.list_execution_functions
        self.list_execution_methods = executions.list_execution_methods
        self.list_execution_services = executions.list_execution_services
