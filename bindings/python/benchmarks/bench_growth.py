# SPDX-License-Identifier: Apache-2.0
"""Whether ten times as many entries take ten times as long, and a hundred streams as long as one.

usage: bench_growth.py [--entries N] [--rounds N] [--small]

A tenth of N, N and ten times N entries are read; the largest stream is then iterated, with an eye
on the memory; and N entries in a hundred streams are iterated beside N in one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from statistics import median

import events
from contestants import SCHEMA, resident_bytes
from pairs import Result, ratio, take_pairs
from workers import parse_arguments, refuse_debug_build

import redcol
from servers import Server

STREAMS = 100
BATCH_ROWS = 10_000


def read(url: str, count: int, times: int) -> float:
    """Entries per second of so many reads, one after the other."""
    seconds = 0.0
    for _ in range(times):
        before = time.perf_counter()
        frame = redcol.read_stream(url, events.STREAM, schema=SCHEMA, count=count)
        seconds += time.perf_counter() - before
        if len(frame) != count:
            raise RuntimeError(f"{len(frame)} of {count} rows were read")
        del frame
    return times * count / seconds


def iterate(url: str, streams: str | list[str], entries: int) -> Result:
    before = time.perf_counter()
    rows = 0
    smallest, largest = sys.maxsize, 0
    for batch in redcol.iter_stream(
        url, streams, schema=SCHEMA, batch_size=BATCH_ROWS, count=entries
    ):
        rows += len(batch)
        if rows > entries // 10:  # the buffers have their size
            resident = resident_bytes("VmRSS")
            smallest, largest = min(smallest, resident), max(largest, resident)
    if rows != entries:
        raise RuntimeError(f"{rows} of {entries} rows were read")
    return {"seconds": time.perf_counter() - before, "grown": largest - smallest}


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 20_000)
    refuse_debug_build()
    with Server() as server:
        socket_path = str(server.socket_path)
        events.write_events(socket_path, 10 * entries)
        # Short reads are made several times: the speed of a machine differs from moment to moment.
        sizes = {entries // 10: 10, entries: 3, 10 * entries: 1}
        rates: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(rounds + 1):
            for size, times in sizes.items():
                rates[size].append(read(server.url, size, times))
        for size in sizes:
            rate = median(rates[size][1:])
            beside = median(
                mine / other
                for mine, other in zip(rates[size][1:], rates[entries][1:], strict=True)
            )
            print(f"{size:>12,} entries: {rate:12,.0f} entries/s, {beside:.2f} of the middle")
        grown = iterate(server.url, events.STREAM, 10 * entries)["grown"]
        print(f"iterating {10 * entries:,} entries: memory within {grown / 1e6:.1f} MB")

        names = [f"{events.STREAM}:{number}" for number in range(STREAMS)]
        for name in names:
            events.write_events(socket_path, entries // STREAMS, name)
        pairs = take_pairs(
            lambda: iterate(server.url, events.STREAM, entries),
            lambda: iterate(server.url, names, entries),
            rounds,
        )
        print(
            f"{STREAMS} streams of {entries // STREAMS:,} entries in one iterator, to one stream "
            f"of {entries:,}: {ratio(pairs):.2f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
