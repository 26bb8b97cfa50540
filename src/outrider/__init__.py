"""outrider is a standalone Python server that implements ZITADEL Actions v2."""

__version__ = "0.1.0"
