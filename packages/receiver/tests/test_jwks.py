"""The issuer's keys: asked for when needed, once, and kept when it is down."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import suppress

import pytest

from outrider_receiver import KeysUnavailable, Receiver
from outrider_receiver.jose import Tokens
from outrider_receiver.jwks import Jwks, StaticKeys, checked_url, fetch_url
from outrider_receiver.testing import SIGNING_KEY, Sender
from outrider_receiver.testing_jose import Issuer

URL = "https://auth.example.com/oauth/v2/keys"


def key_set(*kids: str) -> bytes:
    return json.dumps({"keys": [{"kid": kid, "kty": "OKP"} for kid in kids]}).encode()


class Publisher:
    """What a fetch finds: settable, counted, and held back until `released` is set."""

    def __init__(self, document: bytes = key_set("1")) -> None:
        self.document: bytes | Exception = document
        self.asked: list[str] = []
        self.released = threading.Event()
        self.released.set()
        self.arrived = threading.Semaphore(0)

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        self.arrived.release()
        assert self.released.wait(10)
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(publisher, clock) -> Jwks:
    return Jwks(URL, fetch=publisher.fetch, clock=clock)


def test_nothing_is_fetched_before_it_is_needed_and_then_once(keys, publisher):
    """
    A receiver starts though the issuer is down.
    """
    assert [] == publisher.asked
    assert [{"kid": "1", "kty": "OKP"}] * 3 == [keys.find("1") for _ in range(3)]
    assert [URL] == publisher.asked


def test_concurrent_callers_wait_for_one_answer(keys, publisher):
    """
    A burst of calls after the start must not be a burst on the issuer.
    """
    publisher.released.clear()
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(keys.find("1"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert publisher.arrived.acquire(timeout=10)
    publisher.released.set()
    for thread in threads:
        thread.join(10)

    assert 20 == len(found)
    assert None not in found
    assert [URL] == publisher.asked


async def test_a_loop_waits_without_standing_still(keys, publisher):
    """
    While keys are fetched other calls are answered.
    """
    publisher.released.clear()
    waiting = [asyncio.create_task(keys.find_async("1")) for _ in range(20)]
    assert await asyncio.to_thread(publisher.arrived.acquire, timeout=10)
    waiting[0].cancel()  # and who gives up takes nothing from the others
    await asyncio.gather(waiting[0], return_exceptions=True)
    publisher.released.set()
    found = await asyncio.gather(*waiting[1:])

    assert [{"kid": "1", "kty": "OKP"}] * 19 == found
    assert [URL] == publisher.asked


def test_an_unknown_key_is_looked_for_once_per_cool_down(keys, publisher, clock):
    """
    Web keys change; strangers invent ids.
    """
    assert keys.find("1") is not None
    for kid in ("2", "3", "4"):
        assert keys.find(kid) is None
    assert 1 == len(publisher.asked)

    clock.now += 30
    publisher.document = key_set("1", "2")
    assert keys.find("2") is not None
    assert keys.find("3") is None
    assert 2 == len(publisher.asked)


def test_old_keys_serve_on_while_they_are_renewed(keys, publisher, clock):
    """
    No caller waits for the renewal.
    """
    assert keys.find("1") is not None
    clock.now += 301
    publisher.released.clear()
    publisher.document = key_set("2")

    assert keys.find("1") is not None
    assert publisher.arrived.acquire(timeout=10)
    assert publisher.arrived.acquire(timeout=10)
    assert keys.find("1") is not None
    publisher.released.set()
    assert keys.find("2") is not None
    assert keys.find("1") is None
    assert 2 == len(publisher.asked)


@pytest.mark.parametrize(
    "answer",
    [OSError("down"), b"", b"[]", b"{}", b'{"keys":{}}', b"\xff", key_set(*map(str, range(101)))],
    ids=str,
)
def test_old_keys_serve_on_while_the_issuer_is_down_or_mad(keys, publisher, clock, answer):
    """
    Its bad hour is not ours; but a key that it withdrew is not believed for ever.
    """
    assert keys.find("1") is not None
    publisher.document = answer
    for hours in range(24):
        clock.now = 1000.0 + hours * 3600 + 1800
        assert keys.find("1") is not None
        assert keys.find("2") is None
    clock.now = 1000.0 + 86_401
    with pytest.raises(KeysUnavailable):
        keys.find("1")


def test_an_issuer_that_is_down_is_asked_once_per_cool_down(keys, publisher, clock):
    """
    A failure is remembered too.
    """
    publisher.document = OSError("down")
    for _ in range(5):
        with pytest.raises(KeysUnavailable, match="could not be fetched"):
            keys.find("1")
    assert 1 == len(publisher.asked)

    clock.now += 31
    publisher.document = key_set("1")
    assert keys.find("1") is not None


def test_discovery_names_the_keys_and_is_asked_once(publisher, clock):
    """
    The issuer's own word where its keys are.
    """
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        if url.endswith("openid-configuration"):
            return json.dumps({"issuer": "https://auth.example.com", "jwks_uri": URL}).encode()
        return publisher.fetch(url)

    keys = Jwks.of_issuer("https://auth.example.com", fetch=fetch, clock=clock)
    assert keys.find("1") is not None
    clock.now += 31
    assert keys.find("2") is None
    assert ["https://auth.example.com/.well-known/openid-configuration", URL, URL] == asked


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://auth.example.com", "jwks_uri": "https://evil.example.com/keys"},
        {"issuer": "https://auth.example.com", "jwks_uri": "http://auth.example.com/keys"},
        {"issuer": "https://auth.example.com", "jwks_uri": "https://auth.example.com:8443/keys"},
        {"issuer": "https://auth.example.com", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "https://auth.example.com", "jwks_uri": 7},
        {"issuer": "https://other.example.com", "jwks_uri": URL},
        {"issuer": "https://auth.example.com"},
        [],
    ],
)
def test_discovery_that_points_elsewhere_is_not_followed(document):
    """
    Who can change one document must not send us anywhere.
    """
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return json.dumps(document).encode()

    keys = Jwks.of_issuer("https://auth.example.com", fetch=fetch)
    with pytest.raises(KeysUnavailable):
        keys.find("1")
    assert ["https://auth.example.com/.well-known/openid-configuration"] == asked


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example.com/keys",
        "http://127.0.0.1.example.com/keys",
        "http://10.0.0.1/keys",
        "ftp://auth.example.com/keys",
        "file:///keys",
        "https://user:pass@auth.example.com/keys",
        "//auth.example.com/keys",
        "https:///keys",
        "",
    ],
)
def test_keys_are_not_fetched_where_others_could_write_them(url):
    """
    An attacker on the way could sign anything.
    """
    with pytest.raises(ValueError, match="https"):
        Jwks(url)
    with pytest.raises(ValueError, match="https"):
        Jwks.of_issuer(url)


@pytest.mark.parametrize("url", ["https://a.example/k", "http://localhost:1/k", "http://[::1]/k"])
def test_keys_are_fetched_over_https_and_from_loopback(url):
    """
    Loopback is for development.
    """
    assert url == checked_url(url)


def test_a_call_is_verified_with_keys_that_came_over_http(published):
    """
    The whole way: discovery, keys, token, handler.
    """
    issuer = Issuer()
    documents: dict[str, tuple[int, bytes, dict[str, str]]] = {}
    with published(documents) as origin:
        discovery = {"issuer": origin, "jwks_uri": f"{origin}/keys"}
        documents["/.well-known/openid-configuration"] = (200, json.dumps(discovery).encode(), {})
        documents["/keys"] = (200, json.dumps(issuer.jwks).encode(), {})
        tokens = Tokens(Jwks.of_issuer(origin), private_keys=issuer.private_keys)
        receiver = Receiver(signing_keys=SIGNING_KEY, tokens=tokens)

        answer = receiver.handle(*Sender(issuer=issuer, payload_type="jwe").event())

    assert 204 == answer.status


@pytest.mark.parametrize(
    "document",
    [
        (302, b"", {"Location": "/keys"}),
        (307, b"", {"Location": "/keys"}),
        (500, b"{}", {}),
        (404, b"{}", {}),
        (200, b"x" * 300_000, {}),
    ],
    ids=lambda document: str(document[0]),
)
def test_what_is_no_answer_is_none(published, document):
    """
    A redirect, an error page, a document without end.
    """
    with published({"/moved": document, "/keys": (200, key_set("1"), {})}) as origin:
        with pytest.raises(Exception, match=r"HTTP Error|too long"):
            fetch_url(f"{origin}/moved")
        with pytest.raises(KeysUnavailable):
            Jwks(f"{origin}/moved").find("1")


def test_a_document_that_never_ends_is_given_up():
    """
    A byte now and then keeps a socket's time-out away: keys would never be asked for again.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not gone.wait(0.02):
                    connection.sendall(b" ")

        gone = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(TimeoutError, match="in time"):
            fetch_url(f"http://127.0.0.1:{server.getsockname()[1]}/", seconds=0.2)
        gone.set()
        thread.join(10)
    assert not thread.is_alive()


async def test_a_call_that_comes_while_the_issuer_is_down_comes_again():
    """
    503 has the sender try again; 400 would lose the call.
    """
    issuer = Issuer()

    def fetch(_url: str) -> bytes:
        raise OSError("down")

    tokens = Tokens(Jwks(URL, fetch=fetch), private_keys=issuer.private_keys)
    receiver = Receiver(signing_keys=SIGNING_KEY, tokens=tokens)
    sender = Sender(issuer=issuer, payload_type="jwe")

    answers = [receiver.handle(*sender.event()), await receiver.handle_async(*sender.event())]

    assert [503, 503] == [answer.status for answer in answers]
    assert {("Retry-After", "1")} == {header for answer in answers for header in answer.headers}


async def test_static_keys_are_found_in_a_loop_too():
    """
    For tests, and for who ships the keys.
    """
    keys = StaticKeys(json.loads(key_set("1")))

    assert keys.find("1") == await keys.find_async("1") == {"kid": "1", "kty": "OKP"}
    assert keys.find("2") is await keys.find_async("2") is None
    with pytest.raises(ValueError, match="list of keys"):
        StaticKeys({})
