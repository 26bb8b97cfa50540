# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider catalogue`: what executions can be set for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from outrider.cli.remote.client import RemoteServer, connect
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.input_files import batches_of, read_bytes, read_payload
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import note, print_json, print_table, text_of

app = typer.Typer(
    help="Manage the catalogue: the methods, functions and event types that executions can name.",
    no_args_is_help=True,
)

MAX_PAGE = 1000
_PREFIX = "CATALOGUE_KIND_"


class Kind(StrEnum):
    """The kind of an entry."""

    METHOD = "method"
    FUNCTION = "function"
    EVENT_TYPE = "event-type"

    @property
    def wire_name(self) -> str:
        """Its name on the wire, without the prefix."""
        return self.value.replace("-", "_").upper()


KindOption = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        help="Kind of the entries. Default: method for /package.Service/Method, event-type for a"
        " name with a dot.",
    ),
]
Object = Annotated[str, typer.Option(metavar="JSON", help="JSON object, @file, or - .")]


@app.command(
    "list",
    epilog=examples(
        "outrider catalogue list",
        "outrider catalogue list /zitadel.session.v2.",
        "outrider catalogue list --kind function --describe --json",
        "outrider catalogue list --own",
    ),
)
def list_entries(
    *,
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="Only names that begin with this text.")
    ] = "",
    kind: Annotated[Kind | None, typer.Option(help="Only entries of this kind.")] = None,
    own: Annotated[bool, typer.Option("--own", help="Leave out built-in entries.")] = False,
    describe: Annotated[
        bool,
        typer.Option(
            "--describe", help="With --json: include schemas and examples of built-in entries."
        ),
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the entries of the catalogue by name."""
    server = connect(url, token, data_dir)
    found = [
        entry
        for entry in _entries(server, prefix, kind, describe=describe and as_json)
        if not (own and entry.get("builtIn"))
    ]
    if as_json:
        print_json({"entries": found})
        return
    print_table(
        ("KIND", "NAME", "DESCRIBED", "FROM"),
        [
            (
                text_of(entry, "kind").removeprefix(_PREFIX).lower().replace("_", "-"),
                text_of(entry, "name"),
                "yes"
                if {"schema", "example", "responseSchema", "responseExample"} & {*entry}
                else "",
                "built in" if entry.get("builtIn") else "added",
            )
            for entry in found
        ],
        empty="The catalogue has no such entries.",
    )


@app.command(
    "add",
    epilog=examples(
        "outrider catalogue add /shop.v1.Orders/Create",
        "outrider catalogue add shop.order.placed --example '{\"total\": 12.5}'",
        "outrider catalogue add /shop.v1.Orders/Create --schema @create.json",
        "outrider catalogue add price --kind function",
    ),
)
def add_entries(
    *,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names to add.")],
    kind: KindOption = None,
    schema: Object = "",
    example: Object = "",
    response_schema: Object = "",
    response_example: Object = "",
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add entries, or replace the schemas and examples of known entries.

    If an option is missing, the command removes the former schema or example.
    """
    from outrider_api.outrider.v1.catalogue_service_pb import AddEntriesRequest, CatalogueEntry

    texts = {
        "schema_json": schema,
        "example_json": example,
        "response_schema_json": response_schema,
        "response_example_json": response_example,
    }
    described = {field: read_payload(text) for field, text in texts.items() if text}
    if described and len(names) > 1:
        raise typer.BadParameter("a schema or an example is about one name")
    entries = [CatalogueEntry(kind=_wire_kind(name, kind), name=name) for name in names]
    for field, text in described.items():
        setattr(entries[0], field, text)
    server = connect(url, token, data_dir)
    response = server.call(server.catalogue.add_entries, AddEntriesRequest(entries=entries))
    if as_json:
        print_json(response)
        return
    new = int(response.get("added", 0))
    note(f"{new} of {len(entries)} entries are new.")


@app.command(
    "remove",
    epilog=examples(
        "outrider catalogue remove /shop.v1.Orders/Create",
        "outrider catalogue remove price --kind function",
    ),
)
def remove_entries(
    *,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names to remove.")],
    kind: KindOption = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove added entries. For a built-in entry, remove the added schemas and examples."""
    from outrider_api.outrider.v1.catalogue_service_pb import (
        CatalogueEntryName,
        RemoveEntriesRequest,
    )

    entries = [CatalogueEntryName(kind=_wire_kind(name, kind), name=name) for name in names]
    server = connect(url, token, data_dir)
    advice = "`outrider execution set CONDITION --clear` sets an execution to no targets."
    response = server.call(
        server.catalogue.remove_entries, RemoveEntriesRequest(entries=entries), advice=advice
    )
    if as_json:
        print_json(response)
        return
    note(f"{int(response.get('removed', 0))} of {len(entries)} entries existed and are removed.")


@app.command(
    "import",
    epilog=examples(
        "buf build -o shop.binpb && outrider catalogue import shop.binpb",
        "outrider catalogue import openapi.yaml --service shop.v1.Orders",
        "outrider catalogue import openapi.json --service shop.v1.Orders --dry-run --json",
    ),
)
def import_entries(
    *,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Binary FileDescriptorSet, or OpenAPI document in JSON or YAML. - reads"
            " standard input.",
        ),
    ],
    service: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Service name for an OpenAPI document. Its operations become /NAME/operationId.",
        ),
    ] = "",
    prefix: Annotated[
        str, typer.Option(metavar="PREFIX", help="Only methods that begin with this text.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the new entries without adding them.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add the methods of an API with schemas and examples of their requests and responses."""
    from outrider.cli.catalogue.importing import InvalidImport, entries_from
    from outrider_api.outrider.v1.catalogue_service_pb import AddEntriesRequest

    try:
        found = entries_from(read_bytes(file), service)
    except InvalidImport as failure:
        raise CommandError(
            f"{file}: {failure}",
            "give a binary FileDescriptorSet (`buf build -o FILE`), or OpenAPI in JSON or YAML",
            code=ExitCode.USAGE,
        ) from None
    entries = [entry for entry in found if entry.name.startswith(prefix)]
    if dry_run:
        _print_found(entries, as_json=as_json)
        return
    server = connect(url, token, data_dir)
    new = sum(
        int(
            server.call(server.catalogue.add_entries, AddEntriesRequest(entries=batch)).get(
                "added", 0
            )
        )
        for batch in batches_of(entries)
    )
    if as_json:
        print_json({"imported": len(entries), "added": new})
        return
    note(f"{len(entries)} methods are imported; {new} of them are new.")


def _print_found(entries: list[Any], *, as_json: bool) -> None:
    import json

    if as_json:
        print_json({"entries": [json.loads(entry.to_json()) for entry in entries]})
        return
    print_table(
        ("NAME", "SCHEMA", "RESPONSE SCHEMA"),
        [
            (
                entry.name,
                f"{len(entry.schema_json)} characters",
                f"{len(entry.response_schema_json)} characters",
            )
            for entry in entries
        ],
        empty="No method has this prefix.",
    )


def _entries(
    server: RemoteServer, prefix: str, kind: Kind | None, *, describe: bool
) -> Iterator[Mapping[str, Any]]:
    """All pages."""
    from outrider_api.outrider.v1.catalogue_service_pb import CatalogueKind, ListEntriesRequest

    request = ListEntriesRequest(
        prefix=prefix,
        kinds=[CatalogueKind[kind.wire_name]] if kind else [],
        page_size=MAX_PAGE,
        describe_built_in=describe,
    )
    while True:
        response = server.call(server.catalogue.list_entries, request)
        yield from response.get("entries", ())
        request.page_token = response.get("nextPageToken", "")
        if not request.page_token:
            return


def _wire_kind(name: str, kind: Kind | None) -> Any:
    from outrider_api.outrider.v1.catalogue_service_pb import CatalogueKind

    if kind is None:
        if name.startswith("/"):
            kind = Kind.METHOD
        elif "." in name:
            kind = Kind.EVENT_TYPE
        else:
            raise typer.BadParameter(f"give --kind: {name} may be a function or an event type")
    return CatalogueKind[kind.wire_name]
