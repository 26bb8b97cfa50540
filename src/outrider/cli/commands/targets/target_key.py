# ruff: noqa: PLC0415 - the command line starts fast because it imports late
"""`outrider target key`: the receiver's public keys, to encrypt to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from outrider.cli.remote.changes import note_changes, reported_changes
from outrider.cli.remote.client import connect
from outrider.cli.terminal.confirming import Yes, confirm
from outrider.cli.terminal.errors import CommandError, ExitCode
from outrider.cli.terminal.input_files import read_source
from outrider.cli.terminal.options import DEFAULT_URL, AsJson, DataDir, Token, Url, examples
from outrider.cli.terminal.output import (
    note,
    print_fields,
    print_json,
    print_table,
    short_time,
    text_of,
)
from outrider.cli.terminal.parsing import parse_deadline

app = typer.Typer(
    help="Manage public keys of targets. outrider encrypts payloads of type jwe with the active key.",
    no_args_is_help=True,
)

TargetArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the target.")]
KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY_ID", help="Id of the key, as in `outrider target key list`.")
]

MAX_PAGE = 1000
ADVICE = "see `outrider target list`"
# The date in the response for a target that never existed: Go's zero time.
_NEVER = "0001-01-01"


@app.command(
    "add",
    epilog=examples(
        "outrider target key add 336392597046099971 receiver.pub.pem",
        "outrider target key add 336392597046099971 receiver.pub.pem --expires 90d",
        "openssl pkey -in receiver.pem -pubout | outrider target key add 336392597046099971 -",
    ),
)
def add_key(
    *,
    target_id: TargetArgument,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="PEM file of a public key, RSA or ECDSA.")
    ],
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Expiry: 30d, or 2030-01-31T12:00:00Z. Default: never."),
    ] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add a public key. outrider does not use it until an operator activates it."""
    from protobuf.wkt import Timestamp

    from outrider.runtime import utc_now
    from outrider_api.zitadel.action.v2.action_service_pb import AddPublicKeyRequest

    until = parse_deadline(expires, "--expires", utc_now()) if expires else None
    server = connect(url, token, data_dir)
    request = AddPublicKeyRequest(
        target_id=target_id,
        public_key=_public_pem(file),
        expiration_date=Timestamp.from_datetime(until) if until else None,
    )
    response = server.call(server.actions.add_public_key, request, advice=ADVICE)
    if as_json:
        print_json(response)
        return
    print_fields({"id": text_of(response, "keyId")})
    note(f"Use it with: outrider target key activate {target_id} {text_of(response, 'keyId')}")


@app.command(
    "list",
    epilog=examples(
        "outrider target key list 336392597046099971",
        "outrider target key list 336392597046099971 --json",
    ),
)
def list_keys(
    *,
    target_id: TargetArgument,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the public keys of a target, newest first, including expired keys."""
    from outrider_api.zitadel.action.v2.action_service_pb import ListPublicKeysRequest
    from outrider_api.zitadel.filter.v2.filter_pb import PaginationRequest

    server = connect(url, token, data_dir)
    request = ListPublicKeysRequest(
        target_id=target_id, pagination=PaginationRequest(limit=MAX_PAGE)
    )
    response = server.call(server.actions.list_public_keys, request, advice=ADVICE)
    if as_json:
        print_json(response)
        return
    print_table(
        ("ID", "ACTIVE", "FINGERPRINT", "CREATED", "EXPIRES"),
        [
            (
                text_of(listed, "keyId"),
                "yes" if listed.get("active") else "no",
                text_of(listed, "fingerprint"),
                short_time(text_of(listed, "creationDate")),
                short_time(text_of(listed, "expirationDate")) or "never",
            )
            for listed in response.get("publicKeys", ())
        ],
        empty="The target has no public keys. Add one with `outrider target key add`.",
    )


@app.command(
    "activate",
    epilog=examples("outrider target key activate 336392597046099971 336392597046165507"),
)
def activate_key(
    *,
    target_id: TargetArgument,
    key_id: KeyArgument,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Activate a public key. outrider then encrypts payloads only with this key of the target."""
    from outrider_api.zitadel.action.v2.action_service_pb import ActivatePublicKeyRequest

    server = connect(url, token, data_dir)
    request = ActivatePublicKeyRequest(target_id=target_id, key_id=key_id)
    response, headers = server.call_for_headers(
        server.actions.activate_public_key, request, advice=_advice(target_id)
    )
    changes = reported_changes(headers)
    _print_change({**response, **changes}, "activated", as_json=as_json)
    if not as_json:
        note_changes(changes)


@app.command(
    "deactivate",
    epilog=examples("outrider target key deactivate 336392597046099971 336392597046165507"),
)
def deactivate_key(
    *,
    target_id: TargetArgument,
    key_id: KeyArgument,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Deactivate a public key. Without an active key outrider sends no payload of type jwe."""
    from outrider_api.zitadel.action.v2.action_service_pb import DeactivatePublicKeyRequest

    server = connect(url, token, data_dir)
    request = DeactivatePublicKeyRequest(target_id=target_id, key_id=key_id)
    response = server.call(server.actions.deactivate_public_key, request, advice=_advice(target_id))
    _print_change(response, "deactivated", as_json=as_json)


@app.command(
    "remove",
    epilog=examples("outrider target key remove 336392597046099971 336392597046165507"),
)
def remove_key(
    *,
    target_id: TargetArgument,
    key_id: KeyArgument,
    yes: Yes = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove a public key that is not active."""
    from outrider_api.zitadel.action.v2.action_service_pb import RemovePublicKeyRequest

    server = connect(url, token, data_dir)
    consequences = ["it has to be uploaded again before anything can be encrypted to it"]
    confirm(f"Remove key {key_id} of target {target_id}?", consequences, yes=yes)
    response = server.call(
        server.actions.remove_public_key,
        RemovePublicKeyRequest(target_id=target_id, key_id=key_id),
        advice=f"an active key is removed after `outrider target key deactivate {target_id} KEY_ID`",
    )
    if text_of(response, "deletionDate").startswith(_NEVER):
        raise CommandError(f"there never was a target {target_id}", ADVICE)
    if as_json:
        print_json(response)
    else:
        print_fields({"removed": short_time(text_of(response, "deletionDate"))})


def _print_change(response: dict[str, Any], what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(response)
    else:
        print_fields({what: short_time(text_of(response, "changeDate"))})


def _advice(target_id: str) -> str:
    return f"see `outrider target list` and `outrider target key list {target_id}`"


def _public_pem(source: str) -> bytes:
    text = read_source(source)
    if "PRIVATE KEY" in text:
        raise CommandError(
            f"{source} holds a private key: nothing was sent",
            "give the public one: openssl pkey -in PRIVATE.pem -pubout",
            code=ExitCode.USAGE,
        )
    return text.encode()
