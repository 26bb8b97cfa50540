"""Fixtures: `pytest_plugins = ["outrider_receiver.pytest_plugin"]` in a conftest."""

from __future__ import annotations

import pytest

from outrider_receiver.testing import SIGNING_KEY, Sender


@pytest.fixture
def outrider_sender(monkeypatch: pytest.MonkeyPatch) -> Sender:
    """Makes calls; a `Receiver` that takes its keys from the environment believes them."""
    monkeypatch.setenv("OUTRIDER_SIGNING_KEY", SIGNING_KEY)
    monkeypatch.delenv("OUTRIDER_SIGNING_KEYS", raising=False)
    return Sender()
