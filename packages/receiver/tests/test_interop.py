"""Independent code on both ends: what outrider sends others verify, what others sign we verify."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime, timezone

import pytest
import standardwebhooks
import svix.webhooks

from outrider.domain.signature import standard_webhooks_headers
from outrider_receiver import verify
from outrider_receiver.testing import SAMPLES, SIGNING_KEY, standard_headers

SECRET = "whsec_" + base64.b64encode(SIGNING_KEY.encode()).decode()
LIBRARIES = {
    "standardwebhooks": standardwebhooks.Webhook(SECRET),
    "svix": svix.webhooks.Webhook(SECRET),
}
MAKERS = {
    "outrider": lambda body, at: standard_webhooks_headers(body, "314159", [SIGNING_KEY], at),
    "testing": lambda body, at: standard_headers(
        body, signing_keys=SIGNING_KEY, at=at, delivery_id="314159"
    ),
    "outrider, two keys": lambda body, at: standard_webhooks_headers(
        body, "314159", ["another", SIGNING_KEY], at
    ),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("sample", SAMPLES)
def test_what_outrider_sends_is_verified_by_others(library, maker, sample):
    """
    With their own code, and the key as their documentation wants it.
    """
    now = int(time.time())  # noqa: TID251 - the libraries read the real clock
    body = SAMPLES[sample]

    assert (
        json.loads(body) == LIBRARIES[library].verify(body, MAKERS[maker](body, now))
        or library == "svix"
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("maker", MAKERS)
def test_what_was_changed_is_refused_by_others_too(library, maker):
    """
    A library that accepts everything would prove nothing above.
    """
    now = int(time.time())  # noqa: TID251 - the libraries read the real clock
    headers = MAKERS[maker](b"{}", now)

    with pytest.raises(Exception, match=r"(?i)signature"):
        LIBRARIES[library].verify(b"[]", headers)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_what_others_sign_is_verified(library, sample):
    """
    A sender that is not outrider, and not ours.
    """
    at, body = 1_700_000_000, SAMPLES[sample]
    signed_at = datetime.fromtimestamp(at, tz=timezone.utc)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": LIBRARIES[library].sign("msg_1", signed_at, body.decode()),
    }
    call = verify(body, headers, signing_keys=SIGNING_KEY, now=at)

    assert ("msg_1", signed_at) == (call.delivery_id, call.signed_at)
