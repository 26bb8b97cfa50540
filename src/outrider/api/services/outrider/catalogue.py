"""The catalogue: protobuf in, one use case, protobuf out."""

from __future__ import annotations

from protobuf.wkt import Struct

from outrider.api.rpc.interceptors import Context, actor_of
from outrider.api.rpc.json_text import answer_strings, is_json_call
from outrider.api.services.messages.paging import HOW_TO_PAGE
from outrider.api.services.messages.structs import given_object
from outrider.domain.formats import go_json
from outrider.domain.routing.catalogue_entry import Entry, EntryKind, EntryName
from outrider.errors import InvalidRequest
from outrider.usecases.routing.catalogue import EntrySearch, ManageCatalogue
from outrider_api.outrider.v1 import catalogue_service_pb as pb
from outrider_api.outrider.v1.catalogue_service_connect import CatalogueService

_KINDS = {str(entry_kind.value): entry_kind for entry_kind in EntryKind}


class CatalogueHandlers(CatalogueService):
    """`outrider.v1.CatalogueService`."""

    def __init__(self, catalogue: ManageCatalogue) -> None:
        self._catalogue = catalogue

    async def list_entries(
        self, request: pb.ListEntriesRequest, ctx: Context, /
    ) -> pb.ListEntriesResponse:
        """In the order of names. A page may be shorter than asked for: an empty token marks the last."""
        search = EntrySearch(
            kinds=[EntryKind(int(kind)) for kind in request.kinds],
            prefix=request.prefix,
            after=_from_token(request.page_token),
            limit=request.page_size,
            describes_built_in=request.describe_built_in,
        )
        as_text = request.as_text or is_json_call()
        if request.as_text:
            answer_strings()
        entries, last = await self._catalogue.search(actor_of(ctx), search)
        return pb.ListEntriesResponse(
            entries=[_entry_to_proto(entry, as_text=as_text) for entry in entries],
            next_page_token="" if last is None else f"{last.kind.value}{last.name}",
        )

    async def add_entries(
        self, request: pb.AddEntriesRequest, ctx: Context, /
    ) -> pb.AddEntriesResponse:
        """All of them, or none."""
        entries = [_entry(entry, position) for position, entry in enumerate(request.entries)]
        return pb.AddEntriesResponse(added=await self._catalogue.add(actor_of(ctx), entries))

    async def remove_entries(
        self, request: pb.RemoveEntriesRequest, ctx: Context, /
    ) -> pb.RemoveEntriesResponse:
        """All of them, or none."""
        names = [EntryName(entry.name, EntryKind(int(entry.kind))) for entry in request.entries]
        return pb.RemoveEntriesResponse(removed=await self._catalogue.remove(actor_of(ctx), names))


def _from_token(token: str) -> EntryName | None:
    # Opaque to callers; here it is the kind and the name of the last entry of the page before.
    if not token:
        return None
    kind = _KINDS.get(token[0])
    if kind is None or len(token) == 1:
        raise InvalidRequest(
            "invalid ListEntriesRequest.PageToken: value is not a token of a page", hint=HOW_TO_PAGE
        )
    return EntryName(token[1:], kind)


def _entry(message: pb.CatalogueEntry, position: int) -> Entry:
    return Entry(
        kind=EntryKind(int(message.kind)),
        name=message.name,
        schema_json=_to_json(message.schema, message.schema_json, position, "Schema"),
        example_json=_to_json(message.example, message.example_json, position, "Example"),
        response_schema_json=_to_json(
            message.response_schema, message.response_schema_json, position, "ResponseSchema"
        ),
        response_example_json=_to_json(
            message.response_example, message.response_example_json, position, "ResponseExample"
        ),
    )


def _to_json(struct: Struct | None, text: str, position: int, field_name: str) -> str | None:
    name = f"AddEntriesRequest.Entries[{position}].{field_name}"
    given = given_object(struct, text, name)
    return given if given is None or isinstance(given, str) else go_json.dumps(given)


def _entry_to_proto(entry: Entry, *, as_text: bool) -> pb.CatalogueEntry:
    message = pb.CatalogueEntry(
        kind=pb.CatalogueKind(entry.kind.value), name=entry.name, built_in=entry.is_built_in
    )
    if as_text:
        message.schema_json = entry.schema_json or ""
        message.example_json = entry.example_json or ""
        message.response_schema_json = entry.response_schema_json or ""
        message.response_example_json = entry.response_example_json or ""
    else:
        message.schema = _to_struct(entry.schema_json)
        message.example = _to_struct(entry.example_json)
        message.response_schema = _to_struct(entry.response_schema_json)
        message.response_example = _to_struct(entry.response_example_json)
    return message


def _to_struct(text: str | None) -> Struct | None:
    return None if text is None else Struct.from_json(text)
