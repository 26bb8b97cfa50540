"""Claims in Redis or Valkey: for several machines. Needs the package `redis`, or `valkey`.

    RedisStore(redis.Redis.from_url("redis://..."))

Each step is one command or one script, so that it is atomic; Redis itself forgets what expired.
"""

from __future__ import annotations

from typing import Any, Protocol

from outrider_receiver.dedup import Claimed, State, new_token

_END = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], '', 'PX', ARGV[2]) end
return 1
"""


class RedisClient(Protocol):
    """The methods of a client that are used: `redis.Redis` and `valkey.Valkey` have it."""

    def execute_command(self, *args: Any) -> Any:
        """Send one command and return its answer."""
        ...


class RedisStore:
    """See the module. The client may be shared by threads, as that of `redis` may."""

    def __init__(self, client: RedisClient, *, prefix: str = "outrider:claim:") -> None:
        """Keep every claim under `prefix` and its id."""
        self._client = client
        self._prefix = prefix

    def claim(self, delivery_id: str, lease_seconds: float) -> Claimed:
        """See `DeduplicationStore`."""
        mine = new_token()
        name = self._prefix + delivery_id
        set_px = ("SET", name, mine, "NX", "PX", int(lease_seconds * 1000))
        if self._client.execute_command(*set_px):
            return Claimed(State.MINE, mine)
        # What expired between the two commands is for the next attempt.
        before = self._client.execute_command("GET", name)
        return Claimed(State.DONE if before in {b"", ""} else State.BUSY)

    def done(self, delivery_id: str, token: str, keep_seconds: float) -> bool:
        """See `DeduplicationStore`."""
        return self._end(delivery_id, token, str(int(keep_seconds * 1000)))

    def release(self, delivery_id: str, token: str) -> None:
        """See `DeduplicationStore`."""
        self._end(delivery_id, token, "")

    def _end(self, delivery_id: str, token: str, keep_ms: str) -> bool:
        ended = self._client.execute_command(
            "EVAL", _END, 1, self._prefix + delivery_id, token, keep_ms
        )
        return bool(int(ended))
