"""Calls that an attacker makes of a recorded call, without knowing a signing key."""

from __future__ import annotations

STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
COPIES = ("zitadel", "new", "old", "upper", "more", "hearsay")


def copy(headers: dict[str, str], name: str) -> dict[str, str]:
    """Headers that an attacker makes of recorded ones, all of which verify."""
    value = headers["Zitadel-Signature"]
    stamp, *signatures = value.split(",")
    made = {
        "whole": headers,
        "zitadel": {"ZITADEL-Signature": value},
        "new": {"ZITADEL-Signature": f"{stamp},{signatures[0]}"},
        "old": {"ZITADEL-Signature": f"{stamp},{signatures[-1]}"},
        "upper": {"zitadel-signature": f"{stamp},v1={signatures[0][3:].upper()}"},
        "more": {"X-ZITADEL-Signature": f"v1={'0' * 64},{signatures[-1]},{stamp},v2=1"},
        "hearsay": {"ZITADEL-Signature": value, "webhook-id": "1", "Outrider-Delivery": "2"},
        "standard": {name: headers[name] for name in STANDARD},
    }
    return made[name]
