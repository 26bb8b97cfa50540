"""`python -m outrider_receiver handlers.py`, as a developer runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from outrider_receiver.__main__ import port_of
from outrider_receiver.testing import SIGNING_KEY, Sender
from outrider_receiver.testing_jose import Issuer

HANDLERS = """
from outrider_receiver import Answer, Event, PreAccessToken, Receiver

receiver = Receiver()

@receiver.event("user.human.added")
def greet(event: Event) -> None:
    print("hello", event.user_id, flush=True)

@receiver.event("slow")
def wait(event: Event) -> None:
    print("waiting", flush=True)
    import sys
    sys.stdin.readline()

@receiver.function("preaccesstoken")
async def claims(call: PreAccessToken) -> Answer:
    return Answer(claims={"team": "staff"})
"""


def start(path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "outrider_receiver", str(path), *arguments],
        env={**kept, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(tmp_path, source: str = HANDLERS, *more: str):
    path = tmp_path / "handlers.py"
    path.write_text(source)
    process = start(path, "--port", "0", *more, OUTRIDER_SIGNING_KEY=SIGNING_KEY)
    try:
        url, _, rest = process.stdout.readline().partition("  ")
        assert "3 handlers\n" == rest
        yield process, int(url.rpartition(":")[2])
    finally:
        process.kill()
        process.communicate()


def post(port: int, call) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/any/path", body=call.body, headers=call.headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def test_a_file_of_handlers_is_served(tmp_path):
    """
    With nothing but this package and a signing key.
    """
    with serving(tmp_path) as (process, port):
        assert (204, b"") == post(port, Sender().event(user_id="42"))
        assert "hello 42\n" == process.stdout.readline()
        body = b'{"append_claims":[{"key":"team","value":"staff"}]}'
        assert (200, body) == post(port, Sender().function("preaccesstoken"))
        assert 400 == post(port, Sender("guess").event())[0]


def test_an_issuers_tokens_are_served(published, tmp_path):
    """
    Two options more, and nothing in the file of handlers.
    """
    issuer = Issuer()
    (kid, pem), documents = next(iter(issuer.private_keys.items())), {}
    tmp_path.joinpath("key.pem").write_text(pem)
    with published(documents) as origin:
        discovery = {"issuer": origin, "jwks_uri": f"{origin}/keys"}
        documents["/.well-known/openid-configuration"] = (200, json.dumps(discovery).encode(), {})
        documents["/keys"] = (200, json.dumps(issuer.jwks).encode(), {})
        more = ["--issuer", origin, "--private-key", f"{kid}={tmp_path / 'key.pem'}"]
        with serving(tmp_path, HANDLERS, *more) as (_, port):
            assert 204 == post(port, Sender(issuer=issuer, payload_type="jwe").event())[0]
            assert 400 == post(port, Sender(issuer=issuer, payload_type="jwt").event())[0]
            assert 400 == post(port, Sender().event())[0]


def test_a_connection_serves_call_after_call(tmp_path):
    """
    Senders keep connections.
    """
    with serving(tmp_path) as (_, port):
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(3):
            call = Sender().function("preaccesstoken")
            connection.request("POST", "/", body=call.body, headers=call.headers)
            answer = connection.getresponse()
            assert 200 == answer.status
            answer.read()
        connection.close()


def test_http_1_0_is_answered_and_kept_when_the_sender_asks(tmp_path):
    """
    nginx speaks it to what is behind it; a client that is not told waits for the connection's end.
    """
    call = Sender().function("preaccesstoken")
    head = "POST / HTTP/1.0\r\nContent-Length: " + str(len(call.body)) + "\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in call.headers.items())
    closed = head.encode() + b"\r\n" + call.body
    kept = head.encode() + b"Connection: keep-alive\r\n\r\n" + call.body
    with serving(tmp_path) as (_, port):
        alone, both = raw(port, closed), raw(port, kept + closed)

    assert alone.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: keep-alive" not in alone
    assert [1, 2] == [both.count(b"Connection: keep-alive\r\n"), both.count(b"HTTP/1.1 200 OK")]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_it_stops_after_what_it_is_doing_and_hangs_up_on_the_idle(tmp_path, sent):
    """
    Ctrl-C loses no work and waits for no silent client.
    """
    with serving(tmp_path) as (process, port):
        idle = socket.create_connection(("127.0.0.1", port), timeout=20)
        answers: list[tuple[int, bytes]] = []
        caller = threading.Thread(target=lambda: answers.append(post(port, Sender().event("slow"))))
        caller.start()
        assert "waiting\n" == process.stdout.readline()
        started = time.monotonic()
        process.send_signal(sent)
        assert b"" == idle.recv(1)
        process.stdin.write("go on\n")
        process.stdin.flush()
        caller.join(20)

        assert 0 == process.wait(20)
        assert [(204, b"")] == answers
        assert time.monotonic() - started < 15
        idle.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", b"501"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"431"),
        (b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
    ],
    ids=lambda value: value[:40].decode() if isinstance(value, bytes) else None,
)
def test_what_is_no_call_gets_a_status(tmp_path_factory, request_, status, one_server):
    """
    A client that reaches the port writes any bytes.
    """
    assert status in raw(one_server, request_).split(b"\r\n")[0]


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("handlers")) as (_, port):
        yield port


def test_a_body_that_ends_too_early_is_not_handled(one_server):
    """
    Half a call is none.
    """
    assert b"" == raw(one_server, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{}")


@pytest.mark.parametrize(
    ("source", "environ", "advice"),
    [
        (None, {}, "is no file of Python"),
        ("", {}, "has 0 receivers"),
        (HANDLERS + "\nother = Receiver()\n", {}, "has 2 receivers"),
        (HANDLERS, {"OUTRIDER_SIGNING_KEY": ""}, "OUTRIDER_SIGNING_KEY"),
        (HANDLERS + "\nreceiver.event('a b')(print)\n", {}, "is no name for event"),
        ("x = 1\ny = (\n", {}, "handlers.py, line 2: SyntaxError: '(' was never closed"),
        ("\nimport nowhere", {}, "handlers.py, line 2: ModuleNotFoundError: No module named"),
        ("int('x')", {}, "handlers.py, line 1: ValueError: invalid literal"),
        ("raise SystemExit('no')", {}, "handlers.py, line 1: SystemExit: no"),
    ],
)
def test_a_mistake_is_said_in_one_line(tmp_path, source, environ, advice):
    """
    Before it listens, and without a traceback.
    """
    path = tmp_path / "handlers.py"
    if source is not None:
        path.write_text(source)
    process = start(path, "--port", "0", **{"OUTRIDER_SIGNING_KEY": SIGNING_KEY, **environ})
    output, errors = process.communicate(timeout=20)

    assert (2, "") == (process.returncode, output)
    assert advice in errors
    assert 1 == errors.count("\n")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("--port", "65536"), "argument --port: invalid"),
        (("--port", "-1"), "argument --port: invalid"),
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1 port 0: Cannot assign"),
        (("--issuer", "https://a.example", "--private-key", "k.pem"), "--private-key is KID=FILE"),
    ],
)
def test_a_wrong_option_is_said_without_a_traceback(tmp_path, arguments, advice):
    """
    With what was wrong, and where.
    """
    path = tmp_path / "handlers.py"
    path.write_text(HANDLERS)
    process = start(path, "--port", "0", *arguments, OUTRIDER_SIGNING_KEY=SIGNING_KEY)
    output, errors = process.communicate(timeout=20)

    assert (2, "") == (process.returncode, output)
    assert advice in errors
    assert "Traceback" not in errors


def test_who_leaves_before_the_answer_is_a_line_in_the_log(tmp_path):
    """
    Callers have time-outs: a traceback for each would look like a fault of the handlers.
    """
    with serving(tmp_path) as (process, port):
        call = Sender().call({"event_type": "slow"}, delivery_id="1")
        head = "".join(f"{name}: {value}\r\n" for name, value in call.headers.items())
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            start_line = f"POST / HTTP/1.1\r\nContent-Length: {len(call.body)}\r\n"
            connection.sendall(f"{start_line}{head}\r\n".encode() + call.body)
            assert "waiting\n" == process.stdout.readline()
            # It is cut off, not closed: the next byte that is written fails.
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        process.stdin.write("go on\n")
        process.stdin.flush()
        assert 204 == post(port, Sender().event())[0]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)

    assert "INFO a caller left: " in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("text", ["\uff18\uff10", "8_080", " 80", "+80", "-1", "65536"])
def test_a_port_is_written_in_plain_digits(text):
    """
    int() reads more than people mean.
    """
    with pytest.raises(ValueError, match=re.escape(text)):
        port_of(text)
