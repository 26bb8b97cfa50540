"""What the command line reads and writes: conditions, durations, event files, payloads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.input_files import (
    MAX_CALL_BYTES,
    MAX_EVENTS,
    batches_of,
    read_events,
    read_payload,
)
from outrider.cli.terminal.output import pretty_body, print_table, printable, short_time
from outrider.cli.terminal.parsing import (
    condition_id,
    condition_message,
    parse_condition,
    parse_deadline,
    parse_duration,
    parse_past,
)
from outrider_api.outrider.v1.event_service_pb import Event

NOW = datetime(2026, 1, 2, tzinfo=UTC)
OPTION = "--x"


# Conditions


CONDITIONS = [
    "request",
    "request/zitadel.session.v2.SessionService",
    "request/zitadel.session.v2.SessionService/ListSessions",
    "response",
    "response/zitadel.session.v2.SessionService/ListSessions",
    "function/preuserinfo",
    "event",
    "event/user.*",
    "event/user.human.added",
]


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_survives_the_way_to_the_server_and_back(text):
    """
    What is listed can be set.
    """
    message = condition_message(parse_condition(text))

    assert text == condition_id(json.loads(message.to_json()))


def test_a_method_may_keep_its_slash():
    """
    Users copy it with its leading slash.
    """
    with_slash = parse_condition("request//a.Service/Method")

    assert with_slash == parse_condition("request/a.Service/Method")


@pytest.mark.parametrize("text", ["", "/", "evnt/x", "function", "function/", "event/", "Event/x"])
def test_what_is_no_condition_is_a_usage_error(text):
    """
    Nothing is sent for a typo.
    """
    with pytest.raises(typer.BadParameter):
        parse_condition(text)


def test_a_condition_of_a_newer_server_is_shown_as_nothing():
    """
    A list must not fail because of one row.
    """
    assert "" == condition_id({"flow": {"name": "x"}})


# Durations


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("10s", timedelta(seconds=10)),
        ("10", timedelta(seconds=10)),
        ("500ms", timedelta(milliseconds=500)),
        ("1.5h", timedelta(minutes=90)),
        ("2m", timedelta(minutes=2)),
        ("30d", timedelta(days=30)),
    ],
)
def test_durations_are_written_as_people_do(text, duration):
    """
    Not as protobuf does.
    """
    assert duration == parse_duration(text, OPTION)
    assert NOW + duration == parse_deadline(text, OPTION, NOW)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 s", "1y", "1e3s", "٣s"])
def test_what_is_no_duration_is_a_usage_error(text):
    """
    Never a guess.
    """
    with pytest.raises(typer.BadParameter):
        parse_duration(text, OPTION)


@pytest.mark.parametrize(
    "text", ["2030-01-31T12:00:00Z", "2030-01-31T14:00:00+02:00", "2030-01-31T12:00:00"]
)
def test_a_deadline_may_be_a_time(text):
    """
    Without a zone it is UTC, wherever the command runs.
    """
    assert datetime(2030, 1, 31, 12, tzinfo=UTC) == parse_deadline(text, OPTION, NOW)


@pytest.mark.parametrize("text", ["tomorrow", "999999999d"])
def test_a_deadline_that_is_none_is_a_usage_error(text):
    """
    Nor one after the end of time.
    """
    with pytest.raises(typer.BadParameter):
        parse_deadline(text, OPTION, NOW)


def test_what_is_no_time_is_told_both_ways_to_write_one():
    """
    A user who typed "yesterday" wants the short one.
    """
    with pytest.raises(
        typer.BadParameter, match=r"'yesterday' is no time such as 2h \(ago\) or 20"
    ):
        parse_past("yesterday", OPTION, NOW)
    with pytest.raises(typer.BadParameter, match=r"such as 30d \(from now\) or 20"):
        parse_deadline("soon", OPTION, NOW)


# Event files


def written(tmp_path, text: str) -> str:
    path = tmp_path / "events"
    path.write_text(text)
    return str(path)


def test_a_payload_keeps_its_numbers_and_its_order(tmp_path):
    """
    A Struct would make floats of all numbers.
    """
    line = '{"eventType": "a", "eventPayload": {"b": 12345678901234567890, "a": "ü"}}'

    (event,) = read_events(written(tmp_path, line))

    assert event.payload is not None
    assert "event_payload_json" == event.payload.field
    assert '{"b": 12345678901234567890, "a": "ü"}' == event.payload.value


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"eventType": "a"}\n{"eventType": ', "line 2"),
        ('{"eventType": "a"}\n\n{"evntType": "a"}', "line 3"),
        ('[{"eventType": "a"}, 3]', "event 2"),
        ('[{"eventType": "a"}', "events"),
        ('{"eventType": 3}', "line 1"),
        ("\n", "holds no event"),
        ("[]", "holds no event"),
    ],
)
def test_an_event_that_cannot_be_read_is_found(tmp_path, text, where):
    """
    In a file of a thousand, the number of the line is everything. Nothing is published.
    """
    with pytest.raises(CommandError) as raised:
        read_events(written(tmp_path, text))

    assert where in raised.value.message
    assert ExitCode.USAGE is raised.value.code


def test_a_file_that_is_no_text_is_refused(tmp_path):
    """
    With its name, not with a traceback.
    """
    path = tmp_path / "events"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(CommandError, match="UTF-8"):
        read_events(str(path))


@given(st.lists(st.integers(0, 600_000), max_size=30))
def test_batches_are_never_too_large_and_lose_nothing(sizes):
    """
    The server refuses a whole call that is over its limits.
    """
    events = [Event(event_type="a", id="x" * size) for size in sizes]

    batches = list(batches_of(events))

    assert events == [event for batch in batches for event in batch]
    for batch in batches:
        assert 1 <= len(batch) <= MAX_EVENTS
        assert 1 == len(batch) or sum(len(e.to_binary()) for e in batch) <= MAX_CALL_BYTES


def test_a_batch_has_at_most_a_thousand_events():
    """
    However small they are.
    """
    assert [1000, 1000, 1] == [len(batch) for batch in batches_of([Event(event_type="a")] * 2001)]


@pytest.mark.parametrize("text", ["{", "3", '"a"', "[{}]", ""])
def test_a_payload_is_an_object(text):
    """
    Anything else does not fit into the body that targets get.
    """
    with pytest.raises(CommandError, match="--payload"):
        read_payload(text)


# Output


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.sampled_from([None, (",", ":"), (" , ", " : ")]))
def test_a_payload_that_is_shown_means_what_was_sent(value, separators):
    """
    Indenting changes blanks between the parts, and nothing else.
    """
    text = json.dumps(value, separators=separators)

    shown = pretty_body(text.encode())

    assert value == json.loads(shown)
    assert text.replace(" ", "") == shown.replace(" ", "").replace("\n", "")


def test_a_payload_is_indented():
    """
    As JSON usually is.
    """
    shown = pretty_body(b'{"a":1.50,"b":[1,{}],"c":{},"d":"x\\u0026,{}\\""}')

    assert (
        '{\n  "a": 1.50,\n  "b": [\n    1,\n    {}\n  ],\n  "c": {},\n  "d": "x\\u0026,{}\\""\n}'
        == shown
    )


@given(st.binary(max_size=50))
def test_a_payload_may_be_anything(body):
    """
    It may not be JSON, nor text at all; it never does anything to a terminal.
    """
    shown = pretty_body(body)

    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)


@given(st.text())
def test_text_can_always_be_printed(text):
    """
    Control characters and lone surrogates are escaped, the rest stays.
    """
    shown = printable(text)

    shown.encode()
    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)
    if text.isprintable():
        assert text == shown


def test_a_table_shows_strangers_texts_as_they_are(capsys):
    """
    Neither markup nor line ends nor control characters of a cell have a meaning.
    """
    print_table(("A", "B"), [("[red]x[/red]", "a\nb\x1b[0m"), ("2", "")], empty="-", indent=2)

    assert ["  A             B", "  [red]x[/red]  a b\\x1b[0m", "  2"] == (
        capsys.readouterr().out.splitlines()
    )


def test_an_empty_table_says_so_on_standard_error(capsys):
    """
    A script that counts lines counts none.
    """
    print_table(("A",), [], empty="Nothing.")

    assert ("", "Nothing.\n") == capsys.readouterr()


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        ("2026-01-02T03:04:05.678901Z", "2026-01-02 03:04:05Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05Z"),
        ("", ""),
    ],
)
def test_times_are_short(timestamp, shown):
    """
    Microseconds are for programs.
    """
    assert shown == short_time(timestamp)
