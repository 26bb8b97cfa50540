"""The contract in proto/ is the published one, and what is generated from it is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from protobuf import DescMethod, DescOneof

from api.contract import FILES, METHODS, REGISTRY, SERVICES
from outrider.api.rest.routes import Routes, routes_of
from outrider.api.rpc.interceptors import permission_of
from outrider.api.validation.validation import message_checks
from outrider_api.outrider.options.v1 import options_pb

ROOT = Path(__file__).parents[3]

# The permissions and routes that are fixed. {} stands for a variable.
FIXED = {
    "zitadel.action.v2.ActionService": {
        "CreateTarget": ("action.target.write", "POST /v2/actions/targets"),
        "UpdateTarget": ("action.target.write", "POST /v2/actions/targets/{id}"),
        "DeleteTarget": ("action.target.delete", "DELETE /v2/actions/targets/{id}"),
        "GetTarget": ("action.target.read", "GET /v2/actions/targets/{id}"),
        "ListTargets": ("action.target.read", "POST /v2/actions/targets/search"),
        "AddPublicKey": (
            "action.target.write",
            "POST /v2/actions/targets/{target_id}/publickeys",
        ),
        "ActivatePublicKey": (
            "action.target.write",
            "POST /v2/actions/targets/{target_id}/publickeys/{key_id}/activate",
        ),
        "DeactivatePublicKey": (
            "action.target.write",
            "POST /v2/actions/targets/{target_id}/publickeys/{key_id}/deactivate",
        ),
        "RemovePublicKey": (
            "action.target.write",
            "DELETE /v2/actions/targets/{target_id}/publickeys/{key_id}",
        ),
        "ListPublicKeys": (
            "action.target.read",
            "POST /v2/actions/targets/{target_id}/publickeys/search",
        ),
        "SetExecution": ("action.execution.write", "PUT /v2/actions/executions"),
        "ListExecutions": ("action.execution.read", "POST /v2/actions/executions/search"),
        "ListExecutionFunctions": ("authenticated", "GET /v2/actions/executions/functions"),
        "ListExecutionMethods": ("authenticated", "GET /v2/actions/executions/methods"),
        "ListExecutionServices": ("authenticated", "GET /v2/actions/executions/services"),
    },
    "outrider.v1.EventService": {"PublishEvents": ("event.write", "POST /v1/events")},
    "outrider.v1.InterceptionService": {
        "InterceptRequest": ("interception.call", "POST /v1/intercept/request"),
        "InterceptResponse": ("interception.call", "POST /v1/intercept/response"),
        "CallFunction": ("interception.call", "POST /v1/intercept/function"),
        "Explain": ("action.execution.read", "POST /v1/explain"),
    },
    "outrider.v1.ExecutionService": {
        "GetExecution": ("action.execution.read", "POST /v1/executions/get"),
    },
    "outrider.v1.DeliveryService": {
        "ListDeliveries": ("delivery.read", "POST /v1/deliveries/search"),
        "GetDelivery": ("delivery.read", "GET /v1/deliveries/{id}"),
        "ReplayDeliveries": ("delivery.write", "POST /v1/deliveries/replay"),
        "RetryDeliveries": ("delivery.write", "POST /v1/deliveries/retry"),
        "CancelDeliveries": ("delivery.write", "POST /v1/deliveries/cancel"),
        "CancelDelivery": ("delivery.write", "POST /v1/deliveries/{id}/cancel"),
        "GetDeliveryStats": ("delivery.read", "POST /v1/deliveries/stats"),
    },
    "outrider.v1.TargetPolicyService": {
        "GetTargetPolicy": ("action.target.read", "GET /v1/targets/{target_id}/policy"),
        "SetTargetPolicy": ("action.target.write", "PUT /v1/targets/{target_id}/policy"),
        "TestTarget": ("delivery.write", "POST /v1/targets/{target_id}/test"),
        "PauseTarget": ("delivery.write", "POST /v1/targets/{target_id}/pause"),
        "ResumeTarget": ("delivery.write", "POST /v1/targets/{target_id}/resume"),
    },
    "outrider.v1.CatalogueService": {
        "ListEntries": ("authenticated", "POST /v1/catalogue/search"),
        "AddEntries": ("catalogue.write", "POST /v1/catalogue"),
        "RemoveEntries": ("catalogue.write", "POST /v1/catalogue/remove"),
    },
    "outrider.v1.InstanceService": {
        "CreateInstance": ("system.instance.write", "POST /v1/instances"),
        "ListInstances": ("system.instance.read", "POST /v1/instances/search"),
        "DeleteInstance": ("system.instance.write", "DELETE /v1/instances/{id}"),
    },
    "outrider.v1.AccountService": {
        "CreateToken": ("iam.user.write", "POST /v1/tokens"),
        "ListTokens": ("iam.user.write", "POST /v1/tokens/search"),
        "RevokeToken": ("iam.user.write", "DELETE /v1/tokens/{id}"),
        "CreateAccount": ("iam.user.write", "POST /v1/accounts"),
        "ListAccounts": ("iam.user.write", "POST /v1/accounts/search"),
        "DeleteAccount": ("iam.user.write", "DELETE /v1/accounts/{id}"),
        "CreateAccountKey": ("iam.user.write", "POST /v1/accounts/{account_id}/keys"),
        "ListAccountKeys": ("iam.user.write", "POST /v1/accounts/{account_id}/keys/search"),
        "DeleteAccountKey": ("iam.user.write", "DELETE /v1/accounts/{account_id}/keys/{key_id}"),
        "CreateAccountSecret": ("iam.user.write", "POST /v1/accounts/{account_id}/secret"),
    },
}

# Fields by number where the numbers are surprising or easily mistaken.
NUMBERS = {
    "zitadel.action.v2.DeleteTargetResponse": {3: "deletion_date"},
    "zitadel.action.v2.UpdateTargetRequest": {
        1: "id",
        2: "name",
        3: "rest_webhook",
        4: "rest_call",
        5: "rest_async",
        6: "timeout",
        7: "endpoint",
        8: "expiration_signing_key",
        9: "payload_type",
    },
    "zitadel.action.v2.Target": {
        1: "id",
        2: "creation_date",
        3: "change_date",
        4: "name",
        5: "rest_webhook",
        6: "rest_call",
        7: "rest_async",
        8: "timeout",
        9: "endpoint",
        10: "signing_key",
        11: "payload_type",
    },
    "zitadel.action.v2.PublicKey": {
        1: "key_id",
        2: "active",
        3: "public_key",
        4: "fingerprint",
        5: "expiration_date",
        6: "creation_date",
        7: "change_date",
    },
    "zitadel.filter.v2.PaginationRequest": {1: "offset", 2: "limit", 3: "asc"},
    "zitadel.filter.v2.PaginationResponse": {1: "total_result", 2: "applied_limit"},
    "outrider.v1.Event": {
        1: "id",
        2: "aggregate_id",
        3: "aggregate_type",
        4: "resource_owner",
        5: "version",
        6: "sequence",
        7: "event_type",
        8: "created_at",
        9: "user_id",
        10: "event_payload",
        11: "event_payload_json",
    },
    "outrider.v1.InterceptRequestRequest": {
        1: "full_method",
        2: "org_id",
        3: "project_id",
        4: "user_id",
        5: "headers",
        6: "request",
        8: "request_json",
    },
    "outrider.v1.InterceptRequestResponse": {
        1: "request",
        2: "execution",
        3: "calls",
        8: "request_json",
    },
    "outrider.v1.InterceptResponseRequest": {
        1: "full_method",
        2: "org_id",
        3: "project_id",
        4: "user_id",
        5: "headers",
        6: "request",
        7: "response",
        8: "request_json",
        9: "response_json",
    },
    "outrider.v1.InterceptResponseResponse": {
        2: "execution",
        3: "calls",
        4: "response",
        8: "response_json",
    },
    "outrider.v1.CallFunctionRequest": {1: "function", 2: "payload", 8: "payload_json"},
    "outrider.v1.CallFunctionResponse": {
        1: "answer",
        2: "execution",
        3: "calls",
        4: "claims",
        5: "attributes",
        8: "answer_json",
        9: "claims_json",
    },
    "outrider.v1.GetExecutionRequest": {1: "id"},
    "outrider.v1.GetExecutionResponse": {
        1: "id",
        2: "targets",
        3: "change_date",
        4: "shadows",
        5: "shadowed_by",
    },
    "outrider.v1.ExplainRequest": {1: "method", 2: "response", 3: "function", 4: "event_type"},
}


def test_generated_code_is_current():
    """
    It is not edited, and a change of the contract without it would be seen in no review.
    """
    script = ROOT / "scripts" / "generate.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_services_methods_permissions_and_routes_are_the_published_ones():
    """
    They may grow, and never change their names.
    """
    served = {
        service.type_name: {
            method.name: (permission_of(method), route_of(method)) for method in service.methods
        }
        for service in SERVICES
    }
    assert served == FIXED


def route_of(method: DescMethod) -> str:
    """The verb and the template of a method's only route."""
    (route,) = [
        route for route in routes_of(method.parent) if route.procedure.endswith(f"/{method.name}")
    ]
    return f"{route.verb} /{'/'.join(route.segments)}"


