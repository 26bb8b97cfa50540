"""Flask.

app.add_url_rule("/hook", view_func=view(receiver), methods=["POST"])
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

from outrider_receiver._calls import HttpAnswer
from outrider_receiver.receiver import Receiver


def view(receiver: Receiver) -> Callable[[], Response]:
    """The view for POST. Handlers run in the thread of the request; coroutines in a loop there."""

    def outrider_view() -> Response:
        # The server has read no more than Content-Length, nor will this.
        body = request.stream.read(receiver.max_body_bytes + 1)
        return _response(receiver.handle(body, request.headers.items()))

    return outrider_view


def _response(answer: HttpAnswer) -> Response:
    response = Response(answer.body, answer.status, list(answer.headers))
    response.content_type = answer.content_type
    if answer.status == 204:  # noqa: PLR2004 - No Content has no type
        del response.headers["Content-Type"]
    return response
