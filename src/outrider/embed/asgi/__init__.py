"""Interception of the calls of an ASGI application."""

from outrider.embed.asgi.exchange import Identity
from outrider.embed.asgi.middleware import OutriderMiddleware

__all__ = ["Identity", "OutriderMiddleware"]
