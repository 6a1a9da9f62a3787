"""How long a consumer group takes to read a stream, compared with only sending its commands.

usage: bench_group.py [--entries N] [--rounds N] [--small]

Every contestant is a process of its own that lives through all rounds, with a new group each time;
they take turns, since the speed of a machine drifts. Ratios are taken within a round, and their
median is shown.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from statistics import median
from typing import Any

import events
import redis
from group_contestants import CONTESTANTS
from workers import HERE, Worker, compile_floor, refuse_debug_build

from servers import Server

BATCH_SIZES = (100, 1_000, 10_000)
WARM_UP_ENTRIES = 100_000

Results = dict[str, list[dict[str, Any]]]


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


def ratio(results: Results, name: str, other: str) -> float:
    pairs = zip(results[name], results[other], strict=True)
    return median(mine["seconds"] / others["seconds"] for mine, others in pairs)


def print_table(results: Results, entries: int, batch_size: int) -> None:
    title = f"batches of {batch_size:,}"
    print(f"\n{title:20}{'seconds':>9}{'/floor':>8}{'entries/s':>12}{'CPU s/million':>15}")
    for name, rounds in results.items():
        seconds = median(result["seconds"] for result in rounds)
        cpu = median(result["cpu"] for result in rounds) / entries * 1e6
        print(
            f"{name:20}{seconds:9.3f}{ratio(results, name, 'floor'):8.2f}"
            f"{entries / seconds:12,.0f}{cpu:15.3f}"
        )
    print(f"redis-py loop / redcol: {ratio(results, 'redis-py loop', 'redcol'):.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    entries_default = int(os.environ.get("REDCOL_BENCH_ENTRIES", "1000000"))
    rounds_default = int(os.environ.get("REDCOL_BENCH_ROUNDS", "9"))
    parser.add_argument("--entries", type=int, default=entries_default)
    parser.add_argument("--rounds", type=int, default=rounds_default)
    parser.add_argument(
        "--small", action="store_true", help="20,000 entries, 1 round: does it run?"
    )
    options = parser.parse_args(arguments)
    entries, rounds = (20_000, 1) if options.small else (options.entries, options.rounds)

    refuse_debug_build()
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as directory, Server() as server, server.client() as db:
        events.write_events(str(server.socket_path), entries)
        print(f"{entries:,} entries of 4 fields read by a group, medians of {rounds} rounds")
        try:
            workers = start_workers(directory, server)
            for batch_size in BATCH_SIZES:
                results = run_rounds(db, workers, batch_size, entries, rounds)
                print_table(results, entries, batch_size)
        finally:
            for worker in workers.values():
                worker.stop()


if __name__ == "__main__":
    main()
