# SPDX-License-Identifier: Apache-2.0
"""How long it takes to read streams on three nodes of a cluster, to write to them, and to share.

usage: bench_cluster.py [--streams N] [--entries N] [--rounds N] [--small]

The floors are C programs, one for each node and all at the same time, which send the same requests,
or rows, and look at no answer. They take turns with redcol, since the speed of a machine drifts;
ratios are taken within a round, and their median is shown. The last table is of one stream that a
replica has, too, with the processor time of the two servers.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import events
import polars as pl
from rounds import Results, print_table
from workers import Worker, compile_floor, refuse_debug_build

import redcol
from clusters import Cluster, Node
from sentinels import wait_until
from servers import Server

SCHEMA = {"user_id": pl.String, "action": pl.String, "value": pl.Int64, "amount": pl.Float64}
#: How many line ends the server answers to an XADD.
LINES_PER_ROW = 2
TICKS = os.sysconf("SC_CLK_TCK")
#: A node that is busy for some seconds is not down.
PATIENT = ("--cluster-node-timeout", "60000")


def encoded(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words
    )


def cpu_seconds(node: Node) -> float:
    """Of a server, so far."""
    fields = Path(f"/proc/{node.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def timed(work: Callable[[], Any]) -> dict[str, Any]:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu}


def at_once(workers: list[tuple[Worker, str]]) -> dict[str, Any]:
    """What several processes take that work at the same time."""
    began = time.perf_counter()
    for worker, request in workers:
        worker.begin(request)
    answers = [worker.answer() for worker, _ in workers]
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "cpu": sum(answer["cpu"] for answer in answers)}


def measure(
    contestants: dict[str, Callable[[], dict[str, Any]]],
    rounds: int,
    prepare: Callable[[], None] = lambda: None,
) -> Results:
    """A first round, which warms, does not count; nor does what prepares a contestant's turn."""
    results: Results = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, work in contestants.items():
            prepare()
            result = work()
            if number > 0:
                results[name].append(result)
    return results


def frame_of(streams: list[str], rows: int) -> pl.DataFrame:
    fields = [events.entry_fields(row) for row in range(rows)]
    names = [streams[row % len(streams)] for row in range(rows)]
    return pl.DataFrame(fields).with_columns(to=pl.Series(names))


def adds_of(rows: pl.DataFrame) -> bytes:
    """The commands that write these rows."""
    names = [name for name in rows.columns if name != "to"]
    return b"".join(
        encoded("XADD", row["to"], "*", *(w for name in names for w in (name, str(row[name]))))
        for row in rows.iter_rows(named=True)
    )


class Floors:
    """The C programs, for each node."""

    def __init__(self, cluster: Cluster, frame: pl.DataFrame, streams: list[str], folder: str):
        drain = compile_floor("drain.c", folder)
        writer = compile_floor("write_floor.c", folder)
        owner = cluster.owners()
        owners = {stream: owner(stream) for stream in streams}
        self.reads: list[tuple[Worker, str]] = []
        self.writes: list[tuple[Worker, str]] = []
        for node in cluster.primaries:
            mine = [stream for stream in streams if owners[stream] is node]
            ranges = Path(folder) / f"ranges-{node.port}"
            ranges.write_text("".join(f"XRANGE {stream} - +\r\n" for stream in mine))
            self.reads.append((Worker(drain, str(node.port), str(ranges)), ""))
            rows = frame.filter(pl.col("to").is_in([written(stream) for stream in mine]))
            adds = Path(folder) / f"adds-{node.port}"
            adds.write_bytes(adds_of(rows))
            lines = str(LINES_PER_ROW * len(rows))
            self.writes.append((Worker(writer, str(node.port), str(adds)), lines))

    def stop(self) -> None:
        for worker, _ in self.reads + self.writes:
            worker.stop()


def written(stream: str) -> str:
    """A stream on the same node, which is written to."""
    return f"{{{stream}}}:w"


