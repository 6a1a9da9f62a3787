"""How long an aggregation takes over a scan, compared with one over a frame that was read before.

usage: bench_scan.py [--entries N] [--rounds N] [--small]

Every contestant is a process of its own that lives through all rounds; they take turns. Ratios are
taken within a round, and their median is shown.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

import events
from scan_contestants import CONTESTANTS
from workers import HERE, Worker, refuse_debug_build

from servers import Server


def run_rounds(workers: dict[str, Worker], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """One list of results for each worker. A first round, which loads and warms, does not count."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for number in range(rounds + 1):
        # Whoever comes second finds the server's caches warm: they change places.
        names = list(workers) if number % 2 else list(reversed(workers))
        for name in names:
            result = workers[name].ask()
            if number > 0:
                results[name].append(result)
    return results


def check_results(results: dict[str, list[dict[str, Any]]], entries: int) -> None:
    expected = results["read_stream"][0]["sums"]
    for name, rounds in results.items():
        is_part = name.startswith("scan, ")
        for result in rounds:
            if result["rows"] != (min(entries, 10_000) if is_part else entries):
                raise RuntimeError(f"{name} has aggregated {result['rows']} rows")
            if not is_part and result["sums"] != expected:
                raise RuntimeError(f"{name} gives {result['sums']}, not {expected}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    entries_default = int(os.environ.get("REDCOL_BENCH_ENTRIES", "1000000"))
    rounds_default = int(os.environ.get("REDCOL_BENCH_ROUNDS", "9"))
    parser.add_argument("--entries", type=int, default=entries_default)
    parser.add_argument("--rounds", type=int, default=rounds_default)
    parser.add_argument(
        "--small", action="store_true", help="10,000 entries, 1 round: does it run?"
    )
    options = parser.parse_args(arguments)
    entries, rounds = (10_000, 1) if options.small else (options.entries, options.rounds)

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
    print(f"{'':20}{'seconds':>9}{'/read':>8}{'CPU s':>9}")
    reads = [result["seconds"] for result in results["read_stream"]]
    for name, answers in results.items():
        seconds = [result["seconds"] for result in answers]
        ratio = median(mine / read for mine, read in zip(seconds, reads, strict=True))
        cpu = median(result["cpu"] for result in answers)
        print(f"{name:20}{median(seconds):9.3f}{ratio:8.2f}{cpu:9.3f}")


if __name__ == "__main__":
    main()
