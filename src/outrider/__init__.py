"""ZITADEL Actions v2 on its own feet: targets, executions, deliveries that are never lost."""

__version__ = "0.1.0"
