# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, other threads, fork, and nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add, pending, wait_for_blocked
from servers import FakeServer, Server, silent

#: The promise is 250 ms; the machine that runs this may have other things to do.
PROMPT_SECONDS = 20.0

PRELUDE = """
import os, random, signal, sys, threading, time
import polars, redcol  # Ctrl-C in the middle of an import breaks it
url, key, db_path = sys.argv[1:]
import redis
db = redis.Redis(unix_socket_path=db_path)

def interrupt_in(seconds):
    sent = []
    def send():
        time.sleep(seconds)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    # Started by the caller, where an interrupt is expected: on a busy machine it comes early.
    return threading.Thread(target=send), sent

def blocked():
    while not db.info("clients")["blocked_clients"]:
        time.sleep(0.002)
"""

IDLE = """
batches = redcol.iter_stream(url, key, group="g", consumer="c", auto_ack=True)
added, seen, longest = [], [], 0
for turn in range(20):
    thread, sent = interrupt_in(random.random() / 20)
    try:
        thread.start()
        for batch in batches:
            seen += batch["_id"].to_list()
        raise SystemExit("no interrupt")
    except KeyboardInterrupt:
        longest = max(longest, time.monotonic() - sent[0])
    thread.join()
    added.append(db.xadd(key, {"n": turn}).decode())
for batch in batches:
    seen += batch["_id"].to_list()
    if len(seen) >= 20:
        break
assert seen == added, (seen, added)
assert batches.stats.reconnects == 0, batches.stats
pending = [line["message_id"].decode() for line in db.xpending_range(key, "g", "-", "+", 99)]
assert pending == batch["_id"].to_list()
print("longest", longest)
"""

BUSY = """
TOTAL = 20_000
with db.pipeline(transaction=False) as pipeline:
    for n in range(TOTAL):
        pipeline.xadd(key, {"n": n})
    added = {entry_id.decode() for entry_id in pipeline.execute()}
batches = redcol.iter_stream(url, key, group="g", consumer="c", auto_ack=True, batch_size=50)
frames, interrupts = [], 0

def seen():
    return {entry_id for frame in frames for entry_id in frame["_id"]}

signal.signal(signal.SIGALRM, signal.default_int_handler)
while seen() != added:
    try:
        # It comes once, somewhere in the loop; ever later, so that there is progress.
        if interrupts < 60:
            latest = 5e-3 * (1 + interrupts / 20)
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, latest))
        for batch in batches:
            frames.append(batch)  # one call: no interrupt comes before it
            if sum(map(len, frames)) >= TOTAL and seen() == added:
                break
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupts += 1
        # What is acknowledged was returned.
        lines = db.xpending_range(key, "g", "-", "+", TOTAL)
        held = {line["message_id"].decode() for line in lines}
        (group,) = db.xinfo_groups(key)
        last = tuple(map(int, group["last-delivered-id"].split(b"-")))
        acknowledged = {
            entry_id for entry_id in added
            if entry_id not in held and tuple(map(int, entry_id.split("-"))) <= last
        }
        assert acknowledged <= seen(), sorted(acknowledged - seen())[:3]
assert interrupts >= 10, interrupts
got = [entry_id for frame in frames for entry_id in frame["_id"]]
print("interrupts", interrupts, "twice", len(got) - len(added), batches.stats)
"""

READ_STREAM = """
for turn in range(5):
    for arguments in ({}, {"group": "g", "consumer": "c"}):
        thread, sent = interrupt_in(random.random() / 20)
        try:
            thread.start()
            redcol.read_stream(url, key, block_ms=0, **arguments)
            raise SystemExit("no interrupt")
        except KeyboardInterrupt:
            assert time.monotonic() - sent[0] < 40
        thread.join()
db.xadd(key, {"n": 1})
assert len(redcol.read_stream(url, key, block_ms=0)) == 1
assert len(redcol.read_stream(url, key, block_ms=0, group="g", consumer="c")) == 1
print("done")
"""

