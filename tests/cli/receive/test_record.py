"""`outrider record` and `outrider resend`: real calls in a file that may be shown to others."""

from __future__ import annotations

import base64
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.conftest import run
from outrider.cli.receive.redaction import CallRedaction
from outrider.runtime import utc_now
from outrider_receiver import Event, Receiver, Request, refuse
from outrider_receiver.serve import ReceiverServer
from outrider_receiver.testing import SAMPLES, sign

SIGNING_KEY = "k" * 36
OTHER_KEY = "o" * 36
ADDRESS = "Ada.Lovelace@example.com"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
EVENT = {
    "aggregateID": "42",
    "event_type": "user.human.added",
    "event_payload": {
        "userName": "ada",
        "firstName": "Ada",
        "email": ADDRESS,
        "phone": "+44 20 7946 0000",
        "note": f"call {ADDRESS} or +44 20 7946 0000, bearer {JWT}",
        "encodedHash": "$2a$14$secret",
        "preferredLanguage": "en",
        "count": 3,
    },
}
SECRETS = ("Ada", "ada@", "7946", "$2a", JWT, "otr_", "Lovelace", "lovelace", "tea-time")


def send(url: str, document: object, signing_key: str | None = SIGNING_KEY) -> int:
    """The status of the answer."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {
        "Content-Type": "application/json",
        "Authorization": "Bearer otr_abcdefghijklmnop",
        "Cookie": "session=tea-time",
        "webhook-id": "77",
        "X-Forwarded-For": "192.0.2.7",
    }
    if signing_key:
        at = int(utc_now().timestamp())
        headers["ZITADEL-Signature"] = sign(body, signing_keys=signing_key, at=at)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class Development:
    """A receiver under development, with a bug or without."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.breaks = False
        receiver = Receiver(signing_keys=OTHER_KEY)
        receiver.event()(self._see)
        receiver.request()(self._see)
        self.server = ReceiverServer(receiver)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def _see(self, payload: Event | Request) -> object:
        self.seen.append(payload)
        if self.breaks:
            raise RuntimeError("a bug")
        return refuse(403, "no") if isinstance(payload, Request) else None


@pytest.fixture
def development() -> Iterator[Development]:
    running = Development()
    running.thread.start()
    yield running
    running.server.shutdown()
    running.thread.join()
    running.server.server_close()


def test_a_recorded_call_can_be_sent_again_and_tells_nothing(started, tmp_path, development):
    """
    A bug of production is brought to a desk without personal data.
    """
    out = tmp_path / "calls.jsonl"
    recorder = started(
        "record", "--out", out, "--port", 0, "--signing-key", SIGNING_KEY, "--unmask", "locality"
    )
    url = recorder.url()
    request = {"fullMethod": "/a.v1.S/M", "request": {"locality": "London"}}
    statuses = [send(url, EVENT), send(url, request), send(url, EVENT, OTHER_KEY)]
    assert [200, 200, 401] == statuses
    assert 200 == send(url, b"a.b.c")
    recorder.line_with("not recorded: the body is not JSON")
    assert 0 == recorder.stop()

    text = out.read_text()
    resend = ("resend", out, "--to", development.server.url, "--signing-key", OTHER_KEY)
    first = run(*resend)
    seen = list(development.seen)
    development.breaks = True
    failed = run(*resend)

    assert 2 == len(text.splitlines())
    assert [] == [secret for secret in (*SECRETS, "192.0.2.7", "v1=") if secret in text]
    assert 0o600 == out.stat().st_mode & 0o777
    assert 1 == first.code  # a 204 for the event is not the 200 of the recorder
    event, call = seen
    assert ("42", "user.human.added") == (event.aggregate_id, event.event_type)
    assert "person1@redacted.example" == event.event_payload["email"]
    assert ("en", 3) == (
        event.event_payload["preferredLanguage"],
        event.event_payload["count"],
    )
    assert {"locality": "London"} == call.request
    assert 1 == failed.code
    assert "answered 500  was 200" in failed.out


def test_calls_of_a_server_are_recorded_on_their_way_to_the_laptop(
    started, server, tmp_path, development
):
    """
    What the program answered is recorded too, and resending compares with that.
    """
    out = tmp_path / "calls.jsonl"
    arguments = ("--url", server.url, "--data-dir", server.data_dir, "--name", "recorded")
    recorder = started("record", "--out", out, "--forward", development.server.url, *arguments)
    _, target, _, _, signing_key = recorder.line_with("signing key").split()
    development.server.receiver.signing_keys = signing_key
    tested = server.ok("target", "test", target.rstrip(","))
    recorder.line_with("answered 204")
    recorder.stop()
    development.server.receiver.signing_keys = OTHER_KEY

    resent = run("resend", out, "--to", development.server.url, "--signing-key", OTHER_KEY)
    development.breaks = True
    failed = run("resend", out, "--to", development.server.url, "--signing-key", OTHER_KEY)

    assert "OUTCOME_ACCEPTED" == tested["attempt"]["outcome"]
    assert 0 == resent.code, resent.out + resent.err
    assert "1 sent, 0 answered differently" in resent.err
    assert 1 == failed.code


