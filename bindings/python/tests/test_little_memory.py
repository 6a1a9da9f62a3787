# SPDX-License-Identifier: Apache-2.0
"""What a caller or a server makes large never ends the process, however little memory there is.

Run as a program, it makes one of the calls below again and again, each time in a child process that
may have a little more memory: CALL URL
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import redcol
from redcol import (
    _native,
    _native_inference,
    _native_lists,
    _native_pubsub,
    _native_steering,
)
from servers import Server

MANY = 20_000
KEYS = 30_000
#: MiB that each child may have beyond what the process has before the call.
HEADROOM = [0, 0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 1_000]
TIMEOUTS = {"connect_timeout_ms": 20_000, "timeout_ms": 20_000}
#: Large blocks come from the system and go back to it: the limit then counts each of them.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
IDS = b"\n".join(b"1700000000000-%d" % number for number in range(200_000))
LONG_KEY = b"k" * (8 << 20)
NAMES = [b"stream:%d" % number for number in range(50_000)]


def acknowledging(client: redcol.Client) -> None:
    _native.ack(client._handle, b"s", b"g", IDS)


def deleting_entries(client: redcol.Client) -> None:
    _native_steering.counted(client._handle, "redcol_delete_entries", b"none", 4, IDS, len(IDS))


def claiming_entries(client: redcol.Client) -> None:
    options = {"group": "g", "consumer": "c"}
    claim = _native_steering.claim_entries(client._handle, b"s", IDS, None, options)
    slot = _native.Slot()
    while _native.iter_next(claim, 20_000, slot) == _native.TIMEOUT:
        pass


def asking_for_a_long_key(client: redcol.Client) -> None:
    _native.last_id(client._handle, LONG_KEY)


def a_long_option(client: redcol.Client) -> None:
    _native.read_streams(client._handle, [b"s"], None, {"stream_column": "x" * (8 << 20)})


def many_streams(client: redcol.Client) -> None:
    _native.read_ranges(client._handle, NAMES, None, {})


def following_many_streams(client: redcol.Client) -> None:
    _native.read_streams(client._handle, NAMES, None, {"follow": "true", "start_id": "$"})


def many_channels(client: redcol.Client) -> None:
    _native_pubsub.subscribe(client._handle, NAMES, [], None, {})


def a_search_for_many_keys(client: redcol.Client) -> None:
    reading = _native.read_ranges(client._handle, b"key:*", None, {"scan_count": "100000"})
    slot = _native.Slot()
    while _native.iter_next(reading, 20_000, slot) == _native.TIMEOUT:
        pass


def a_group(client: redcol.Client) -> None:
    """Entries in hand are remembered, and looked at when its own pending ones are read."""
    options = {"group": f"g{os.getpid()}", "consumer": "c", "follow": "true"}
    reading = _native.read_streams(client._handle, [b"s"], None, options)
    slots = []
    for _ in range(3):
        slots.append(_native.Slot())
        while _native.iter_next(reading, 20_000, slots[-1]) == _native.TIMEOUT:
            pass
        if sum(slot.rows() for slot in slots) >= MANY:
            break
    _native.iter_ack(reading, None, None)


def following(client: redcol.Client) -> None:
    options = {"follow": "true", "count": str(MANY), "batch_rows": "0"}
    reading = _native.read_streams(client._handle, [b"s"], None, options)
    slot = _native.Slot()
    while _native.iter_next(reading, 20_000, slot) == _native.TIMEOUT:
        pass


def a_large_last_entry(client: redcol.Client) -> None:
    _native.last_id(client._handle, b"large")


def fields_that_are_found(client: redcol.Client) -> None:
    reading = _native.read_streams(client._handle, [b"fields"], None, {})
    slot = _native.Slot()
    while _native.iter_next(reading, 20_000, slot) == _native.TIMEOUT:
        pass


def the_newest_entries(client: redcol.Client) -> None:
    reading = _native.read_streams(client._handle, [b"s"], None, {"last": str(MANY)})
    slot = _native.Slot()
    while _native.iter_next(reading, 20_000, slot) == _native.TIMEOUT:
        pass


def cutting_a_stream(client: redcol.Client) -> None:
    _native_lists.partitions(client._handle, [b"s"], {"rows": "4"})


def finding_out_a_schema(client: redcol.Client) -> None:
    reading = _native.read_streams(client._handle, [b"json"], None, {"discover": "binary"})
    table = None
    while table is None:
        table = _native.iter_collect(reading, 20_000)
    _native_inference.infer_schema(table)


CALLS: dict[str, Callable[[redcol.Client], None]] = {
    function.__name__: function
    for function in (
        acknowledging,
        deleting_entries,
        claiming_entries,
        asking_for_a_long_key,
        a_long_option,
        many_streams,
        following_many_streams,
        many_channels,
        a_search_for_many_keys,
        a_group,
        following,
        a_large_last_entry,
        fields_that_are_found,
        the_newest_entries,
        finding_out_a_schema,
        cutting_a_stream,
    )
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started, started.client() as db:
        pipe = db.pipeline(transaction=False)
        for number in range(MANY):
            pipe.xadd("s", {"n": number})
        for number in range(KEYS):
            pipe.xadd(f"key:{number}", {"n": number})
        for number in range(300):
            pipe.xadd("fields", {f"{number}:{'f' * 20_000}": number})
        inner = {f"field{number}": 1 for number in range(300)}
        shape = {f"{'f' * 300}{number}": {**inner, "n": number} for number in range(100)}
        pipe.xadd("json", {"v": json.dumps(shape)})
        pipe.xadd("large", {f"f{number}": "x" * 20 for number in range(60_000)})
        pipe.execute()
        db.xgroup_create("s", "g", id="0")
        yield started


@pytest.mark.parametrize("name", CALLS)
def test_little_memory(name: str, server: Server) -> None:
    environment = {**os.environ, **MALLOC, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, __file__, name, server.url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    done, refused = map(int, ended.stdout.split())
    assert done + refused == len(HEADROOM)
    assert done > 0, "with the most of it, it is enough"
    assert refused > 0, "with none, it is not"


def in_child(name: str, url: str, headroom: int) -> bool:
    """Whether there was enough memory. Ends the program if the child is killed by a signal."""
    child = os.fork()
    if child == 0:
        enough = 2
        try:
            client = redcol.connect(url, **TIMEOUTS)
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + headroom,) * 2)
            CALLS[name](client)
            enough = 0
        except (redcol.OutOfMemoryError, MemoryError):
            enough = 1
        except redcol.NoGroupError:
            enough = 0
        finally:
            os._exit(enough)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, 1):
        sys.exit(f"{name} with {headroom >> 10} KiB: exit status {status}")
    return status == 0


if __name__ == "__main__":
    outcomes = [in_child(*sys.argv[1:3], int(more * (1 << 20))) for more in HEADROOM]
    print(sum(outcomes), len(outcomes) - sum(outcomes))
