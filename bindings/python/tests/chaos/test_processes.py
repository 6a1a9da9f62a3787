# SPDX-License-Identifier: Apache-2.0
"""Readers as processes: killed between batches, sharing a stream, taking over from a dead one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

import worker
from cases import on_servers
from servers import Server
from worker import Task, read_record

SECONDS_MAX = 30.0


class Readers:
    """Reader processes of one group."""

    def __init__(self, server: Server, folder: Path, stream: str):
        self.server = server
        self.folder = folder
        self.stream = stream
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, consumer: str, mode: str = "auto", **options) -> None:
        record = str(self.folder / consumer)
        task = Task(
            url=self.server.url, record=record, stream=self.stream, consumer=consumer, **options
        )
        self.processes[consumer] = worker.start(mode, task)

    def lines(self, consumer: str) -> list[dict]:
        return read_record(self.folder / consumer)

    def batches(self, consumer: str) -> list[list[str]]:
        """The ids of each batch that it was given."""
        lines = self.lines(consumer)
        return [[i for i, _ in line["delivered"]] for line in lines if "delivered" in line]

    def ids(self, consumer: str) -> list[str]:
        return [i for batch in self.batches(consumer) for i in batch]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while not condition():
            for consumer, process in self.processes.items():
                error = Path(f"{self.folder / consumer}.err")
                assert process.poll() is None, error.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def wait_until_ready(self) -> None:
        self.wait_for(lambda: all(self.lines(consumer) for consumer in self.processes))

    def kill(self, consumer: str) -> None:
        process = self.processes.pop(consumer)
        process.kill()
        process.wait()

    def end(self, consumer: str) -> None:
        process = self.processes.pop(consumer)
        process.terminate()
        assert process.wait(120) == 0

    def stop(self) -> None:
        for consumer in list(self.processes):
            self.kill(consumer)


@pytest.fixture
def stream() -> str:
    return f"processes-{time.monotonic_ns()}"


@pytest.fixture
def readers(any_server: Server, tmp_path: Path, stream: str) -> Iterator[Readers]:
    made = Readers(any_server, tmp_path, stream)
    yield made
    made.stop()


def add(db: redis.Redis, stream: str, count: int) -> list[str]:
    with db.pipeline() as pipeline:
        for n in range(count):
            pipeline.xadd(stream, {"n": n, "text": worker.text(n)})
        return [i.decode() for i in pipeline.execute()]


def pending(db: redis.Redis, stream: str, consumer: str | None = None) -> list[str]:
    found = db.xpending_range(stream, "g", "-", "+", 100_000, consumername=consumer)
    return [line["message_id"].decode() for line in found]


@on_servers(
    "mode",
    [("r7", "auto"), ("r7", "asyncio"), ("r7", "manual"), ("r6", "auto"), ("v9", "auto")],
    ["auto", "asyncio", "manual"],
)
def test_kill_between_two_batches(
    any_server: Server, readers: Readers, stream: str, mode: str
) -> None:
    with any_server.client() as db:
        ids = add(db, stream, 35)
        readers.start("c", mode, batch_size=10, sleep_after=2)
        readers.wait_for(lambda: len(readers.batches("c")) == 2)
        readers.kill("c")
        assert readers.batches("c") == [ids[:10], ids[10:20]]
        assert pending(db, stream) == ids[10:20]

        (readers.folder / "c").unlink()
        readers.start("c", mode, batch_size=10)
        readers.wait_for(lambda: len(readers.ids("c")) >= 25)
        assert readers.batches("c")[0] == ids[10:20]
        assert readers.ids("c") == ids[10:]
        readers.end("c")
        assert readers.ids("c") == ids[10:]
        assert pending(db, stream) == []


@on_servers("count", [("r7", 2), ("r7", 8), ("r6", 3), ("v9", 4)], [2, 3, 5, 8])
def test_consumers_share_a_stream(
    any_server: Server, readers: Readers, stream: str, count: int
) -> None:
    names = [f"c{number}" for number in range(count)]
    for number, name in enumerate(names):
        mode = ["auto", "manual", "asyncio"][number % 3]
        readers.start(name, mode, batch_size=10, claim_idle_ms=60_000, timeout_ms=10_000)
    readers.wait_until_ready()
    with any_server.client() as db:
        ids: list[str] = []
        for _ in range(20):
            ids += add(db, stream, 50)
            time.sleep(0.02)
        readers.wait_for(lambda: sum(len(readers.ids(name)) for name in names) >= len(ids))
        for name in names:
            readers.end(name)
        shares = [readers.ids(name) for name in names]
        assert sorted(i for share in shares for i in share) == sorted(ids)  # disjoint, complete
        assert all(share == sorted(share, key=ids.index) for share in shares)
        assert all(shares)
        assert pending(db, stream) == []


def test_the_others_claim_what_a_dead_one_had(
    any_server: Server, readers: Readers, stream: str
) -> None:
    with any_server.client() as db:
        first = add(db, stream, 60)
        readers.start("dead", batch_size=20, sleep_after=2)
        readers.wait_for(lambda: len(readers.batches("dead")) == 2)
        readers.kill("dead")
        left = first[20:40]
        assert pending(db, stream) == left
        for name in ("a", "b", "c"):
            readers.start(name, batch_size=7, claim_idle_ms=1_500, timeout_ms=10_000)
        readers.wait_until_ready()
        second = add(db, stream, 60)
        wanted = set(first[20:] + second)

        def ids() -> list[str]:
            return [i for name in ("a", "b", "c") for i in readers.ids(name)]

        readers.wait_for(lambda: set(ids()) >= wanted)
        for name in ("a", "b", "c"):
            readers.end(name)
        assert sorted(ids()) == sorted(wanted)  # each of them once
        claimed = [readers.lines(name)[-1]["stats"]["claimed"] for name in ("a", "b", "c")]
        assert sum(claimed) == len(left)
        assert pending(db, stream) == []
