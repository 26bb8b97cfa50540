"""Lists that grow while a caller pages through them: nothing is skipped, nothing comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.calls.service import Service
from api.calls.steps import webhook
from api.services.zitadel.test_public_keys import KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_FIRST = 25
PAGE = 7
# Each page comes with one row more, so that a walk ends.
MAX_PAGES = 20


async def walked_by_offset(
    search: Callable[[dict[str, Any]], Awaitable[list[str]]], add: Callable[[int], Awaitable[Any]]
) -> list[str]:
    """Everything that a walk sees, oldest first, while a row is added with each page."""
    seen: list[str] = []
    for number in range(MAX_PAGES):
        page = {"offset": str(len(seen)), "limit": PAGE, "asc": True}
        found, _ = await asyncio.gather(search(page), add(AT_FIRST + number))
        seen += found
        if len(found) < PAGE:
            return seen
    raise AssertionError("the walk does not end")


async def test_a_walk_through_public_keys(service: Service):
    """
    A rotation adds a key while an inventory runs.
    """
    target = (await service.ask("CreateTarget", webhook(name="of many keys")))["id"]

    async def add(_number: int) -> str:
        request = {"targetId": target, "publicKey": KEY}
        return str((await service.ask("AddPublicKey", request))["keyId"])

    async def search(page: dict[str, Any]) -> list[str]:
        found = await service.ask("ListPublicKeys", {"targetId": target, "pagination": page})
        return [public_key["keyId"] for public_key in found.get("publicKeys", [])]

    first = [await add(number) for number in range(AT_FIRST)]
    seen = await walked_by_offset(search, add)

    assert first == seen[:AT_FIRST]
    assert len(set(seen)) == len(seen)


async def test_a_walk_through_executions(service: Service):
    """
    Terraform reads them all while another client applies a plan.
    """
    target = (await service.ask("CreateTarget", webhook(name="of many executions")))["id"]

    async def add(number: int) -> None:
        event = f"walk.number{number}"
        await service.ask("PublishEvents", {"events": [{"eventType": event}]})
        condition = {"event": {"event": event}}
        await service.ask("SetExecution", {"condition": condition, "targets": [target]})

    async def search(page: dict[str, Any]) -> list[str]:
        filters = [{"targetFilter": {"targetId": target}}]
        found = await service.ask("ListExecutions", {"filters": filters, "pagination": page})
        return [
            execution["condition"]["event"]["event"] for execution in found.get("executions", [])
        ]

    for number in range(AT_FIRST):
        await add(number)
    seen = await walked_by_offset(search, add)

    assert [f"walk.number{number}" for number in range(AT_FIRST)] == seen[:AT_FIRST]
    assert len(set(seen)) == len(seen)


async def test_a_walk_through_the_catalogue(service: Service):
    """
    Publishers add types before and behind the walker; a page's token is a position, not a number.
    """

    async def add(*names: str) -> None:
        entries = [{"kind": "CATALOGUE_KIND_EVENT_TYPE", "name": name} for name in names]
        await service.ask("AddEntries", {"entries": entries})

    first = [f"walked.m{number:02}" for number in range(AT_FIRST)]
    await add(*first)
    seen: list[str] = []
    token = ""
    for number in range(MAX_PAGES):
        request = {"prefix": "walked.", "pageSize": PAGE, "pageToken": token}
        found, _ = await asyncio.gather(
            service.ask("ListEntries", request),
            add(f"walked.a{number:02}", f"walked.z{number:02}"),
        )
        seen += [entry["name"] for entry in found.get("entries", [])]
        token = found.get("nextPageToken", "")
        if not token:
            break

    assert not token
    assert first == [name for name in seen if name in first]
    assert len(set(seen)) == len(seen)
