"""The ASGI application that Envoy's process imports; its settings come from the environment."""

from __future__ import annotations

import gc
import os

# What imports make stays: to look for garbage among it takes a tenth of the start, and of every
# full collection later.
gc.disable()

from outrider.bootstrap.api import process_app  # noqa: E402 - not before the line above

gc.freeze()
gc.enable()

app = process_app(os.environ)
