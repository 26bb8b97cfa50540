"""The HTTP server, with what it lacks for input that no client should send.

pyvoy decodes the path before the application sees the request. A path whose escapes are not UTF-8
makes it raise there, and the caller would wait for ever. Envoy turns such requests away before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyvoy import PyvoyServer

FILTERS = "type.googleapis.com/envoy.extensions.filters.http"

# Every escape that is not ASCII. Identifiers and names of procedures are, so nothing is lost, and
# Envoy's limit for the size of a regular expression is too small for UTF-8.
UNDECODABLE = ".*%[89A-Fa-f][0-9A-Fa-f].*"

# Envoy's filter can only forbid; what callers get is a plain bad request.
FORBIDDEN = 403
BAD_REQUEST = 400


# Probes and older proxies speak HTTP/1.0 (nginx unless it has `proxy_http_version 1.1`), which Envoy
# answers with 426 by itself. A request may lack Host there. "~" is the host of no instance and no
# usable address: such a request is for the default instance, and is shown no URL made of it.
HTTP1_OPTIONS = {"accept_http_10": True, "default_host_for_http_10": "~"}


class ApiServer(PyvoyServer):
    """pyvoy's server; the application is named as `module:attribute`."""

    def get_envoy_config(self) -> dict[str, Any]:
        """Pyvoy's configuration with a filter in front of the application."""
        config: dict[str, Any] = super().get_envoy_config()
        for manager in connection_managers(config):
            manager["http_protocol_options"] = dict(HTTP1_OPTIONS)
            manager["http_filters"].insert(0, path_filter())
            manager["local_reply_config"] = {"mappers": [bad_path_reply()]}
        return config


def connection_managers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The part of every listener that knows HTTP."""
    for listener in config["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            yield from (network["typed_config"] for network in chain["filters"])


def path_filter() -> dict[str, Any]:
    """Forbids paths that could not be decoded; it ignores the query."""
    path = {"path": {"safe_regex": {"regex": UNDECODABLE}}}
    policy = {"permissions": [{"url_path": path}], "principals": [{"any": True}]}
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": f"{FILTERS}.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {"undecodable path": policy}},
        },
    }


def bad_path_reply() -> dict[str, Any]:
    """Return the JSON body of Envoy's own error responses. The application's responses stay as they are."""
    forbidden = {"default_value": FORBIDDEN, "runtime_key": "outrider.undecodable_path"}
    return {
        "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": forbidden}}},
        "status_code": BAD_REQUEST,
        "body_format_override": {
            "json_format": {"code": "invalid_argument", "message": "the path is not ASCII"}
        },
    }