def compare_nodes(streams: list[str], entries: int, rounds: int, folder: str) -> None:
    frame = frame_of(streams, entries)
    with Cluster(args=PATIENT) as cluster, Server(tcp=True) as alone:
        redcol.write_stream(cluster.url, frame, stream_column="to")
        redcol.write_stream(alone.url, frame.drop("to"), "one")
        key = cluster.key_at(cluster.primaries[1], "one")
        redcol.write_stream(cluster.url, frame.drop("to"), key)
        renamed = frame.with_columns(to=pl.concat_str(pl.lit("{"), "to", pl.lit("}:w")))
        owner = cluster.owners()

        def forget() -> None:
            for node in cluster.primaries:
                mine = [written(stream) for stream in streams if owner(stream) is node]
                with node.client() as db, db.pipeline(transaction=False) as pipeline:
                    for stream in mine:
                        pipeline.delete(stream)
                    pipeline.execute()

        floors = Floors(cluster, renamed, streams, folder)
        with redcol.connect(cluster.url) as client, redcol.connect(alone.url) as single:

            def read_all() -> pl.DataFrame:
                return redcol.read_streams(client, streams, schema=SCHEMA)

            def read_one(url: redcol.Client, stream: str) -> pl.DataFrame:
                return redcol.read_stream(url, stream, schema=SCHEMA)

            def write() -> object:
                return redcol.write_stream(client, renamed, stream_column="to")

            tables: dict[str, dict[str, Callable[[], dict[str, Any]]]] = {
                "read_streams": {
                    "three drains": lambda: at_once(floors.reads),
                    "redcol": lambda: timed(read_all),
                },
                "one stream": {
                    "one server": lambda: timed(lambda: read_one(single, "one")),
                    "cluster": lambda: timed(lambda: read_one(client, key)),
                },
                "write_stream": {
                    "three writers": lambda: at_once(floors.writes),
                    "redcol": lambda: timed(write),
                },
            }
            try:
                for title, contestants in tables.items():
                    prepare = forget if title == "write_stream" else lambda: None
                    results = measure(contestants, rounds, prepare)
                    print_table(results, entries, next(iter(contestants)), title=title)
            finally:
                floors.stop()


def compare_copies(entries: int, rounds: int, folder: str) -> None:
    with Cluster(replicas=1, args=PATIENT) as cluster:
        key = "shared"
        redcol.write_stream(cluster.url, frame_of([key], entries).drop("to"), key)
        primary = cluster.owner(key)
        replica = next(
            node
            for node in cluster.nodes
            if node.ask("INFO", "replication").get("master_port") == primary.port
        )
        with primary.client() as db:
            wait_until(lambda: db.execute_command("WAIT", 1, 1000) == 1, "the replica has all")
        wait_until(
            lambda: all(replica.id in str(node.ask("CLUSTER", "SLOTS")) for node in cluster.nodes),
            "the nodes name the replica",
        )
        commands = Path(folder) / "shared"
        commands.write_text(f"XRANGE {key} - +\r\n")
        drain = Worker(compile_floor("drain.c", folder), str(primary.port), str(commands))

        def with_servers(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            before = [cpu_seconds(node) for node in (primary, replica)]
            result = work()
            after = [cpu_seconds(node) for node in (primary, replica)]
            result["servers"] = [now - then for now, then in zip(after, before, strict=True)]
            return result

        with (
            redcol.connect(cluster.url) as one,
            redcol.connect(cluster.url, read_from="any") as both,
        ):

            def read(client: redcol.Client) -> dict[str, Any]:
                return timed(lambda: redcol.read_stream(client, key, schema=SCHEMA))

            contestants: dict[str, Callable[[], dict[str, Any]]] = {
                "drain": lambda: with_servers(drain.ask),
                "primary": lambda: with_servers(lambda: read(one)),
                "both": lambda: with_servers(lambda: read(both)),
            }
            try:
                results = measure(contestants, rounds)
            finally:
                drain.stop()
        print_table(results, entries, "drain", title="a replica, too")
        for name, found in results.items():
            first, second = (median(result["servers"][at] for result in found) for at in (0, 1))
            print(f"CPU s of the servers, {name}: primary {first:.2f}, replica {second:.2f}")


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
    print(f"{len(streams)} streams on three nodes, {entries:,} entries, {rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        compare_nodes(streams, entries, rounds, folder)
        compare_copies(entries, rounds, folder)


if __name__ == "__main__":
    main()
