# SPDX-License-Identifier: Apache-2.0
"""What small things cost: a batch of 100 rows, a read of one entry, and other clients' patience.

usage: bench_small.py [--entries N] [--rounds N] [--small]

A batch is compared with the same read through the C interface: what is left is Python and the
hand-over. A read of one entry is compared with redis-py doing the same. Another client sends a PING
every half millisecond while a stream is read again and again.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import events
import redis
from contestants import SCHEMA
from pairs import Result, take_pairs
from workers import HERE, Worker, compile_floor, parse_arguments, refuse_debug_build

import redcol
from servers import Server

BATCH_ROWS = 100
PING_SECONDS = 0.0005
#: As many are taken at least, however soon the rounds are over.
PINGS_MIN = 100


def read_batches(url: str, entries: int) -> Result:
    cpu_before = time.process_time()
    batches = redcol.iter_stream(
        url, events.STREAM, schema=SCHEMA, batch_size=BATCH_ROWS, count=entries
    )
    count = sum(1 for _ in batches)
    return {"cpu": time.process_time() - cpu_before, "batches": count}


def bench_batches(server: Server, directory: str, entries: int, rounds: int) -> None:
    library = Path(os.environ["REDCOL_LIBRARY"])
    include = HERE.parents[2] / "include"
    program = compile_floor(
        "batches_floor.c", directory, f"-I{include}", str(library), f"-Wl,-rpath,{library.parent}"
    )
    floor = Worker(program, server.url, events.STREAM, str(BATCH_ROWS), str(entries))
    try:
        pairs = take_pairs(floor.ask, lambda: read_batches(server.url, entries), rounds)
    finally:
        floor.stop()
    if any(pair.mine["batches"] != pair.floor["batches"] for pair in pairs):
        raise RuntimeError(f"not as many batches: {pairs}")
    batches = pairs[0].mine["batches"]
    in_c = median(pair.floor["cpu"] for pair in pairs) / batches * 1e6
    added = median(pair.mine["cpu"] - pair.floor["cpu"] for pair in pairs) / batches * 1e6
    print(
        f"a batch of {BATCH_ROWS} rows: {in_c:.0f} us of CPU in C, and {added:.0f} us for Python "
        "and the hand-over"
    )


def timed(work: object, times: int) -> Result:
    before = time.perf_counter()
    for _ in range(times):
        work()  # type: ignore[operator]
    return {"seconds": (time.perf_counter() - before) / times}


def bench_one_entry(server: Server, rounds: int) -> None:
    def with_redis_py() -> None:
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            client.xrange(events.STREAM, count=1)

    def with_redcol() -> None:
        redcol.read_stream(server.url, events.STREAM, count=1)

    pairs = take_pairs(lambda: timed(with_redis_py, 50), lambda: timed(with_redcol, 50), rounds)
    mine = median(pair.mine["seconds"] for pair in pairs)
    theirs = median(pair.floor["seconds"] for pair in pairs)
    ratio = median(pair.mine["seconds"] / pair.floor["seconds"] for pair in pairs)
    print(
        f"connect, read one entry and close: {mine * 1e3:.2f} ms, redis-py {theirs * 1e3:.2f} ms, "
        f"ratio {ratio:.2f}"
    )


def ping(server: Server, has_ended: threading.Event, taken: list[float]) -> None:
    """Adds how many milliseconds each PING took."""
    with server.client() as client:
        while not has_ended.is_set():
            before = time.perf_counter()
            client.ping()
            taken.append((time.perf_counter() - before) * 1e3)
            time.sleep(PING_SECONDS)


def bench_patience(server: Server, rounds: int) -> None:
    """The reader is another process, so that the clock here waits for no lock of Python's."""
    for name in ("idle server", "while it is read"):
        has_ended = threading.Event()
        taken: list[float] = []
        pinging = threading.Thread(target=ping, args=(server, has_ended, taken))
        reader = Worker(sys.executable, str(HERE / "contestants.py"), "redcol", server.url)
        try:
            reader.ask()
            pinging.start()
            done = 0
            while done < rounds or len(taken) < PINGS_MIN:
                if name == "idle server":
                    time.sleep(0.3)
                else:
                    reader.ask()
                done += 1
        finally:
            has_ended.set()
            pinging.join()
            reader.stop()
        p50, p99 = (quantiles(taken, n=100, method="inclusive")[at] for at in (49, 98))
        print(
            f"PING, {name}: p50 {p50:.2f}, p99 {p99:.2f}, max {max(taken):.2f} ms of {len(taken):,}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 10_000)
    refuse_debug_build()
    if "REDCOL_LIBRARY" not in os.environ:
        sys.exit("REDCOL_LIBRARY must say where libredcol.so is. Use `make bench`.")
    with tempfile.TemporaryDirectory() as directory, Server() as server:
        events.write_events(str(server.socket_path), entries)
        print(f"small things, medians of {rounds} pairs")
        bench_batches(server, directory, entries, rounds)
        bench_one_entry(server, rounds)
        bench_patience(server, rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
