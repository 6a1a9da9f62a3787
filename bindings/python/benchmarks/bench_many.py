# SPDX-License-Identifier: Apache-2.0
"""How long it takes to read many small streams, compared with one stream of the same entries.

usage: bench_many.py [--streams N] [--entries N] [--rounds N] [--small]

Every contestant is a process of its own that lives through all rounds; they take turns, since the
speed of a machine drifts. Ratios are taken within a round, and their median is shown.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import events
from many_contestants import CONTESTANTS
from rounds import Results, print_table
from workers import HERE, Worker, refuse_debug_build

from servers import Server

FLOOR = "one stream"


def run_rounds(socket_path: str, streams: int, rounds: int) -> Results:
    """One list of results for each contestant. A first round, which warms, does not count."""
    script, url = str(HERE / "many_contestants.py"), f"unix://{socket_path}"
    workers: dict[str, Worker] = {}
    results: Results = {name: [] for name in CONTESTANTS}
    try:
        for name in CONTESTANTS:
            workers[name] = Worker(sys.executable, script, name, url, str(streams))
        for number in range(rounds + 1):
            for name, worker in workers.items():
                result = worker.ask()
                if number > 0:
                    results[name].append(result)
    finally:
        for worker in workers.values():
            worker.stop()
    return results


def check_results(results: Results, entries: int) -> None:
    expected = results[FLOOR][0]["sums"]
    for name, rounds in results.items():
        for result in rounds:
            if (result["rows"], result["sums"]) != (entries, expected):
                raise RuntimeError(f"{name} has read {result}, not {entries} rows of {expected}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    rounds_default = int(os.environ.get("REDCOL_BENCH_ROUNDS", "15"))
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=10, help="of each stream")
    parser.add_argument("--rounds", type=int, default=rounds_default)
    parser.add_argument("--small", action="store_true", help="500 streams, 1 round: does it run?")
    options = parser.parse_args(arguments)
    streams, rounds = (500, 1) if options.small else (options.streams, options.rounds)

    refuse_debug_build()
    entries = streams * options.entries
    with Server() as server:
        socket_path = str(server.socket_path)
        events.write_events(socket_path, entries)
        events.write_many(socket_path, streams, options.entries)
        results = run_rounds(socket_path, streams, rounds)
    check_results(results, entries)
    print(
        f"{streams:,} streams of {options.entries} entries and one of {entries:,}, "
        f"4 fields, medians of {rounds} rounds"
    )
    print_table(results, entries, FLOOR)


if __name__ == "__main__":
    main()
