"""Authentication (docs/contract.md#authentication), and tokens from creation to revocation."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from fakes.memory.store import MemoryStore
from outrider.domain.access.permission import Role
from outrider.domain.access.service_account import hash_secret
from outrider.errors import InvalidRequest, NotFound, Unauthenticated
from outrider.usecases.access.authenticate import BOOTSTRAP_ACCOUNT, Authenticate
from outrider.usecases.access.tokens import ManageTokens
from support.builders import ANOTHER_INSTANCE, INSTANCE, a_token, an_actor
from support.runtime import FIRST_ID, NOW
from usecases.access.hosts import instance_at

ACTOR = an_actor()
STRANGER = an_actor(instance=ANOTHER_INSTANCE)
SECOND = timedelta(seconds=1)
INVALID = "Errors.Token.Invalid (AUTH-7fs1e)"


async def make(tokens, *roles: str, name: str = "publisher", actor=ACTOR, expires_at=None):
    """A token and its secret."""
    return await tokens.create(actor, name, roles or ["EVENT_PUBLISHER"], expires_at)


async def error_of(authenticate, authorization: str | None, host: str = "") -> str:
    with pytest.raises(Unauthenticated) as refused:
        await authenticate(host, authorization)
    return str(refused.value)


async def test_a_token_is_who_it_was_made_for(tokens, authenticate):
    """
    Its account, its instance, its roles.
    """
    token, secret = await make(tokens, "EVENT_PUBLISHER", "ORG_OWNER")
    actor = await authenticate("", f"Bearer {secret}")

    assert (INSTANCE, token.account_id) == (actor.instance_id, actor.account_id)
    assert {Role.EVENT_PUBLISHER, Role.ORG_OWNER} == actor.roles


async def test_no_header_is_answered_without_a_detail(authenticate):
    """
    The one text that has no id.
    """
    with pytest.raises(Unauthenticated) as refused:
        await authenticate("", None)

    assert ("auth header missing", "", False) == (
        str(refused.value),
        refused.value.id,
        refused.value.has_detail,
    )


@pytest.mark.parametrize(
    "header", ["", "Bearer", "bearer x", "BEARER x", "Basic x", " Bearer x", "Bearer\tx", "x"]
)
async def test_a_header_of_another_form_is_odd(authenticate, header):
    """
    `Bearer `, with this case and one space.
    """
    assert "invalid auth header (AUTH-toLo1)" == await error_of(authenticate, header)


@pytest.mark.parametrize("secret", ["", " ", "otr_unknown", "é", "\udcff", "x" * 100_000])
async def test_an_unknown_token_is_invalid(authenticate, secret):
    """
    Whatever it is made of.
    """
    assert INVALID == await error_of(authenticate, f"Bearer {secret}")


async def test_a_secret_is_compared_exactly(tokens, authenticate):
    """
    With all that is around it.
    """
    _, secret = await make(tokens)

    for other in (f" {secret}", f"{secret} ", secret.upper(), secret[:-1]):
        assert INVALID == await error_of(authenticate, f"Bearer {other}")


async def test_a_token_expires_at_its_time(tokens, authenticate, clock):
    """
    Also while it is remembered.
    """
    _, secret = await make(tokens, expires_at=NOW + SECOND / 2)
    clock.advance(SECOND / 2 - timedelta(microseconds=1))
    await authenticate("", f"Bearer {secret}")
    clock.advance(timedelta(microseconds=1))

    assert INVALID == await error_of(authenticate, f"Bearer {secret}")


@pytest.mark.parametrize("expires_at", [NOW, NOW - SECOND])
async def test_a_token_must_expire_in_the_future(tokens, expires_at):
    """
    It would be invalid from the start.
    """
    with pytest.raises(InvalidRequest) as refused:
        await make(tokens, expires_at=expires_at)

    assert "invalid CreateTokenRequest.ExpirationDate: value must be in the future" == str(
        refused.value
    )
    assert [] == list(await tokens.list(ACTOR))


@pytest.mark.parametrize("role", ["", "iam_owner", "ADMIN"])
async def test_an_unknown_role_is_refused(tokens, role):
    """
    A misspelt role would be an account that may do nothing.
    """
    with pytest.raises(InvalidRequest) as refused:
        await make(tokens, "IAM_OWNER", role)

    assert (
        "invalid CreateTokenRequest.Roles: value must be one of"
        " IAM_OWNER, IAM_OWNER_VIEWER, EVENT_PUBLISHER, ORG_OWNER" == str(refused.value)
    )


async def test_the_secret_is_shown_once(tokens, store):
    """
    What is kept is its hash.
    """
    token, secret = await make(tokens)

    assert "otr_token_0001" == secret
    assert secret not in repr(token)
    assert token == await store.read(lambda unit: unit.tokens.by_hash(hash_secret(secret)))
    assert secret.encode() not in hash_secret(secret)


async def test_a_second_token_of_one_name_is_of_the_same_account(tokens):
    """
    A name is an account inside an instance.
    """
    first, _ = await make(tokens)
    second, _ = await make(tokens)
    another, _ = await make(tokens, name="somebody")
    stranger, _ = await make(tokens, actor=STRANGER)

    assert first.account_id == second.account_id
    assert 3 == len({token.account_id for token in (first, another, stranger)})
    assert str(FIRST_ID) == first.id


async def test_new_roles_reach_the_accounts_other_tokens_at_once(tokens, authenticate):
    """
    Taking a role away must not wait for a token that is remembered.
    """
    _, secret = await make(tokens, "IAM_OWNER")
    await authenticate("", f"Bearer {secret}")
    await make(tokens, "EVENT_PUBLISHER")

    assert {Role.EVENT_PUBLISHER} == (await authenticate("", f"Bearer {secret}")).roles


async def test_a_revoked_token_is_invalid_at_once(tokens, authenticate):
    """
    On the node that revoked it, although it was just used.
    """
    token, secret = await make(tokens)
    await authenticate("", f"Bearer {secret}")
    await tokens.revoke(ACTOR, token.id)

    assert INVALID == await error_of(authenticate, f"Bearer {secret}")
    assert [] == list(await tokens.list(ACTOR))


async def test_a_token_revoked_elsewhere_is_invalid_a_second_later(tokens, runtime, store, clock):
    """
    The other node asks the store that often, and not for every call.
    """
    elsewhere = Authenticate(store=store, runtime=runtime, resolve_instance=instance_at)
    token, secret = await make(tokens)
    await elsewhere("", f"Bearer {secret}")
    await tokens.revoke(ACTOR, token.id)
    clock.advance(SECOND)
    await elsewhere("", f"Bearer {secret}")
    clock.advance(timedelta(microseconds=1))

    assert INVALID == await error_of(elsewhere, f"Bearer {secret}")


async def test_a_clock_that_goes_back_does_not_keep_a_token_alive(tokens, runtime, store, clock):
    """
    What was remembered in the future is looked up again.
    """
    elsewhere = Authenticate(store=store, runtime=runtime, resolve_instance=instance_at)
    token, secret = await make(tokens)
    await elsewhere("", f"Bearer {secret}")
    await tokens.revoke(ACTOR, token.id)
    clock.advance(-SECOND)

    assert INVALID == await error_of(elsewhere, f"Bearer {secret}")


async def test_revoking_answers_the_date_of_the_first_time(tokens, clock):
    """
    However often it is called.
    """
    token, _ = await make(tokens)
    first = await tokens.revoke(ACTOR, token.id)
    clock.advance(SECOND)

    assert [NOW, NOW] == [first, await tokens.revoke(ACTOR, token.id)]


@pytest.mark.parametrize("id_", ["7", "x", ""])
async def test_an_unknown_token_cannot_be_revoked(tokens, id_):
    """
    Whoever mistypes an id must not think that the token is dead.
    """
    with pytest.raises(NotFound) as refused:
        await tokens.revoke(ACTOR, id_)

    assert "Token not found (OUTRIDER-token)" == str(refused.value)


async def test_another_instances_tokens_do_not_exist(tokens, authenticate):
    """
    Neither to list nor to revoke.
    """
    token, secret = await make(tokens)

    with pytest.raises(NotFound):
        await tokens.revoke(STRANGER, token.id)
    assert [] == list(await tokens.list(STRANGER))
    assert [token] == list(await tokens.list(ACTOR))
    assert await authenticate("", f"Bearer {secret}")


async def test_another_instances_token_is_unknown(tokens, authenticate):
    """
    Asked first or asked again, by whoever was known elsewhere a moment ago.
    """
    _, secret = await make(tokens)
    for _ in range(2):
        assert INVALID == await error_of(authenticate, f"Bearer {secret}", ANOTHER_INSTANCE)
        assert INSTANCE == (await authenticate(INSTANCE, f"Bearer {secret}")).instance_id


async def test_the_bootstrap_secret_is_known_in_every_instance(store, runtime):
    """
    Who made an instance looks after it, too.
    """
    authenticate = Authenticate(
        store=store, runtime=runtime, resolve_instance=instance_at, bootstrap_secret="first steps"
    )

    assert (
        ANOTHER_INSTANCE == (await authenticate(ANOTHER_INSTANCE, "Bearer first steps")).instance_id
    )


@pytest.mark.parametrize("role", ["SYSTEM_OWNER", "OWNER"])
async def test_nobody_gets_a_role_that_accounts_do_not_have(tokens, role):
    """
    Neither one that is not there, nor the admin token's own.
    """
    with pytest.raises(InvalidRequest) as refused:
        await make(tokens, role)

    assert "SYSTEM_OWNER" not in str(refused.value)


async def test_the_bootstrap_secret_is_an_owner_without_an_account(store, runtime):
    """
    The first token has to be made by somebody.
    """
    authenticate = Authenticate(
        store=store, runtime=runtime, resolve_instance=instance_at, bootstrap_secret="first steps"
    )
    actor = await authenticate("", "Bearer first steps")

    assert (INSTANCE, BOOTSTRAP_ACCOUNT, {Role.IAM_OWNER, Role.SYSTEM_OWNER}) == (
        actor.instance_id,
        actor.account_id,
        actor.roles,
    )
    assert INVALID == await error_of(authenticate, "Bearer first step")
    assert "first steps" not in repr(authenticate)


@pytest.mark.parametrize("secret", [None, ""])
async def test_without_a_bootstrap_secret_nobody_is_the_owner(store, runtime, secret):
    """
    An empty setting must not be a password.
    """
    authenticate = Authenticate(
        store=store, runtime=runtime, resolve_instance=instance_at, bootstrap_secret=secret
    )

    assert INVALID == await error_of(authenticate, "Bearer ")


class SlowStore(MemoryStore):
    """Answers reads when it is let go, with what was true when they came."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = asyncio.Event()
        self.let_go = asyncio.Event()
        self.let_go.set()

    async def read(self, work):
        result = await super().read(work)
        self.reading.set()
        await self.let_go.wait()
        return result


