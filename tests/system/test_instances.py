"""Two tenants of one real server, told apart by the name that a client connects to."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc
import pytest

from outrider.testing.receiver import Receiver
from outrider_api.zitadel.action.v2 import action_service_pb as pb
from system.api import Api, ApiError

LIST_TARGETS = "/zitadel.action.v2.ActionService/ListTargets"


@dataclass(frozen=True)
class NamedApi(Api):
    """One caller, who reached the server by another name than its address."""

    host: str = ""

    def send(self, method: str, path: str, body: object):
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        headers = {
            "Host": self.host,
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
        }
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            document = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise ApiError(answer.status, document)
        return document


def targets_over_http10(server, token: str, host: str = "") -> list[str]:
    """The targets that a proxy of HTTP/1.0 is shown; it may name no host at all."""
    lines = ["POST /v2/actions/targets/search HTTP/1.0", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", "Content-Length: 2"]
    lines += [f"Host: {host}"] if host else []
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", "{}"]).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    document = json.loads(answer.partition(b"\r\n\r\n")[2])
    return [target["name"] for target in document["targets"]]


async def names_over_grpc(server, authority: str, token: str) -> list[str]:
    """The targets of the instance with this name, over HTTP/2."""
    options = [("grpc.default_authority", authority)]
    async with grpc.aio.insecure_channel(urlsplit(server.url).netloc, options) as channel:
        call = channel.unary_unary(
            LIST_TARGETS,
            request_serializer=lambda message: message.to_binary(),
            response_deserializer=pb.ListTargetsResponse.from_binary,
        )
        metadata = [("authorization", f"Bearer {token}")]
        answer = await call(pb.ListTargetsRequest(), metadata=metadata, timeout=20)
        return [target.name for target in answer.targets]


async def test_the_name_chooses_the_tenant_on_every_wire(launch, receiver: Receiver):
    """
    Each sees its own, is delivered its own, and ends alone.
    """
    server = await launch().ready()
    made = {}
    for name in ("shop", "bank"):
        made[name] = await server.api.post(
            "/v1/instances", {"name": name, "hosts": [f"{name}.test"]}
        )
    shop, bank = (NamedApi(server.url, made[name]["token"], f"{name}.test") for name in made)
    for name, api in (("shop", shop), ("bank", bank)):
        target = await api.create_target(f"{name}'s", f"{receiver.url}/{name}")
        await api.set_execution("user.human.added", target.id)
    results = await shop.publish("user.human.added", ["1"])
    await shop.settled()

    assert [1] == [result["deliveries"] for result in results]
    assert ["/hook/shop"] == [call.path for call in receiver.calls]
    assert [] == await bank.deliveries()
    assert [] == await server.api.deliveries()
    for name in made:
        token = made[name]["token"]
        assert [f"{name}'s"] == await names_over_grpc(server, f"{name}.test:8080", token)
    assert [] == await names_over_grpc(server, "elsewhere.test", server.token)
    assert ["bank's"] == await names_over_grpc(server, "bank.test", server.token)
    await server.api.create_target("default's", receiver.url)
    for host, names in (("", ["default's"]), ("bank.test:80", ["bank's"])):
        assert names == await asyncio.to_thread(targets_over_http10, server, server.token, host)
    for lost in (NamedApi(server.url, shop.token, "bank.test"), Api(server.url, shop.token)):
        with pytest.raises(ApiError) as denied:
            await lost.post("/v2/actions/targets/search", {})
        assert 401 == denied.value.status
    await server.api.post(f"/v1/instances/{made['shop']['id']}", None, method="DELETE")
    with pytest.raises(grpc.aio.AioRpcError) as deleted:
        await names_over_grpc(server, "shop.test", shop.token)

    assert grpc.StatusCode.UNAUTHENTICATED == deleted.value.code()
    assert ["bank's"] == await names_over_grpc(server, "bank.test", bank.token)
