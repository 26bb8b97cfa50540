"""Every method by which ZITADEL's own client library for Python logs in, at a real server."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from clients.zitadel_library import models, zitadel
from system.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Robot:
    """A service account that can log in by every method."""

    server: Server
    id: str
    token: str
    secret: str
    key_file: Path

    def by_token(self, url: str) -> Any:
        return zitadel.Zitadel.with_access_token(url, self.token)

    def by_secret(self, url: str) -> Any:
        return zitadel.Zitadel.with_client_credentials(url, self.id, self.secret)

    def by_key(self, url: str) -> Any:
        return zitadel.Zitadel.with_private_key(url, str(self.key_file))


LOGINS: dict[str, Callable[[Robot, str], Any]] = {
    "personal access token": Robot.by_token,
    "client credentials": Robot.by_secret,
    "private key": Robot.by_key,
}


async def new_robot(server: Server, name: str, role: str, directory: Path) -> Robot:
    """An account with a token, a secret and a key file."""
    api = server.api
    made = await api.post("/v1/accounts", {"name": name, "roles": [role]})
    path = f"/v1/accounts/{made['id']}"
    secret = await api.post(f"{path}/secret", {})
    created = await api.post(f"{path}/keys", {})
    token = await api.post("/v1/tokens", {"account": name, "roles": [role]})
    key_file = directory / f"{name}.json"
    key_file.write_bytes(base64.b64decode(created["keyFile"]))
    return Robot(server, secret["clientId"], token["token"], secret["clientSecret"], key_file)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def robot(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Robot:
    """It may do everything."""
    return await new_robot(server, "robot", "IAM_OWNER", tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize("method", LOGINS)
async def test_a_client_that_logs_in_can_work(robot: Robot, method: str):
    """
    Scripts for ZITADEL are pointed at this server, and work.
    """
    with LOGINS[method](robot, robot.server.url) as client:
        created = client.actions.create_target(
            models.ActionServiceCreateTargetRequest(
                name=f"by {method}",
                endpoint="http://127.0.0.1:1/hook",
                timeout="10s",
                rest_async={},
            )
        )
        found = client.actions.get_target(models.ActionServiceGetTargetRequest(id=created.id))

    assert f"by {method}" == found.target.name


async def test_a_name_of_the_server_is_as_good_as_another(robot: Robot):
    """
    Without a setting the issuer is the name that the client uses.
    """
    url = robot.server.url.replace("127.0.0.1", "localhost")
    with robot.by_key(url) as client:
        client.webkeys.list_web_keys({})
    with urllib.request.urlopen(f"{url}/.well-known/openid-configuration") as answer:
        assert url == json.load(answer)["issuer"]


async def test_a_server_with_a_setting_has_one_name(tmp_path):
    """
    Clients are led there, whichever name they knew.
    """
    name = "http://outrider.example"
    server = Server(tmp_path / "data", "--external-url", name)
    try:
        await server.ready()
        with urllib.request.urlopen(f"{server.url}/.well-known/openid-configuration") as answer:
            document = json.load(answer)
    finally:
        server.kill()

    assert (name, f"{name}/oauth/v2/token") == (document["issuer"], document["token_endpoint"])


@pytest.mark.parametrize("method", LOGINS)
async def test_what_an_account_may_not_is_refused(server: Server, tmp_path: Path, method: str):
    """
    However it logged in.
    """
    viewer = await new_robot(server, f"viewer by {method}", "IAM_OWNER_VIEWER", tmp_path)
    with LOGINS[method](viewer, server.url) as client, pytest.raises(zitadel.ApiError) as denied:
        client.actions.delete_target(models.ActionServiceDeleteTargetRequest(id="1"))

    assert (403, "AUTH-5mWD2") == (
        denied.value.code,
        denied.value.response_body["details"][0]["debug"]["id"],
    )


@pytest.mark.parametrize("method", LOGINS)
async def test_a_deleted_account_is_refused_immediately(
    server: Server, tmp_path: Path, method: str
):
    """
    Also when it has logged in before.
    """
    leaver = await new_robot(server, f"leaver by {method}", "IAM_OWNER", tmp_path)
    with LOGINS[method](leaver, server.url) as client:
        client.webkeys.list_web_keys({})
        await server.api.post(f"/v1/accounts/{leaver.id}", None, method="DELETE")
        with pytest.raises(zitadel.ApiError) as denied:
            client.webkeys.list_web_keys({})

    assert (401, "AUTH-7fs1e") == (
        denied.value.code,
        denied.value.response_body["details"][0]["debug"]["id"],
    )


async def test_a_wrong_secret_does_not_log_in(robot: Robot):
    """
    The library tells its user the server's error.
    """
    with (
        zitadel.Zitadel.with_client_credentials(robot.server.url, robot.id, "wrong") as client,
        pytest.raises(Exception, match="invalid_client"),
    ):
        client.webkeys.list_web_keys({})


async def test_no_secret_is_in_the_logs_or_in_the_database(robot: Robot):
    """
    What is shown once is kept nowhere.
    """
    private = json.loads(robot.key_file.read_text())["key"].splitlines()[3]
    files = [path.read_bytes() for path in robot.server.data_dir.iterdir() if path.is_file()]
    output = (robot.server.logged.text + robot.server.output.text).encode()

    for secret in (robot.secret, robot.token, private):
        assert not [file for file in (*files, output) if secret.encode() in file]
