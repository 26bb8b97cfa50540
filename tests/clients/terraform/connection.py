"""gRPC as the Terraform provider speaks it: one channel for all services, a token in each call."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

PROTO = Path(__file__).parents[3] / "proto"
SERVICES = {
    "zitadel.action.v2.ActionService": "zitadel/action/v2/action_service.proto",
    "zitadel.webkey.v2.WebKeyService": "zitadel/webkey/v2/webkey_service.proto",
}
WITHIN_S = 20.0

Message = Any
Procedure = tuple[str, Callable[..., Message], Callable[..., Message]]


def compiled(directory: Path) -> dict[str, Procedure]:
    """Each procedure of the contract by its name: its path, its request, its response."""
    output = directory / "contract.binpb"
    google = [Path(str(files("grpc_tools"))) / "_proto", sysconfig.get_path("purelib")]
    includes = [f"-I{path}" for path in [PROTO, *google]]
    arguments = [f"--descriptor_set_out={output}", "--include_imports", *SERVICES.values()]
    assert 0 == protoc.main(["protoc", *includes, *arguments])
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file:
        pool.Add(file)
    return dict(_procedures(pool))


def _procedures(pool: descriptor_pool.DescriptorPool) -> Iterator[tuple[str, Procedure]]:
    for service in SERVICES:
        for method in pool.FindServiceByName(service).methods:
            kinds = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
            yield method.name, (f"/{service}/{method.name}", *kinds)


class Connection:
    """HTTP/2 with prior knowledge: the provider's `insecure = true` and `access_token`."""

    def __init__(self, procedures: dict[str, Procedure], channel: grpc.Channel, token: str) -> None:
        self._procedures = procedures
        self._channel = channel
        self._metadata = [("authorization", f"Bearer {token}")]
        self.called: list[tuple[str, Message]] = []
        """What was sent, in order."""

    def call(self, procedure: str, /, **fields: Any) -> Message:
        """Return the response. Raise `grpc.RpcError`."""
        path, request, response = self._procedures[procedure]
        message = request(**fields)
        self.called.append((procedure, message))
        send = self._channel.unary_unary(
            path,
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return send(message, timeout=WITHIN_S, metadata=self._metadata)
