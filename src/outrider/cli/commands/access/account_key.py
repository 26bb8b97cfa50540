# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider account key`: what programs log in with instead of a secret."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from outrider.cli.remote.client import RemoteServer
from outrider.cli.remote.command_group import CommandGroup
from outrider.cli.terminal.confirming import Yes, confirm
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.options import AsJson, examples
from outrider.cli.terminal.output import (
    note,
    print_fields,
    print_json,
    print_table,
    short_time,
    text_of,
)
from outrider.cli.terminal.parsing import parse_deadline

AccountId = Annotated[str, typer.Argument(metavar="ID", help="Id of the account, not its name.")]
ADVICE = "see `outrider account list`"


class _DefaultCreateGroup(TyperGroup):
    """`account key ID --out FILE` creates, too: scripts use the command without a verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help", "-h"}:
            args = ["create", *args]
        return super().parse_args(ctx, args)


app = CommandGroup(
    cls=_DefaultCreateGroup,
    help="Manage keys of service accounts, for the grant jwt-bearer.",
    no_args_is_help=True,
)


@app.command(
    "create",
    epilog=examples(
        "outrider account key create 336392597046099971 --out shop.json",
        "outrider account key create 336392597046099971 --out shop.json --expires 30d",
    ),
)
def create_key(
    *,
    account: AccountId,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="Path of the new key file. It must not exist."),
    ],
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Expiry: 30d, or 2030-01-31T12:00:00Z. Default: never."),
    ] = None,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Create a key and write a key file for ZITADEL clients."""
    from protobuf.wkt import Timestamp

    from outrider.runtime import utc_now
    from outrider_api.outrider.v1.account_service_pb import CreateAccountKeyRequest

    until = parse_deadline(expires, "--expires", utc_now()) if expires else None
    request = CreateAccountKeyRequest(
        account_id=account, expiration_date=Timestamp.from_datetime(until) if until else None
    )
    # Before the key is made: a key that cannot be written would be lost.
    descriptor = _open_new(out)
    with os.fdopen(descriptor, "wb") as file:
        try:
            response = server.call(server.accounts.create_account_key, request, advice=ADVICE)
        except CommandError:
            out.unlink()
            raise
        file.write(base64.b64decode(response.pop("keyFile")))
    shown = {"keyId": text_of(response, "keyId"), "file": str(out)}
    if as_json:
        print_json(shown)
    else:
        print_fields({"id": shown["keyId"], "file": shown["file"]})
        note("Keep the file: the private key is not stored and cannot be shown again.")


@app.command(
    "list",
    epilog=examples(
        "outrider account key list 336392597046099971",
        "outrider account key list 336392597046099971 --json",
    ),
)
def list_keys(
    *,
    account: AccountId,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """List the keys of an account, oldest first, including expired keys."""
    from outrider_api.outrider.v1.account_service_pb import ListAccountKeysRequest

    request = ListAccountKeysRequest(account_id=account)
    response = server.call(server.accounts.list_account_keys, request, advice=ADVICE)
    if as_json:
        print_json(response)
        return
    print_table(
        ("ID", "CREATED", "EXPIRES"),
        [
            (
                text_of(listed, "keyId"),
                short_time(text_of(listed, "creationDate")),
                short_time(text_of(listed, "expirationDate")) or "never",
            )
            for listed in response.get("keys", ())
        ],
        empty="The account has no keys. Create one with `outrider account key create`.",
    )


@app.command(
    "delete", epilog=examples("outrider account key delete 336392597046099971 336392597046165507")
)
def delete_key(
    *,
    account: AccountId,
    account_key: Annotated[
        str, typer.Argument(metavar="KEY_ID", help='The "keyId" in the key file.')
    ],
    yes: Yes = False,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Delete a key, so that no program can log in with it.

    Access tokens that were issued for the key stay valid.
    """
    from outrider_api.outrider.v1.account_service_pb import DeleteAccountKeyRequest

    consequences = ["programs that log in with the key are refused immediately"]
    confirm(f"Delete key {account_key} of account {account}?", consequences, yes=yes)
    response = server.call(
        server.accounts.delete_account_key,
        DeleteAccountKeyRequest(account_id=account, key_id=account_key),
        advice=f"see `outrider account list` and `outrider account key list {account}`",
    )
    if as_json:
        print_json(response)
    else:
        print_fields({"deleted": short_time(text_of(response, "deletionDate"))})


def _open_new(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(
            f"{path}: {error.strerror}", "name another file with --out", code=ExitCode.USAGE
        ) from None
