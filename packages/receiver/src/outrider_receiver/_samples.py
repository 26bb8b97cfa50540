"""One call of every kind, with every member that outrider or ZITADEL sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_TIMES = {
    "creation_date": "2025-01-02T03:04:05.678901Z",
    "change_date": "2025-02-03T04:05:06Z",
}
_USER: Mapping[str, Any] = {
    "id": "312909075212468632",
    **_TIMES,
    "resource_owner": "312909075211944344",
    "sequence": 21,
    "state": 1,
    "type": 1,
    "username": "ada",
    "login_names": ["ada@example.com", "ada"],
    "preferred_login_name": "ada@example.com",
    "human": {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "nick_name": "countess",
        "display_name": "Ada Lovelace",
        "avatar_key": "avatars/ada",
        "preferred_language": "en",
        "gender": 1,
        "email": "ada@example.com",
        "is_email_verified": True,
        "phone": "+41791234567",
        "is_phone_verified": True,
        "password_change_required": True,
        "password_changed": "2025-03-04T05:06:07.123Z",
        "mfa_init_skipped": "2025-03-04T05:06:07.123Z",
    },
    "machine": {
        "name": "engine",
        "description": "a difference engine",
        "encoded_hash": "$2a$14$example",
        "access_token_type": 1,
    },
}
_GRANT: Mapping[str, Any] = {
    "id": "312909075212599704",
    **_TIMES,
    "sequence": 22,
    "roles": ["admin", "reader"],
    "grant_id": "312909075212665240",
    "state": 1,
    "user_id": "312909075212468632",
    "username": "ada",
    "user_type": 1,
    "user_resource_owner": "312909075211944344",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "display_name": "Ada Lovelace",
    "avatar_url": "https://example.com/ada.png",
    "preferred_login_name": "ada@example.com",
    "resource_owner": "312909075211944344",
    "org_name": "Analytical",
    "org_primary_domain": "analytical.example.com",
    "project_resource_owner": "312909075211944344",
    "project_id": "312909075212730776",
    "project_name": "Notes",
    "granted_org_id": "312909075212796312",
    "granted_org_name": "Royal Society",
    "granted_org_domain": "royal.example.com",
}
_TOKEN: Mapping[str, Any] = {
    "userinfo": {"sub": "312909075212468632", "name": "Ada Lovelace", "locale": "en"},
    "user": _USER,
    "user_metadata": [
        {
            **_TIMES,
            "resource_owner": "312909075211944344",
            "sequence": 23,
            "key": "team",
            "value": "ZW5naW5l",
        }
    ],
    "org": {
        "id": "312909075211944344",
        "name": "Analytical",
        "primary_domain": "analytical.example.com",
    },
    "user_grants": [_GRANT],
    "application": {"client_id": "312909075212861848"},
    "request": {"scope": ["openid", "profile", "email"]},
    "actor": {
        "actor": {"user_id": "312909075212927384", "issuer": "https://other.example.com"},
        "user_id": "312909075212992920",
        "issuer": "https://auth.example.com",
    },
    "response": {"append_claims": [{"key": "earlier", "value": True}]},
}
_CALL: Mapping[str, Any] = {
    "fullMethod": "/zitadel.user.v2.UserService/AddHumanUser",
    "instanceID": "312909075210699160",
    "orgID": "312909075211944344",
    "projectID": "312909075212730776",
    "userID": "312909075212468632",
    "request": {"profile": {"givenName": "Ada"}, "email": {"email": "ada@example.com"}},
}
_HEADERS = {"Content-Type": ["application/grpc"], "X-Forwarded-For": ["192.0.2.1", "192.0.2.2"]}

_SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "event": {
        "aggregateID": "312909075212468632",
        "aggregateType": "user",
        "resourceOwner": "312909075211944344",
        "instanceID": "312909075210699160",
        "version": "v2",
        "sequence": 7,
        "event_type": "user.human.added",
        "created_at": "2025-01-02T03:04:05.678901Z",
        "userID": "312909075212468632",
        "event_payload": {"userName": "ada", "email": "ada@example.com"},
    },
    "request": {**_CALL, "headers": _HEADERS},
    "response": {
        **_CALL,
        "response": {"userId": "312909075213058456", "details": {"sequence": "1"}},
        "headers": _HEADERS,
    },
    "preuserinfo": {"function": "function/preuserinfo", **_TOKEN},
    "preaccesstoken": {"function": "function/preaccesstoken", **_TOKEN},
    "presamlresponse": {
        "function": "function/presamlresponse",
        "userinfo": {"sub": "312909075212468632", "name": "Ada Lovelace", "locale": "en"},
        "user": _USER,
        "user_grants": [_GRANT],
        "response": {"append_attribute": [{"name": "earlier", "name_format": "", "value": ["x"]}]},
    },
}

SAMPLES: Mapping[str, bytes] = {
    name: json.dumps(sample, separators=(",", ":")).encode() for name, sample in _SAMPLES.items()
}
