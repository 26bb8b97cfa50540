"""Values of which some are made for every delivery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def fast_dataclass(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """A dataclass with slots that is frozen to the type checker alone, and hashable as one.

    Python's own take three times as long to make (1.1 µs instead of 0.4 with eight fields): they
    set each field by a call. Five such values make a delivery.
    """
    return dataclass(slots=True, unsafe_hash=True, kw_only=kw_only)
