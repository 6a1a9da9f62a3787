# SPDX-License-Identifier: Apache-2.0
"""How long a consumer group takes to read a stream, compared with only sending its commands.

usage: bench_group.py [--entries N] [--rounds N] [--small]

Every contestant is a process of its own that lives through all rounds, with a new group each time;
they take turns, since the speed of a machine drifts. Ratios are taken within a round, and their
median is shown.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import events
import redis
from group_contestants import CONTESTANTS
from rounds import Results, print_table, ratio
from workers import HERE, Worker, compile_floor, parse_arguments, refuse_debug_build

from servers import Server

BATCH_SIZES = (100, 1_000, 10_000)
WARM_UP_ENTRIES = 100_000


def start_workers(directory: str, server: Server) -> dict[str, Worker]:
    floor = compile_floor("group_floor.c", directory)
    workers = {"floor": Worker(floor, str(server.socket_path), events.STREAM)}
    script = str(HERE / "group_contestants.py")
    for name in CONTESTANTS:
        workers[name] = Worker(sys.executable, script, name, server.url)
    return workers


def read_group(
    db: redis.Redis, worker: Worker, batch_size: int, entries: int, *mode: str
) -> dict[str, Any]:
    """Let a contestant read in a new group. Who leaves something pending has not won."""
    group = f"batches-of-{batch_size}"
    db.xgroup_create(events.STREAM, group, id="0")
    result = worker.ask(" ".join([group, str(batch_size), str(entries), *mode]))
    after = db.xinfo_groups(events.STREAM)[0]
    left = int(after["pending"]), int(after["entries-read"])
    if left != (0, entries) or result.get("rows", entries) != entries:
        raise RuntimeError(f"{result}; pending and read: {left}, not {(0, entries)}")
    db.xgroup_destroy(events.STREAM, group)
    return result


def warm_up(db: redis.Redis, workers: dict[str, Worker], batch_size: int, entries: int) -> None:
    """A first round, which does not count: do all read the same?"""
    read_group(db, workers["floor"], batch_size, entries)
    expected = None
    for name in CONTESTANTS:
        found = read_group(db, workers[name], batch_size, entries, "sums")["sums"]
        if found != (expected := expected or found):
            raise RuntimeError(f"{name} has read {found}, not {expected}")


def run_rounds(
    db: redis.Redis, workers: dict[str, Worker], batch_size: int, entries: int, rounds: int
) -> Results:
    warm_up(db, workers, batch_size, min(entries, WARM_UP_ENTRIES))
    results: Results = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            results[name].append(read_group(db, worker, batch_size, entries))
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 20_000)
    refuse_debug_build()
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as directory, Server() as server, server.client() as db:
        events.write_events(str(server.socket_path), entries)
        print(f"{entries:,} entries of 4 fields read by a group, medians of {rounds} rounds")
        try:
            workers = start_workers(directory, server)
            for batch_size in BATCH_SIZES:
                results = run_rounds(db, workers, batch_size, entries, rounds)
                print()
                print_table(results, entries, "floor", title=f"batches of {batch_size:,}")
                print(f"redis-py loop / redcol: {ratio(results, 'redis-py loop', 'redcol'):.2f}")
        finally:
            for worker in workers.values():
                worker.stop()


if __name__ == "__main__":
    main()
