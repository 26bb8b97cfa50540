# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider instance`: several tenants on one server."""

from __future__ import annotations

from typing import Annotated

import typer

from outrider.cli.remote.client import connect
from outrider.cli.terminal.confirming import Yes, confirm
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import (
    note,
    print_fields,
    print_json,
    print_table,
    short_time,
    text_of,
)

app = typer.Typer(
    help="Manage instances: tenants of one server, selected by host name. Needs the admin token.",
    no_args_is_help=True,
)


@app.command(
    "create",
    epilog=examples(
        "outrider instance create shop --host hooks.shop.example",
        "outrider target list --url https://hooks.shop.example --token TOKEN",
    ),
)
def create_instance(
    *,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the instance. It must be unique.")
    ],
    host: Annotated[
        list[str],
        typer.Option(
            metavar="HOST",
            help="Host name that selects the instance, without a port. Repeatable.",
        ),
    ],
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create an instance. The command shows the token of its first owner only once."""
    from outrider_api.outrider.v1.instance_service_pb import CreateInstanceRequest

    server = connect(url, token, data_dir)
    response = server.call(
        server.instances.create_instance, CreateInstanceRequest(name=name, hosts=host)
    )
    if as_json:
        print_json(response)
        return
    print_fields({"id": text_of(response, "id"), "token": text_of(response, "token")})
    note("Keep the token now: it is not stored and cannot be shown again.")


@app.command("list", epilog=examples("outrider instance list", "outrider instance list --json"))
def list_instances(
    *,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List instances, oldest first.

    The default instance has every host name that no other instance has.
    """
    from outrider_api.outrider.v1.instance_service_pb import ListInstancesRequest

    server = connect(url, token, data_dir)
    response = server.call(server.instances.list_instances, ListInstancesRequest())
    if as_json:
        print_json(response)
        return
    print_table(
        ("ID", "NAME", "HOSTS", "CREATED"),
        [
            (
                text_of(listed, "id"),
                text_of(listed, "name"),
                "every other" if listed.get("isDefault") else ", ".join(listed.get("hosts", ())),
                short_time(text_of(listed, "creationDate")),
            )
            for listed in response.get("instances", ())
        ],
        empty="There is no instance.",
    )


@app.command("delete", epilog=examples("outrider instance delete 336392597046099971 --yes"))
def delete_instance(
    *,
    instance: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the instance, not its name.")
    ],
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete an instance with all its data, including its open deliveries."""
    from outrider_api.outrider.v1.instance_service_pb import DeleteInstanceRequest

    server = connect(url, token, data_dir)
    consequences = ["everything in the instance is deleted, and nothing brings it back"]
    confirm(f"Delete instance {instance}?", consequences, yes=yes)
    response = server.call(
        server.instances.delete_instance,
        DeleteInstanceRequest(id=instance),
        advice="see `outrider instance list`",
    )
    if as_json:
        print_json(response)
    else:
        print_fields({"deleted": short_time(text_of(response, "deletionDate"))})
