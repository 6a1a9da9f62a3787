# SPDX-License-Identifier: Apache-2.0
"""Exports that are killed at any moment: afterwards every entry is in the files, once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

import redcol
from servers import REDIS_7, Server

KILLS = 100 if os.environ.get("REDCOL_CHAOS") else 8
ENTRIES = 3_000
#: Exports in small files. With a point ("rename 3 before") it kills itself there.
PROGRAM = """
import os, signal, sys
import redcol
import polars as pl
from redcol import _exporting, iterator

url, stream, folder, group, point = sys.argv[1:]
counts = {}

def kill(owner, name, label):
    call = getattr(owner, name)

    def counted(*arguments, **options):
        counts[label] = counts.get(label, 0) + 1
        here = f"{label} {counts[label]}"
        if point == f"{here} before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **options)
        if point == f"{here} after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)

kill(os, "rename", "rename")
kill(os, "fsync", "fsync")
kill(os, "mkdir", "mkdir")
kill(_exporting._Export, "_add", "add")
kill(pl.DataFrame, "write_parquet", "write")
kill(iterator.StreamIterator, "ack", "ack")
members = {"group": group, "consumer": "export"} if group else {}
print("ready", flush=True)
redcol.export_stream(url, stream, folder, schema={"n": int}, resume=True, rows_per_file=200,
                     partition_by="hour", **members)
"""
POINTS = [
    f"{call} {number} {side}"
    for call, numbers in (
        ("rename", (2,)), ("fsync", (3, 4)), ("mkdir", (1,)), ("add", (7,)),
        ("write", (2,)),
    )
    for number in numbers
    for side in ("before", "after")
]  # fmt: skip
ACKS = ["ack 1 before", "ack 1 after", "ack 3 before", "ack 3 after"]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(REDIS_7) as started:
        yield started


class Export:
    """One export, which is killed and begun again."""

    def __init__(self, server: Server, folder: Path, group: str) -> None:
        self.server = server
        self.folder = folder
        self.group = group
        self.db = server.client(decode_responses=True)
        self.added = 0
        self.add(ENTRIES)

    def add(self, count: int) -> None:
        """More entries, some of them in the next hour."""
        pipeline = self.db.pipeline(transaction=False)
        for number in range(self.added, self.added + count):
            pipeline.xadd("s", {"n": number}, id=f"{1 + number * 2_000}-{number % 3}")
        pipeline.execute()
        self.added += count

    def run(self, point: str = "", kill: Callable[[subprocess.Popen[str]], None] | None = None):
        program = [sys.executable, "-c", PROGRAM, self.server.url, "s", str(self.folder)]
        source = str(Path(redcol.__file__).parents[1])
        with subprocess.Popen(
            [*program, self.group, point],
            env={**os.environ, "PYTHONPATH": source},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            if kill is not None:
                kill(process)
            code = process.wait(120)
        self.check_what_is_there()
        return code

    def ids(self) -> list[str]:
        """All ids in the files, in the order of the files' names."""
        files = sorted(self.folder.rglob("*.parquet"), key=lambda path: path.name)
        # Every file is whole.
        return [id_ for file in files for id_ in pl.read_parquet(file)["_id"].to_list()]

    def check_what_is_there(self) -> None:
        """At any moment: a beginning of the stream, each entry once."""
        written = self.ids()
        assert (
            written
            == [id_ for id_, _ in self.db.xrange("s", count=len(written) or 1)][: len(written)]
        )

    def finish(self) -> None:
        assert self.run() == 0
        assert self.ids() == [id_ for id_, _ in self.db.xrange("s")]
        values = pl.read_parquet(f"{self.folder}/**/*.parquet", hive_partitioning=False)
        assert sorted(values["n"].to_list()) == list(range(self.added))
        assert not list(self.folder.rglob("*.tmp"))
        if self.group:
            assert self.db.xpending("s", self.group)["pending"] == 0
        self.db.close()


@pytest.mark.parametrize("group", ["", "g"], ids=["alone", "group"])
def test_killed_at_every_step(server: Server, tmp_path: Path, group: str) -> None:
    export = Export(server, tmp_path / "out", group)
    points = ACKS if group else POINTS
    for point in points:
        export.add(1_200)
        assert export.run(point) == -signal.SIGKILL, point
    export.finish()


@pytest.mark.parametrize("group", ["", "g"], ids=["alone", "group"])
def test_killed_at_random(server: Server, tmp_path: Path, group: str) -> None:
    seed = int(os.environ.get("REDCOL_SEED", random.randrange(1 << 30)))
    print(f"REDCOL_SEED={seed}")
    chance = random.Random(seed)
    export = Export(server, tmp_path / "out", group)
    began = time.monotonic()
    assert export.run() == 0
    seconds = time.monotonic() - began

    def kill(process: subprocess.Popen[str]) -> None:
        time.sleep(chance.random() * seconds / 2)
        process.kill()

    killed = 0
    for _ in range(KILLS):
        export.add(ENTRIES)
        killed += export.run(kill=kill) == -signal.SIGKILL
    export.finish()
    assert killed > 0
