"""ZITADEL's own packages for JavaScript, as published, against a running server.

They have actions as `zitadel.action.v2beta`, web keys as v2 and v2beta, over gRPC for servers and
over gRPC-Web for browsers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from system.server import Server

HERE = Path(__file__).parent / "npm"
# What was downloaded once is not downloaded again.
CACHE = Path(sys.prefix) / "npm-cache"
WITHIN_S = 50

EVENT = {"event": {"event": "user.human.added"}}
LENGTH = "value length must be between 1 and 1000 runes, inclusive"
ERRORS = {
    "unknown target": ("NotFound", "Target not found", "QUERY-hj5oaniyrz"),
    "deleted target": ("NotFound", "Target not found", "QUERY-hj5oaniyrz"),
    "taken name": ("AlreadyExists", "Errors.Target.AlreadyExists", "V3-DKcYh"),
    "no name": (
        "InvalidArgument",
        f"invalid CreateTargetRequest.Name: {LENGTH}",
        None,
    ),
    "no type": (
        "InvalidArgument",
        "invalid CreateTargetRequest.TargetType: value is required",
        None,
    ),
    "no time": ("InvalidArgument", "Target has no timeout", "COMMAND-39f35d8uri"),
    "page too large": ("InvalidArgument", "Limit exceeded", "QUERY-4M0fs"),
    "no condition": ("InvalidArgument", "Execution condition is invalid", "ACTION-5r5Ju"),
    "unknown event": ("NotFound", "Execution condition is invalid", "COMMAND-74aaqj8fv9"),
    "unknown target of an execution": ("NotFound", "Target not found", "COMMAND-17e8fq1ggk"),
    "key of no size": (
        "InvalidArgument",
        (
            "invalid CreateWebKeyRequest.Rsa: embedded message failed validation"
            " | caused by: invalid RSA.Bits: value must not be in list [0]"
        ),
        None,
    ),
    "unknown key": ("NotFound", "Web key not found", "COMMAND-teiG3"),
    "active key": ("FailedPrecondition", "Cannot delete active web key", "COMMAND-Chai1"),
    "wrong token": ("Unauthenticated", "Errors.Token.Invalid", "AUTH-7fs1e"),
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the packages of the lock file are installed."""
    directory = tmp_path_factory.mktemp("npm")
    for file in HERE.iterdir():
        if file.is_file():
            shutil.copy(file, directory)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], directory)
    return directory


@pytest.fixture(scope="module", params=["grpc", "grpc-web", "connect"])
def wire(request: pytest.FixtureRequest) -> str:
    """How the packages call."""
    return str(request.param)


@pytest.fixture(scope="module")
def answers(wire: str, packages: Path, server: Server) -> dict[str, Any]:
    """What a program with the packages was answered."""
    environ = {"URL": server.url, "TOKEN": server.token}
    return json.loads(run(["node", "calls.mjs", wire], packages, environ))


def run(command: list[str], directory: Path, environ: dict[str, str] | None = None) -> str:
    """What a command prints. It has to succeed."""
    # Node.js and npm come with the tests' packages, into the same directory as this Python.
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shutil.which(command[0], path=path) or command[0], *command[1:]],
        cwd=directory,
        env={**os.environ, "PATH": path, "npm_config_cache": str(CACHE), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_a_target_is_what_was_asked_for(answers, wire):
    """
    Every field of the answer is one that the packages know.
    """
    created = answers["created"]

    assert {"id", "creationDate", "signingKey"} == set(created)
    assert 36 == len(created["signingKey"])
    assert {
        **created,
        "changeDate": created["creationDate"],
        "name": f"audit over {wire}",
        "endpoint": "http://127.0.0.1:1/hook",
        "timeout": "10s",
        "restWebhook": {"interruptOnError": True},
    } == answers["got"]["target"]


def test_updates_change_what_is_given(answers, wire):
    """
    A new signing key is answered when one was asked for, and only then.
    """
    rotated = answers["rotated"]

    assert {"changeDate"} == set(answers["renamed"])
    assert answers["created"]["signingKey"] != rotated["signingKey"]
    assert {
        **answers["got"]["target"],
        "changeDate": rotated["changeDate"],
        "name": f"renamed over {wire}",
        "restCall": {},
        "signingKey": rotated["signingKey"],
    } == {**answers["got after updates"]["target"], "restWebhook": {"interruptOnError": True}}
    assert "restWebhook" not in answers["got after updates"]["target"]


def test_lists_are_filtered_sorted_and_counted(answers, wire):
    """
    The list is where older and newer packages name the same field differently.
    """
    listed = answers["listed"]

    assert {"totalResult": "2", "appliedLimit": "10"} == listed["pagination"]
    assert [f"a {wire} one", f"renamed over {wire}"] == [
        target["name"] for target in listed["targets"]
    ]


def test_an_execution_is_set_listed_and_removed(answers):
    """
    Its targets keep their order.
    """
    ids = [answers[name]["id"] for name in ("created", "other created")]
    done = answers["set"]["setDate"]

    ((condition, targets, changed),) = [
        (execution["condition"], execution["targets"], execution["changeDate"])
        for execution in answers["executions"]["executions"]
    ]
    assert (EVENT, ids, done) == (condition, targets, changed)
    assert datetime.fromisoformat(done) < datetime.fromisoformat(answers["removed"]["setDate"])
    assert "executions" not in answers["executions after"]


def test_what_conditions_may_name_is_listed(answers):
    """
    User interfaces offer these.
    """
    assert ["preuserinfo", "preaccesstoken", "presamlresponse"] == answers["functions"]["functions"]
    assert "/zitadel.session.v2.SessionService/ListSessions" in answers["methods"]["methods"]
    assert "zitadel.session.v2.SessionService" in answers["services"]["services"]


def test_deleting_twice_is_no_error(answers):
    """
    The date is that of the first time; there is none for what never was.
    """
    assert {"deletionDate"} == set(answers["deleted 0"])
    assert answers["deleted 0"] == answers["deleted again"]
    assert {} == answers["never there"]


def test_web_keys_are_made_activated_listed_and_deleted(answers):
    """
    One is active; v2beta shows the same keys.
    """
    keys = {webkey["id"]: webkey for webkey in answers["web keys"]["webKeys"]}
    rsa, ecdsa, ed25519 = (
        keys[answers[f"{kind} key"]["id"]] for kind in ("rsa", "ecdsa", "ed25519")
    )

    assert {"bits": "RSA_BITS_3072", "hasher": "RSA_HASHER_SHA384"} == rsa["rsa"]
    assert ({"curve": "ECDSA_CURVE_P256"}, {}) == (ecdsa["ecdsa"], ed25519["ed25519"])
    assert "STATE_INITIAL" == ecdsa["state"]
    assert answers["activated"]["changeDate"] == ed25519["changeDate"]
    assert [ed25519] == [webkey for webkey in keys.values() if webkey["state"] == "STATE_ACTIVE"]
    assert answers["web keys"] == answers["web keys of v2beta"]
    assert {"deletionDate"} == set(answers["deleted key"])
    assert keys.keys() - {rsa["id"]} == {
        webkey["id"] for webkey in answers["web keys after"]["webKeys"]
    }


@pytest.mark.parametrize("case", ERRORS)
def test_errors_have_their_code_text_and_detail(answers, case):
    """
    Programs decide by the code and by the id in the detail.
    """
    code, text, error_id = ERRORS[case]
    shown = text if error_id is None else f"{text} ({error_id})"
    details = [] if error_id is None else [{"id": error_id, "message": text}]

    assert {"code": code, "text": shown, "details": details} == answers[case]