async def test_what_was_read_before_a_revocation_is_not_remembered_after_it(runtime):
    """
    The call that was on its way may pass; the next one must not.
    """
    store = SlowStore()
    authenticate = Authenticate(store=store, runtime=runtime, resolve_instance=instance_at)
    tokens = ManageTokens(store=store, runtime=runtime, authenticate=authenticate)
    token, secret = await make(tokens)
    store.let_go.clear()
    on_its_way = asyncio.create_task(authenticate("", f"Bearer {secret}"))
    await store.reading.wait()
    await tokens.revoke(ACTOR, token.id)
    store.let_go.set()
    await on_its_way

    assert INVALID == await error_of(authenticate, f"Bearer {secret}")


async def test_a_cached_token_is_not_in_the_repr(tokens, authenticate):
    """
    It is part of the application, which is printed when something fails.
    """
    token, secret = await make(tokens)
    await authenticate("", f"Bearer {secret}")

    assert secret not in repr(authenticate)
    assert repr(hash_secret(secret)) not in repr(authenticate)
    assert token.account_name not in repr(authenticate)


class CrowdedStore(MemoryStore):
    """Knows every secret."""

    async def read(self, work):
        return a_token()


async def test_only_so_many_are_remembered(runtime):
    """
    Every token in use costs memory; a node that serves for a year must not grow for a year.
    """
    authenticate = Authenticate(store=CrowdedStore(), runtime=runtime, resolve_instance=instance_at)
    most = 0
    for number in range(10_100):
        await authenticate("", f"Bearer {number}")
        most = max(most, len(authenticate._cache))

    assert 10_000 == most
    assert 100 == len(authenticate._cache)
