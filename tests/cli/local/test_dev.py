"""`outrider dev`: handlers are written, saved, called and shown."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import CommandResult, RunningCommand, run, run_process
from outrider.cli.dev.binder import condition_of
from outrider.cli.dev.handlers import HandlersFile
from outrider.cli.dev.receiver import LiveReceiver, serve_receiver

METHOD = "/acme.v1.Shop/Create"
HANDLERS = f"""
    from outrider_receiver import Answer, Receiver, refuse, replace

    from prices import DISCOUNT

    receiver = Receiver()

    @receiver.event("order.created")
    def created(event):
        print("created", event.aggregate_id, flush=True)

    @receiver.event()
    def any_event(event):
        raise RuntimeError("handler broke")

    @receiver.function("preuserinfo")
    async def info(call):
        return Answer(claims={{"plan": "free"}})

    @receiver.request("{METHOD}")
    def create(call):
        if call.request.get("total", 0) > 100:
            return refuse(403, "too much")
        return replace(call.request, discount=DISCOUNT)
"""
LOADED = "handlers.py: "
BROKEN_FILES = [
    ("x = (", "SyntaxError"),
    ("import prices\nprices.missing", "AttributeError"),
    ("raise ValueError('of mine')", "ValueError: of mine"),
    ("import sys\nsys.exit(3)", "SystemExit"),
    ("x = 1", "has 0 receivers, not one"),
]


class Dev:
    """One that is running, and commands that are typed meanwhile."""

    def __init__(
        self, directory: Path, started: Callable[..., RunningCommand], *options: object
    ) -> None:
        self.directory = directory
        self.file = directory / "handlers.py"
        self.running = started("dev", "handlers.py", "--port", 0, *options, cwd=directory)
        self.url = re.search(r"ready at (\S+)", self.running.line_with("ready at"))[1]
        self.running.line_with("Save handlers.py")

    def save(self, text: str, name: str = "handlers.py") -> None:
        (self.directory / name).write_text(textwrap.dedent(text))

    def type(self, *arguments: object, stdin: str = "") -> CommandResult:
        return run(*arguments, "--url", self.url, stdin=stdin, cwd=self.directory)

    def intercept(self, kind: str, call: dict[str, object]) -> CommandResult:
        return self.type("intercept", kind, "-", "--json", stdin=json.dumps(call))

    def create(self, total: int) -> CommandResult:
        return self.intercept("request", {"fullMethod": METHOD, "request": {"total": total}})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "handlers.py").write_text(textwrap.dedent(HANDLERS))
    (tmp_path / "prices.py").write_text("DISCOUNT = 1\n")
    return tmp_path


def test_every_handler_is_called_and_what_came_back_is_shown(directory, started):
    """
    The first hour with outrider: nothing is configured, everything can be tried.
    """
    dev = Dev(directory, started)

    published = dev.type("event", "publish", "order.created", "--aggregate-id", "7", "--wait")
    failed = dev.type("event", "publish", "user.added", "--wait", "--json")
    claims = dev.intercept("function", {"function": "preuserinfo", "payload": {}})
    changed = dev.create(5)
    interrupted = dev.create(500)

    # Its directory has keys in it, and people type `git add .` next to it.
    subprocess.run(["git", "init", "-q", str(directory)], check=True)
    untracked = subprocess.check_output(["git", "-C", str(directory), "status", "-s"], text=True)

    assert 0 == published.code, published.err
    assert "handlers.py" in untracked
    assert ".outrider-dev" not in untracked
    assert "accepted" in published.out
    assert "created 7" == dev.running.line_with("created")
    assert "answered 204" in dev.running.line_with("order.created")
    assert 1 == failed.code, failed.err
    (delivery,) = failed.json["deliveries"]
    assert 500 == delivery["attempts"][0]["statusCode"]
    assert "handler broke" in dev.running.line_with("RuntimeError: ")
    assert [{"key": "plan", "value": "free"}] == claims.json["answer"]["append_claims"]
    assert {"total": 5, "discount": 1} == changed.json["request"]
    assert 5 == interrupted.code
    assert "too much" in interrupted.err
    assert 0 == dev.running.stop()


def test_what_is_saved_counts_at_the_next_call(directory, started):
    """
    Also a module next to the file, a handler that is new, one that is gone, and one that cannot be.
    """
    dev = Dev(directory, started)
    dev.save("DISCOUNT = 2\n", "prices.py")
    dev.running.line_with(LOADED)
    changed = dev.create(5)

    dev.save(
        """
        from outrider_receiver import Receiver
        receiver = Receiver()

        @receiver.response("/acme.v1.Shop/Create")
        def answered(call):
            return {"id": "new"}

        @receiver.request("nobody.v1.Knows")
        def unknown(call): ...
        """
    )
    dev.running.line_with(LOADED)
    problem = dev.running.line_with("NOT CALLED")
    left = dev.create(5)
    added = dev.intercept("response", {"fullMethod": METHOD, "response": {"id": "old"}})
    published = dev.type("event", "publish", "order.created")

    assert {"total": 5, "discount": 2} == changed.json["request"]
    assert {"total": 5} == left.json["request"]
    assert {"id": "new"} == added.json["response"]
    assert "No execution matches" in published.err
    assert 2 == len(dev.type("target", "list", "--json").json["targets"])
    assert "request/nobody.v1.Knows" in problem
    assert "by its full name" in problem


def test_a_broken_file_keeps_the_handlers_from_before(directory, started):
    """
    Half of all saves are in the middle of a thought; the first one may be, too.
    """
    (directory / "handlers.py").write_text("x = (")
    dev = Dev(directory, started)
    assert "waiting until it is saved again" in "\n".join(dev.running.output)
    dev.save(HANDLERS)
    dev.running.line_with(LOADED)

    for text, message in BROKEN_FILES:
        dev.save(text)
        dev.running.line_with(message)
        dev.running.line_with("the handlers from before stay")
        assert {"total": 5, "discount": 1} == dev.create(5).json["request"]
    dev.save(HANDLERS)
    dev.running.line_with(LOADED)

    assert {"total": 5, "discount": 1} == dev.create(5).json["request"]
    assert "cli/dev" not in "\n".join(dev.running.output)


def test_a_call_that_comes_before_the_first_handlers_is_to_come_again():
    """
    Its server knows targets of an earlier start, while the file is still broken.
    """
    live_receiver = LiveReceiver(lambda _: None)
    with (
        serve_receiver(live_receiver, "127.0.0.1", 0) as url,
        pytest.raises(urllib.error.HTTPError, match="503") as raised,
    ):
        urllib.request.urlopen(url, data=b"{}")
    raised.value.close()


def test_the_next_start_uses_the_data_again(directory, started):
    """
    Targets keep their ids and keys, and the log of deliveries stays.
    """
    first = Dev(directory, started)
    before = first.type("target", "list", "--json").json["targets"]
    first.type("event", "publish", "order.created", "--wait")
    first.running.stop(signal.SIGHUP)  # the terminal was closed
    second = Dev(directory, started)

    after = second.type("target", "list", "--json").json["targets"]

    assert [target["id"] for target in before] == [target["id"] for target in after]
    assert 4 == len(after)
    assert 1 == len(second.type("delivery", "list", "--json").json["deliveries"])
    assert {"total": 5, "discount": 1} == second.create(5).json["request"]


def test_a_killed_one_leaves_no_server_behind(directory, started):
    """
    It would keep the port and the data, and the developer would not know what to stop.
    """
    first = Dev(directory, started)
    first.running.kill()

    second = Dev(directory, started)

    assert 0 == second.create(5).code


def test_a_file_that_is_not_there_starts_nothing(tmp_path):
    """
    A slip of the finger leaves no directory behind.
    """
    missing = run_process("dev", "nothing.py", cwd=tmp_path)

    assert 1 == missing.code
    assert "nothing.py is no file" in missing.err
    assert not (tmp_path / ".outrider-dev").exists()


def test_the_file_of_the_documentation_runs(tmp_path):
    """
    It is the first one that people save.
    """
    text = (Path(__file__).parents[3] / "docs" / "local-development.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "documented_handlers.py").write_text(program)

    receiver = HandlersFile(tmp_path / "documented_handlers.py").load()

    assert ["event/order.created", "function/preuserinfo", "request/acme.v1.Shop/Create"] == [
        condition_of(handler) for handler in receiver.handlers
    ]
