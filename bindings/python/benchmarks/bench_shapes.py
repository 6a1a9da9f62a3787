# SPDX-License-Identifier: Apache-2.0
"""How long streams of different shapes take to become DataFrames, compared with their raw drain.

usage: bench_shapes.py [--entries N] [--rounds N] [--small]

For each shape the whole of its reply is drained, and then the stream is read with redcol, over the
same unix socket, in turns. Shapes with long entries have fewer of them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import events
from pairs import Result, print_header, print_pairs, take_pairs
from shapes import SHAPES, Shape
from workers import Worker, compile_floor, parse_arguments, refuse_debug_build

import redcol
from servers import Server


def read(url: str, shape: Shape, entries: int) -> Result:
    cpu_before, before = time.process_time(), time.perf_counter()
    frame = redcol.read_stream(url, shape.stream, schema=shape.schema)
    seconds, cpu = time.perf_counter() - before, time.process_time() - cpu_before
    found = frame.drop("_id", "_ts").null_count().sum_horizontal().item()
    if len(frame) != entries or found != 0:
        raise RuntimeError(f"{len(frame)} of {entries} rows were read, {found} values are null")
    return {"seconds": seconds, "cpu": cpu}


def main(arguments: Sequence[str] | None = None) -> None:
    entries, rounds = parse_arguments(__doc__, arguments, 10_000)
    refuse_debug_build()
    with tempfile.TemporaryDirectory() as directory, Server() as server:
        socket_path = str(server.socket_path)
        program = compile_floor("drain.c", directory)
        written: set[str] = set()
        print(f"shapes of {entries:,} entries or fewer, medians of {rounds} pairs")
        print_header("")
        for name, shape in SHAPES.items():
            rows = int(entries * shape.share)
            if shape.stream not in written:
                events.write_events(socket_path, rows, shape.stream, shape.fields)
                written.add(shape.stream)
            commands = Path(directory, "commands")
            commands.write_text(f"XRANGE {shape.stream} - +\n")
            drain = Worker(program, socket_path, str(commands))
            try:
                pairs = take_pairs(drain.ask, partial(read, server.url, shape, rows), rounds)
            finally:
                drain.stop()
            print_pairs(name, pairs, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
