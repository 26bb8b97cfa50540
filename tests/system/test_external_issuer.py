"""A server that trusts another issuer, as an operator configures it."""

from __future__ import annotations

import json

import pytest

from api.access.external.issuer import OidcIssuer, signed
from outrider.runtime import utc_now
from system.api import Api, ApiError

EXIT_WITHIN_S = 15.0


async def test_a_token_of_another_issuer_opens_a_real_server(launch):
    """
    One variable, and an account there is an account here.
    """
    async with OidcIssuer("P-256") as issuer:
        server = launch(environ={"OUTRIDER_OIDC_ISSUERS": json.dumps([issuer.entry()])})
        await server.ready()

        def api(**changes: object) -> Api:
            claims = issuer.claims(utc_now().timestamp(), **changes)
            return Api(server.url, signed(claims, "P-256", {"alg": "ES256", "kid": "P-256"}))

        target = await api().create_target("audit", "http://127.0.0.1:1/")
        with pytest.raises(ApiError) as denied:
            await api(roles=["reader"]).delete_target(target.id)
        with pytest.raises(ApiError) as unknown:
            await api(aud="another").delete_target(target.id)
        await api().delete_target(target.id)

        assert (403, 401) == (denied.value.status, unknown.value.status)
        assert f"{issuer.url}#ada" in {line.get("account") for line in server.log}
        assert 0 == await server.stop()


async def test_an_issuer_that_cannot_work_stops_the_start(launch):
    """
    Or the first client would find out, at night.
    """
    entry = {"issuer": "http://id.example", "audience": "1", "default_roles": ["IAM_OWNER"]}
    server = launch(environ={"OUTRIDER_OIDC_ISSUERS": json.dumps([entry])})
    code = await server.ended(within=EXIT_WITHIN_S)

    assert code not in {0, None}
    assert "entry 1: issuer: the URL must begin with https://" in server.logged.text
    assert "Traceback" not in server.logged.text
