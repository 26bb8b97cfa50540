"""The reference pages of the documentation, made from the declarations they are about.

`make generate` writes them; a test holds that they are current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from outrider.cli.main import app
from outrider.cli.terminal.errors import ExitCode
from outrider.config.loading import DEFAULT_FILE, OTHER_NAMES, SETTINGS

WIDTH = 88

EXITS = {
    ExitCode.OK: "Done.",
    ExitCode.FAILED: "The server rejected the call, found nothing, or a check failed.",
    ExitCode.USAGE: "The command line, a file that it names, or a setting is invalid. The command did nothing.",
    ExitCode.UNREACHABLE: "The server is unreachable or unavailable.",
    ExitCode.NOT_ALLOWED: "The token is missing or invalid, or its account lacks the permission.",
    ExitCode.STOPPED: "A target interrupted the call. The command shows its error.",
    ExitCode.INTERRUPTED: "Ctrl-C ended the command.",
    ExitCode.TERMINATED: "SIGTERM ended the command.",
}

OTHERS = {
    "OUTRIDER_CONFIG": "Path of the settings file, like `--config`.",
    "OUTRIDER_URL": "URL of the server, for commands that call its API.",
    "OUTRIDER_TOKEN": "Bearer token of these commands.",
    "OUTRIDER_SIGNING_KEY": "Signing keys of `outrider listen`, separated by spaces.",
    "OUTRIDER_PARENT_PID": "A server sets it for its child processes. Do not set it.",
}

SETTINGS_INTRO = f"""\
# Settings

outrider reads a setting from a flag of `outrider serve`, then from the environment, then from
`{DEFAULT_FILE}` in the working directory. The first source that has the setting wins. `--config FILE`
or `OUTRIDER_CONFIG` names another file. An empty environment variable counts as not set. Relative
paths are relative to the working directory. An unknown setting is an error that names its file or
variable. outrider reports all problems together.

```toml
# {DEFAULT_FILE}
port = 8080
data_dir = "/var/lib/outrider"
egress_allow = ["10.1.0.0/16", "hooks.internal"]
```

Secrets have no flag, because other users of the machine can read a command line. `outrider doctor`
checks the settings.
"""

CLI_INTRO = """\
# The command line

`outrider serve`, `worker`, `demo`, `dev`, `resend` and `doctor` do not need a running server.
`listen` and `record` need one only with `--forward`. The other commands call the API of a server. `--url` or `OUTRIDER_URL` is the address of the server. A command
takes the token from the first of `--token`, `OUTRIDER_TOKEN`, and `admin.token` in `--data-dir`
(`OUTRIDER_DATA_DIR`). For a server on this machine the command then tries `OUTRIDER_ADMIN_TOKEN`
and `./data/admin.token`.

A command prints its result to standard output: a table, or with `--json` the response of the server
as protojson. It prints notes and errors to standard error.

## Exit codes

| code | meaning |
|---:|---|
"""

CLI_SIGNALS = """
`serve`, `worker`, `dev`, `listen`, `record` and `demo` run until Ctrl-C or SIGTERM, and then exit
with 0. If a signal stops `demo` before it verified its delivery, it exits with 130. If `serve` or
`worker` gets a second signal while it stops, it ends immediately: with 130 for Ctrl-C, 143 for
SIGTERM. Every other command exits with 130 or 143 if a signal stops it: `delivery stats --watch`,
`top` (0 after `q`), and `delivery replay`, which first finishes its page and prints how to continue.
"""


def settings_page() -> str:
    """`docs/reference/settings.md`."""
    lines = [SETTINGS_INTRO]
    for setting in SETTINGS.values():
        secret = " It is a secret." if setting.secret else ""
        where = f"Environment `{setting.environ_name}`, default: {setting.default}.{secret}"
        lines += [f"## `{setting.name}`\n", f"{setting.help}\n", f"{where}\n"]
    lines += ["## Other variables\n", "These variables are not settings of a server.\n"]
    lines += ["| name | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {OTHERS[name]} |" for name in OTHER_NAMES]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """`docs/reference/cli.md`."""
    exits = "\n".join(f"| {code.value} | {EXITS[code]} |" for code in ExitCode)
    pages = [f"## `{name}`\n\n```text\n{text}\n```\n" for name, text in help_pages()]
    return CLI_INTRO + exits + "\n" + CLI_SIGNALS + "\n" + "\n".join(pages)


def help_pages() -> Iterator[tuple[str, str]]:
    """The name and the help of every command that does something, in the order of the help."""
    yield from _help_pages(typer.main.get_command(app), "outrider")


def _help_pages(command: Any, name: str) -> Iterator[tuple[str, str]]:
    commands = getattr(command, "commands", {})
    if not commands:
        context = command.context_class(command, info_name=name, terminal_width=WIDTH)
        lines = command.get_help(context).splitlines()
        yield name, "\n".join(line.rstrip() for line in lines)
    for part, child in commands.items():
        yield from _help_pages(child, f"{name} {part}")


def main(directory: Path) -> None:
    """Write both pages."""
    (directory / "settings.md").write_text(settings_page(), encoding="utf-8")
    (directory / "cli.md").write_text(cli_page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
