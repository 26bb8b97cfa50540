"""A service with web keys, and an account that asks it for tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from api.calls.service import running
from api.endpoints.oauth.issuer import Issuer, new_account
from outrider.adapters.crypto.jose import KeyPairs
from outrider.usecases.access.web_keys import ManageWebKeys


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def issuer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Issuer]:
    """With one account that has a key and a secret."""
    async with running(tmp_path_factory.mktemp("service")) as service:
        web_keys = ManageWebKeys(service.store, service.runtime, KeyPairs())
        await web_keys.ensure_first(service.instance)
        yield Issuer(service, web_keys, await new_account(service, "robot"))