SILENT = """
patient = {"connect_timeout_ms": 120_000, "timeout_ms": 120_000}
calls = {
    "connect": lambda: redcol.connect(url, **patient),
    "ack": lambda: redcol.ack_entries(url, key, "g", ["1-1"], **patient),
    "iter": lambda: redcol.iter_stream(url, key, group="g", consumer="c", **patient),
}
for name, call in calls.items():
    thread, sent = interrupt_in(0.1)
    ended = threading.Event()
    # One that comes just before the call begins to wait is seen when it ends: a person tries again.
    def interrupt_again():
        while not ended.wait(10):
            os.kill(os.getpid(), signal.SIGINT)
    again = threading.Thread(target=interrupt_again)
    try:
        thread.start()
        again.start()
        call()
        raise SystemExit("no interrupt")
    except KeyboardInterrupt:
        ended.set()
        assert time.monotonic() - sent[0] < 40, name
    thread.join()
    again.join()
print("done")
"""

ASYNC = """
import asyncio
batches = redcol.stream_batches(url, key, group="g", consumer="c")

async def first():
    return await anext(batches)

for turn in range(5):
    thread, sent = interrupt_in(random.random() / 20)
    try:
        thread.start()
        asyncio.run(first())
        raise SystemExit("no interrupt")
    except KeyboardInterrupt:
        assert time.monotonic() - sent[0] < 40
    thread.join()
    db.xadd(key, {"n": turn})
    assert asyncio.run(first())["n"].to_list() == [str(turn)]
print("done")
"""


def run_program(program: str, url: str, key: str, db_path: Any) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PRELUDE + program, url, key, str(db_path)]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_ctrl_c_in_an_idle_iterator(any_server: Server, key: str) -> None:
    out = run_program(IDLE, any_server.url, key, any_server.socket_path)
    assert float(out.split()[1]) < PROMPT_SECONDS


def test_ctrl_c_in_a_busy_iterator(any_server: Server, key: str) -> None:
    assert "interrupts" in run_program(BUSY, any_server.url, key, any_server.socket_path)


def test_ctrl_c_in_read_stream(any_server: Server, key: str) -> None:
    assert run_program(READ_STREAM, any_server.url, key, any_server.socket_path) == "done\n"


def test_ctrl_c_in_asyncio(any_server: Server, key: str) -> None:
    assert run_program(ASYNC, any_server.url, key, any_server.socket_path) == "done\n"


def greets(command: list[bytes]) -> bytes | None:
    return b"+OK\r\n" if command[0] == b"HELLO" else None


@pytest.mark.parametrize("answer", [silent, greets])
def test_ctrl_c_before_a_silent_server(
    server: Server, key: str, answer: Callable[[list[bytes]], bytes | None]
) -> None:
    program = SILENT if answer is silent else SILENT.replace('    "connect"', '    # "connect"')
    with FakeServer(answer) as fake:
        assert run_program(program, fake.url, key, server.socket_path) == "done\n"


