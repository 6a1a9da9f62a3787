# SPDX-License-Identifier: Apache-2.0
"""How long it takes to have what is published to a channel in frames.

usage: bench_pubsub.py [--messages N] [--rounds N] [--small]

A publisher, a process of its own, publishes messages of 100 bytes as fast as the server takes them.
Every contestant is a process that lives through all rounds; they take turns. The floor is a C
program that receives the same bytes and looks at none of them. Medians of the rounds are shown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from statistics import median

from pubsub_contestants import CONTESTANTS
from workers import HERE, Worker, compile_floor, refuse_debug_build

from servers import Server

#: Nobody loses the connection for being slow: that is not what is measured.
ARGUMENTS = ("--client-output-buffer-limit", "pubsub", "0", "0", "0")


def run_rounds(
    workers: dict[str, Worker], floor: str, server: Server, messages: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """One list of seconds and processor seconds for each worker. A first round does not count."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in workers}
    for number in range(rounds + 1):
        for name, worker in workers.items():
            worker.ask(f"c{number} {messages}")  # it listens
            command = [floor, "write", str(server.socket_path), f"c{number}", str(messages)]
            subprocess.run(command, check=True)
            answer = worker.answer()
            if number > 0:
                results[name].append((answer["seconds"], answer["cpu"]))
    return results


def print_table(results: dict[str, list[tuple[float, float]]], messages: int) -> None:
    print(f"{'':20}{'messages/s':>12}{'CPU ns':>9}{'time/C':>9}")
    floors = results["C, discards"]
    for name, rounds in results.items():
        seconds = median(one[0] for one in rounds)
        cpu = median(one[1] for one in rounds)
        ratio = median(mine[0] / least[0] for mine, least in zip(rounds, floors, strict=True))
        print(f"{name:20}{messages / seconds:12,.0f}{cpu / messages * 1e9:9.0f}{ratio:9.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    rounds_default = int(os.environ.get("REDCOL_BENCH_ROUNDS", "9"))
    parser.add_argument("--messages", type=int, default=1_000_000, help="in a round")
    parser.add_argument("--rounds", type=int, default=rounds_default)
    parser.add_argument("--small", action="store_true", help="20,000 messages, 1 round")
    options = parser.parse_args(arguments)
    messages, rounds = (20_000, 1) if options.small else (options.messages, options.rounds)

    refuse_debug_build()
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as directory, Server(args=ARGUMENTS) as server:
        floor = compile_floor("pubsub_floor.c", directory)
        try:
            workers["C, discards"] = Worker(floor, "read", str(server.socket_path))
            script = str(HERE / "pubsub_contestants.py")
            for name in CONTESTANTS:
                where = (server.url, str(server.socket_path))
                workers[name] = Worker(sys.executable, script, name, *where)
            results = run_rounds(workers, floor, server, messages, rounds)
        finally:
            for worker in workers.values():
                worker.stop()
    print(f"{messages:,} messages of 100 bytes, medians of {rounds} rounds")
    print_table(results, messages)


if __name__ == "__main__":
    main()
