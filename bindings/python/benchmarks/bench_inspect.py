# SPDX-License-Identifier: Apache-2.0
"""How long it takes to list the groups of many streams, compared with the same commands alone.

usage: bench_inspect.py [--streams N] [--rounds N] [--small]

Every contestant is a process of its own that lives through all rounds; they take turns, since the
speed of a machine drifts. Ratios are taken within a round, and their median is shown.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import events
import redis
from inspect_contestants import CONTESTANTS, GROUP
from rounds import Results, print_table
from workers import HERE, Worker, compile_floor, refuse_debug_build

from servers import Server

FLOOR = "the commands"


def command(*words: str) -> bytes:
    """A command in Redis' protocol; the words are ASCII."""
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{parts}".encode()


def write_groups(db: redis.Redis, names: Sequence[str]) -> None:
    """A group for each stream, with one pending entry."""
    for start in range(0, len(names), 1_000):
        pipeline = db.pipeline(transaction=False)
        for name in names[start : start + 1_000]:
            pipeline.xgroup_create(name, GROUP, id="0")
            pipeline.xreadgroup(GROUP, "c", {name: ">"}, count=1)
        pipeline.execute()


def run_rounds(socket_path: str, names: Sequence[str], rounds: int, folder: str) -> Results:
    """One list of results for each contestant. A first round, which warms, does not count."""
    commands = Path(folder) / "commands"
    asked = [command("XINFO", "GROUPS", name) for name in names]
    asked += [command("XPENDING", name, GROUP, "-", "+", "1") for name in names]
    commands.write_bytes(b"".join(asked))
    floor = compile_floor("inspect_floor.c", folder)
    script, url = str(HERE / "inspect_contestants.py"), f"unix://{socket_path}"
    workers: dict[str, Worker] = {}
    results: Results = {name: [] for name in (FLOOR, *CONTESTANTS)}
    try:
        workers[FLOOR] = Worker(floor, socket_path, str(commands))
        for name in CONTESTANTS:
            workers[name] = Worker(sys.executable, script, name, url, str(len(names)))
        for number in range(rounds + 1):
            for name, worker in workers.items():
                result = worker.ask()
                if number > 0:
                    results[name].append(result)
    finally:
        for worker in workers.values():
            worker.stop()
    return results


def check_results(results: Results, streams: int) -> None:
    for name in CONTESTANTS:
        for result in results[name]:
            if (result["rows"], result["pending"]) != (streams, streams):
                raise RuntimeError(f"{name} has listed {result}, not {streams} groups")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    rounds_default = int(os.environ.get("REDCOL_BENCH_ROUNDS", "15"))
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=rounds_default)
    parser.add_argument("--small", action="store_true", help="500 streams, 1 round: does it run?")
    options = parser.parse_args(arguments)
    streams, rounds = (500, 1) if options.small else (options.streams, options.rounds)
    refuse_debug_build()
    names = [events.many_name(number) for number in range(streams)]
    with Server() as server, server.client() as db, tempfile.TemporaryDirectory() as folder:
        events.write_many(str(server.socket_path), streams, 3)
        write_groups(db, names)
        results = run_rounds(str(server.socket_path), names, rounds, folder)
    check_results(results, streams)
    print(f"the groups of {streams:,} streams, medians of {rounds} rounds")
    print_table(results, streams, FLOOR, unit="groups")


if __name__ == "__main__":
    main()
