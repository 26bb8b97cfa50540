"""The file of the master key, when several processes start at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from outrider.adapters.crypto.sealing import load_master_key

STARTS = 16


def test_starts_at_the_same_moment_have_one_key(tmp_path):
    """
    A key that replaces another one makes what that one has sealed unreadable for ever.
    """
    path = tmp_path / "master.key"
    barrier = Barrier(STARTS)

    def start(_number: int) -> bytes:
        barrier.wait(timeout=30)
        return load_master_key(path)

    with ThreadPoolExecutor(STARTS) as threads:
        keys = {*threads.map(start, range(STARTS))}

    assert {load_master_key(path)} == keys
    assert ["master.key"] == [file.name for file in tmp_path.iterdir()]
