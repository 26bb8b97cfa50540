"""Reaching a server: which one, with which token, and the error when it does not work."""

from __future__ import annotations

import socket

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError

from cli.conftest import run
from outrider.cli.remote.call_errors import command_error
from outrider.cli.remote.client import checked_url, is_local
from outrider.cli.terminal.errors import CommandError, ExitCode


@pytest.fixture
def closed_url() -> str:
    """A URL where no process listens: the port was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_is_not_there_is_3(closed_url, tmp_path):
    """
    A script may wait and try again.
    """
    result = run("target", "list", "--url", closed_url, "--token", "t", cwd=tmp_path)

    assert (3, "") == (result.code, result.out)
    assert f"cannot reach {closed_url}: Connection refused" in result.err
    assert "start the server there" in result.err


@pytest.mark.parametrize(
    "message", ["the database cannot be reached; try again", "the server is stopping"]
)
def test_a_server_that_cannot_work_now_is_3_and_not_called_unreachable(message):
    """
    Else its operator would search for the server in the network.
    """
    error = command_error(ConnectError(Code.UNAVAILABLE, message), "http://here.example")

    assert ExitCode.UNREACHABLE is error.code
    assert f"http://here.example cannot do this now: {message}" == error.message
    assert "outrider doctor" in error.advice


def test_the_answer_of_a_proxy_is_not_the_servers():
    """
    Behind a balancer an answer does not mean that the server is there.
    """
    error = command_error(ConnectError(Code.UNAVAILABLE, "Bad Gateway"), "http://here.example")

    assert "cannot reach http://here.example: Bad Gateway" == error.message


def test_without_a_token_nothing_is_sent(closed_url, tmp_path):
    """
    Not even a connection: the answer is known.
    """
    result = run("target", "list", "--url", closed_url, cwd=tmp_path)

    assert 4 == result.code
    assert "no token" in result.err
    assert "OUTRIDER_TOKEN" in result.err


def test_a_wrong_token_is_4(server):
    """
    Told apart from a server that refuses the request.
    """
    result = server.run("target", "list", "--token", "otr_wrong")

    assert 4 == result.code
    assert "otr_wrong" not in result.err


def test_the_token_of_the_data_directory_is_found(server):
    """
    Who may read the server's files is its owner.
    """
    result = run("target", "list", "--url", server.url, "--data-dir", server.data_dir)

    assert 0 == result.code


def test_the_default_data_directory_is_tried_for_a_local_server(server):
    """
    `outrider serve` in one terminal, `outrider target list` in the other, nothing else.
    """
    result = run("target", "list", "--url", server.url, cwd=server.directory)

    assert 0 == result.code


def test_the_admin_token_of_the_environment_is_tried_for_a_local_server(server, tmp_path):
    """
    The shell that started the server can talk to it.
    """
    token = (server.data_dir / "admin.token").read_text().strip()

    result = run("target", "list", "--url", server.url, cwd=tmp_path, OUTRIDER_ADMIN_TOKEN=token)

    assert 0 == result.code


def test_no_token_of_this_machine_goes_to_another(server):
    """
    A mistyped URL must not receive the admin token of the server at home.
    """
    result = run(
        *("target", "list", "--url", "http://outrider.invalid"),
        cwd=server.directory,
        OUTRIDER_ADMIN_TOKEN="t",
    )

    assert 4 == result.code
    assert "no token" in result.err


def test_a_data_directory_without_a_token_is_named(tmp_path):
    """
    The path that was read, and why that did not work.
    """
    result = run("target", "list", "--data-dir", tmp_path)

    assert 4 == result.code
    assert f"{tmp_path}/admin.token: No such file or directory" in result.err


def test_something_else_than_outrider_is_not_taken_for_it(server):
    """
    A path that is no API: the advice asks the right question.
    """
    result = server.run("target", "list", "--url", f"{server.url}/elsewhere")

    assert 1 == result.code
    assert "see whether http://" in result.err


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://x",
        "http://",
        "http://a b",
        "http://x:0",
        "http://x:y",
        "http://x?a",
        "http://x#a",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url):
    """
    Before anything is resolved or sent.
    """
    with pytest.raises(CommandError):
        checked_url(url)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
        ("https://10.0.0.1", False),
    ],
)
def test_what_is_this_machine(url, local):
    """
    It decides whether a token of this machine is shown.
    """
    assert local == is_local(url)
