# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider token`: who may call the API."""

from __future__ import annotations

from typing import Annotated

import typer

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
from outrider.cli.terminal.parsing import parse_deadline

app = CommandGroup(
    help="Manage tokens, which allow an account to call the API.", no_args_is_help=True
)


@app.command(
    "create",
    epilog=examples(
        "outrider token create shop --role EVENT_PUBLISHER",
        "outrider token create auditor --role IAM_OWNER_VIEWER --expires 30d",
        "",
        "Roles: IAM_OWNER may do everything, IAM_OWNER_VIEWER may read,",
        "EVENT_PUBLISHER may publish events and call interceptions.",
    ),
)
def create_token(
    *,
    account: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT", help="Name of the service account. Created if it is missing."
        ),
    ],
    role: Annotated[
        list[str], typer.Option(metavar="ROLE", help="Role of the account. Repeatable.")
    ],
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Expiry: 30d, or 2030-01-31T12:00:00Z. Default: never."),
    ] = None,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Create a token. The command shows it only once."""
    from protobuf.wkt import Timestamp

    from outrider.runtime import utc_now
    from outrider_api.outrider.v1.account_service_pb import CreateTokenRequest

    until = parse_deadline(expires, "--expires", utc_now()) if expires else None
    request = CreateTokenRequest(
        account=account,
        roles=role,
        expiration_date=Timestamp.from_datetime(until) if until else None,
    )
    response = server.call(server.accounts.create_token, request)
    if as_json:
        print_json(response)
        return
    print_fields({"id": text_of(response, "id"), "token": text_of(response, "token")})
    note("Keep the token now: it is not stored and cannot be shown again.")


@app.command("list", epilog=examples("outrider token list", "outrider token list --json"))
def list_tokens(
    *,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """List valid tokens without their secrets."""
    from outrider_api.outrider.v1.account_service_pb import ListTokensRequest

    response = server.call(server.accounts.list_tokens, ListTokensRequest())
    if as_json:
        print_json(response)
        return
    print_table(
        ("ID", "ACCOUNT", "ROLES", "CREATED", "EXPIRES"),
        [
            (
                text_of(listed, "id"),
                text_of(listed, "account"),
                ", ".join(listed.get("roles", ())),
                short_time(text_of(listed, "creationDate")),
                short_time(text_of(listed, "expirationDate")) or "never",
            )
            for listed in response.get("tokens", ())
        ],
        empty="There are no tokens except the admin token. Create one with `outrider token create`.",
    )


@app.command("revoke", epilog=examples("outrider token revoke 336392597046099971"))
def revoke_token(
    *,
    token_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the token, not the token itself.")
    ],
    yes: Yes = False,
    server: RemoteServer,
    as_json: AsJson = False,
) -> None:
    """Revoke a token. It becomes invalid immediately."""
    from outrider_api.outrider.v1.account_service_pb import RevokeTokenRequest

    consequences = ["programs that call with the token are refused immediately"]
    confirm(f"Revoke token {token_id}?", consequences, yes=yes)
    response = server.call(
        server.accounts.revoke_token,
        RevokeTokenRequest(id=token_id),
        advice="see `outrider token list`",
    )
    if as_json:
        print_json(response)
    else:
        print_fields({"revoked": short_time(text_of(response, "revocationDate"))})
