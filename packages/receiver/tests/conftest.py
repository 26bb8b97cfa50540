"""Properties are drawn alike on every run: a failure that comes and goes helps nobody."""

from __future__ import annotations

import os

from hypothesis import settings

# Who names a profile wants to search; it is registered by the service's tests.
if "HYPOTHESIS_PROFILE" not in os.environ:
    settings.register_profile("receiver", derandomize=True, deadline=None)
    settings.load_profile("receiver")
