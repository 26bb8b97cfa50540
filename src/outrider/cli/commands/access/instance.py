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
    help="Instances: tenants of one server, chosen by host name. For the admin token alone.",
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
    name: Annotated[str, typer.Argument(metavar="NAME", help="Unique among the instances.")],
    host: Annotated[
        list[str],
        typer.Option(
            metavar="HOST",
            help="A host name that chooses it, without a port. Give it more than once.",
        ),
    ],
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an instance. The token of its first owner is shown once and never again."""
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
    """List instances, oldest first. The default one has every host name that is no other's."""
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
    instance: Annotated[str, typer.Argument(metavar="ID", help="The instance's id, not its name.")],
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete an instance with everything in it. Its pending deliveries are not sent."""
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
