"""Identifiers. On the wire all of them are strings; the ones we make are decimal numbers."""

from __future__ import annotations

import re
from typing import NewType

_ID = re.compile(r"[0-9]{1,20}")

InstanceId = NewType("InstanceId", str)
TargetId = NewType("TargetId", str)
ExecutionId = NewType("ExecutionId", str)
"""What a condition is stored under, such as `event/user.human.added`."""
EventId = NewType("EventId", str)
"""Chosen by the publisher; unique inside an instance."""
DeliveryId = NewType("DeliveryId", str)
TokenId = NewType("TokenId", str)
AccountId = NewType("AccountId", str)
AccountKeyId = NewType("AccountKeyId", str)
"""The `kid` of the assertions that it signs."""
PublicKeyId = NewType("PublicKeyId", str)
WebKeyId = NewType("WebKeyId", str)
"""The `kid` of what it signs."""


def shown_id(given: str, otherwise: str = "with this id") -> str:
    """An id that a caller gave, as an error may repeat it; what looks like none may be a secret."""
    return given if _ID.fullmatch(given) else otherwise
