# SPDX-License-Identifier: Apache-2.0
"""What the way to the server costs: TCP, and relays that add 1 and 10 ms of round trip.

usage: bench_network.py [--entries N] [--rounds N] [--small]

For each way the raw drain of the same reply goes through the same relay. A group is compared with a
C program that sends the same commands lock-step: one round trip a batch.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import events
from bench_group import read_group
from pairs import print_header, print_pairs, take_pairs
from workers import HERE, Worker, compile_floor, parse_arguments, refuse_debug_build

from servers import Server

#: Round trips that the relays add, in milliseconds.
ROUND_TRIPS_MS = (1, 10)
GROUP_BATCH = 1_000


@contextmanager
def running(*command: str) -> Iterator[Worker]:
    worker = Worker(*command)
    try:
        yield worker
    finally:
        worker.stop()


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 10_000)
    refuse_debug_build()
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(Server(tcp=True))
        db = stack.enter_context(server.client())
        events.write_events(str(server.socket_path), entries)
        programs = {
            name: compile_floor(f"{name}.c", directory)
            for name in ("drain", "group_floor", "relay")
        }
        ports = {"TCP": server.port}
        for milliseconds in ROUND_TRIPS_MS:
            command = [programs["relay"], str(server.socket_path), str(milliseconds / 2)]
            relay = stack.enter_context(running(*command))
            ports[f"relay, {milliseconds} ms"] = int(relay.answer()["port"])
        commands = Path(directory, "commands")
        commands.write_text(f"XRANGE {events.STREAM} - +\n")

        print(f"{entries:,} entries of 4 fields, medians of {rounds} pairs")
        print_header("")
        for name, port in ports.items():
            drain = [programs["drain"], str(port), str(commands)]
            script = str(HERE / "contestants.py")
            mine = [sys.executable, script, "redcol", f"redis://127.0.0.1:{port}"]
            with running(*drain) as floor, running(*mine) as redcol:
                print_pairs(name, take_pairs(floor.ask, redcol.ask, rounds), entries)

        rows = min(entries, 100_000)
        port = ports[f"relay, {ROUND_TRIPS_MS[-1]} ms"]
        script = str(HERE / "group_contestants.py")
        mine = [sys.executable, script, "redcol", f"redis://127.0.0.1:{port}"]
        lock_step = [programs["group_floor"], str(port), events.STREAM]
        with running(*lock_step) as floor, running(*mine) as redcol:
            pairs = take_pairs(
                lambda: read_group(db, floor, GROUP_BATCH, rows),
                lambda: read_group(db, redcol, GROUP_BATCH, rows),
                rounds,
            )
        print_pairs(f"group, {ROUND_TRIPS_MS[-1]} ms", pairs, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
