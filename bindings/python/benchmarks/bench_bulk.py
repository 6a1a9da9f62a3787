# SPDX-License-Identifier: Apache-2.0
"""A stream by DUMP, compared with only receiving the answer to XRANGE, and with reading by entries.

usage: bench_bulk.py [--entries N] [--rounds N] [--small]

Through a unix socket, and through a relay that passes on as much as a network of 1 Gbit/s; once
where the server compresses what it dumps (as it does unless it is told otherwise), and once where
it does not.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import events
from bench_network import running
from bench_read import check_results, run_rounds
from rounds import print_table
from workers import HERE, Worker, compile_floor, parse_arguments, refuse_debug_build

from servers import Server

MEGABITS = 1_000
CONTESTANTS = ("redcol", "redcol, dump", "redis-py loop")


def bench(title: str, address: str, url: str, commands: Path, entries: int, rounds: int) -> None:
    """Everybody reads the stream through this address, in turns."""
    workers = {"drain": Worker(str(commands.with_name("drain")), address, str(commands))}
    script = str(HERE / "contestants.py")
    for name in CONTESTANTS:
        workers[name] = Worker(sys.executable, script, name, url)
    try:
        results = run_rounds(workers, rounds)
    finally:
        for worker in workers.values():
            worker.stop()
    check_results(results, entries)
    print_table(results, entries, "drain", title=title)


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 10_000)
    refuse_debug_build()
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(Server())
        db = stack.enter_context(server.client())
        events.write_events(str(server.socket_path), entries)
        compile_floor("drain.c", directory)
        relay = compile_floor("relay.c", directory)
        command = [relay, str(server.socket_path), "0", str(MEGABITS)]
        port = int(stack.enter_context(running(*command)).answer()["port"])
        commands = Path(directory, "commands")
        commands.write_text(f"XRANGE {events.STREAM} - +\n")
        print(f"{entries:,} entries of 4 fields, medians of {rounds} rounds")
        for compression in ("yes", "no"):
            db.config_set("rdbcompression", compression)
            size = len(db.dump(events.STREAM) or b"")
            print(f"\ncompression {compression}: a dump of {size / 1e6:.1f} MB")
            ways = {
                "unix socket": (str(server.socket_path), server.url),
                "relay of 1 Gbit/s": (str(port), f"redis://127.0.0.1:{port}"),
            }
            for title, (address, url) in ways.items():
                bench(title, address, url, commands, entries, rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
