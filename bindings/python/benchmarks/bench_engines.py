# SPDX-License-Identifier: Apache-2.0
"""How long engines take to read a stream and add up a column, compared with receiving its bytes.

usage: bench_engines.py [--entries N] [--rounds N] [--small]

The engines run in the Python of .venv-engines, or in this one if it has them. Every contestant is a
process of its own that lives through all rounds; they take turns, since the speed of a machine
drifts. The number at the end of a name says how many tasks run side by side.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import events
from rounds import Results, print_table
from workers import HERE, Worker, compile_floor, parse_arguments, refuse_debug_build

from servers import Server

#: Into how many tasks the stream is cut, about.
TASKS = 8
FLOOR = "drain"
ALL = (
    *("read_stream, 1", "partitions, 1", "partitions, 2", "Spark source, 1", "Spark batch, 1"),
    *("Spark batch, 2", "Spark stream, 1", "Spark stream, 2", "Ray, 1", "Ray, 2"),
)
#: One of each.
FEW = ("read_stream, 1", "partitions, 2", "Spark batch, 1", "Spark stream, 1", "Ray, 1")


def python_with_engines() -> str:
    if importlib.util.find_spec("pyspark") and importlib.util.find_spec("ray"):
        return sys.executable
    found = HERE.parents[2] / ".venv-engines/bin/python"
    if not found.exists():
        sys.exit(f"{found} is missing: `make setup` makes it.")
    return str(found)


def run_rounds(socket_path: str, names: Sequence[str], entries: int, rounds: int) -> Results:
    """One list of results for each contestant. A first round, which warms, does not count."""
    script, url = str(HERE / "engines_contestants.py"), f"unix://{socket_path}"
    task_rows, python = str(-(-entries // TASKS)), python_with_engines()
    workers: dict[str, Worker] = {}
    results: Results = {name: [] for name in (FLOOR, *names)}
    with tempfile.TemporaryDirectory() as directory:
        whole = Path(directory, "whole")
        whole.write_text(f"XRANGE {events.STREAM} - +\n")
        commands = {name: (python, script, name, url, task_rows) for name in names}
        floor = (compile_floor("drain.c", directory), socket_path, str(whole))
        try:
            for number in range(rounds + 1):
                for name, command in {FLOOR: floor, **commands}.items():
                    # Engines start one after the other, since each keeps all cores busy then.
                    if name not in workers:
                        workers[name] = Worker(*command)
                    result = workers[name].ask()
                    if number > 0:
                        results[name].append(result)
        finally:
            for worker in workers.values():
                worker.end()
    return results


def check_results(results: Results, entries: int) -> None:
    expected = sum(int(events.entry_fields(number)["value"]) for number in range(entries))
    for name, rounds in results.items():
        for result in rounds:
            if name != FLOOR and (result["rows"], result["sum"]) != (entries, expected):
                raise RuntimeError(f"{name} has read {result}, not {entries} rows of {expected}")


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 4_000)
    refuse_debug_build()
    names = FEW if "--small" in (sys.argv[1:] if arguments is None else arguments) else ALL
    with Server() as server:
        events.write_events(str(server.socket_path), entries)
        results = run_rounds(str(server.socket_path), names, entries, rounds)
    check_results(results, entries)
    print(f"{entries:,} entries of 4 fields in about {TASKS} tasks, medians of {rounds} rounds")
    print_table(results, entries, FLOOR)


if __name__ == "__main__":
    main()
