"""Limits of what callers may hold before the application has seen their requests.

Each number is a bound on memory or time that a caller without a token takes; none of them is one
that a client of the API meets.
"""

from __future__ import annotations

import resource
from typing import Any

from outrider.server.envoy_config import connection_managers

MAX_HEADERS_KIB = 16
MAX_HEADERS = 100

# How long a client may take to send the headers of a request, and all of it.
HEADERS_TIMEOUT = "10s"
REQUEST_TIMEOUT = "60s"

# What Envoy keeps of a body that the application has not asked for, for each connection.
BUFFER_BYTES = 256 * 1024
# The same over HTTP/2, where a connection carries many requests at the same time.
STREAM_WINDOW_BYTES = BUFFER_BYTES
CONNECTION_WINDOW_BYTES = 1024 * 1024
MAX_STREAMS = 1000

MAX_CONNECTIONS = 10_000

_MONITORS = "type.googleapis.com/envoy.extensions.resource_monitors"
_MONITOR = "envoy.resource_monitors.global_downstream_max_connections"


def set_limits(config: dict[str, Any]) -> None:
    """Set them in a configuration of Envoy."""
    for listener in config["static_resources"]["listeners"]:
        listener["per_connection_buffer_limit_bytes"] = BUFFER_BYTES
    for manager in connection_managers(config):
        manager["max_request_headers_kb"] = MAX_HEADERS_KIB
        manager["request_headers_timeout"] = HEADERS_TIMEOUT
        manager["request_timeout"] = REQUEST_TIMEOUT
        manager.setdefault("common_http_protocol_options", {})["max_headers_count"] = MAX_HEADERS
        manager["http2_protocol_options"] = {
            "max_concurrent_streams": MAX_STREAMS,
            "initial_stream_window_size": STREAM_WINDOW_BYTES,
            "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
        }
    config["overload_manager"] = {"resource_monitors": [_connections_monitor()]}
    # The supervisor must reach the server also when callers have taken every connection.
    config["admin"]["ignore_global_conn_limit"] = True


def max_connections() -> int:
    """Return how many connections callers may have, so that files are left for the store."""
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(MAX_CONNECTIONS, open_files // 2)


def _connections_monitor() -> dict[str, Any]:
    return {
        "name": _MONITOR,
        "typed_config": {
            "@type": f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections": max_connections(),
        },
    }
