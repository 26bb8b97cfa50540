"""Interception of the calls of a `grpc.aio` server."""

from outrider.embed.asgi.exchange import Identity
from outrider.embed.grpc.interceptor import OutriderInterceptor

__all__ = ["Identity", "OutriderInterceptor"]
