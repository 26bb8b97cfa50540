"""Identifiers. On the wire all of them are strings; the ones we make are decimal numbers."""

from __future__ import annotations

from typing import NewType

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
