"""The steps of `outrider demo`: one event on its way to a receiver, shown as it happens.

Every step uses the public API, so each can be shown as the curl line that does the same.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from outrider.cli.commands.delivery.delivery import print_attempts
from outrider.cli.commands.delivery.states import STATE_PREFIX
from outrider.cli.demo.server import DemoServer
from outrider.cli.receive.listen import print_call, start_listening
from outrider.cli.receive.listener import Listener, ReceivedCall
from outrider.cli.remote import probe
from outrider.cli.remote.client import read_token
from outrider.cli.terminal.errors import CommandError
from outrider.cli.terminal.output import own_command, pretty_body, printable, short_enum, text_of
from outrider.server.data_directory import ADMIN_TOKEN_FILE

HOST = "127.0.0.1"
TARGET_NAME = "demo"
EVENT_TYPE = "user.human.added"
# A complete event: every member that ZITADEL knows is set.
EVENT: Mapping[str, object] = {
    "aggregateId": "1",
    "aggregateType": "user",
    "resourceOwner": "2",
    "version": "v2",
    "sequence": "7",
    "eventType": EVENT_TYPE,
    "createdAt": "2025-01-02T03:04:05.678901Z",
    "userId": "4",
    "eventPayload": {"userName": "a&b"},
}
DELIVERY_TIMEOUT_S = 30.0
LOG_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.05
SLOW_S = 2.0
ALREADY_EXISTS = 409


@dataclass(frozen=True, slots=True)
class Target:
    """A target with what the steps after its creation need."""

    id: str
    signing_key: str


class Demo:
    """The steps, in order."""

    def __init__(
        self,
        server: DemoServer,
        listener: Listener,
        data_dir: Path,
        print_line: Callable[[str], None],
    ) -> None:
        self._server = server
        self._listener = listener
        self._data_dir = data_dir
        self._print_line = print_line
        self._step = 0
        self._token = ""

    async def start_server(self, port: int) -> None:
        """Step 1."""
        self._title("Start a server")
        self._print_line(
            f"   $ {own_command()} serve --dev --port {port}"
            f" --data-dir {shlex.quote(str(self._data_dir))}"
        )
        async with self._show_progress("starting"):
            await self._server.start(port, self._data_dir)
        self._token = read_token(self._data_dir / ADMIN_TOKEN_FILE)
        self._print_line(f"   ready at {self._server.url}")

    async def start_receiver(self, port: int) -> None:
        """Step 2."""
        self._title("Start a receiver that verifies signatures")
        await start_listening(self._listener, HOST, port, "--receiver-port")
        self._print_line(f"   $ {own_command()} listen --port {self._listener.port}")
        self._print_line(f"   ready at {self._endpoint}")

    async def create_target(self) -> Target:
        """Step 3. A target of an earlier start on the same data is used again."""
        self._title("Create a target: where to call (ZITADEL's own route)")
        new_target = {"name": TARGET_NAME, "restWebhook": {}, "endpoint": self._endpoint}
        response = await self._show_and_send(
            "POST", "/v2/actions/targets", new_target, accept=ALREADY_EXISTS
        )
        if "signingKey" in response:
            target = Target(text_of(response, "id"), text_of(response, "signingKey"))
        else:
            target = await self._reuse_target()
        self._listener.trust(target.signing_key)
        self._print_line(f"   target {target.id}, signing key {target.signing_key}")
        return target

    async def set_execution(self, target: Target) -> None:
        """Step 4."""
        self._title(f"Set an execution: when {EVENT_TYPE} happens, call that target")
        condition = {"event": {"event": EVENT_TYPE}}
        execution = {"condition": condition, "targets": [target.id]}
        await self._show_and_send("PUT", "/v2/actions/executions", execution)
        self._print_line("   done")

    async def publish(self) -> str:
        """Step 5. The event's id."""
        self._title("Publish an event")
        response = await self._show_and_send("POST", "/v1/events", {"events": [EVENT]})
        result = response["results"][0]
        pending = text_of(result, "deliveries") or "0"
        self._print_line(
            f"   event {result['id']} is on disk, together with its {pending} pending delivery"
        )
        return text_of(result, "id")

    async def receive(
        self, event_id: str, target: Target, calls: asyncio.Queue[ReceivedCall]
    ) -> tuple[str, bool]:
        """Step 6. The delivery's id, and whether its signature was verified."""
        self._title("The receiver gets the call")
        delivery_id = await self._delivery_id(event_id, target)
        async with self._show_progress("waiting for the call"):
            call = await _find_call(delivery_id, calls)
        self._print_line(f"   {call.method} {printable(call.target)}, answered {call.status}")
        self._print_line(f"   Zitadel-Signature: {printable(call.header('zitadel-signature'))}")
        if call.verified is None:
            self._print_line(
                "   " + typer.style(f"NOT VERIFIED, {call.verification_error}", fg="red")
            )
        else:
            self._print_line("   " + typer.style("signature verified", fg="green"))
        self._print_line(_indented(pretty_body(call.body)))
        return delivery_id, call.verified is not None

    async def show_log(self, delivery_id: str) -> None:
        """Step 7."""
        self._title("The delivery log knows how it went")
        path = f"/v1/deliveries/{delivery_id}"
        self._show_curl("GET", path, None)
        async with self._show_progress("waiting for the log"), asyncio.timeout(LOG_TIMEOUT_S):
            delivery = await self._wait_until_finished(path)
        self._print_line(f"   {short_enum(text_of(delivery, 'state'), STATE_PREFIX)}")
        print_attempts(delivery, indent=3)

    def show_more(self, delivery_id: str) -> None:
        """Print how to continue by hand."""
        self._print_line(typer.style("\nGo on by hand, in another terminal", bold=True))
        self._print_line("   publish another event:")
        event = {"eventType": EVENT_TYPE, "eventPayload": {"userName": "ada"}}
        self._show_curl("POST", "/v1/events", {"events": [event]})
        self._print_line("   list the deliveries:")
        self._show_curl("POST", "/v1/deliveries/search", {})
        self._print_line("   or with outrider itself:")
        options = f"--url {self._server.url} --data-dir {shlex.quote(str(self._data_dir))}"
        for command in ("target list", "delivery list", f"delivery get {delivery_id}"):
            self._print_line(f"   $ {own_command()} {command} {options}")

    @property
    def _endpoint(self) -> str:
        return f"http://{HOST}:{self._listener.port}/hook"

    async def _reuse_target(self) -> Target:
        equals = {"targetName": TARGET_NAME, "method": "TEXT_FILTER_METHOD_EQUALS_IGNORE_CASE"}
        self._print_line(
            "   it exists from an earlier start: find it, and let it call this receiver"
        )
        search = {"filters": [{"targetNameFilter": equals}]}
        response = await self._show_and_send("POST", "/v2/actions/targets/search", search)
        found = response["targets"][0]
        change = {"restWebhook": {}, "endpoint": self._endpoint}
        await self._show_and_send("POST", f"/v2/actions/targets/{found['id']}", change)
        return Target(text_of(found, "id"), text_of(found, "signingKey"))

    async def _delivery_id(self, event_id: str, target: Target) -> str:
        search = {"eventId": event_id, "targetId": target.id}
        response = await self._send("POST", "/v1/deliveries/search", search)
        deliveries = response.get("deliveries", ())
        if not deliveries:
            raise CommandError(
                "no delivery was made for the event",
                "see which execution matches: `outrider explain event TYPE`",
            )
        return text_of(deliveries[0], "id")

    async def _wait_until_finished(self, path: str) -> dict[str, Any]:
        while True:
            response = await self._send("GET", path, None)
            delivery: dict[str, Any] = response.get("delivery", {})
            if delivery.get("attempts") and delivery.get("finishedAt"):
                return delivery
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _show_and_send(
        self, method: str, path: str, document: Mapping[str, object], *, accept: int = probe.OK
    ) -> dict[str, Any]:
        self._show_curl(method, path, document)
        return await self._send(method, path, document, accept=accept)

    async def _send(
        self,
        method: str,
        path: str,
        document: Mapping[str, object] | None,
        *,
        accept: int = probe.OK,
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        body = None if document is None else json.dumps(document).encode()
        url = self._server.url + path
        try:
            response = await asyncio.to_thread(
                probe.send, method, url, headers=headers, body=body, timeout=REQUEST_TIMEOUT_S
            )
        except probe.ProbeError as error:
            raise CommandError(f"{method} {url}: {error}") from None
        if response.status not in {probe.OK, accept}:
            raise CommandError(f"{method} {url} was answered {response.status}: {response.text}")
        parsed: dict[str, Any] = json.loads(response.text)
        return parsed

    def _show_curl(self, method: str, path: str, document: Mapping[str, object] | None) -> None:
        token_file = shlex.quote(str(self._data_dir / ADMIN_TOKEN_FILE))
        option = "" if method == "GET" else f"-X {method} "
        lines = [f"$ curl -s {option}{shlex.quote(self._server.url + path)}"]
        lines.append(f'-H "Authorization: Bearer $(cat {token_file})"')
        if document is not None:
            lines.append("-H 'Content-Type: application/json'")
            lines.append(f"-d {shlex.quote(json.dumps(document))}")
        self._print_line("   " + " \\\n       ".join(lines))

    def _title(self, text: str) -> None:
        self._step += 1
        self._print_line(typer.style(f"\n{self._step}. {text}", bold=True))

    @asynccontextmanager
    async def _show_progress(self, doing: str) -> AsyncIterator[None]:
        """Print every other second that the step is still running."""

        async def keep_printing() -> None:
            started = asyncio.get_running_loop().time()
            while True:
                await asyncio.sleep(SLOW_S)
                seconds = asyncio.get_running_loop().time() - started
                self._print_line(f"   … {doing}, {seconds:.0f} s so far")

        printing = asyncio.create_task(keep_printing())
        try:
            yield
        finally:
            printing.cancel()


async def _find_call(delivery_id: str, calls: asyncio.Queue[ReceivedCall]) -> ReceivedCall:
    """The first call for this delivery; deliveries that an earlier start left pending are skipped."""
    try:
        async with asyncio.timeout(DELIVERY_TIMEOUT_S):
            while True:
                call = await calls.get()
                if call.header("outrider-delivery") == delivery_id:
                    return call
                print_call(call)
    except TimeoutError:
        raise CommandError(
            f"no call came within {DELIVERY_TIMEOUT_S:g} s", "see `outrider delivery list`"
        ) from None


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" for line in text.splitlines())
