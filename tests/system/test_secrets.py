"""Secrets are where they belong, and nowhere else: not in a log, a file, an answer or a title."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from outrider.testing.receiver import Answer, Receiver
from system.api import Api, ApiError
from system.ledger import EVENT_TYPE
from system.processes import children_of, command_line
from system.server import Server

EVENTS = 20
NAME = "a-name-that-anybody-may-read"
# Where a secret is meant to be.
AT_HOME = {("admin.token", "admin token"), ("master.key", "master key")}

Texts = Mapping[str, bytes]


async def test_no_secret_lies_around_in_plain_text(launch):
    """
    Backups, log collectors and lists of processes are read by many who may not sign calls.
    """
    async with Receiver([Answer(status=500, body=b"no"), Answer(status=410)]) as receiver:
        server = await launch("--log-level", "debug").ready()
        secrets, answers = await used_secrets(server, receiver)
        texts = answers | texts_of(server)
        # What was written last is still in the write-ahead log.
        running = files_of(server.data_dir)
        await server.stop()

    found = found_in(texts | running, secrets) | found_in(files_of(server.data_dir), secrets)
    assert AT_HOME == found
    assert {("outrider.db-wal", NAME)} == found_in(running, {NAME: NAME.encode()})
    assert {("error log", "word")} == found_in(texts, {"word": b"delivery.attempted"})


async def used_secrets(server: Server, receiver: Receiver) -> tuple[Texts, Texts]:
    """Use every secret there is, rightly and wrongly; return them, and the texts of errors."""
    api = server.api
    target = await api.create_target(NAME, receiver.url)
    change = {"expirationSigningKey": "3600s"}
    new_key = (await api.post(f"/v2/actions/targets/{target.id}", change))["signingKey"]
    unreachable = await api.create_target("nobody", "http://127.0.0.1:1/")
    await api.set_execution(EVENT_TYPE, target.id, unreachable.id)
    made = await api.post("/v1/tokens", {"account": "shop", "roles": ["EVENT_PUBLISHER"]})
    publisher = replace(api, token=made["token"])
    await publisher.publish(EVENT_TYPE, [f"event-{number}" for number in range(EVENTS)])
    await receiver.wait_for(EVENTS)
    await wait_until_tried(api, unreachable.id)
    answers = await misuses(api, publisher, target.signing_key)
    master_key = (server.data_dir / "master.key").read_bytes().strip()
    texts = {
        "admin token": server.token,
        "publisher's token": publisher.token,
        "replaced signing key": target.signing_key,
        "signing key": new_key,
        "another signing key": unreachable.signing_key,
    }
    secrets = {name: text.encode() for name, text in texts.items()}
    secrets |= {"master key": master_key, "its bytes": base64.b64decode(master_key)}
    return secrets, answers


async def wait_until_tried(api: Api, target: str) -> None:
    """Return when every delivery to this target has been tried and has failed."""
    await api.until(lambda: api.deliveries("RETRYING", targetId=target), EVENTS)


async def misuses(api: Api, publisher: Api, signing_key: str) -> Texts:
    """Secrets where they should not be; what the server answers to that."""
    stranger = replace(api, token=f"{api.token}x")
    attempts = [
        (stranger, "POST", "/v1/deliveries/search", {}),
        (publisher, "POST", "/v2/actions/targets", {"name": "x"}),
        (publisher, "GET", f"/v2/actions/targets/{signing_key}", None),
        (api, "GET", f"/v2/actions/targets/{signing_key}", None),
        (api, "GET", f"/v1/deliveries/1?token={api.token}", None),
        (api, "POST", "/v2/actions/targets", {"name": 5, "signingKey": signing_key}),
        (api, "POST", f"/nowhere?access_token={api.token}", {}),
    ]
    answers: dict[str, bytes] = {}
    for number, (caller, method, path, body) in enumerate(attempts):
        try:
            caller.send(method, path, body)
        except ApiError as error:
            answers[f"answer {number}"] = str(error.error).encode()
    assert len(attempts) == len(answers)
    return answers


def texts_of(server: Server) -> Texts:
    """What a running server shows to others on its machine."""
    titles = {
        f"title of {pid}": command_line(pid).encode()
        for pid in (server.pid, *children_of(server.pid))
    }
    outputs = {"output": server.output.text.encode(), "error log": server.logged.text.encode()}
    return titles | outputs


def files_of(directory: Path) -> Texts:
    """The data directory, file by file."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def found_in(texts: Texts, secrets: Texts) -> set[tuple[str, str]]:
    """Which text has which secret."""
    return {
        (source, name)
        for source, text in texts.items()
        for name, secret in secrets.items()
        if secret in text
    }
