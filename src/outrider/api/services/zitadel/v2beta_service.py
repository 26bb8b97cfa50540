"""v2beta of a service beside its v2: the same calls with fewer fields.

Every message of v2beta is the message of v2 with the same name, without some of its fields; all
numbers are the same. So a request is read as v2's, and an answer of v2 as v2beta's.
"""

from __future__ import annotations

from typing import Any, TypeVar

from protobuf import Message

M = TypeVar("M", bound=Message[Any])


def read_as(kind: type[M], message: Message[Any]) -> M:
    """The fields that both have.

    A number that `message` does not know itself is left out, too: it cannot become a field that
    only `kind` has, nor can a field that only `message` has go out as one that nobody declared.
    """
    data = message.to_binary(write_unknown_fields=False)
    return kind.from_binary(data, ignore_unknown_fields=True)
