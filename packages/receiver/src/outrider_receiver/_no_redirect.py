"""A redirect is a failure: the keys are where the configuration says, or nowhere."""

from __future__ import annotations

from typing import Any
from urllib.request import HTTPRedirectHandler


class NoRedirect(HTTPRedirectHandler):
    """Have urllib raise what it would have followed."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: urllib then raises `HTTPError` with the status."""
        return
