# SPDX-License-Identifier: Apache-2.0
"""How long it takes to read streams on three nodes of a cluster, and to write to them.

usage: bench_cluster.py [--streams N] [--entries N] [--rounds N] [--small]

The floors are clients that send the same requests, or rows, to three nodes at the same time, one
process for each node, and look at no answer. They take turns with redcol, since the speed of a
machine drifts; ratios are taken within a round, and their median is shown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import events
import polars as pl
from rounds import Results, print_table
from workers import refuse_debug_build

import redcol
from clusters import Cluster
from servers import Server

SCHEMA = {"user_id": pl.String, "action": pl.String, "value": pl.Int64, "amount": pl.Float64}


def encoded(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words
    )


def exchange(path: str, requests: bytes, answers: int, mark: bytes) -> None:
    """Send all, and receive until so many marks have come."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        peer.setblocking(False)
        sent, found, tail = 0, 0, b""
        while found < answers:
            if sent < len(requests):
                try:
                    sent += peer.send(requests[sent : sent + 65_536])
                except BlockingIOError:
                    time.sleep(0)
            try:
                block = tail + peer.recv(1 << 20)
            except BlockingIOError:
                continue
            found += block.count(mark)
            # A mark may be cut, and none is counted twice.
            tail = block[len(block) - len(mark) + 1 :]


def all_at_once(jobs: list[tuple[str, bytes, int, bytes]]) -> None:
    processes = [multiprocessing.Process(target=exchange, args=job) for job in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode != 0:
            raise RuntimeError("a floor has failed")


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu}


def measure(
    contestants: dict[str, Callable[[], Any]], rounds: int, prepare: Callable[[], None]
) -> Results:
    """A first round, which warms, does not count; nor does what prepares a contestant's turn."""
    results: Results = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, work in contestants.items():
            prepare()
            result = timed(work)
            if number > 0:
                results[name].append(result)
    return results


def frame_of(streams: list[str], rows: int) -> pl.DataFrame:
    fields = [events.entry_fields(row) for row in range(rows)]
    names = [streams[row % len(streams)] for row in range(rows)]
    return pl.DataFrame(fields).with_columns(to=pl.Series(names))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--entries", type=int, default=1_000_000, help="of all streams")
    parser.add_argument(
        "--rounds", type=int, default=int(os.environ.get("REDCOL_BENCH_ROUNDS", "7"))
    )
    parser.add_argument("--small", action="store_true", help="10,000 entries, 1 round")
    options = parser.parse_args(arguments)
    entries, rounds = (10_000, 1) if options.small else (options.entries, options.rounds)
    refuse_debug_build()
    streams = [f"many:{number:03}" for number in range(options.streams)]
    frame = frame_of(streams, entries)
    with Cluster() as cluster, Server() as alone:
        redcol.write_stream(cluster.url, frame, stream_column="to")
        redcol.write_stream(alone.url, frame.drop("to"), "one")
        key = cluster.key_at(cluster.primaries[1], "one")
        redcol.write_stream(cluster.url, frame.drop("to"), key)
        owners = {stream: cluster.owner(stream) for stream in streams}
        reads, writes = [], []
        for node in cluster.primaries:
            mine = [stream for stream in streams if owners[stream] is node]
            path = str(node.socket_path)
            each = sum(frame["to"].is_in(mine))
            ranges = b"".join(encoded("XRANGE", stream, "-", "+") for stream in mine)
            reads.append((path, ranges, each, b"$7\r\nuser_id"))
            rows = frame.filter(pl.col("to").is_in(mine))
            adds = b"".join(
                encoded(
                    "XADD",
                    f"{{{row['to']}}}:w",
                    "*",
                    *(
                        word
                        for name, value in row.items()
                        if name != "to"
                        for word in (name, str(value))
                    ),
                )
                for row in rows.iter_rows(named=True)
            )
            writes.append((path, adds, each, b"-"))
        renamed = frame.with_columns(to=pl.concat_str(pl.lit("{"), "to", pl.lit("}:w")))

        def forget() -> None:
            for stream in streams:
                with owners[stream].client() as db:
                    db.delete(f"{{{stream}}}:w")

        print(f"{len(streams)} streams on three nodes, {entries:,} entries, {rounds} rounds")
        with redcol.connect(cluster.url) as client, redcol.connect(alone.url) as single:
            tables = {
                "read_streams": {
                    "three drains": lambda: all_at_once(reads),
                    "redcol": lambda: redcol.read_streams(client, streams, schema=SCHEMA),
                },
                "one stream": {
                    "one server": lambda: redcol.read_stream(single, "one", schema=SCHEMA),
                    "cluster": lambda: redcol.read_stream(client, key, schema=SCHEMA),
                },
                "write_stream": {
                    "three writers": lambda: all_at_once(writes),
                    "redcol": lambda: redcol.write_stream(client, renamed, stream_column="to"),
                },
            }
            for title, contestants in tables.items():
                results = measure(contestants, rounds, forget)
                print_table(results, entries, next(iter(contestants)), title=title)


if __name__ == "__main__":
    main()
