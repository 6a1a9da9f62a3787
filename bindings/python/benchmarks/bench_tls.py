# SPDX-License-Identifier: Apache-2.0
"""What reading takes over TLS, compared with C programs that send and receive through OpenSSL.

usage: bench_tls.py [--entries N] [--rounds N] [--small]

As in bench_read.py, bench_group.py and bench_small.py, whose contestants and floors these are. The
server is Debian's Redis on a port of this host; all use the same kind of key and the same cipher.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import bench_group
import events
import group_contestants
from bench_read import run_rounds
from bench_small import bench_one_entry
from rounds import print_table, ratio
from workers import HERE, Worker, compile_floor, parse_arguments, refuse_debug_build

from tls_files import TLSServer

BATCH_SIZE = 1_000
OPENSSL = ("-DFLOOR_TLS", "-l:libssl.so.3", "-l:libcrypto.so.3")


def bench_read(server: TLSServer, directory: str, entries: int, rounds: int) -> None:
    whole = Path(directory, "whole")
    whole.write_text(f"XRANGE {events.STREAM} - +\n")
    program = compile_floor("drain.c", directory, *OPENSSL)
    workers = {"drain": Worker(program, str(server.tls_port), str(whole))}
    for name in ("redcol", "redis-py loop"):
        script = str(HERE / "contestants.py")
        workers[name] = Worker(sys.executable, script, name, server.url)
    try:
        results = run_rounds(workers, rounds)
    finally:
        for worker in workers.values():
            worker.stop()
    for name in ("redcol", "redis-py loop"):
        if any(result["rows"] != entries for result in results[name]):
            raise RuntimeError(f"{name} has read {results[name]}, not {entries} rows")
    print_table(results, entries, "drain", title="a range")


def bench_groups(server: TLSServer, directory: str, entries: int, rounds: int) -> None:
    program = compile_floor("group_floor.c", directory, *OPENSSL)
    workers = {"floor": Worker(program, str(server.tls_port), events.STREAM)}
    script = str(HERE / "group_contestants.py")
    for name in group_contestants.CONTESTANTS:
        workers[name] = Worker(sys.executable, script, name, server.url)
    try:
        with server.client() as db:
            results = bench_group.run_rounds(db, workers, BATCH_SIZE, entries, rounds)
    finally:
        for worker in workers.values():
            worker.stop()
    print_table(results, entries, "floor", title=f"batches of {BATCH_SIZE:,}")
    print(f"redis-py loop / redcol: {ratio(results, 'redis-py loop', 'redcol'):.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 10_000)
    refuse_debug_build()
    with tempfile.TemporaryDirectory() as directory, TLSServer() as server:
        events.write_events(str(server.socket_path), entries)
        print(f"{entries:,} entries of 4 fields over TLS, medians of {rounds} rounds")
        bench_read(server, directory, entries, rounds)
        print()
        bench_groups(server, directory, entries, rounds)
        print()
        bench_one_entry(server, rounds)


if __name__ == "__main__":
    main()
