"""Builders and swapped parts: a call, a policy, a resolver that answers from a script."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from outrider.domain.calls.request import OutboundRequest, RequestError
from outrider.domain.net.egress_policy import EgressPolicy, EgressProfile, parse_allow

ALLOW_LOOPBACK = EgressPolicy(EgressProfile.STRICT, parse_allow("127.0.0.0/8, ::1"))


def a_call(url: str, **changes) -> OutboundRequest:
    given = {"headers": (("Content-Type", "application/json"),), "body": b"{}", "timeout": 10.0}
    return OutboundRequest(url=url, **(given | changes))


async def failure_of(client, call: OutboundRequest) -> RequestError:
    """Make a call that must fail."""
    try:
        response = await client.send(call)
    except RequestError as failed:
        return failed
    raise AssertionError(f"not failed, but answered: {response}")


class Names:
    """A resolver. Each lookup of a name gives the next of its answers, the last one for ever."""

    def __init__(self, **answers: list[str] | str) -> None:
        self.answers = {
            name.replace("_", "."): [answer] if isinstance(answer, str) else answer
            for name, answer in answers.items()
        }
        self.lookups: list[str] = []

    async def resolve(self, host: str):
        self.lookups.append(host)
        answers = self.answers.get(host)
        if answers is None:
            raise OSError("no such name")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [ip_address(address) for address in answer.split()]


class Silence:
    """A resolver that never answers. `asked` is set once it is asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def resolve(self, host: str):
        self.asked.set()
        await asyncio.get_running_loop().create_future()
