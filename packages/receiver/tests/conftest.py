"""Properties are drawn alike on every run: a failure that comes and goes helps nobody."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("receiver", derandomize=True, deadline=None)
settings.load_profile("receiver")
