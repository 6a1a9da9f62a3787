# SPDX-License-Identifier: Apache-2.0
"""Producer, readers, proxies and a server under random faults, and the books that must balance."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

import worker
from proxy import Proxy, random_plan
from servers import Server
from worker import Task, read_record

DRAIN_SECONDS = 60.0
CLAIM_IDLE_MS = 3_000


class LastingServer(Server):
    """Keeps what it has answered to over a SIGKILL."""

    def __init__(self, binary: Path):
        super().__init__(binary, args=("--appendonly", "yes", "--appendfsync", "always"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        arguments = self.process.args
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log)
        self._wait_until_it_answers()


@dataclass
class Run:
    """One life of a reader."""

    process: subprocess.Popen[bytes]
    record: Path

    def error(self) -> str:
        return Path(f"{self.record}.err").read_text()


class Member:
    """A consumer that is killed and started again, behind a proxy of its own."""

    def __init__(self, ledger: Ledger, number: int, mode: str):
        self.ledger = ledger
        self.number = number
        self.mode = mode
        self.rng = random.Random(f"{ledger.seed}/member/{number}")
        seed = self.rng.randrange(1 << 30)
        self.proxy = Proxy(
            ledger.server.socket_path, random_plan(seed), seed=seed, unix=number == 1
        )
        self.runs: list[Run] = []

    def start(self) -> None:
        record = self.ledger.folder / f"reader-{self.number}-{len(self.runs)}"
        task = Task(
            url=self.proxy.url,
            record=str(record),
            consumer=f"c{self.number}",
            batch_size=self.rng.choice([1, 10, 100, 1_000]),
            claim_idle_ms=self.rng.choice([CLAIM_IDLE_MS, None]),
            seed=self.rng.randrange(1 << 30),
        )
        self.runs.append(Run(worker.start(self.mode, task), record))

    def kill(self) -> None:
        self.runs[-1].process.kill()
        self.runs[-1].process.wait()

    def end(self) -> None:
        """Let it end by itself."""
        run = self.runs[-1]
        run.process.terminate()
        status = run.process.wait(120)
        assert status == 0, f"{self.ledger.said}: status {status}: {run.error()}"

    def stop(self) -> None:
        if self.runs and self.runs[-1].process.poll() is None:
            self.kill()
        self.proxy.stop()


class Ledger:
    """`run` disturbs for some seconds, `drain` lets them finish, `check` compares."""

    def __init__(self, binary: Path, modes: list[str], seed: int):
        self.seed = seed
        self.rng = random.Random(seed)
        self.said = f"REDCOL_SEED={seed} ({binary.name}, {'+'.join(modes)})"
        self.done: Counter[str] = Counter()
        self.open = ExitStack()
        try:
            folder = self.open.enter_context(tempfile.TemporaryDirectory(prefix="redcol-"))
            self.folder = Path(folder)
            self.server = self.open.enter_context(LastingServer(binary))
            self.db = self.server.client()
            self.open.callback(self.db.close)
            self.members = []
            for number, mode in enumerate(modes):
                self.members.append(Member(self, number, mode))
                self.open.callback(self.members[-1].stop)
        except BaseException:
            self.open.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.open.close()

    # -- Disturbing

    def run(self, seconds: float) -> None:
        task = Task(
            url=str(self.server.socket_path), record=str(self.folder / "producer"), seed=self.seed
        )
        self.producer = worker.start("produce", task)
        self.open.callback(self._stop_producer)
        for member in self.members:
            member.start()
        until = time.monotonic() + seconds
        actions = [self._strike, self._kill_reader, self._kill_server, self._look]
        while time.monotonic() < until:
            time.sleep(self.rng.uniform(0.05, 0.7))
            action = self.rng.choices(actions, [5, 2, 1, 3])[0]
            self.done[action.__name__.strip("_")] += 1
            action()
            self._nobody_gave_up()

    def _strike(self) -> None:
        member = self.rng.choice(self.members)
        member.proxy.strike(self.rng.choice(["close", "reset", "hold", "abandon", "abandon"]))

    def _kill_reader(self) -> None:
        member = self.rng.choice(self.members)
        member.kill()
        member.start()

    def _kill_server(self) -> None:
        self.server.kill()
        time.sleep(self.rng.choice([0, 0.1, 0.8]))
        self.server.start_again()

    def _look(self) -> None:
        """At any moment: what is acknowledged was delivered, and what was is not pending."""
        known = self._known_acknowledged()
        try:
            entries, pending, last = self._state()
        except redis.ResponseError:
            return  # there is no group yet
        delivered = self._delivered()
        early = [i for i in entries if order(i) <= last and i not in pending and i not in delivered]
        assert not early, f"{self.said}: acknowledged, and not delivered: {early[:9]}"
        back = known & pending
        assert not back, f"{self.said}: known as acknowledged, and pending: {sorted(back)[:9]}"

    def _nobody_gave_up(self) -> None:
        for member in self.members:
            run = member.runs[-1]
            if run.process.poll() is not None:
                raise AssertionError(f"{self.said}: {member.mode} reader ended: {run.error()}")

    # -- Ending

    def _stop_producer(self) -> None:
        self.producer.terminate()
        self.producer.wait(10)

    def drain(self) -> None:
        """No more faults and no more entries: the readers that are there take what is left."""
        self._stop_producer()
        for member in self.members:
            member.proxy.calm()
        deadline = time.monotonic() + DRAIN_SECONDS
        least = sys.maxsize
        while True:
            self._nobody_gave_up()
            try:
                entries, pending, last = self._state()
            except redis.ResponseError:
                entries, pending, last = {}, {"no group"}, (0, 0)
            left = [i for i in entries if order(i) > last]
            are_ready = all(read_record(member.runs[-1].record) for member in self.members)
            if are_ready and not pending and not left:
                break
            # In batches of one entry, on a busy machine, much that is left takes long.
            if are_ready and len(left) + len(pending) < least:
                least = len(left) + len(pending)
                deadline = time.monotonic() + DRAIN_SECONDS
            said = f"{self.said}: {DRAIN_SECONDS:.0f} s go by, {len(left)} entries are not read "
            said += f"and these are pending: {sorted(pending)[:9]}"
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        for member in self.members:
            member.end()
        self._look()

    # -- Checking

    def _state(self) -> tuple[dict[str, int], set[str], tuple[int, int]]:
        """All entries with their numbers, the pending ones, the last one that was delivered."""
        with self.db.pipeline(transaction=True) as pipeline:
            pipeline.xinfo_groups("s")
            pipeline.xpending_range("s", "g", "-", "+", 10_000_000)
            pipeline.xrange("s")
            groups, pending, entries = pipeline.execute()
        if not groups:
            raise redis.ResponseError("no group")
        return (
            {i.decode(): int(fields[b"n"]) for i, fields in entries},
            {line["message_id"].decode() for line in pending},
            order(groups[0]["last-delivered-id"].decode()),
        )

    def _lines(self) -> list[list[list[dict[str, Any]]]]:
        """The records: of each member, of each of its runs."""
        return [[read_record(run.record) for run in member.runs] for member in self.members]

    def _delivered(self) -> dict[str, int]:
        found = {}
        for runs in self._lines():
            for line in (line for run in runs for line in run):
                found.update(line.get("delivered", []))
        return found

    def _known_acknowledged(self) -> set[str]:
        found: set[str] = set()
        for runs in self._lines():
            for line in (line for run in runs for line in run):
                found.update(line.get("acknowledged", []))
        return found

    def check(self) -> None:
        entries, pending, _ = self._state()
        added = {}
        for line in read_record(self.folder / "producer"):
            added.update(line["added"])
        delivered = self._delivered()
        missing = {i: n for i, n in added.items() if entries.get(i) != n}
        assert not missing, f"{self.said}: the server has lost {missing}"
        lost = {i: n for i, n in entries.items() if delivered.get(i) != n}
        assert not lost, f"{self.said}: {len(lost)} of {len(entries)} not delivered: {lost}"
        assert not pending, self.said
        assert set(delivered) <= set(entries), self.said
        for member, runs in zip(self.members, self._lines(), strict=True):
            for run, lines in zip(member.runs, runs, strict=True):
                self._check_run(run, lines)
        self.done["entries"] = len(entries)
        lines = [line for runs in self._lines() for run in runs for line in run[-1:]]
        for name in ("reconnects", "redelivered", "claimed"):
            self.done[name] = sum(line.get("stats", {}).get(name, 0) for line in lines)

    def _check_run(self, run: Run, lines: list[dict[str, Any]]) -> None:
        """One reader that was not interrupted: order, no entry twice, honest statistics."""
        said = f"{self.said}, {run.record.name}"
        newest = (0, 0)
        redelivered = 0
        seen: set[str] = set()
        for line in lines:
            assert "wrong" not in line, f"{said}: not what was written: {line}"
            if "delivered" not in line:
                continue
            ids = [i for i, _ in line["delivered"]]
            stats = line["stats"]
            if stats["redelivered"] == redelivered:
                places = [newest, *map(order, ids)]
                steps = itertools.pairwise(places)
                assert all(a < b for a, b in steps), f"{said}: out of order: {places}"
                newest = places[-1]
            redelivered = stats["redelivered"]
            # Another member may have claimed it in between.
            if len(self.members) == 1:
                assert len(set(ids)) == len(ids), f"{said}: twice: {ids}"
                assert not seen & set(ids), f"{said}: again: {seen & set(ids)}"
            seen.update(ids)
            assert stats["acknowledged"] <= len(seen), f"{said}: {stats}"


def order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
