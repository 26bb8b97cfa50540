# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider account`: programs that log in by themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from outrider.cli.commands.access import account_key
from outrider.cli.commands.access.account_key import ADVICE, AccountId
from outrider.cli.remote.client import RemoteServer
from outrider.cli.remote.command_group import CommandGroup
from outrider.cli.terminal.confirming import Yes, confirm
from outrider.cli.terminal.options import AsJson, examples
from outrider.cli.terminal.output import (
    note,
    print_fields,
    print_json,
    print_table,
    short_time,
    text_of,
)

app = CommandGroup(
    help="Manage service accounts, with which programs log in.", no_args_is_help=True
)
app.add_typer(account_key.app, name="key")


@app.command(
    "create",
    epilog=examples(
        "outrider account create shop --role EVENT_PUBLISHER",
        "",
        "Then create a key or a secret. `outrider token create --help` lists the roles.",
    ),
)
def create_account(
    *,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the account. It must be unique.")
    ],
    role: Annotated[
        list[str], typer.Option(metavar="ROLE", help="Role of the account. Repeatable.")
    ],
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Create a service account. It cannot log in until it has a key, a secret or a token."""
    from outrider_api.outrider.v1.account_service_pb import CreateAccountRequest

    response = server.call(
        server.accounts.create_account, CreateAccountRequest(name=name, roles=role)
    )
    if as_json:
        print_json(response)
    else:
        print_fields({"id": text_of(response, "id")})


@app.command("list", epilog=examples("outrider account list", "outrider account list --json"))
def list_accounts(
    *,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """List service accounts, oldest first."""
    from outrider_api.outrider.v1.account_service_pb import ListAccountsRequest

    response = server.call(server.accounts.list_accounts, ListAccountsRequest())
    if as_json:
        print_json(response)
        return
    print_table(
        ("ID", "NAME", "ROLES", "CREATED"),
        [
            (
                text_of(listed, "id"),
                text_of(listed, "name"),
                ", ".join(listed.get("roles", ())),
                short_time(text_of(listed, "creationDate")),
            )
            for listed in response.get("accounts", ())
        ],
        empty="There are no service accounts. Create one with `outrider account create`.",
    )


@app.command("delete", epilog=examples("outrider account delete 336392597046099971"))
def delete_account(
    *,
    account: AccountId,
    yes: Yes = False,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Delete a service account. Its tokens, keys and secret become invalid immediately."""
    from outrider_api.outrider.v1.account_service_pb import DeleteAccountRequest

    consequences = ["its tokens, keys and secret are invalid immediately and cannot be restored"]
    confirm(f"Delete account {account}?", consequences, yes=yes)
    response = server.call(
        server.accounts.delete_account, DeleteAccountRequest(id=account), advice=ADVICE
    )
    if as_json:
        print_json(response)
    else:
        print_fields({"deleted": short_time(text_of(response, "deletionDate"))})


@app.command("secret", epilog=examples("outrider account secret 336392597046099971"))
def create_secret(
    *,
    account: AccountId,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Create a client secret that replaces the former one. The command shows it only once."""
    from outrider_api.outrider.v1.account_service_pb import CreateAccountSecretRequest

    response = server.call(
        server.accounts.create_account_secret,
        CreateAccountSecretRequest(account_id=account),
        advice=ADVICE,
    )
    if as_json:
        print_json(response)
        return
    print_fields(
        {
            "client id": text_of(response, "clientId"),
            "client secret": text_of(response, "clientSecret"),
        }
    )
    note("Keep the secret now: it is not stored and cannot be shown again.")
    note("replaced: a former secret of the account is now invalid.")
