"""What the server's process imports; settings come from the environment, the parent wrote them."""

from __future__ import annotations

import os

from outrider.bootstrap.api import ApiProcess

app = ApiProcess(os.environ)
