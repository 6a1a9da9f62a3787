# SPDX-License-Identifier: Apache-2.0
"""How long an aggregation takes over a scan, compared with one over a frame that was read before.

usage: bench_scan.py [--entries N] [--rounds N] [--small]

Every contestant is a process of its own that lives through all rounds; they take turns. Ratios are
taken within a round, and their median is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import events
from rounds import Results, print_table
from scan_contestants import CONTESTANTS
from workers import HERE, Worker, parse_arguments, refuse_debug_build

from servers import Server


def run_rounds(workers: dict[str, Worker], rounds: int) -> Results:
    """One list of results for each worker. A first round, which loads and warms, does not count."""
    results: Results = {name: [] for name in workers}
    for number in range(rounds + 1):
        # Whoever comes second finds the server's caches warm: they change places.
        names = list(workers) if number % 2 else list(reversed(workers))
        for name in names:
            result = workers[name].ask()
            if number > 0:
                results[name].append(result)
    return results


def check_results(results: Results, entries: int) -> None:
    expected = results["read_stream"][0]["sums"]
    for name, rounds in results.items():
        is_part = name.startswith("scan, ")
        for result in rounds:
            if result["rows"] != (min(entries, 10_000) if is_part else entries):
                raise RuntimeError(f"{name} has aggregated {result['rows']} rows")
            if not is_part and result["sums"] != expected:
                raise RuntimeError(f"{name} gives {result['sums']}, not {expected}")


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 10_000)
    refuse_debug_build()
    workers: dict[str, Worker] = {}
    with Server() as server:
        events.write_events(str(server.socket_path), entries)
        script = str(HERE / "scan_contestants.py")
        try:
            for name in CONTESTANTS:
                workers[name] = Worker(sys.executable, script, name, server.url)
            results = run_rounds(workers, rounds)
        finally:
            for worker in workers.values():
                worker.stop()
    check_results(results, entries)

    print(f"an aggregation of {entries:,} entries of 4 fields, medians of {rounds} rounds")
    print_table(results, entries, "read_stream")


if __name__ == "__main__":
    main()
