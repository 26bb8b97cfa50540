"""An example of the payload that ZITADEL passes to its functions, with all fields."""

from __future__ import annotations

from collections.abc import Mapping

from outrider.domain.interception.function import PREACCESSTOKEN, PRESAMLRESPONSE, PREUSERINFO
from outrider.domain.interception.message import JsonObject

_TIMES = {"creation_date": "2025-01-02T03:04:05Z", "change_date": "2025-01-02T03:04:05Z"}
_USERINFO = {"sub": "sample-user", "name": "Ada Lovelace"}
_USER = {
    "id": "sample-user",
    **_TIMES,
    "resource_owner": "sample-organization",
    "sequence": 1,
    "state": 1,
    "type": 1,
    "username": "ada",
    "login_names": ["ada@example.com"],
    "preferred_login_name": "ada@example.com",
    "human": {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "display_name": "Ada Lovelace",
        "preferred_language": "en",
        "email": "ada@example.com",
        "is_email_verified": True,
        "password_changed": "0001-01-01T00:00:00Z",
        "mfa_init_skipped": "0001-01-01T00:00:00Z",
    },
}
_GRANT = {
    "id": "sample-grant",
    **_TIMES,
    "sequence": 1,
    "roles": ["admin"],
    "state": 1,
    "user_id": "sample-user",
    "username": "ada",
    "user_type": 1,
    "user_resource_owner": "sample-organization",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "display_name": "Ada Lovelace",
    "preferred_login_name": "ada@example.com",
    "resource_owner": "sample-organization",
    "org_name": "Sample",
    "org_primary_domain": "sample.example.com",
    "project_id": "sample-project",
    "project_name": "Notes",
}
_TOKEN: JsonObject = {
    "userinfo": _USERINFO,
    "user": _USER,
    "user_metadata": [
        {
            **_TIMES,
            "resource_owner": "sample-organization",
            "sequence": 1,
            "key": "team",
            "value": "ZW5naW5l",
        }
    ],
    "org": {
        "id": "sample-organization",
        "name": "Sample",
        "primary_domain": "sample.example.com",
    },
    "user_grants": [_GRANT],
    "application": {"client_id": "sample-client"},
    "request": {"scope": ["openid", "profile", "email"]},
}

FUNCTION_EXAMPLES: Mapping[str, JsonObject] = {
    PREUSERINFO: _TOKEN,
    PREACCESSTOKEN: _TOKEN,
    PRESAMLRESPONSE: {"userinfo": _USERINFO, "user": _USER, "user_grants": [_GRANT]},
}
"""By the function's name, without `function` and `response`, which are added to it."""
