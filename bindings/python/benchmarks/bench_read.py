# SPDX-License-Identifier: Apache-2.0
"""How long it takes to read a stream into a DataFrame, compared with only receiving its bytes.

usage: bench_read.py [--entries N] [--rounds N] [--small]

Every contestant is a process of its own that lives through all rounds; they take turns, since the
speed of a machine drifts. Ratios are taken within a round, and their median is shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import events
from contestants import CONTESTANTS
from rounds import Results, print_table
from workers import HERE, Worker, compile_floor, parse_arguments, refuse_debug_build

from servers import Server

PAGE_ENTRIES = 10_000


def start_workers(directory: str, socket_path: str, entries: int) -> dict[str, Worker]:
    program = compile_floor("drain.c", directory)
    whole = Path(directory, "whole")
    whole.write_text(f"XRANGE {events.STREAM} - +\n")
    pages = Path(directory, "pages")
    with pages.open("w") as file:
        for start in range(0, entries, PAGE_ENTRIES):
            first = events.entry_id(start)
            file.write(f"XRANGE {events.STREAM} {first} + COUNT {PAGE_ENTRIES}\n")
    workers = {
        "drain": Worker(program, socket_path, str(whole)),
        "drain, pages": Worker(program, socket_path, str(pages)),
        "drain and copy": Worker(program, socket_path, str(whole), "copy"),
    }
    script = str(HERE / "contestants.py")
    for name in CONTESTANTS:
        workers[name] = Worker(sys.executable, script, name, f"unix://{socket_path}")
    return workers


def run_rounds(workers: dict[str, Worker], rounds: int) -> Results:
    """One list of results for each worker. A first round, which loads and warms, does not count."""
    results: Results = {name: [] for name in workers}
    for number in range(rounds + 1):
        for name, worker in workers.items():
            result = worker.ask()
            if number > 0:
                results[name].append(result)
    return results


def check_results(results: Results, entries: int) -> None:
    """A contestant that reads something other than the others has not won."""
    expected = results["redcol"][0]["sums"]
    for name, rounds in results.items():
        if name.startswith("drain"):
            continue
        for result in rounds:
            if (result["rows"], result["sums"]) != (entries, expected):
                raise RuntimeError(f"{name} has read {result}, not {entries} rows of {expected}")


def measure_memory(socket_path: str) -> dict[str, int]:
    command = [sys.executable, str(HERE / "contestants.py"), "redcol", f"unix://{socket_path}"]
    output = subprocess.run([*command, "memory"], check=True, capture_output=True).stdout
    return dict(json.loads(output))


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 10_000)
    refuse_debug_build()
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as directory, Server() as server:
        socket_path = str(server.socket_path)
        events.write_events(socket_path, entries)
        try:
            workers = start_workers(directory, socket_path, entries)
            results = run_rounds(workers, rounds)
        finally:
            for worker in workers.values():
                worker.stop()
        memory = measure_memory(socket_path)
    check_results(results, entries)

    megabytes = results["drain"][0]["bytes"] / 1e6
    print(
        f"{entries:,} entries of 4 fields, {megabytes:.1f} MB of reply, medians of {rounds} rounds"
    )
    print_table(results, entries, "drain")
    print(
        f"redcol raised the peak memory by {memory['raised'] / 1e6:.1f} MB for "
        f"{memory['arrow'] / 1e6:.1f} MB of Arrow buffers in {memory['chunks']} chunks: "
        f"{memory['raised'] / memory['arrow']:.2f}"
    )


if __name__ == "__main__":
    main()