def test_who_occurs_again_is_the_same_person_again():
    """
    A bug that needs two calls of one user stays visible.
    """
    redaction = CallRedaction()
    redacted = redaction.document({"email": ADDRESS, "a": f"{ADDRESS.lower()}, eve@example.org"})

    assert {
        "email": "person1@redacted.example",
        "a": "person1@redacted.example, person2@redacted.example",
    } == redacted
    assert redacted == redaction.document(redacted)


REDACTED = {
    "login_names": (["ada", ADDRESS], ["***", "person1@redacted.example"]),
    "clientSecret": ("s", "***"),
    "password": (
        {"password": "p", "changeRequired": True},
        {"password": "***", "changeRequired": True},
    ),
    "verificationCode": ("123456", "***"),
    "is_email_verified": (True, True),
    "password_changed": ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    "org": ({"id": "7", "name": "ACME"}, {"id": "7", "name": "ACME"}),
    "userinfo": ({"sub": "42", "name": "Ada"}, {"sub": "42", "name": "***"}),
    "user_metadata": (
        [{"key": "plan", "value": "ZnJlZQ=="}],
        [{"key": "plan", "value": base64.b64encode(b"***").decode()}],
    ),
    "append_claims": (
        [{"key": "given_name", "value": "Ada"}, {"key": "plan", "value": "free"}],
        [{"key": "given_name", "value": "***"}, {"key": "plan", "value": "free"}],
    ),
    "append_attribute": (
        [{"name": "displayName", "value": ["Ada"]}],
        [{"name": "displayName", "value": ["***"]}],
    ),
    "headers": ({"Cookie": ["a=b"], "Accept": ["*/*"]}, {"Cookie": ["***"], "Accept": ["*/*"]}),
    "by_address": ({ADDRESS: 1}, {"person1@redacted.example": 1}),
    "id": ("1002128326749323265", "1002128326749323265"),
    "phone": ("", ""),
    "link": (
        "https://a.example/?code=abc&login_hint=ada%40example.org&state=open#id_token=x",
        "https://a.example/?code=***&login_hint=person1@redacted.example&state=open#id_token=***",
    ),
    "written": ("mailto:ada%40example.org", "mailto:person1@redacted.example"),
    "home": ({"country": "CH", "region": "BE"}, {"country": "***", "region": "***"}),
    "web_authn": (
        {"challenge": "abc", "credentialID": "x"},
        {"challenge": "***", "credentialID": "***"},
    ),
}


@pytest.mark.parametrize("name", REDACTED)
def test_a_field_is_redacted_in_its_shape(name):
    """
    Handlers continue to work: text stays text, a list a list, a switch a switch.
    """
    value, expected = REDACTED[name]

    assert {name: expected} == CallRedaction().document({name: value})
    assert {name: value} == CallRedaction(unredacted=[name]).document({name: value})


PERSONAL = (
    *("Ada", "Lovelace", "countess", '"ada', "ada@", "/ada", "41791234567"),
    *("$2a$", "192.0.2", "ZW5naW5l"),
)


@pytest.mark.parametrize("kind", SAMPLES)
def test_nothing_of_a_person_is_left_of_any_kind_of_call(kind):
    """
    A recording is given to colleagues, and put into a repository.
    """
    sample = SAMPLES[kind].decode()
    redacted = json.dumps(CallRedaction().document(json.loads(sample)))

    assert any(word in sample for word in PERSONAL)
    assert [] == [word for word in PERSONAL if word in redacted]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just(ADDRESS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["email", "x", "code", "value", "key", "name"]), inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_nothing_of_an_address_is_left_wherever_it_stands(document):
    """
    Senders put personal data where no list of fields has it.
    """
    assert ADDRESS not in json.dumps(CallRedaction().document(document))


@pytest.mark.parametrize("line", ["{}", "x", '{"headers": 1, "body": {}, "status": 200}', "[]"])
def test_a_file_that_is_no_recording_is_named(tmp_path, line):
    """
    With the line, so that a file that was edited by hand can be corrected.
    """
    path = tmp_path / "calls.jsonl"
    path.write_text(f"\n{line}\n")

    result = run("resend", path, "--to", "http://127.0.0.1:9/", "--signing-key", "k")

    assert 2 == result.code
    assert "line 2" in result.err


def test_a_deep_document_ends_somewhere():
    """
    Bodies come from strangers.
    """
    deep: object = ADDRESS
    for _ in range(300):
        deep = [deep]

    assert ADDRESS not in json.dumps(CallRedaction().document({"email": deep, "x": deep}))


@pytest.mark.parametrize(
    "arguments",
    [
        ("record", "--out", "/nonexistent/calls.jsonl"),
        ("record",),
        ("resend", "missing.jsonl", "--to", "http://127.0.0.1:9/", "--signing-key", "k"),
        ("resend", "missing.jsonl", "--to", "nowhere", "--signing-key", "k"),
        ("resend", "missing.jsonl", "--to", "http://127.0.0.1:9/", "--signing-key", ""),
        ("listen", "--forward", "http://127.0.0.1:9/", "--name", "A", "--token", "t"),
        ("listen", "--forward", "http://127.0.0.1:9/", "--fail-first", "1", "--token", "t"),
    ],
)
def test_what_cannot_be_meant_does_nothing(arguments, tmp_path: Path):
    """
    A usage error names its cause.
    """
    result = run(*arguments, cwd=tmp_path)

    assert 2 == result.code
    assert result.err
