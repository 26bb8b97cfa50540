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
    ExitCode.FAILED: "The server refused, nothing was found, or a check failed.",
    ExitCode.USAGE: "The command line, a file it names, or a setting is wrong. Nothing was done.",
    ExitCode.UNREACHABLE: "No server answered, or it cannot do anything now.",
    ExitCode.NOT_ALLOWED: "There is no token, it is not valid, or its account may not do this.",
    ExitCode.STOPPED: "A target interrupted the call, with the error that is shown.",
    ExitCode.INTERRUPTED: "Ctrl-C.",
    ExitCode.TERMINATED: "SIGTERM.",
}

OTHERS = {
    "OUTRIDER_CONFIG": "Names the file of settings, as `--config` does.",
    "OUTRIDER_URL": "Where the server is, for commands that talk to one.",
    "OUTRIDER_TOKEN": "The bearer token of these commands.",
    "OUTRIDER_SIGNING_KEY": "The signing keys of `outrider listen`, divided by spaces.",
    "OUTRIDER_PARENT_PID": "Set by a server for its own child processes. Do not set it.",
}

SETTINGS_INTRO = f"""\
# Settings

A setting comes from a flag of `outrider serve`, from the environment, or from `{DEFAULT_FILE}` in
the working directory (another file: `--config FILE` or `OUTRIDER_CONFIG`); the first of these that
has it wins. An empty environment variable counts as not set. Relative paths are relative to the
working directory. A setting that does not exist is an error that names its file or variable, and
all problems are reported together.

```toml
# {DEFAULT_FILE}
port = 8080
data_dir = "/var/lib/outrider"
egress_allow = ["10.1.0.0/16", "hooks.internal"]
```

Secrets have no flag, because others on the machine can read a command line. `outrider doctor`
checks whether the settings can be used.
"""

CLI_INTRO = """\
# The command line

`outrider serve`, `worker`, `demo`, `listen` and `doctor` do their work themselves. The other
commands talk to a running server over its API: `--url` or `OUTRIDER_URL` is its address, and the
token is the first of `--token`, `OUTRIDER_TOKEN`, and `admin.token` in `--data-dir`
(`OUTRIDER_DATA_DIR`). For a server on this machine, `OUTRIDER_ADMIN_TOKEN` and
`./data/admin.token` are tried after them.

Results go to standard output: a table for people, or with `--json` one document for programs, the
server's response as protojson. Remarks and errors go to standard error.

## Exit codes

| code | meaning |
|---:|---|
"""

CLI_SIGNALS = """
`serve`, `worker`, `dev`, `listen`, `record` and `demo` stay up until Ctrl-C or SIGTERM, and end
with 0 then. `demo` that is interrupted before its delivery was verified ends with 130. `serve` and
`worker` that get a second signal while they stop end immediately: with 130 for Ctrl-C, 143 for SIGTERM.
Every other command that a signal ends, ends with 130 or 143: `delivery stats --watch`, `top` unless
`q` ends it, and `delivery replay`, which first finishes its page and prints how to continue.
"""


def settings_page() -> str:
    """`docs/reference/settings.md`."""
    lines = [SETTINGS_INTRO]
    for setting in SETTINGS.values():
        secret = " It is a secret." if setting.secret else ""
        where = f"Environment `{setting.environ_name}`, default: {setting.default}.{secret}"
        lines += [f"## `{setting.name}`\n", f"{setting.help}\n", f"{where}\n"]
    lines += ["## Other variables\n", "These are no settings of a server, but they are known.\n"]
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
