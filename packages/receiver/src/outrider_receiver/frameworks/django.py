"""Django.

urlpatterns = [path("hook", view(receiver))]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from outrider_receiver._calls import HttpAnswer
from outrider_receiver.receiver import Receiver


def view(receiver: Receiver) -> Callable[[HttpRequest], HttpResponse]:
    """The view: POST, without the token of a form, which no server sends.

    Under ASGI Django runs it in a thread.
    """

    def outrider_view(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        # Not request.body: its limit is of forms, and its error is a page for people.
        body = request.read(receiver.max_body_bytes + 1)
        return _response(receiver.handle(body, request.headers.items()))

    return cast("Callable[[HttpRequest], HttpResponse]", csrf_exempt(outrider_view))


def _response(answer: HttpAnswer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)
    for name, value in answer.headers:
        response[name] = value
    if answer.status == 204:  # noqa: PLR2004 - No Content has no type
        del response["Content-Type"]
    return response
