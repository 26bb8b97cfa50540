"""A call over REST as a message: `{"path": {…}, "query": {…}, "body": …}`, its response `{"body": …}`.

The same shape as of the methods that are imported from an OpenAPI document. A body is any JSON
value, as the text that it was written in; a call without one has no `body`. Values of path and
query are texts; of a name that the query has several times, a list of texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from outrider.domain.formats import go_json, json_members
from outrider.domain.interception.message import JSON_TEXTS, InvalidResponse

_PATH, _QUERY, _BODY = "path", "query", "body"
_NULL_BODY = '{"body":null}'


def request_message(path: Mapping[str, str], query_string: str, body: str | None) -> str:
    """Return the message of a request; `body` is valid JSON, None when there is none."""
    return _message(go_json.dumps(dict(path)), go_json.dumps(_query(query_string)), body)


def response_message(body: str) -> str:
    """Return the message of a response whose body is valid JSON."""
    return f'{{"{_BODY}":{body}}}'


def body_of(message: str) -> str | None:
    """Return the text of a message's body; None when it has none."""
    found = json_members.members_of(message).get(_BODY)
    return None if found is None else found.text


def query_string_of(message: str, before: str) -> str:
    """Return the query string of a request's message: `before`, unless it says something else."""
    found = json_members.members_of(message).get(_QUERY)
    query = _read_query({} if found is None else found.parsed)
    if query == _query(before):
        return before
    return urlencode(query, doseq=True, errors="replace")


class RestRequests:
    """`MessageType` of requests with one path: texts as `request_message` returns them.

    Targets may replace query and body. The path chose the method: an answer that leaves it out
    keeps it, one that has another is invalid.
    """

    def __init__(self, path: Mapping[str, str]) -> None:
        self._path = dict(path)

    def render(self, message: str, /) -> str:
        """Return compact JSON, escaped as Go does."""
        return JSON_TEXTS.render(message)

    def parse(self, body: bytes, /) -> str:
        """Return the message that an answer is. Raise `InvalidResponse`."""
        members = _members(body, (_PATH, _QUERY, _BODY))
        path = members.get(_PATH)
        if path is not None and not _is_same(path.parsed, self._path):
            raise InvalidResponse("the answer has another path, which cannot be replaced")
        query = members.get(_QUERY)
        if query is not None:
            _read_query(query.parsed)
        found = members.get(_BODY)
        return _message(
            go_json.dumps(self._path),
            "{}" if query is None else query.text,
            None if found is None else found.text,
        )

    def empty(self) -> str:
        """Return the request without a query and a body."""
        return _message(go_json.dumps(self._path), "{}", None)


class RestResponses:
    """`MessageType` of responses: texts as `response_message` returns them."""

    def render(self, message: str, /) -> str:
        """Return compact JSON, escaped as Go does."""
        return JSON_TEXTS.render(message)

    def parse(self, body: bytes, /) -> str:
        """Return the message that an answer is. Raise `InvalidResponse`."""
        found = _members(body, (_BODY,)).get(_BODY)
        if found is None:
            raise InvalidResponse("the answer has no body")
        return response_message(found.text)

    def empty(self) -> str:
        """Return a response of `null`."""
        return _NULL_BODY


def _message(path: str, query: str, body: str | None) -> str:
    rest = "" if body is None else f',"{_BODY}":{body}'
    return f'{{"{_PATH}":{path},"{_QUERY}":{query}{rest}}}'


def _members(body: bytes, known: tuple[str, ...]) -> Mapping[str, json_members.Value]:
    text = JSON_TEXTS.parse(body)
    try:
        members = json_members.members_of(text)
    except ValueError as problem:
        raise InvalidResponse(f"the answer cannot be read: {problem}") from None
    if not members.keys() <= set(known):
        raise InvalidResponse(f"the answer has members other than {', '.join(known)}")
    return members


def _is_same(answered: Any, path: Mapping[str, str]) -> bool:
    return isinstance(answered, dict) and path == {
        name: _text(value) for name, value in answered.items()
    }


def _query(query_string: str) -> dict[str, str | list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True, errors="replace"):
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _read_query(value: Any) -> dict[str, str | list[str]]:
    if not isinstance(value, dict):
        raise InvalidResponse("the query of the answer is not an object")
    query: dict[str, str | list[str]] = {}
    for name, found in value.items():
        texts = [_text(item) for item in found] if isinstance(found, list) else [_text(found)]
        if None in texts:
            raise InvalidResponse("the query of the answer has a value that is no text or number")
        whole = [text for text in texts if text is not None]
        query[name] = whole[0] if len(whole) == 1 else whole
    return query


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str) else None
