"""Record on this machine: a receiver that accepts every call and writes it to a file."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from outrider.cli.receive.answered_call import AnsweredCall
from outrider.cli.receive.listen import listen_until_stopped, print_call
from outrider.cli.receive.listener import Listener, ReceivedCall
from outrider.cli.receive.recording import Recording

HOST = "127.0.0.1"


def record_here(recording: Recording, signing_keys: Sequence[str], port: int) -> None:
    """Receive until Ctrl-C or SIGTERM. With keys, only calls that one of them signed are recorded.

    Raises:
        CommandError: the port is taken.
    """

    def record(call: ReceivedCall) -> None:
        if call.verified is not None or not signing_keys:
            recording.add(_to_answered_call(call))
        print_call(call)

    listener = Listener(record, signing_keys=signing_keys)
    asyncio.run(listen_until_stopped(listener, HOST, port))


def _to_answered_call(call: ReceivedCall) -> AnsweredCall:
    return AnsweredCall(
        at=call.at,
        target=call.target,
        headers=call.headers,
        body=call.body,
        status=call.status,
    )
