"""gRPC over HTTP/2 without TLS, from Google's client with messages made of the contract's text.

Nothing of ours is in the client: it is what zitadel-go, the Terraform provider and @zitadel/node do.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

from system.server import Server

PROTO = Path(__file__).parents[2] / "proto"
CONTRACT = ["zitadel/action/v2/action_service.proto", "zitadel/message.proto"]
SERVICE = "zitadel.action.v2.ActionService"
DETAIL = "zitadel.v1.ErrorDetail"
REASON = "outrider.v1.ReasonDetail"
EVENT_TYPE = "user.human.added"
METHOD = "/zitadel.session.v2.SessionService/ListSessions"
WITHIN_S = 20.0

Message = Any


class Contract:
    """The messages and procedures of the contract, as Google's runtime makes them."""

    def __init__(self, descriptors: bytes) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
            self._pool.Add(file)

    def kind(self, name: str) -> Callable[..., Message]:
        """A message by its full name."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(name))

    def procedures(self) -> Iterator[tuple[str, Callable[..., Message], Callable[..., Message]]]:
        """Each procedure of the service: name, request, response."""
        for method in self._pool.FindServiceByName(SERVICE).methods:
            yield (
                method.name,
                message_factory.GetMessageClass(method.input_type),
                message_factory.GetMessageClass(method.output_type),
            )


class Client:
    """One connection; procedures take the fields of their request."""

    def __init__(self, contract: Contract, channel: grpc.Channel, token: str | None) -> None:
        self._metadata = [] if token is None else [("authorization", f"Bearer {token}")]
        self._procedures = {
            name: (
                request,
                channel.unary_unary(
                    f"/{SERVICE}/{name}",
                    request_serializer=request.SerializeToString,
                    response_deserializer=response.FromString,
                ),
            )
            for name, request, response in contract.procedures()
        }

    def begin(self, procedure: str, /, **fields: Any) -> Any:
        """Send it and return; `result` waits for the response."""
        request, send = self._procedures[procedure]
        return send.future(request(**fields), timeout=WITHIN_S, metadata=self._metadata)

    def call(self, procedure: str, /, **fields: Any) -> Message:
        """Return the response. Raise `grpc.RpcError`."""
        return self.begin(procedure, **fields).result()


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """What is in proto/ now, compiled by Google's compiler."""
    compiled = tmp_path_factory.mktemp("contract") / "contract.binpb"
    google = [Path(str(files("grpc_tools"))) / "_proto", sysconfig.get_path("purelib")]
    code = protoc.main(
        [
            "protoc",
            *(f"-I{path}" for path in [PROTO, *google]),
            f"--descriptor_set_out={compiled}",
            "--include_imports",
            *CONTRACT,
            "google/rpc/status.proto",
        ]
    )
    assert 0 == code
    return Contract(compiled.read_bytes())


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    """HTTP/2 with prior knowledge, on the same port as everything else."""
    host, port = server.address
    with grpc.insecure_channel(f"{host}:{port}") as connected:
        yield connected


@pytest.fixture
def client(server: Server, contract: Contract, channel: grpc.Channel) -> Client:
    """With the admin token."""
    return Client(contract, channel, server.token)


@pytest.fixture(autouse=True)
def clean(client: Client) -> Iterator[None]:
    """No target of one test in the lists of another."""
    yield
    for target in client.call("ListTargets").targets:
        client.call("DeleteTarget", id=target.id)


def create(client: Client, name: str = "audit", **fields: Any) -> Message:
    """A webhook, unless the fields say otherwise."""
    new_target = {
        "name": name,
        "endpoint": "http://127.0.0.1:1/hook",
        "timeout": {"seconds": 10},
        "rest_webhook": {"interrupt_on_error": True},
    }
    return client.call("CreateTarget", **new_target | fields)


