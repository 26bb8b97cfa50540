"""A service with web keys, and an account that asks it for tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("api.oauth.issuer")

from api.calls.service import running  # noqa: E402 - after what it would import
from api.oauth.issuer import Issuer, new_account  # noqa: E402
from outrider.adapters.keys.jose import KeyPairs  # noqa: E402
from outrider.ambient import Ambient  # noqa: E402
from outrider.usecases.web_keys import ManageWebKeys  # noqa: E402


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def issuer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Issuer]:
    """With one account that has a key and a secret."""
    async with running(tmp_path_factory.mktemp("service")) as service:
        web_keys = ManageWebKeys(service.store, Ambient(now=service.clock), KeyPairs())
        await web_keys.ensure_first(service.instance)
        yield Issuer(service, web_keys, await new_account(service, "robot"))
