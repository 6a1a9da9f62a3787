# SPDX-License-Identifier: Apache-2.0
"""Large ranges are read in slices, several at once: rows stay exact, whatever the slices hold."""

from __future__ import annotations

import random
import threading

import pytest
import redis

import redcol
from servers import Server

ENTRIES = 30_000


def ids(kind: str) -> list[tuple[int, int]]:
    """Ids of streams that are hard to slice evenly."""
    start = 1_700_000_000_000
    rng = random.Random(kind)
    if kind == "one millisecond":
        return [(start, sequence) for sequence in range(ENTRIES)]
    if kind == "thousands a millisecond":
        return [(start + index // 5000, index % 5000) for index in range(ENTRIES)]
    if kind == "far apart":
        return [(start + index * 86_400_000, 0) for index in range(ENTRIES)]
    if kind == "suddenly dense":  # pages are under way behind the one that is cut
        even = [(start + index, 0) for index in range(ENTRIES // 2)]
        return even + [(start + ENTRIES // 2 + index // 8, index % 8) for index in range(ENTRIES)]
    if kind == "one by one":
        return [(index + 1, 0) for index in range(ENTRIES)]
    found = []
    milliseconds = 1
    while len(found) < ENTRIES:  # bursts, with gaps of up to years between them
        milliseconds += rng.choice([1, 1_000, 40_000_000_000])
        step = rng.choice([0, 1, 30])
        for index in range(rng.choice([1, 50, 6_000])):
            found.append((milliseconds + index * step, index))
        milliseconds = found[-1][0]
    return found


def fill(db: redis.Redis, key: str, wanted: list[tuple[int, int]]) -> None:
    for begin in range(0, len(wanted), 10_000):
        with db.pipeline(transaction=False) as pipeline:
            for milliseconds, sequence in wanted[begin : begin + 10_000]:
                pipeline.execute_command("XADD", key, f"{milliseconds}-{sequence}", "n", sequence)
            pipeline.execute()


KINDS = ["one millisecond", "thousands a millisecond", "far apart", "one by one", "bursts"]
KINDS += ["suddenly dense"]


@pytest.mark.parametrize("kind", KINDS)
def test_any_density(server: Server, db: redis.Redis, key: str, kind: str) -> None:
    wanted = ids(kind)
    fill(db, key, wanted)
    expected = [f"{milliseconds}-{sequence}" for milliseconds, sequence in wanted]
    frame = redcol.read_stream(server.url, key, schema={"n": int})
    assert frame["_id"].to_list() == expected
    assert frame["n"].to_list() == [sequence for _, sequence in wanted]
    some = redcol.read_stream(server.url, key, count=12_345, start_id=expected[1_000])
    assert some["_id"].to_list() == expected[1_000:13_345]
    part = redcol.read_stream(server.url, key, start_id=expected[700], end_id=f"({expected[-700]}")
    assert part["_id"].to_list() == expected[700:-700]


def test_entries_are_added_trimmed_and_deleted_meanwhile(server: Server, key: str) -> None:
    stop = threading.Event()
    deleted: set[str] = set()
    with server.client() as db:
        fill(db, key, [(index + 1, 0) for index in range(60_000)])

    def disturb() -> None:
        rng = random.Random(1)
        trimmed = 0
        with server.client() as db:
            while not stop.is_set():
                db.xadd(key, {"n": -1})
                gone = f"{rng.randrange(30_000, 60_000)}-0"
                deleted.add(gone)  # before: it may be read, or not
                db.xdel(key, gone)
                trimmed += 10
                db.xtrim(key, minid=f"{trimmed}-0", approximate=False)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(10):
            found = redcol.read_stream(server.url, key, schema={"n": int})
            order = [tuple(map(int, entry_id.split("-"))) for entry_id in found["_id"]]
            assert order == sorted(set(order))
            places = {milliseconds for milliseconds, _ in order}
            with server.client() as db:
                first = int(db.xrange(key, count=1)[0][0].split(b"-")[0])
            # What was there all the time is there.
            stayed = {place for place in range(first, 60_001) if f"{place}-0" not in deleted}
            assert stayed <= places
    finally:
        stop.set()
        thread.join()
