"""The log: what it looks like, and what never is in it."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from outrider.config.loading import LogFormat, LogLevel
from outrider.errors import Unavailable
from outrider.observability.logging_setup import configure_logs
from outrider.observability.redaction import REDACTED, is_secret_name, redacted

SECRET = "hunter2-hunter2"


@pytest.fixture
def stream():
    """The log of one test; the configuration before it is put back."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object(stream):
    """
    A log collector reads lines.
    """
    configure_logs(LogLevel.INFO, LogFormat.JSON, stream=stream)

    structlog.get_logger().info("delivery.settled", delivery="1\n2", attempts=3)

    (line,) = lines(stream)
    assert ("delivery.settled", "info", 3) == (line["event"], line["level"], line["attempts"])
    assert line["timestamp"].endswith("Z")


def test_what_is_less_severe_is_left_out(stream):
    """
    The level of the settings is the level of the log.
    """
    configure_logs(LogLevel.WARNING, LogFormat.JSON, stream=stream)

    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    structlog.get_logger().warning("loud")

    assert ["loud"] == [line["event"] for line in lines(stream)]


def test_lines_of_libraries_are_redacted(stream):
    """
    asyncio and the rest log through the standard library.
    """
    configure_logs(LogLevel.INFO, LogFormat.JSON, stream=stream)

    logging.getLogger("library").error("sent %s", "Authorization: Bearer " + SECRET)

    (line,) = lines(stream)
    assert f"sent Authorization: Bearer {REDACTED}" == line["event"]


def test_a_traceback_is_redacted_too(stream):
    """
    Exceptions quote what they stumbled over.
    """
    configure_logs(LogLevel.INFO, LogFormat.JSON, stream=stream)

    error = ValueError("cannot connect to postgresql://me:" + SECRET + "@db/outrider")
    structlog.get_logger().error("store.failed", exc_info=error)

    (line,) = lines(stream)
    assert f"postgresql://{REDACTED}@db/outrider" in line["exception"]
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("log_format", LogFormat)
def test_what_is_down_is_one_line_and_no_traceback(stream, log_format):
    """
    A worker whose database is unavailable logs that twice a second: the reason must be found there.
    """
    configure_logs(LogLevel.INFO, log_format, stream=stream)
    failure = Unavailable("the database cannot be reached")
    failure.__cause__ = OSError("refused\n\tby it")

    structlog.get_logger().error("worker.poll_failed", exc_info=failure)
    structlog.get_logger().error("store.failed", exc_info=Unavailable("its disk is full"))

    assert "the database cannot be reached: refused by it" in stream.getvalue()
    assert "its disk is full" in stream.getvalue()
    assert "Traceback" not in stream.getvalue()


def test_people_get_lines_without_json(stream):
    """
    On a terminal the same line is for eyes.
    """
    configure_logs(LogLevel.INFO, LogFormat.CONSOLE, stream=stream)

    structlog.get_logger().info("started", port=8080, admin_token=SECRET)

    assert "started" in stream.getvalue()
    assert "port=8080" in stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_what_is_not_a_terminal_gets_json(stream):
    """
    Containers and services read the log by program.
    """
    configure_logs(stream=stream)

    structlog.get_logger().info("started")

    assert "started" == lines(stream)[0]["event"]


def test_the_last_configuration_counts(stream):
    """
    A line appears once, however often a process was configured.
    """
    configure_logs(LogLevel.INFO, LogFormat.JSON, stream=stream)
    configure_logs(LogLevel.INFO, LogFormat.JSON, stream=stream)

    structlog.get_logger().info("once")

    assert 1 == len(lines(stream))


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "admin_token",
        "Authorization",
        "signing_key",
        "signingKey",
        "SIGNING-KEY",
        "OUTRIDER_MASTER_KEY",
        "masterKey",
        "password",
        "client_secret",
        "Set-Cookie",
        "api-key",
        "keyFile",
        "assertion",
        "clientKeyPem",
        "database_url",
    ],
)
def test_what_is_named_like_a_secret_is_redacted(name):
    """
    In any spelling that a field, a variable or a header has.
    """
    assert is_secret_name(name)
    assert {name: REDACTED} == redacted({name: SECRET})
    assert [[name, REDACTED]] == redacted([(name, SECRET)])
    assert [[name.encode(), REDACTED]] == redacted([(name.encode(), SECRET.encode())])


@pytest.mark.parametrize(
    "name", ["token_id", "tokenId", "key", "target", "tokenizer", "secretary", "event", "key_id"]
)
def test_what_only_sounds_like_a_secret_is_shown(name):
    """
    A log that redacts identifiers cannot be searched.
    """
    assert {name: "17"} == redacted({name: "17"})


def test_an_absent_secret_is_shown_as_absent():
    """
    "Was it set at all" is the first question.
    """
    assert {"admin_token": None} == redacted({"admin_token": None})


def test_our_tokens_are_redacted_wherever_they_stand():
    """
    A token in a sentence is as good as a token in a field.
    """
    assert [f"got {REDACTED}, sorry"] == redacted(["got otr_" + "a1-_" * 10 + ", sorry"])


def test_what_accounts_log_in_with_is_redacted_wherever_it_stands():
    """
    Access tokens and assertions are JWTs; a key file has a private key, perhaps cut off.
    """
    begin, end = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"

    assert f"got {REDACTED}, sorry" == redacted(
        "got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.a-_b, sorry"
    )
    assert f"got {REDACTED}, sorry" == redacted(f"got {begin}\nMIIE\n{end}, sorry")
    assert f"got {REDACTED}" == redacted(f"got {begin}\nMIIE")


_names = st.sampled_from(["token", "signing_key", "Authorization"])
_nested = st.recursive(
    _names.map(lambda name: {name: SECRET}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(_nested)
def test_no_nesting_hides_a_secret(value):
    """
    However deep it is.
    """
    assert SECRET not in repr(redacted(value))
