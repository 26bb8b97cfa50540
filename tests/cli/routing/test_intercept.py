"""`outrider intercept`, `explain` and `target test`, against a server and a real receiver."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import RunningCommand
from outrider.cli.terminal.errors import ExitCode
from outrider.testing.receiver import Answer, Receiver

NOWHERE = "http://127.0.0.1:9/hook"
METHOD = "/zitadel.session.v2.SessionService/ListSessions"
# ZITADEL's messages: an answer of other members would be a failure of the target.
CHANGED = b'{"query":{"limit":5}}'
CHANGED_RESPONSE = b'{"sessions":[{"id":"by the target"}]}'
FORWARDED = b'{"forwardedStatusCode":401,"forwardedErrorMessage":"not today"}'


@dataclass
class User:
    """A user at the command line; the receiver answers meanwhile."""

    server: Any
    directory: Path

    async def run(self, *arguments: object, stdin: str = "") -> Any:
        """A command."""
        return await asyncio.to_thread(self.server.run, *arguments, stdin=stdin)

    async def ok(self, *arguments: object, stdin: str = "") -> Any:
        """The JSON of a command that has to succeed."""
        return await asyncio.to_thread(self.server.ok, *arguments, stdin=stdin)

    async def target(self, endpoint: str, *options: str) -> str:
        """A new target that answers with messages."""
        name = f"t-{uuid.uuid4().hex[:12]}"
        made = await self.ok(
            "target", "create", name, "--endpoint", endpoint, "--type", "call", *options
        )
        return str(made["id"])

    async def bind(self, condition: str, *targets: str) -> None:
        """Set which targets are called for it."""
        await self.ok("execution", "set", condition, *(targets or ("--clear",)))

    def file(self, document: object) -> Path:
        """A file with this document."""
        path = self.directory / "call.json"
        path.write_text(json.dumps(document))
        return path


@pytest.fixture
def user(server, tmp_path: Path) -> User:
    """At the server of all tests."""
    return User(server, tmp_path)


REQUEST = {"fullMethod": METHOD, "request": {"query": {"limit": 10}}, "userId": "42"}


async def test_a_request_runs_through_its_targets(user):
    """
    The message that they leave, and below it who was called and how that went.
    """
    async with Receiver([Answer(body=CHANGED)]) as receiver:
        target = await user.target(receiver.url)
        failing = await user.target(NOWHERE)
        await user.bind(f"request{METHOD}", target, failing)
        result = await user.run("intercept", "request", user.file(REQUEST))
        (call,) = receiver.calls

    message, _, calls = result.out.partition("\n\nCalls of ")
    assert 0 == result.code, result.err
    assert re.search(r"Interception \d{18,19}: the server's log has the reasons", result.err)
    assert json.loads(CHANGED) == json.loads(message)
    execution, _, *rows = calls.splitlines()
    assert f"request{METHOD}" == execution
    assert [[target, "accepted"], [failing, "unreachable"]] == [row.split()[:2] for row in rows]
    assert "refused" in rows[1]
    sent = json.loads(call.body)
    assert ({"query": {"limit": 10}}, "42") == (sent["request"], sent["userID"])


async def test_ctrl_c_ends_it_while_a_target_hangs(user, server):
    """
    Who waits for a slow target may change his mind: he need not sit out the time-out.
    """
    released = asyncio.Event()
    async with Receiver([Answer(hang_until=released)]) as receiver:
        target = await user.target(receiver.url)
        await user.bind(f"request{METHOD}", target)
        waiting = RunningCommand(
            *("intercept", "request", user.file(REQUEST)),
            *("--url", server.url, "--data-dir", server.data_dir),
        )
        try:
            await receiver.wait_for(1)
            code = await asyncio.to_thread(waiting.stop)
        finally:
            waiting.kill()
        # Only now could the target have answered.
        released.set()

    assert ExitCode.INTERRUPTED == code, waiting.output


async def test_a_response_for_programs(user):
    """
    The server's answer as it is; the call comes from another program.
    """
    async with Receiver([Answer(body=CHANGED_RESPONSE)]) as receiver:
        target = await user.target(receiver.url)
        await user.bind(f"response{METHOD}", target)
        document = {**REQUEST, "fullMethod": "/other.Service/Do", "response": {"sessions": []}}
        answer = await user.ok(
            "intercept", "response", "-", "--method", METHOD, stdin=json.dumps(document)
        )

    assert json.loads(CHANGED_RESPONSE) == answer["response"]
    assert answer["interceptionId"].isdecimal()
    assert f"response{METHOD}" == answer["execution"]
    assert [target] == [call["targetId"] for call in answer["calls"]]


async def test_a_function_shows_the_claims_too(user):
    """
    A developer of a target wants to see the content of the token.
    """
    answer = {"append_claims": [{"key": "role", "value": "admin"}]}
    async with Receiver([Answer(body=json.dumps(answer).encode())]) as receiver:
        await user.bind("function/preaccesstoken", await user.target(receiver.url))
        file = user.file({"function": "preuserinfo", "payload": {"userinfo": {"sub": "42"}}})
        result = await user.run("intercept", "function", file, "--function", "preaccesstoken")

    message, claims, calls = result.out.split("\n\n")
    assert 0 == result.code, result.err
    assert answer == json.loads(message)
    assert {"role": "admin"} == json.loads(claims.removeprefix("Claims"))
    assert calls.startswith("Calls of function/preaccesstoken")


async def test_a_call_that_becomes_a_delivery_says_so(user):
    """
    An empty cell would look like a call that was left out.
    """
    made = await user.ok(
        "target", "create", uuid.uuid4().hex, "--endpoint", NOWHERE, "--type", "async"
    )
    await user.bind(f"request{METHOD}", made["id"])
    result = await user.run("intercept", "request", user.file(REQUEST))

    assert f"{made['id']}  becomes a delivery  -" == result.out.splitlines()[-1]


async def test_that_nothing_matches_is_reported(user):
    """
    A message that comes back as it was looks like a target that changed nothing.
    """
    await user.bind(f"request{METHOD}")
    result = await user.run("intercept", "request", user.file(REQUEST))

    assert (0, REQUEST["request"]) == (result.code, json.loads(result.out))
    assert "outrider explain" in result.err


async def test_a_target_that_interrupts_has_its_own_exit_code(user):
    """
    Its 401 is about the intercepted caller, and not about the operator's token.
    """
    async with Receiver([Answer(body=FORWARDED)]) as receiver:
        target = await user.target(receiver.url, "--interrupt-on-error")
        await user.bind(f"request{METHOD}", target)
        result = await user.run("intercept", "request", user.file(REQUEST))

    assert (ExitCode.STOPPED, "") == (result.code, result.out)
    assert "not today (EXEC-reUaUZCzCp) (unauthenticated)" in result.err
    assert f"target {target} interrupted the call" in result.err
    assert re.search(r"with the interception_id \d{18,19}", result.err)


async def test_the_time_is_the_callers(user):
    """
    A target that hangs costs no more than was given to it.
    """
    silence = asyncio.Event()
    async with Receiver([Answer(hang_until=silence)]) as receiver:
        await user.bind(f"request{METHOD}", await user.target(receiver.url))
        answer = await user.ok("intercept", "request", user.file(REQUEST), "--timeout", "500ms")

    assert ["OUTCOME_UNREACHABLE"] == [call["outcome"] for call in answer["calls"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[]", "must be a JSON object"),
        ('{"fullMethod": 1}', "full_method"),
        ('{"function": "x"}', "function"),
    ],
)
async def test_a_file_that_is_no_call_is_a_usage_error(user, text, message):
    """
    Before anything is sent, and with the name of what is wrong.
    """
    result = await user.run("intercept", "request", "-", stdin=text)

    assert (ExitCode.USAGE, "") == (result.code, result.out)
    assert result.err.startswith("Error: -: ")
    assert message in result.err


async def test_a_method_that_cannot_be_one_is_refused_by_the_server(user):
    """
    It would match nothing, as if no target was bound.
    """
    result = await user.run("intercept", "request", user.file(REQUEST), "--method", "ListSessions")

    assert ExitCode.FAILED == result.code
    assert "value must be /package.Service/Method" in result.err


# Explain


async def test_why_a_method_matches_what_it_does(user):
    """
    The winner first, those that lost, and what each target would be called for.
    """
    service = METHOD.rpartition("/")[0]
    target = await user.target(NOWHERE)
    await user.bind(f"request{METHOD}", target)
    await user.bind(f"request{service}", target)
    result = await user.run("explain", "request", METHOD)
    await user.bind(f"request{service}")

    candidates, targets = result.out.split("\n\n")
    _, *rows = candidates.splitlines()
    assert [f"request{METHOD}", f"request{service}"] == [row.split()[0] for row in rows]
    assert ["chosen:", "not"] == [row.split()[1] for row in rows]
    assert [target, "yes"] == [targets.splitlines()[-1].split()[index] for index in (0, 2)]


@pytest.mark.parametrize(
    "query",
    [
        ("response", "/zitadel.user.v2.UserService/ListUsers"),
        ("function", "presamlresponse"),
        ("event", "project.removed"),
    ],
    ids=" ".join,
)
async def test_everything_that_can_be_bound_can_be_explained(user, query):
    """
    By the words that conditions are made of.
    """
    kind, name = query
    condition = f"{kind}/{name.removeprefix('/')}"
    nothing = await user.run("explain", *query)
    target = await user.target(NOWHERE)
    await user.bind(condition, target)
    found = await user.ok("explain", *query)
    await user.bind(condition)

    assert (0, "") == (nothing.code, nothing.out)
    assert "Nothing matches." in nothing.err
    assert condition == found["matched"]
    assert [target] == [listed["targetId"] for listed in found["targets"]]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            ("request", METHOD.replace("Sessions", "Sesions")),
            f"Sesions is unknown; did you mean {METHOD} or",
        ),
        (("function", "preuserInfo"), "preuserInfo is unknown; did you mean preuserinfo?"),
        (("event", "user.human.aded"), "unknown; did you mean user.human.added or "),
        (("event", "qqqqq.q"), "qqqqq.q is unknown: it was never registered or published."),
    ],
    ids=["request", "function", "event", "nothing alike"],
)
async def test_a_misspelled_name_is_reported(user, query, text):
    """
    That nothing matches would be true, and would send the operator to look at executions.
    """
    result = await user.run("explain", *query)

    assert 0 == result.code
    assert text in result.err


async def test_what_cannot_be_explained_is_refused(user):
    """
    A wildcard is a condition and never happens.
    """
    result = await user.run("explain", "event", "user.*")

    assert ExitCode.FAILED == result.code
    assert "has no wildcard" in result.err


# A test of a target


async def test_a_target_is_tried_with_a_sample(user):
    """
    How it ended, what came back, and what was sent.
    """
    async with Receiver([Answer(body=b"\x1b[2Jfine")]) as receiver:
        target = await user.target(receiver.url)
        result = await user.run("target", "test", target)
        (call,) = receiver.calls

    fields, answer, payload = result.out.split("\n\n")
    shown = dict(line.split(maxsplit=1) for line in fields.splitlines())
    assert 0 == result.code, result.err
    assert {"outcome": "accepted", "status": "200", "stage": "answer"}.items() <= shown.items()
    assert "Answer\n\\x1b[2Jfine" == answer
    assert json.loads(call.body) == json.loads(payload.removeprefix("Payload"))
    assert "true" == call.header("Outrider-Test")


async def test_a_target_whose_answer_cannot_be_used_does_not_accept(user):
    """
    With its status 200 it looks fine, until the first real call.
    """
    async with Receiver([Answer(body=b"no JSON")]) as receiver:
        target = await user.target(receiver.url, "--interrupt-on-error")
        await user.bind(f"request{METHOD}", target)
        result = await user.run("target", "test", target)
        await user.bind(f"request{METHOD}")

    shown = dict(
        re.split(r"  +", line, maxsplit=1) for line in result.out.split("\n\n")[0].splitlines()
    )
    assert ExitCode.FAILED == result.code
    assert "does not accept: failed" in result.err
    assert {
        "outcome": "failed",
        "status": "200",
        "error": "the answer is not JSON",
        "execution": f"request{METHOD}",
        "caller gets": "Execution failed (EXEC-dra6yamk98) (failed_precondition)",
    }.items() <= shown.items()


async def test_a_target_is_tried_with_a_file(user):
    """
    From a file or from another program.
    """
    async with Receiver() as receiver:
        target = await user.target(receiver.url)
        await user.ok("target", "test", target, "--file", user.file({"a": 1}))
        await user.ok("target", "test", target, "--file", "-", stdin='{"b": 2}')

    assert [b'{"a":1}', b'{"b":2}'] == [call.body for call in receiver.calls]


async def test_a_target_that_does_not_accept_ends_with_1(user):
    """
    So that a deployment can stop at it.
    """
    target = await user.target(NOWHERE)
    result = await user.run("target", "test", target)
    as_json = await user.run("target", "test", target, "--json")
    missing = await user.run("target", "test", "1")

    assert [ExitCode.FAILED] * 3 == [command.code for command in (result, as_json, missing)]
    assert "does not accept: unreachable" in result.err
    assert "error    " in result.out
    assert "OUTCOME_UNREACHABLE" == as_json.json["attempt"]["outcome"]
    assert "Target not found" in missing.err


NUMBERS = '{"id":7615917337495251231,"p":1.0,"e":1e400,"a":1,"a":-0}'


@pytest.mark.parametrize("kind", ["request", "response"])
async def test_numbers_of_messages_stay_as_they_are_written(user, kind):
    """
    From the file to the target, and from its answer to the screen.
    """
    async with Receiver([Answer(body=NUMBERS.encode())] * 2) as receiver:
        await user.bind(f"{kind}{METHOD}", await user.target(receiver.url))
        document = f'{{"fullMethod":"{METHOD}","{kind}":{NUMBERS}}}'
        shown = await user.run("intercept", kind, "-", stdin=document)
        printed = await user.run("intercept", kind, "-", "--json", stdin=document)
        first, second = receiver.calls
        await user.bind(f"{kind}{METHOD}")

    assert 0 == shown.code == printed.code, shown.err + printed.err
    assert f'"{kind}":{NUMBERS}'.encode() in first.body
    assert f'"{kind}":{NUMBERS}'.encode() in second.body
    assert NUMBERS == "".join(shown.out.partition("\n\n")[0].split())
    assert f'"{kind}":{NUMBERS}' in "".join(printed.out.split())


async def test_numbers_of_functions_stay_as_they_are_written(user):
    claims = '{"append_claims":[{"key":"n","value":[1.0,7615917337495251231]}]}'
    async with Receiver([Answer(body=claims.encode())]) as receiver:
        await user.bind("function/preuserinfo", await user.target(receiver.url))
        document = f'{{"function":"preuserinfo","payload":{{"userinfo":{NUMBERS}}}}}'
        result = await user.run("intercept", "function", "-", stdin=document)
        (call,) = receiver.calls
        await user.bind("function/preuserinfo")

    assert 0 == result.code, result.err
    assert f'"userinfo":{NUMBERS}'.encode() in call.body
    assert claims in "".join(result.out.split())
    assert '"n":[1.0,7615917337495251231]' in "".join(result.out.partition("Claims")[2].split())


async def test_numbers_of_a_test_stay_as_they_are_written(user):
    async with Receiver([Answer()]) as receiver:
        target = await user.target(receiver.url)
        result = await user.run("target", "test", target, "--file", "-", stdin=NUMBERS)
        (call,) = receiver.calls

    assert 0 == result.code, result.err
    assert NUMBERS.encode() == call.body


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('{"fullMethod":"/a.B/C","request":{},"request":{}}', "is there twice"),
        ('{"fullMethod":"/a.B/C","request":{},"requestJson":"{}"}', "may be set"),
        ('{"fullMethod":"/a.B/C","requests":{}}', "requests"),
    ],
)
async def test_a_file_that_would_lose_something_is_refused(user, document, reason):
    result = await user.run("intercept", "request", "-", stdin=document)

    assert ExitCode.USAGE == result.code
    assert reason in result.err