def error_of(contract: Contract, call: Callable[[], Message]) -> tuple[Any, str, list[Any]]:
    """Code, text and details of the status that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    trailers = dict(caught.value.trailing_metadata())
    status = contract.kind("google.rpc.Status").FromString(
        trailers.get("grpc-status-details-bin", b"")
    )
    details = []
    for packed in status.details:
        if packed.type_url == f"type.googleapis.com/{REASON}":
            continue
        detail = contract.kind(DETAIL)()
        assert f"type.googleapis.com/{DETAIL}" == packed.type_url
        assert packed.Unpack(detail)
        details.append((detail.id, detail.message))
    if details:
        expected = (caught.value.code().value[0], caught.value.details())
        assert expected == (status.code, status.message)
    return caught.value.code(), caught.value.details(), details


def test_a_target_is_what_was_asked_for(client):
    """
    Every field, as the binary format carries it.
    """
    created = create(client, timeout={"seconds": 1, "nanos": 500_000_000}, payload_type=1)
    target = client.call("GetTarget", id=created.id).target

    assert ("audit", "http://127.0.0.1:1/hook") == (target.name, target.endpoint)
    assert ("rest_webhook", True) == (
        target.WhichOneof("target_type"),
        target.rest_webhook.interrupt_on_error,
    )
    assert 1_500_000_000 == target.timeout.ToNanoseconds()
    assert (1, created.signing_key) == (target.payload_type, target.signing_key)
    assert created.creation_date == target.creation_date == target.change_date
    assert target.creation_date.ToMicroseconds() > 0


def test_an_update_changes_what_is_given_and_nothing_else(client):
    """
    Absent and empty are two things in the binary format.
    """
    created = create(client)
    before = client.call("GetTarget", id=created.id).target
    updated = client.call("UpdateTarget", id=created.id, name="renamed")
    after = client.call("GetTarget", id=created.id).target
    before.name = "renamed"
    before.change_date.CopyFrom(updated.change_date)

    assert before == after
    assert not updated.HasField("signing_key")


def test_a_key_is_rotated(client):
    """
    A duration of zero that is there asks for it; one that is absent does not.
    """
    created = create(client)
    updated = client.call("UpdateTarget", id=created.id, expiration_signing_key={})

    assert updated.signing_key not in {"", created.signing_key}
    assert updated.signing_key == client.call("GetTarget", id=created.id).target.signing_key


def test_targets_are_listed_and_filtered(client):
    """
    Enumerations are numbers on this wire.
    """
    for name in ("list b", "list a", "list c", "other"):
        create(client, name)
    filter_ = {"target_name": "list", "method": "TEXT_FILTER_METHOD_STARTS_WITH"}
    answer = client.call(
        "ListTargets",
        pagination={"offset": 1, "limit": 1, "asc": True},
        sorting_column="TARGET_FIELD_NAME_NAME",
        filters=[{"target_name_filter": filter_}],
    )

    assert ["list b"] == [target.name for target in answer.targets]
    assert (3, 1) == (answer.pagination.total_result, answer.pagination.applied_limit)


def test_a_target_is_deleted_once(client):
    """
    The date is the field with the number 3, which is easy to get wrong.
    """
    created = create(client)
    first = client.call("DeleteTarget", id=created.id)
    second = client.call("DeleteTarget", id=created.id)
    never = client.call("DeleteTarget", id="1")

    assert first.deletion_date.ToMicroseconds() > created.creation_date.ToMicroseconds()
    assert first == second
    assert not never.HasField("deletion_date")
    assert [3] == [field.number for field in first.DESCRIPTOR.fields]


def test_an_execution_is_set_listed_and_cleared(client):
    """
    What the Terraform provider does, with the requests it sends.
    """
    first, second = create(client, "first").id, create(client, "second").id
    condition = {"event": {"event": EVENT_TYPE}}
    answer = client.call("SetExecution", condition=condition, targets=[second, first])
    [execution] = client.call("ListExecutions").executions
    client.call("SetExecution", condition=condition)
    after = client.call("ListExecutions")

    assert EVENT_TYPE == execution.condition.event.event
    assert [second, first] == list(execution.targets)
    assert answer.set_date == execution.change_date
    assert [] == list(after.executions)
    assert 100 == after.pagination.applied_limit


def test_what_can_be_set_is_listed(client):
    """
    Empty requests are no bytes at all on this wire.
    """
    functions = client.call("ListExecutionFunctions").functions

    assert ["preuserinfo", "preaccesstoken", "presamlresponse"] == list(functions)
    assert METHOD in client.call("ListExecutionMethods").methods
    assert METHOD.split("/")[1] in client.call("ListExecutionServices").services


def test_an_error_has_code_text_and_detail(client, contract):
    """
    Clients read the code; people read the text; support asks for the id.
    """
    assert (
        grpc.StatusCode.NOT_FOUND,
        "Target not found (QUERY-hj5oaniyrz)",
        [("QUERY-hj5oaniyrz", "Target not found")],
    ) == error_of(contract, lambda: client.call("GetTarget", id="1"))


def test_validation_has_no_detail(client, contract):
    """
    As there: the sentence is all that there is to say.
    """
    text = (
        "invalid SetExecutionRequest.Condition: embedded message failed validation | caused by:"
        " invalid Condition.ConditionType: value is required"
    )
    assert (grpc.StatusCode.INVALID_ARGUMENT, text, []) == error_of(
        contract, lambda: client.call("SetExecution", condition={})
    )


def test_a_taken_name_is_refused(client, contract):
    """
    Its code is what tells a retry from a conflict.
    """
    create(client, "Audit")
    assert (
        grpc.StatusCode.ALREADY_EXISTS,
        "Errors.Target.AlreadyExists (V3-DKcYh)",
        [("V3-DKcYh", "Errors.Target.AlreadyExists")],
    ) == error_of(contract, lambda: create(client, "audit"))


@pytest.mark.parametrize(
    ("token", "text", "details"),
    [
        (None, "auth header missing", []),
        (
            "unknown",
            "Errors.Token.Invalid (AUTH-7fs1e)",
            [("AUTH-7fs1e", "Errors.Token.Invalid")],
        ),
    ],
)
def test_a_stranger_is_refused(contract, channel, token, text, details):
    """
    Metadata of a call is a header as any other.
    """
    stranger = Client(contract, channel, token)
    error = error_of(contract, lambda: stranger.call("ListTargets"))

    assert (grpc.StatusCode.UNAUTHENTICATED, text, details) == error


def test_many_calls_share_a_connection(client):
    """
    One server was seen to end an HTTP/2 connection after its first call.
    """
    created = create(client)
    answers = [client.call("GetTarget", id=created.id) for _ in range(200)]

    assert 1 == len({answer.target.id for answer in answers})


def test_concurrent_calls_share_a_connection(client):
    """
    Their answers come in any order, each to its own call.
    """
    created = [create(client, f"target {number}").id for number in range(20)]
    under_way = [client.begin("GetTarget", id=target) for target in created * 5]

    assert created * 5 == [call.result().target.id for call in under_way]
