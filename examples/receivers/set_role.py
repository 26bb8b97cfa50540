"""Every new user gets a role. The target's type: webhook, so that it is tried again."""

import json
import os
import urllib.error
import urllib.request
from http import HTTPStatus

from outrider_receiver import Event, Receiver

receiver = Receiver()


@receiver.event("user.human.added")
def grant(event: Event) -> None:
    """An exception here has the event sent again; ZITADEL answers 409 when the role is there."""
    url = f"{os.environ['ZITADEL_URL']}/management/v1/users/{event.aggregate_id}/grants"
    headers = {
        "Authorization": f"Bearer {os.environ['ZITADEL_TOKEN']}",
        "Content-Type": "application/json",
        "x-zitadel-orgid": event.resource_owner,
    }
    body = {"projectId": os.environ["PROJECT_ID"], "roleKeys": ["member"]}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        with error:
            if error.code != HTTPStatus.CONFLICT:
                raise