@pytest.mark.parametrize("name", NUMBERS)
def test_field_numbers_are_the_published_ones(name: str):
    """
    A number that moved would be read as another field by every client.
    """
    desc = REGISTRY.message(name)
    assert desc is not None
    assert NUMBERS[name] == {field.number: field.name for field in desc.fields}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_declares_a_permission_and_takes_one_message(method: DescMethod):
    """
    A method without a permission would be open to every caller, or to none.
    """
    assert permission_of(method)
    assert method.method_kind == "unary"
    # Compiling the rules finds a rule that does not fit its field.
    message_checks(method.input)


def test_no_two_methods_share_a_route():
    """
    The second one could never be called; building the table refuses that.
    """
    assert ["POST"] == [route.verb for route in Routes(SERVICES).at(("v1", "events"))]


def test_the_oneofs_that_must_be_set_are_the_published_ones():
    """
    One more would refuse requests that ZITADEL takes.
    """
    messages = [
        message for file in FILES for dep in [file, *file.dependencies] for message in dep.messages
    ]
    required = {
        f"{message.name}.{oneof.name}"
        for message in messages
        for oneof in message.oneofs
        if must_be_set(oneof)
    }
    assert required == {
        "Condition.condition_type",
        "CreateTargetRequest.target_type",
        "EventExecution.condition",
        "ExecutionSearchFilter.filter",
        "ExplainRequest.subject",
        "RequestExecution.condition",
        "ResponseExecution.condition",
        "TargetSearchFilter.filter",
    }


def must_be_set(oneof: DescOneof) -> bool:
    """Whether the proto file requires it."""
    options = oneof.proto.options
    return options is not None and options[options_pb.ext_required]
