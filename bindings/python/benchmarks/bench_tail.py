# SPDX-License-Identifier: Apache-2.0
"""How long it takes from XADD to what a reader in Python has in hand, at a stream's end.

usage: bench_tail.py [--entries N] [--rounds N] [--small]

A producer, a process of its own, adds 500 entries a second that carry the clock. Every contestant
is a process that lives through all rounds and follows a new stream each time; they take turns,
since the speed of a machine drifts. The percentiles are those of a round, and their median is
shown; so is the median of the ratios within a round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from statistics import median, quantiles

from tail_contestants import CONTESTANTS
from workers import HERE, Worker, compile_floor, refuse_debug_build

from servers import Server

ENTRIES_PER_SECOND = 500

#: The 50th and the 99th percentile of a round, in microseconds.
Percentiles = tuple[float, float]


def start_workers(floor: str, server: Server) -> dict[str, Worker]:
    workers = {"C, hiredis": Worker(floor, "read", str(server.socket_path))}
    script = str(HERE / "tail_contestants.py")
    for name in CONTESTANTS:
        workers[name] = Worker(sys.executable, script, name, server.url)
    return workers


def follow_once(
    worker: Worker, floor: str, server: Server, stream: str, entries: int
) -> Percentiles:
    worker.ask(f"{stream} {entries}")  # it is ready
    arguments = [str(server.socket_path), stream, str(entries), str(ENTRIES_PER_SECOND)]
    subprocess.run([floor, "write", *arguments], check=True)
    taken = worker.answer()["ns"]
    if len(taken) != entries or min(taken) <= 0:
        raise RuntimeError(f"{len(taken)} entries after {min(taken)} ns or more, not {entries}")
    percentiles = quantiles(taken, n=100, method="inclusive")
    return percentiles[49] / 1e3, percentiles[98] / 1e3


def run_rounds(
    workers: dict[str, Worker], floor: str, server: Server, entries: int, rounds: int
) -> dict[str, list[Percentiles]]:
    """One list of results for each worker. A first round, which loads and warms, does not count."""
    results: dict[str, list[Percentiles]] = {name: [] for name in workers}
    with server.client() as db:
        for number in range(rounds + 1):
            for index, (name, worker) in enumerate(workers.items()):
                stream = f"tail-{number}-{index}"
                rows = entries if number > 0 else min(entries, 100)
                result = follow_once(worker, floor, server, stream, rows)
                db.delete(stream)
                if number > 0:
                    results[name].append(result)
    return results


def print_table(results: dict[str, list[Percentiles]]) -> None:
    print(f"{'microseconds':20}{'p50':>9}{'p99':>9}{'p50/C':>9}{'p99/C':>9}")
    floors = results["C, hiredis"]
    for name, rounds in results.items():
        line = f"{name:20}"
        for which in (0, 1):
            line += f"{median(result[which] for result in rounds):9.0f}"
        for which in (0, 1):
            pairs = zip(rounds, floors, strict=True)
            line += f"{median(mine[which] / floor[which] for mine, floor in pairs):9.2f}"
        print(line)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    rounds_default = int(os.environ.get("REDCOL_BENCH_ROUNDS", "9"))
    parser.add_argument("--entries", type=int, default=1_000, help="in a round")
    parser.add_argument("--rounds", type=int, default=rounds_default)
    parser.add_argument("--small", action="store_true", help="100 entries, 1 round: does it run?")
    options = parser.parse_args(arguments)
    entries, rounds = (100, 1) if options.small else (options.entries, options.rounds)

    refuse_debug_build()
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as directory, Server() as server:
        floor = compile_floor("tail_floor.c", directory, "-lhiredis")
        try:
            workers = start_workers(floor, server)
            results = run_rounds(workers, floor, server, entries, rounds)
        finally:
            for worker in workers.values():
                worker.stop()
    print(
        f"from XADD to the reader, {ENTRIES_PER_SECOND} entries/s, {entries:,} entries a round, "
        f"medians of {rounds} rounds"
    )
    print_table(results)


if __name__ == "__main__":
    main()
