"""Instances: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from outrider.api.rpc.interceptors import Context
from outrider.api.services.messages.times import to_timestamp
from outrider.domain.ids import InstanceId
from outrider.usecases.access.instances import ManageInstances
from outrider_api.outrider.v1 import instance_service_pb as pb
from outrider_api.outrider.v1.instance_service_connect import InstanceService


class InstanceHandlers(InstanceService):
    """`outrider.v1.InstanceService`."""

    def __init__(self, instances: ManageInstances) -> None:
        self._instances = instances

    async def create_instance(
        self, request: pb.CreateInstanceRequest, _ctx: Context, /
    ) -> pb.CreateInstanceResponse:
        """The token is shown this once."""
        instance, token = await self._instances.create(request.name, request.hosts)
        return pb.CreateInstanceResponse(
            id=instance.id, creation_date=to_timestamp(instance.created_at), token=token
        )

    async def list_instances(
        self, _request: pb.ListInstancesRequest, _ctx: Context, /
    ) -> pb.ListInstancesResponse:
        """Oldest first."""
        return pb.ListInstancesResponse(
            instances=[
                pb.Instance(
                    id=instance.id,
                    name=instance.name,
                    hosts=list(instance.hosts),
                    creation_date=to_timestamp(instance.created_at),
                    is_default=instance.id == self._instances.default,
                )
                for instance in await self._instances.list()
            ]
        )

    async def delete_instance(
        self, request: pb.DeleteInstanceRequest, _ctx: Context, /
    ) -> pb.DeleteInstanceResponse:
        """With all that is in it."""
        deleted_at = await self._instances.delete(InstanceId(request.id))
        return pb.DeleteInstanceResponse(deletion_date=to_timestamp(deleted_at))
