# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider doctor`: would a server run here, and if not, why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outrider.cli.commands.server.serve import (
    ConfigFile,
    DatabaseSchema,
    DatabaseUrl,
    ServerDir,
)
from outrider.cli.terminal.errors import ExitCode
from outrider.cli.terminal.options import AsJson, examples
from outrider.cli.terminal.output import print_json, printable

if TYPE_CHECKING:
    from outrider.cli.doctor.checks import Finding
    from outrider.config.loading import Settings

EXAMPLES = examples(
    "outrider doctor",
    "outrider doctor --host 0.0.0.0 --external-url https://actions.example.com",
    "outrider doctor --data-dir /var/lib/outrider --port 8080",
    "outrider doctor --url https://actions.example.com",
    "OUTRIDER_DATABASE_URL=postgresql://outrider@db.internal/outrider outrider doctor",
)

COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    *,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="As for serve.")] = None,
    port: Annotated[str | None, typer.Option(metavar="PORT", help="As for serve.")] = None,
    data_dir: ServerDir = None,
    database_url: DatabaseUrl = None,
    database_schema: DatabaseSchema = None,
    external_url: Annotated[str | None, typer.Option(metavar="URL", help="As for serve.")] = None,
    config: ConfigFile = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Check the running server there, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check whether a server can run here. Ends with 1 when something must be repaired."""
    from outrider.cli.remote.client import checked_url

    flags: dict[str, str | Path | None] = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "database_url": database_url,
        "database_schema": database_schema,
        "external_url": external_url,
        "config": config,
    }
    findings = list(_findings(flags, checked_url(url) if url else None))
    if as_json:
        print_json({"healthy": not _failed(findings), "checks": [_document(f) for f in findings]})
    else:
        _print_findings(findings)
    if _failed(findings):
        raise typer.Exit(ExitCode.FAILED)


def _findings(flags: Mapping[str, object], url: str | None) -> Iterator[Finding]:
    from outrider.cli.doctor.checks import CHECKS, LOCAL_DATABASE, check_server

    settings, finding = _check_settings(flags)
    yield finding
    postgres_url = settings.postgres_url
    for check in CHECKS:
        if postgres_url is None or check not in LOCAL_DATABASE:
            yield check(settings)
    if postgres_url is not None:
        from outrider.cli.doctor.postgres_checks import check_postgres

        yield from check_postgres(settings, postgres_url)
    if url:
        yield from check_server(url)


def _check_settings(flags: Mapping[str, object]) -> tuple[Settings, Finding]:
    """The settings; or the defaults and what is wrong, so that the other checks can go on."""
    from outrider.cli.doctor.checks import Finding, Status
    from outrider.config.loading import SettingsError, load_settings
    from outrider.config.service_links import service_links

    links = service_links(os.environ)
    ignored = f"; not read, as they are Kubernetes' own: {', '.join(links)}" if links else ""
    try:
        settings = load_settings(flags, os.environ)
        return settings, Finding("settings", Status.OK, f"can be used{ignored}")
    except SettingsError as error:
        advice = "they are explained in docs/reference/settings.md; what follows is by defaults"
        return load_settings({}, {}), Finding("settings", Status.FAIL, str(error), advice)


def _failed(findings: Sequence[Finding]) -> bool:
    return any(finding.status == "fail" for finding in findings)


def _document(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "status": finding.status,
        "message": finding.message,
        "advice": finding.advice,
    }


def _print_findings(findings: Sequence[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    indent = " " * (width + 8)
    for finding in findings:
        status = typer.style(f"{finding.status:<4}", fg=COLORS[finding.status])
        first, *rest = printable(finding.message).splitlines() or [""]
        typer.echo(f"{status}  {finding.name:<{width}}  {first}")
        for line in (*rest, *printable(finding.advice).splitlines()):
            typer.echo(indent + line)