def test_an_interrupt_while_the_frame_is_made(
    server: Server, db: redis.Redis, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the library has handed the batch over: the batch is not lost for that."""
    ids = add(db, key, range(4))
    batches = redcol.iter_stream(server.url, key, **GROUP, auto_ack=True, batch_size=2)
    make = batches._frames.make

    def interrupted(batch: object) -> None:
        make(batch)
        raise KeyboardInterrupt

    with batches:
        monkeypatch.setattr(batches._frames, "make", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(batches)
        monkeypatch.setattr(batches._frames, "make", make)
        assert pending(db, key) == ids[:2]
        assert next(batches)["_id"].to_list() == ids[:2]
        assert next(batches)["_id"].to_list() == ids[2:]
        monkeypatch.setattr(batches._frames, "make", interrupted)
        db.xadd(key, {"n": 4}, id="*")
        with pytest.raises(KeyboardInterrupt):
            next(batches)
    assert len(pending(db, key)) == 1  # the user has not had it


# Threads.


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_closing_from_another_thread(
    url: str, any_db: redis.Redis, key: str, no_leaks: None, group: dict[str, str]
) -> None:
    batches = redcol.iter_stream(url, key, **group)
    with ThreadPoolExecutor(1) as pool:
        loop = pool.submit(list, batches)
        wait_for_blocked(any_db)
        began = time.monotonic()
        batches.close()
        assert loop.result(60) == []
        assert time.monotonic() - began < PROMPT_SECONDS
    with pytest.raises(StopIteration):
        next(batches)
    assert "closed" in repr(batches)


def test_cancelling_from_another_thread(url: str, any_db: redis.Redis, key: str) -> None:
    with redcol.iter_stream(url, key, **GROUP, schema=SCHEMA) as batches:
        with ThreadPoolExecutor(1) as pool:
            for number in range(3):
                waiting = pool.submit(next, batches)
                wait_for_blocked(any_db)
                began = time.monotonic()
                batches.cancel()
                with pytest.raises(redcol.CancelledError):
                    waiting.result(60)
                assert time.monotonic() - began < PROMPT_SECONDS
                add(any_db, key, [number])
                assert next(batches)["n"].to_list() == [number]
        assert batches.stats.reconnects == 0


def test_a_second_thread_is_refused(url: str, any_db: redis.Redis, key: str) -> None:
    with (
        redcol.iter_stream(url, key, schema=SCHEMA) as batches,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(next, batches)
        wait_for_blocked(any_db)
        with pytest.raises(redcol.BusyError):
            next(batches)
        add(any_db, key, [1])
        assert waiting.result(60)["n"].to_list() == [1]


def test_acknowledging_while_another_thread_waits(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(4))
    with (
        redcol.iter_stream(url, key, **GROUP, schema=SCHEMA, batch_size=2) as batches,
        ThreadPoolExecutor(1) as pool,
    ):
        frames = [next(batches), next(batches)]
        waiting = pool.submit(next, batches)
        wait_for_blocked(any_db)
        assert batches.ack(frames[0]) == 2
        assert batches.ack() == 2
        assert pending(any_db, key) == []
        assert not waiting.done()
        add(any_db, key, [9])
        assert waiting.result(60)["n"].to_list() == [9]
        assert batches.stats.acknowledged == 4


def test_closing_a_client_ends_its_iterators(url: str, any_db: redis.Redis, key: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        client = redcol.connect(url)
        iterators = [redcol.iter_stream(client, key), redcol.iter_stream(client, key, **GROUP)]
        waiting = [pool.submit(next, batches) for batches in iterators]
        wait_for_blocked(any_db, 2)
        began = time.monotonic()
        client.close()
        for result in waiting:
            with pytest.raises(redcol.ClosedError):
                result.result(60)
        assert time.monotonic() - began < PROMPT_SECONDS


# fork.


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(2))
    client = redcol.connect(url)
    batches = redcol.iter_stream(client, key, **GROUP, auto_ack=True, schema=SCHEMA)
    assert len(next(batches)) == 2
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            calls: list[Callable[[], object]] = [
                lambda: next(batches),
                batches.ack,
                lambda: redcol.read_stream(client, key),
                lambda: redcol.iter_stream(client, key),
                lambda: redcol.ack_entries(client, key, "g", ["1-1"]),
            ]
            for number, call in enumerate(calls):
                try:
                    call()
                except redcol.ForkedError:
                    continue
                else:
                    os._exit(10 + number)
            batches.close()
            client.close()
            del batches, client, calls, call
            gc.collect()
            failed = 0
        finally:
            os._exit(failed)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, batches)
        wait_for_blocked(any_db)
        add(any_db, key, [7])
        assert waiting.result(60)["n"].to_list() == [7]
    assert batches.stats.reconnects == 0
    batches.close()
    client.close()


# Nothing is left.


def test_nothing_leaks(url: str, any_db: redis.Redis, key: str, no_leaks: None) -> None:
    add(any_db, key, range(4))
    any_db.set(f"{key}-text", "x")

    def use(turn: int) -> None:
        group = {} if turn % 2 else {**GROUP, "auto_ack": True}
        batches = redcol.iter_stream(url, key, **group, batch_size=2)
        next(batches, None) if turn % 4 < 2 else None
        if turn % 3 == 0:
            batches.close()
        elif turn % 3 == 1:
            batches.cancel()
        if turn % 10 == 0:
            with pytest.raises(redcol.WrongTypeError):
                next(redcol.iter_stream(url, f"{key}-text", **group))

    for turn in range(4):
        use(turn)
    add(any_db, key, range(200))
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    for turn in range(200):
        use(turn)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == threads


def test_no_handler_is_installed(url: str, any_db: redis.Redis, key: str) -> None:
    before = [signal.getsignal(number) for number in signal.valid_signals()]
    add(any_db, key, range(1))
    with redcol.iter_stream(url, key, **GROUP) as batches:
        next(batches)
        assert [signal.getsignal(number) for number in signal.valid_signals()] == before
