# SPDX-License-Identifier: Apache-2.0
"""Programs for processes of their own: a producer and readers, which record what they do.

usage: worker.py produce|auto|manual|asyncio '{"…": …}', the fields of `Task`
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

import redcol


@dataclass(frozen=True)
class Task:
    url: str
    record: str
    stream: str = "s"
    group: str = "g"
    consumer: str = "c"
    batch_size: int = 100
    claim_idle_ms: int | None = None
    timeout_ms: int = 1_000
    seed: int = 0
    #: Take so many batches, record them, and then sleep.
    sleep_after: int = 0


def start(role: str, task: Task) -> subprocess.Popen[bytes]:
    """Start a worker; its standard error goes to a file beside its record."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with Path(task.record + ".err").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, __file__, role, json.dumps(asdict(task))],
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=errors,
        )


class Record:
    """A file of lines, each written at once: what is written survives the process."""

    def __init__(self, path: str):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **line: Any) -> None:
        """Times, which JSON has none of, are written as texts."""
        os.write(self.file, json.dumps(line, default=str).encode() + b"\n")


def read_record(path: Path) -> list[dict[str, Any]]:
    """The lines of a record; a last one that was not written in full does not count."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def text(n: int) -> str:
    """What belongs to a number: 0 to 255 characters."""
    digest = hashlib.sha256(str(n).encode()).hexdigest()
    return ("é" + digest * 4)[: int(digest[:2], 16)]


class Stop:
    """Set by SIGTERM."""

    def __init__(self):
        self.is_set = False
        signal.signal(signal.SIGTERM, self._set)

    def _set(self, *_: object) -> None:
        self.is_set = True


def produce(task: Task, stop: Stop) -> None:
    """Write numbered entries in bursts, and record those that the server has answered."""
    import redis

    record = Record(task.record)
    rng = random.Random(task.seed)
    n = 0
    client = redis.Redis(unix_socket_path=task.url, socket_timeout=5, retry=None)
    while not stop.is_set:
        burst = range(n, n + rng.choice([1, 1, 5, 40, 150]))
        n = burst.stop  # a number is never used again, whatever becomes of it
        try:
            with client.pipeline(transaction=False) as pipeline:
                for number in burst:
                    pipeline.xadd(task.stream, {"n": number, "text": text(number)})
                ids = pipeline.execute()
        except redis.RedisError:
            time.sleep(0.02)
        else:
            added = [[i.decode(), number] for i, number in zip(ids, burst, strict=True)]
            record.write(added=added)
        time.sleep(rng.uniform(0, 0.15))


class Reader:
    """Records what an iterator gives before it asks for more."""

    def __init__(self, task: Task, stop: Stop):
        self.task = task
        self.stop = stop
        self.record = Record(task.record)
        self.rng = random.Random(task.seed)
        self.batches = 0

    def options(self, *, auto_ack: bool) -> dict[str, Any]:
        task = self.task
        return {
            "url": task.url,
            "stream": task.stream,
            "group": task.group,
            "consumer": task.consumer,
            "auto_ack": auto_ack,
            "batch_size": task.batch_size,
            "schema": {"n": pl.Int64, "text": pl.String} if task.seed % 2 else None,
            "block_ms": 100,
            "on_idle": "empty",
            "reconnect_timeout_ms": 0,
            "claim_idle_ms": task.claim_idle_ms,
            "connect_timeout_ms": task.timeout_ms,
            "timeout_ms": task.timeout_ms,
        }

    def make(self, function: Any, *, auto_ack: bool) -> Any:
        """An iterator. Making one is tried once only, and the server may be away."""
        while True:
            try:
                return function(**self.options(auto_ack=auto_ack))
            except (redcol.ConnectionFailedError, redcol.TimedOutError, redcol.ServerLoadingError):
                if self.stop.is_set:
                    sys.exit("not connected")
                time.sleep(0.05)

    def delivered(self, frame: pl.DataFrame, batches: Any) -> None:
        if frame.is_empty():
            return
        numbers = frame["n"].cast(pl.Int64).to_list()
        if frame["text"].to_list() != [text(n) for n in numbers]:
            self.record.write(wrong=frame.rows())
        rows = list(zip(frame["_id"].to_list(), numbers, strict=True))
        self.record.write(delivered=rows, stats=batches.stats._asdict())
        self.batches += 1
        if self.batches == self.task.sleep_after:
            time.sleep(3_600)
        if self.rng.random() < 0.3:
            time.sleep(self.rng.uniform(0, 0.02))

    def ended(self, batches: Any) -> None:
        self.record.write(ended=True, stats=batches.stats._asdict())

    def auto(self) -> None:
        with self.make(redcol.iter_stream, auto_ack=True) as batches:
            self.record.write(ready=True)
            for frame in batches:
                self.delivered(frame, batches)
                if self.stop.is_set:
                    break
        self.ended(batches)

    def manual(self) -> None:
        with self.make(redcol.iter_stream, auto_ack=False) as batches:
            self.record.write(ready=True)
            for frame in batches:
                self.delivered(frame, batches)
                if not frame.is_empty():
                    self.acknowledge(batches, frame)
                if self.stop.is_set:
                    break
        self.ended(batches)

    def acknowledge(self, batches: Any, frame: pl.DataFrame) -> None:
        while True:
            try:
                batches.ack(frame)
            except (redcol.ConnectionFailedError, redcol.TimedOutError, redcol.ServerLoadingError):
                time.sleep(0.02)
            else:
                self.record.write(acknowledged=frame["_id"].to_list())
                return

    async def connected(self, batches: redcol.AsyncStreamIterator) -> None:
        while True:
            try:
                return await batches.connected()
            except (redcol.ConnectionFailedError, redcol.TimedOutError, redcol.ServerLoadingError):
                if self.stop.is_set:
                    sys.exit("not connected")
                await asyncio.sleep(0.05)

    async def asynchronous(self) -> None:
        batches = self.make(redcol.stream_batches, auto_ack=True)
        await self.connected(batches)
        async with batches:
            self.record.write(ready=True)
            async for frame in batches:
                self.delivered(frame, batches)
                if self.stop.is_set:
                    break
        self.ended(batches)


def main(role: str, task: Task) -> None:
    stop = Stop()
    if role == "produce":
        produce(task, stop)
    elif role == "asyncio":
        asyncio.run(Reader(task, stop).asynchronous())
    else:
        getattr(Reader(task, stop), role)()


if __name__ == "__main__":
    main(sys.argv[1], Task(**json.loads(sys.argv[2])))
