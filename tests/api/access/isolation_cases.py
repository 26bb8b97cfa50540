"""Which calls are made to prove that another instance's things do not exist.

A case is a request that names things of another instance, as `$name`; what there is to name is in
`tenants.populate`. Its caller must get the answer for things that never existed, its owner
must be answered otherwise, and nothing of the owner's may change. An empty request asks for
everything there is.

A developer who adds a call to a proto file adds its case here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.access.tenants import A_TARGET, AN_EVENT, CONDITIONS, ENTRIES
from api.services.zitadel.test_public_keys import KEY


@dataclass(frozen=True)
class Case:
    """One request. `reaches` tells from its owner's answer whether the thing is there."""

    request: Mapping[str, Any]
    reaches: bool = True


def about(*requests: Mapping[str, Any]) -> Sequence[Case]:
    """Requests whose owner is answered otherwise."""
    return [Case(request) for request in requests]


def making(request: Mapping[str, Any]) -> Sequence[Case]:
    """A request that makes something new wherever it is sent; what others have must not change."""
    return [Case(request, reaches=False)]


ONE_TARGET = {"targetId": "$target"}
ONE_KEY = {"targetId": "$target", "keyId": "$key"}
ONE_ACCOUNT = {"accountId": "$account"}
REGISTERED = {"event": {"event": "user.human.added"}}
EVERYTHING: Mapping[str, Any] = {}

CASES: Mapping[str, Sequence[Case]] = {
    "AnswerCall": making({"name": "laptop", "callId": "1", "status": 200}),
    "CreateTarget": about(A_TARGET),
    "UpdateTarget": about({"id": "$target", "name": "taken over"}),
    "DeleteTarget": about({"id": "$target"}),
    "GetTarget": about({"id": "$target"}),
    "ListTargets": about(
        EVERYTHING,
        {"filters": [{"inTargetIdsFilter": {"targetIds": ["$target"]}}]},
        {"filters": [{"targetNameFilter": {"targetName": "$target_name"}}]},
    ),
    "AddPublicKey": about({"targetId": "$target", "publicKey": KEY}),
    "ActivatePublicKey": about(ONE_KEY),
    "DeactivatePublicKey": about(ONE_KEY),
    "RemovePublicKey": about(ONE_KEY),
    "ListPublicKeys": about(ONE_TARGET),
    "SetExecution": about(
        {"condition": REGISTERED, "targets": ["$target"]},
        *({"condition": condition, "targets": []} for condition in CONDITIONS),
    ),
    "ListExecutions": about(
        EVERYTHING,
        {"filters": [{"targetFilter": {"targetId": "$target"}}]},
        {"filters": [{"inConditionsFilter": {"conditions": list(CONDITIONS)}}]},
    ),
    "GetExecution": about({"id": "event/$event_type"}, {"id": "function/$function"}),
    "ListExecutionFunctions": about(EVERYTHING),
    "ListExecutionMethods": about(EVERYTHING),
    "ListExecutionServices": about(EVERYTHING),
    "CreateWebKey": making({"ed25519": {}}),
    "ActivateWebKey": about({"id": "$web_key"}),
    "DeleteWebKey": about({"id": "$web_key"}),
    "ListWebKeys": about(EVERYTHING),
    "PublishEvents": about(AN_EVENT, {"events": [{"eventType": "$event_type"}]}),
    "InterceptRequest": about({"fullMethod": "$method", "request": {"a": 1}}),
    "InterceptResponse": about({"fullMethod": "$method", "response": {"a": 1}}),
    "CallFunction": about({"function": "$function", "payload": {"a": 1}}),
    "Explain": about(
        {"eventType": "$event_type"}, {"function": "$function"}, {"method": "$method"}
    ),
    "ListDeliveries": about(
        EVERYTHING, ONE_TARGET, {"eventId": "$event"}, {"eventType": "$event_type"}
    ),
    "GetDelivery": about({"id": "$delivery"}),
    "ReplayDeliveries": about({"ids": ["$delivery"]}, ONE_TARGET, {"eventId": "$event"}),
    "RetryDeliveries": about({"ids": ["$delivery"]}, ONE_TARGET, {"eventId": "$event"}),
    "CancelDeliveries": about({"ids": ["$delivery"]}, ONE_TARGET, {"eventId": "$event"}),
    "CancelDelivery": about({"id": "$delivery"}),
    "GetDeliveryStats": about(EVERYTHING, ONE_TARGET, {"eventType": "$event_type"}),
    "GetTargetPolicy": about(ONE_TARGET),
    "SetTargetPolicy": about({"targetId": "$target", "policy": {"maxConcurrency": 1}}),
    "TestTarget": about({"targetId": "$target", "payload": {"a": 1}}),
    "PauseTarget": about(ONE_TARGET),
    "ResumeTarget": about(ONE_TARGET),
    "ListEntries": about({"prefix": "$word"}, {"prefix": "/$word"}),
    "AddEntries": about(ENTRIES),
    "RemoveEntries": about(ENTRIES),
    "CreateToken": making({"account": "$account_name", "roles": ["IAM_OWNER"]}),
    "ListTokens": about(EVERYTHING),
    "RevokeToken": about({"id": "$token"}),
    "CreateAccount": about({"name": "$account_name", "roles": ["IAM_OWNER"]}),
    "ListAccounts": about(EVERYTHING),
    "DeleteAccount": about({"id": "$account"}),
    "CreateAccountKey": about(ONE_ACCOUNT),
    "ListAccountKeys": about(ONE_ACCOUNT),
    "DeleteAccountKey": about({"accountId": "$account", "keyId": "$account_key"}),
    "CreateAccountSecret": about(ONE_ACCOUNT),
}

# Of the server, and of no instance: no owner of an instance may call them.
OF_THE_SERVER: Mapping[str, Mapping[str, Any]] = {
    "CreateInstance": {"name": "a third", "hosts": ["c.test"]},
    "ListInstances": {},
    "DeleteInstance": {"id": "1"},
}

# Answered to every caller, with nothing of an instance in it.
PUBLIC_SERVICES = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
