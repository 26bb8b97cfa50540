"""Every message and service of the contract."""

from __future__ import annotations

from protobuf import Registry

from outrider_api.outrider.v1 import (
    account_service_pb,
    catalogue_service_pb,
    delivery_service_pb,
    event_service_pb,
    execution_service_pb,
    instance_service_pb,
    interception_service_pb,
    target_policy_service_pb,
)
from outrider_api.zitadel.action.v2 import action_service_pb

FILES = [
    module.desc()
    for module in (
        account_service_pb,
        action_service_pb,
        catalogue_service_pb,
        delivery_service_pb,
        event_service_pb,
        execution_service_pb,
        instance_service_pb,
        interception_service_pb,
        target_policy_service_pb,
    )
]
REGISTRY = Registry(*FILES)
SERVICES = [service for file in FILES for service in file.services]
METHODS = [method for service in SERVICES for method in service.methods]
