"""The sample as a module, for a real server in a process of its own."""

from __future__ import annotations

from api.sample import Lines, sample_app

app = sample_app(Lines())
