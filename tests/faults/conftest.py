"""Servers and receivers for a test that breaks something; they are those of the system tests."""

from __future__ import annotations

from system.conftest import data_dir, launch, receiver

__all__ = ["data_dir", "launch", "receiver"]
