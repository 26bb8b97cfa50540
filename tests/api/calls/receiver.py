"""Receivers for rows: the path of a target's endpoint chooses the answer.

    create(of_type("restCall", endpoint=answering({"a": 1})))

They listen on an address of this machine that the service's strict egress profile lets pass; that
of every other receiver stays forbidden.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from outrider.testing.receiver import Answer, ReceivedCall

HOST = "127.77.0.1"
NOBODY = f"http://{HOST}:9/hook"
"""Where nobody listens: the discard port."""
ECHO = "$receiver/echo/"
"""With the name of a member behind it: answered with that member of the payload."""
LONG = "$receiver/long/"
"""With a number behind it: answered with so many letters x."""


def answering(body: object = b"", status: int = 200) -> str:
    """An endpoint that is answered so; what is not bytes is made JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"$receiver/{status}/{urlsafe_b64encode(sent).decode()}"


def forwarding(status: Any, message: str) -> str:
    """An endpoint that forwards an error."""
    return answering({"forwardedStatusCode": status, "forwardedErrorMessage": message})


def by_path(call: ReceivedCall) -> Answer:
    """The answer that the path asks for."""
    _, how, what = call.path.split("/", 2)
    if how == "echo":
        return Answer(body=json.dumps(json.loads(call.body)[what]).encode())
    if how == "long":
        return Answer(body=b"x" * int(what))
    return Answer(status=int(how), body=urlsafe_b64decode(what))
