"""What ZITADEL's texts leave out: which part is wrong, and what to write instead, on every wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from api.calls.service import Service, running
from api.calls.steps import webhook
from api.wires import Result, Wire
from support.builders import INSTANCE

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "s3cr3t-of-the-url"
INVALID = "Target has an invalid URL (COMMAND-1r2k6qo6wg)"
DENIED = "Errors.Target.DeniedURL (COMMAND-NcJUKo)"
# endpoint -> text, reason, a part of the hint
ENDPOINTS: Mapping[str, tuple[str, str, str]] = {
    f"https://user:{SECRET}@a.example/": (
        INVALID,
        "the URL contains user information",
        "outrider target policy set",
    ),
    f"https://a.example/#{SECRET}": (INVALID, "the URL contains a fragment", "%23"),
    f"https://a.example/ {SECRET}": (
        INVALID,
        "the URL contains a space or a control character at position 19",
        "%20",
    ),
    f" https://a.example/{SECRET}": (
        INVALID,
        "the URL contains a space or a control character at position 1",
        "remove it",
    ),
    f"a.example/{SECRET}": (
        INVALID,
        "the URL is not absolute: it needs http:// or https://",
        "https://hooks.example.com/path",
    ),
    f"ftp://a.example/{SECRET}": (
        INVALID,
        "the URL's scheme is neither http nor https",
        "https://",
    ),
    f"https:///{SECRET}": (INVALID, "the URL has no host", "https://host/path"),
    f"https://a.example:0/{SECRET}": (
        INVALID,
        "the URL's port is not between 1 and 65535",
        "write the port",
    ),
    f"https://[::1/{SECRET}": (INVALID, "the URL's host or port cannot be read", "host:port"),
    f"https://[::g]/{SECRET}": (
        INVALID,
        "the URL's host is not a valid IPv6 address",
        "[2001:db8::1]",
    ),
    f"https://a..example/{SECRET}": (INVALID, "the URL's host is not a valid name", "xn--"),
    f"https://1.2.3.999/{SECRET}": (
        INVALID,
        "the URL's host is not a valid IPv4 address",
        "four numbers",
    ),
    f"http://169.254.169.254/{SECRET}": (
        DENIED,
        "169.254.169.254 is a cloud metadata address",
        "OUTRIDER_EGRESS_ALLOW",
    ),
    f"http://laptop.{INSTANCE}x.tunnel.outrider.internal/{SECRET}": (
        DENIED,
        "the endpoint leads into no tunnel of this instance",
        "outrider listen --forward",
    ),
}


@pytest.mark.parametrize("wire", Wire, ids=str)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_an_endpoint_that_cannot_be_called_is_told_by_its_part(
    service: Service, endpoint: str, wire: Wire
):
    """
    "Target has an invalid URL" is all that ZITADEL says. What the URL holds may be a secret.
    """
    text, reason, hint = ENDPOINTS[endpoint]

    refused = await service.answer("CreateTarget", webhook(name="n", endpoint=endpoint), wire=wire)

    assert (text, reason) == (refused.text, refused.reason)
    assert hint in refused.hint
    assert SECRET not in f"{refused.text}{refused.reason}{refused.hint}"


def error_of(result: Result[Any]) -> tuple[str, str, str]:
    """Text, reason and hint of an error."""
    return result.text, result.reason, result.hint


@pytest.mark.parametrize("wire", Wire, ids=str)
async def test_a_list_of_targets_is_refused_with_the_target_that_is_wrong(
    service: Service, wire: Wire
):
    """
    One text for three mistakes: an id that is empty, one that is unknown, one that is there twice.
    """
    known = (await service.ask("CreateTarget", webhook(name=f"in the list {wire}")))["id"]
    on_all = {"event": {"all": True}}
    errors = {}
    for targets in ([known, ""], [known, "1", "2"], [known, known]):
        request = {"condition": on_all, "targets": targets}
        errors[targets[1] or "empty"] = error_of(
            await service.answer("SetExecution", request, wire=wire)
        )

    assert {
        "empty": (
            "Execution is invalid (COMMAND-hdm4zl1hmd)",
            "the id of target 2 in the list is empty",
            "give ids that `outrider target list` shows",
        ),
        "1": (
            "Target not found (COMMAND-17e8fq1ggk)",
            "there is no target 1, 2 in this instance",
            "give ids that `outrider target list` shows",
        ),
        known: (
            "Target not found (COMMAND-17e8fq1ggk)",
            f"target {known} is in the list more than once",
            "name each target once",
        ),
    } == errors


@pytest.mark.parametrize("wire", Wire, ids=str)
async def test_an_unknown_event_type_says_how_to_add_it(service: Service, wire: Wire):
    """
    And which one may be meant: most unknown names are slips.
    """
    condition = {"event": {"event": "user.human.aded"}}
    refused = await service.answer("SetExecution", {"condition": condition}, wire=wire)

    assert "Execution condition is invalid (COMMAND-74aaqj8fv9)" == refused.text
    assert "the catalogue has no event type user.human.aded" == refused.reason
    assert refused.hint.startswith("did you mean user.human.added")
    assert "add it with `outrider catalogue add user.human.aded --kind event-type`" in refused.hint


@pytest.mark.parametrize("wire", Wire, ids=str)
async def test_an_unknown_role_is_named_with_the_valid_ones(service: Service, wire: Wire):
    """
    Roles are spelled as ZITADEL spells them, and that is not obvious.
    """
    seen = {}
    for role in ("publisher", "SYSTEM_OWNER"):
        request = {"account": "roles", "roles": ["IAM_OWNER", role]}
        refused = await service.answer("CreateToken", request, wire=wire)
        assert refused.text.startswith("invalid CreateTokenRequest.Roles: value must be one of")
        assert "IAM_OWNER, IAM_OWNER_VIEWER, EVENT_PUBLISHER" in refused.text
        seen[role] = refused.reason

    assert {
        "publisher": "there is no role 'publisher'",
        "SYSTEM_OWNER": "no account can have the role SYSTEM_OWNER",
    } == seen


@pytest.mark.parametrize("wire", [wire for wire in Wire if wire is not Wire.REST], ids=str)
async def test_an_error_of_the_longest_texts_fits_into_headers(tmp_path, wire: Wire):
    """
    gRPC's clients take 8 KiB, in which every byte of an id may be percent-encoded.
    """
    async with running(tmp_path) as service:
        request = {"targetId": "é" * 200, "keyId": "\u00fc" * 200}
        refused = await service.answer("ActivatePublicKey", request, wire=wire)

        assert refused.reason
        sent = [*refused.headers.items(), *refused.trailers.items()]
        assert sum(len(name) + len(value) + 32 for name, value in sent) < 8192
