"""The composition root: the one package that knows every other.

Importing it opens nothing and reads no environment. `serve` supervises; `run_worker` and the
application of `bootstrap.api` are what its children run. Each of them opens the store.
"""

from outrider.bootstrap.processes import run_worker, serve
from outrider.errors import StartupError

__all__ = ["StartupError", "run_worker", "serve"]
