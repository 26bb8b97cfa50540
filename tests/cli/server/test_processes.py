"""Commands that stay up, as processes: `serve`, `worker`, `listen`."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request

import pytest

from cli.conftest import Server, run, run_process
from outrider.runtime import utc_now
from outrider_receiver.testing import sign

SIGNING_KEY = "k" * 36
BODY = b'{"event_type":"user.human.added","event_payload":{"name":"\\u001b[31m"}}'


def post(url: str, body: bytes, *, signing_key: str | None = SIGNING_KEY) -> int:
    """The status of the answer to a call as outrider makes it."""
    headers = {"Outrider-Delivery": "77", "Outrider-Attempt": "2"}
    if signing_key:
        at = int(utc_now().timestamp())
        headers["ZITADEL-Signature"] = sign(body, signing_keys=signing_key, at=at)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


# listen


def test_listen_prints_what_comes(started):
    """
    What came, whether it is verified, and what is in it.
    """
    process = started("listen", "--port", 0, "--signing-key", SIGNING_KEY)
    url = process.url()

    assert (200, 401) == (post(url, BODY), post(url, BODY, signing_key="x" * 36))
    verified = process.line_with("POST")
    rejected = process.line_with("POST")

    assert "signature verified  user.human.added  delivery 77  attempt 2" in verified
    assert "no_match" in rejected
    assert "answered 401" in rejected
    assert 0 == process.stop()


def test_listen_never_paints_the_terminal_with_what_strangers_send(started):
    """
    A body may contain control characters; so may a path.
    """
    process = started("listen", "--port", 0)
    url = process.url()

    post(url, b"\x1b[31mred \x9b1m", signing_key=None)
    process.line_with("not verified")
    body = process.line()

    assert "\\x1b[31mred \ufffd1m" == body.strip()


def test_listen_speaks_json_to_programs(started):
    """
    One line for each call, with the body exactly as it was signed.
    """
    process = started("listen", "--port", 0, "--json", OUTRIDER_SIGNING_KEY=SIGNING_KEY)
    url = process.url()

    post(f"{url}/hook", BODY)
    call = json.loads(process.line_with("POST"))

    assert BODY.decode() == call["body"]
    assert (True, None, 200) == (call["verified"], call["verificationError"], call["status"])
    assert ("77", "2", "/hook") == (call["delivery"], call["attempt"], call["target"])
    assert "user.human.added" == call["eventType"]


def test_listen_can_fail_on_purpose(started):
    """
    To see how a sender tries again.
    """
    process = started("listen", "--port", 0, "--fail-first", 1, "--status", 204)
    url = process.url()

    assert [500, 204] == [post(url, BODY, signing_key=None) for _ in range(2)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listen_ends_quietly(started, number):
    """
    Ctrl-C is how it is meant to end.
    """
    process = started("listen", "--port", 0)
    process.url()

    assert 0 == process.stop(number)
    assert 1 == len(process.output)


def test_listen_says_when_the_port_is_taken():
    """
    And how to get another.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_process("listen", "--port", port)

    assert 1 == result.code
    assert f"Error: cannot listen on 127.0.0.1:{port}" in result.err
    assert "--port" in result.err


# serve and worker


def test_serve_keeps_its_promises_from_start_to_stop(started, tmp_path):
    """
    The line that scripts wait for, the token, a working API, and an end with 0.
    """
    data_dir = tmp_path / "data"
    process = started("serve", "--dev", "--port", 0, "--data-dir", data_dir)
    url = process.url()

    assert "targets" not in Server(url, data_dir, tmp_path).ok("target", "list")
    assert 0 == process.stop()


def test_serve_reads_its_settings_from_everywhere(started, tmp_path):
    """
    File, environment and flag, in one start.
    """
    config = tmp_path / "settings.toml"
    config.write_text(f'data_dir = "{tmp_path}/from-file"\nport = 1\n')
    environ = {"OUTRIDER_ADMIN_TOKEN": "from-environment", "OUTRIDER_PORT": "2"}

    process = started("serve", "--config", config, "--port", 0, **environ)
    url = process.url()

    assert 0 == run("target", "list", "--url", url, "--token", "from-environment").code
    assert (tmp_path / "from-file").is_dir()
    assert 0 == process.stop(signal.SIGTERM)


def test_a_second_server_on_the_same_data_is_refused(server):
    """
    Two supervisors on one database would fight; one sentence explains it.
    """
    result = run_process("serve", "--port", 0, "--data-dir", server.data_dir)

    assert 1 == result.code
    assert "Error: " in result.err
    assert str(server.data_dir) in result.err
    assert "Traceback" not in result.err


def test_serve_says_when_the_port_is_taken(tmp_path):
    """
    The commonest reason why a server does not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_process("serve", "--port", port, "--data-dir", tmp_path / "data")

    assert 1 == result.code
    assert f"port {port} on 127.0.0.1 is taken" in result.err
    assert "Traceback" not in result.err


def test_a_worker_next_to_a_server_starts_and_stops(started, server):
    """
    More deliveries at a time on the same data.
    """
    process = started("worker", "--dev", "--data-dir", server.data_dir)

    process.line_with("delivering")

    assert 0 == process.stop(signal.SIGTERM)
