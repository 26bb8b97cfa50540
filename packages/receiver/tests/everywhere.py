"""The core on one interpreter, with the standard library alone: run by test_package.py on each.

`python -I everywhere.py` prints how many verdicts were as the vectors say, and ends with 0.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

BEFORE = set(sys.modules)  # with what the interpreter's own start-up files import
HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "src"))

from outrider_receiver import Answer, InvalidCall, Receiver, verify  # noqa: E402
from outrider_receiver.dedup.memory import MemoryStore  # noqa: E402
from outrider_receiver.dedup.sqlite import SqliteStore  # noqa: E402
from outrider_receiver.inbox import Inbox  # noqa: E402
from outrider_receiver.payloads import parse_payload, payload_bytes  # noqa: E402
from outrider_receiver.serve import ReceiverServer  # noqa: E402
from outrider_receiver.testing import SAMPLES, SIGNING_KEY, Sender, sample, sign  # noqa: E402

VECTORS = HERE.parents[3] / "vectors"


def vectors(name: str) -> dict:
    return json.loads(VECTORS.joinpath(name).read_text(encoding="utf-8"))


def result_of(case: dict) -> str:
    body = case["body"].encode() if "body" in case else base64.b64decode(case["body_base64"])
    headers = [(name, value) for name, value in case["headers"]]
    keys, tolerance = case["signing_keys"], timedelta(seconds=case["tolerance_seconds"])
    try:
        verify(body, headers, signing_keys=keys, now=case["now"], tolerance=tolerance)
    except InvalidCall as refusal:
        return str(refusal.reason)
    return "accepted"


def check_results() -> int:
    checked = 0
    for name in ("signatures.json", "standard_webhooks.json"):
        for case in vectors(name)["verifying"]:
            assert case["result"] == result_of(case), case["name"]
            checked += 1
    return checked


def text_of(value) -> str:
    if isinstance(value, str):
        return value
    return value.get("before", "") + value["repeat"] * value["times"] + value.get("after", "")


def check_hostile() -> int:
    document, checked = vectors("receiver_hostile.json"), 0
    receiver = Receiver(signing_keys=SIGNING_KEY, clock=lambda: document["now"])
    for case in document["cases"]:
        if "accept" in case:
            continue  # tokens need the extra
        body = text_of(case.get("body", document["body"])).encode()
        if "body_base64" in case:
            body = base64.b64decode(case["body_base64"])
        signed = [["ZITADEL-Signature", sign(body, signing_keys=SIGNING_KEY, at=document["now"])]]
        headers = [(name, text_of(value)) for name, value in case.get("headers", signed)]
        try:
            receiver.open(body, headers)
        except InvalidCall as refusal:
            found = str(refusal.reason)
        else:
            found = "accepted"
        assert case["result"] == found, case["name"]
        checked += 1
    return checked


def check_handling() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, inbox = SqliteStore(Path(folder) / "seen.db"), Inbox(Path(folder) / "inbox.db")
        for deduplicate in (MemoryStore(), store):
            receiver = Receiver(signing_keys=SIGNING_KEY, deduplicate=deduplicate)
            seen: list = []
            receiver.event()(seen.append)
            call = Sender().event()
            assert [204, 204] == [receiver.handle(*call).status for _ in range(2)]
            assert [sample("event")] == seen
        receiver.accept_and_queue(inbox)
        assert 202 == receiver.handle(*call).status
        assert inbox.work_once(receiver)
        store.close()
        inbox.close()


def check_answers() -> None:
    receiver = Receiver(signing_keys=SIGNING_KEY)

    @receiver.function("preuserinfo")
    async def claims(_call) -> Answer:
        await asyncio.sleep(0)
        return Answer(claims={"a": 1})

    call = Sender().function("preuserinfo")
    answer = receiver.handle(*call)
    assert (200, answer) == (answer.status, asyncio.run(receiver.handle_async(*call)))
    for name, body in SAMPLES.items():
        assert sample(name) == parse_payload(payload_bytes(parse_payload(body)))
    server = ReceiverServer(receiver)
    server.server_close()


if __name__ == "__main__":
    check_handling()
    check_answers()
    foreign = {name.partition(".")[0] for name in set(sys.modules) - BEFORE}
    assert {"outrider_receiver"} == foreign - set(sys.stdlib_module_names), foreign
    sys.stdout.write(f"{check_results() + check_hostile()}\n")
