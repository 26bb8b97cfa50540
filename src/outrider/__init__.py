"""A standalone server that implements ZITADEL Actions v2: targets, executions, signed deliveries."""

__version__ = "0.1.0"
