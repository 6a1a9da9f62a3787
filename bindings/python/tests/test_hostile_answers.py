# SPDX-License-Identifier: Apache-2.0
"""Servers that answer what cannot be, without end, in drips, or with the password they got."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import redcol
from servers import FakeServer, read_commands

HUGE = b":9223372036854775807\r\n"
ENTRY = b"*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n"
PAGE = b"*1\r\n" + ENTRY


def answering(**answers: bytes) -> Callable[[list[bytes]], bytes]:
    """These answers to these commands, and +OK to all others."""
    return lambda words: answers.get(words[0].decode(), b"+OK\r\n")


# Counts.


@pytest.mark.parametrize("count", [HUGE, b":-5\r\n", b":1001\r\n", b"$1\r\n1\r\n"])
def test_counts_that_cannot_be(no_leaks: None, count: bytes) -> None:
    ids = [f"1-{number}" for number in range(2_500)]
    with FakeServer(answering(XACK=count)) as fake, pytest.raises(redcol.ProtocolError):
        redcol.ack_entries(fake.url, "s", "g", ids)


@pytest.mark.parametrize("count", [HUGE, b":-5\r\n", b":2\r\n"])
def test_counts_of_an_iterator_that_cannot_be(no_leaks: None, count: bytes) -> None:
    new = b"*1\r\n*2\r\n$1\r\ns\r\n" + PAGE

    def answer(words: list[bytes]) -> bytes:
        if words[0] == b"XREADGROUP":
            return new if words[-1] == b">" else b"*1\r\n*2\r\n$1\r\ns\r\n*0\r\n"
        return {b"XACK": count, b"XPENDING": b"*0\r\n"}.get(words[0], b"+OK\r\n")

    with (
        FakeServer(answer) as fake,
        redcol.iter_stream(fake.url, "s", group="g", consumer="c", claim_idle_ms=None) as batches,
    ):
        next(batches)
        with pytest.raises(redcol.ProtocolError):
            batches.ack()
        assert batches.stats.acknowledged == 0


@pytest.mark.parametrize("count", [HUGE, b":-1\r\n", b":3\r\n", b":9999999999999999999\r\n"])
def test_counts_of_fields_that_cannot_be(no_leaks: None, count: bytes) -> None:
    frame = pl.DataFrame({"_key": ["a"], "x": [1], "y": [2]})
    with FakeServer(answering(HSET=count)) as fake, pytest.raises(redcol.ProtocolError):
        redcol.write_hashes(fake.url, frame, if_exists="append")


# Answers that nobody asked for.


class Flood(FakeServer):
    """Answers one command forever, and reads no other."""

    def __init__(self, command: bytes, answer: bytes = b"*-1\r\n"):
        self.command = command
        self.flood = answer * (65_536 // len(answer))
        super().__init__(lambda _: b"+OK\r\n")

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                for words in read_commands(stream):
                    self.commands.append(words)
                    while words[0] == self.command:
                        connection.sendall(self.flood)
                    connection.sendall(b"+OK\r\n")
        except OSError:
            pass


def asked(fake: FakeServer, command: bytes) -> int:
    return sum(words[0] == command for words in list(fake.commands))


INTERRUPTED = """
import sys, redcol
batches = redcol.iter_stream(sys.argv[1], "s")
print("ready", flush=True)
try:
    next(batches)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_while_answers_come_without_end() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", INTERRUPTED]
    with (
        Flood(b"XREAD") as fake,
        subprocess.Popen(
            [*command, fake.url], env=environment, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            while asked(fake, b"XREAD") < 2:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=120)[0] == "interrupted\n"
        finally:
            process.kill()


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_closing_while_answers_come_without_end(no_leaks: None) -> None:
    with Flood(b"XREAD") as fake:
        batches = redcol.iter_stream(fake.url, "s")
        before = resident()
        ended: list[list[pl.DataFrame]] = []
        thread = threading.Thread(target=lambda: ended.append(list(batches)), daemon=True)
        thread.start()
        while asked(fake, b"XREAD") < 2:
            time.sleep(0.01)
        # A growth of 120 MB/s would be seen; what earlier tests have used is not counted.
        assert resident() - before < 1_000_000_000
        batches.close()
        thread.join(60)
        assert ended == [[]]


def test_an_event_loop_while_answers_come_without_end() -> None:
    async def ticks() -> int:
        counted = 0
        batches = redcol.stream_batches(fake.url, "s")
        waiting = asyncio.ensure_future(anext(batches))
        while asked(fake, b"XREAD") < 2 or counted < 20:
            await asyncio.sleep(0.005)
            counted += 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        batches.close()
        return counted

    with Flood(b"XREAD") as fake:
        assert asyncio.run(asyncio.wait_for(ticks(), 120)) >= 20


@pytest.mark.parametrize(
    ("command", "call"),
    [
        (b"XACK", lambda url: redcol.ack_entries(url, "s", "g", ["1-1"] * 200_000)),
        (b"XADD", lambda url: redcol.write_stream(url, pl.DataFrame({"x": range(200_000)}), "s")),
        (b"XRANGE", lambda url: redcol.read_stream(url, "s")),
    ],
    ids=["ack", "write", "read"],
)
def test_answers_before_they_were_asked_for(
    no_leaks: None, command: bytes, call: Callable[[str], object]
) -> None:
    answers = {b"XACK": b":0\r\n", b"XADD": b"$3\r\n1-1\r\n", b"XRANGE": b"*0\r\n"}
    with Flood(command, answers[command]) as fake:
        if command == b"XRANGE":
            # An empty page ends the read; what came with it is found by the next one.
            with redcol.connect(fake.url) as client:
                assert len(redcol.read_stream(client, "s")) == 0
                assert len(redcol.read_stream(client, "s")) == 0
            assert asked(fake, b"HELLO") >= 2
        else:
            with pytest.raises(redcol.ProtocolError):
                call(fake.url)


def test_an_answer_besides() -> None:
    """Two answers to one request: the second is nobody's."""
    double = b"*-1\r\n*-1\r\n"
    with (
        FakeServer(answering(XREAD=double)) as fake,
        redcol.iter_stream(fake.url, "s", on_idle="empty", block_ms=1) as batches,
    ):
        while batches.stats.reconnects == 0:
            next(batches)


# Drips.


class Dripping(FakeServer):
    """Answers one command in pieces."""

    def __init__(self, command: bytes, pieces: Iterator[bytes], seconds: float):
        self.command, self.pieces, self.seconds = command, pieces, seconds
        super().__init__(answering())

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                for words in read_commands(stream):
                    if words[0] != self.command:
                        connection.sendall(b"+OK\r\n")
                        continue
                    for piece in self.pieces:
                        if self.stopping:
                            return
                        connection.sendall(piece)
                        time.sleep(self.seconds)
        except OSError:
            pass


CALLS: dict[bytes, Callable[..., object]] = {
    b"XRANGE": lambda url, **waits: redcol.read_stream(url, "s", **waits),
    b"XACK": lambda url, **waits: redcol.ack_entries(url, "s", "g", ["1-1"], **waits),
    b"XADD": lambda url, **waits: redcol.write_stream(url, pl.DataFrame({"x": [1]}), "s", **waits),
    b"XREVRANGE": lambda url, **waits: redcol.scan_stream(
        url, "s", schema={"v": pl.Int64}, **waits
    ).collect(),
}


@pytest.mark.parametrize("command", CALLS)
@pytest.mark.parametrize("waits", [{"answer_timeout_ms": 700}, {}], ids=["given", "default"])
def test_an_answer_in_drips(command: bytes, waits: dict[str, int]) -> None:
    entry = b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$9999\r\n"
    begin = {b"XACK": b":0", b"XADD": b"+"}.get(command, entry)
    drips = itertools.chain([begin], itertools.repeat(b"0"))
    timeout_ms = 500 if waits else 200
    with Dripping(command, drips, 0.05) as fake:
        began = time.monotonic()
        with pytest.raises((redcol.RedcolError, pl.exceptions.ComputeError)) as caught:
            CALLS[command](fake.url, timeout_ms=timeout_ms, **waits)
        took = time.monotonic() - began
    told = str(caught.value)
    # On a busy machine a drip may come so late that it is silence.
    assert "answer_timeout_ms" in told or "was silent for" in told
    assert took < 15


def test_an_answer_that_flows_may_take_any_time() -> None:
    text = b"x" * 100_000
    answer = PAGE.replace(b"$1\r\n1\r\n", b"$100000\r\n" + text + b"\r\n")
    pieces = (answer[at : at + 4_000] for at in range(0, len(answer), 4_000))
    with Dripping(b"XRANGE", pieces, 0.06) as fake:
        frame = redcol.read_stream(fake.url, "s", timeout_ms=1_000, answer_timeout_ms=500, count=1)
    assert frame["v"].to_list() == [text.decode()]


@pytest.mark.parametrize("value", [0, -1, 2**31, "5", True])
def test_wrong_answer_timeouts(value: Any) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="answer_timeout_ms"):
        redcol.connect("redis://localhost", answer_timeout_ms=value)


# Passwords.

SECRET = "s3cr3t-w0rd"
SPELLED = "s%33cr3t-w0rd"
RAW = SECRET.encode()


@contextmanager
def guarded(answer: Callable[[list[bytes]], bytes | None]) -> Iterator[str]:
    with FakeServer(answer) as fake:
        yield fake.url.replace("unix://", f"unix://{SPELLED[:0]}app:{SPELLED}@")


@pytest.mark.parametrize(
    "answer",
    [
        b"+" + RAW + b"\r\n",
        b":" + RAW + b"\r\n",
        b"$11\r\n" + RAW + b"\r\n",
        b"*1\r\n*2\r\n$11\r\n" + RAW + b"\r\n*0\r\n",
        b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$11\r\n" + RAW + b"\r\n$11\r\n" + RAW + b"\r\n",
        b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$82\r\n" + b"x" * 71 + RAW + b"\r\n",
        b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$90\r\n" + b"x" * 75 + RAW + b"xxxx\r\n",
        b"-ERR you said " + RAW + b"\r\n",
        b"-ERR you said " + SPELLED.encode() + b"\r\n",
        b"-" + RAW + b"\r\n",
        RAW + b"\r\n",
        RAW[:7],
        b"*0\r\n+" + RAW + b"\r\n",
    ],
)
def test_a_password_that_a_server_repeats(answer: bytes) -> None:
    def answers(words: list[bytes]) -> bytes:
        return b"+OK\r\n" if words[0] in (b"AUTH", b"HELLO") else answer

    calls: list[Callable[[str], object]] = [
        lambda url: redcol.read_stream(url, "s", schema={"v": pl.Int64}, timeout_ms=500),
        lambda url: redcol.read_stream(url, "s", block_ms=10, timeout_ms=500),
        lambda url: redcol.read_stream(url, "s", group="g", consumer="c", timeout_ms=500),
        lambda url: redcol.read_streams(url, "*", timeout_ms=500),
        lambda url: redcol.ack_entries(url, "s", "g", ["1-1"], timeout_ms=500),
        lambda url: redcol.write_stream(url, pl.DataFrame({"x": [1]}), "s", timeout_ms=500),
        lambda url: redcol.write_hashes(url, pl.DataFrame({"_key": ["k"]}), timeout_ms=500),
        lambda url: redcol.publish(url, pl.DataFrame({"x": [1]}), "c", timeout_ms=500),
    ]
    shown = 0
    with guarded(answers) as url:
        for call in calls:
            try:
                call(url)
            except redcol.RedcolError as error:
                told = f"{error!r} {vars(error)}"
                shown += 1
                for part in (SECRET, SPELLED, SECRET[:7], "app:"):
                    assert part not in told
    assert shown > 0


def test_a_password_as_the_key_that_a_search_finds() -> None:
    def answers(words: list[bytes]) -> bytes:
        found = b"*2\r\n$1\r\n0\r\n*1\r\n$11\r\n" + RAW + b"\r\n"
        entry = b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$1\r\nx\r\n"
        by_command = {b"SCAN": found, b"XREVRANGE": entry, b"XRANGE": entry}
        return by_command.get(words[0], b"+OK\r\n")

    with guarded(answers) as url:
        with pytest.raises(redcol.ValueConversionError) as caught:
            redcol.read_streams(url, "*", schema={"v": pl.Int64}, timeout_ms=500)
        assert 'stream "***": ' in str(caught.value)
        assert SECRET not in f"{caught.value!r} {vars(caught.value)}"


def frames_of(error: BaseException) -> Iterator[tuple[str, dict[str, object]]]:
    seen: BaseException | None = error
    while seen is not None:
        traceback = seen.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            if "/redcol/" in frame.f_code.co_filename:
                yield f"{frame.f_code.co_filename}:{traceback.tb_lineno}", frame.f_locals
            traceback = traceback.tb_next
        seen = seen.__cause__ or seen.__context__


async def first_batch(url: str) -> pl.DataFrame:
    async with redcol.stream_batches(url, "s") as batches:
        return await anext(batches)


FRAME = pl.DataFrame({"_key": ["k"], "x": [1]})
PUBLIC: dict[str, Callable[[Any], object]] = {
    "connect": lambda url: redcol.connect(url),
    "read_stream": lambda url: redcol.read_stream(url, "s"),
    "read_arrow": lambda url: redcol.read_arrow(url, "s"),
    "read_streams": lambda url: redcol.read_streams(url, "s*"),
    "iter_stream": lambda url: redcol.iter_stream(url, "s"),
    "stream_batches": lambda url: asyncio.run(first_batch(url)),
    "scan_stream": lambda url: redcol.scan_stream(url, "s", schema={"v": int}).collect(),
    "scan_streams": lambda url: redcol.scan_streams(url, "s*").collect_schema(),
    "ack_entries": lambda url: redcol.ack_entries(url, "s", "g", ["1-1"]),
    "create_group": lambda url: redcol.create_group(url, "s", "g"),
    "delete_group": lambda url: redcol.delete_group(url, "s", "g"),
    "seek_group": lambda url: redcol.seek_group(url, "s", "g", "$"),
    "delete_consumer": lambda url: redcol.delete_consumer(url, "s", "g", "c"),
    "release": lambda url: redcol.release(url, "s", "g", "c", ["1-1"]),
    "claim": lambda url: redcol.claim(url, "s", "g", "c", ["1-1"]),
    "trim_stream": lambda url: redcol.trim_stream(url, "s", maxlen=1),
    "delete_entries": lambda url: redcol.delete_entries(url, "s", ["1-1"]),
    "write_stream": lambda url: redcol.write_stream(url, FRAME, "s"),
    "write_hashes": lambda url: redcol.write_hashes(url, FRAME),
    "publish": lambda url: redcol.publish(url, FRAME, "c"),
    "bad stream": lambda url: redcol.read_stream(url, 5),  # type: ignore[arg-type]
    "bad schema": lambda url: redcol.iter_stream(url, "s", schema={"v": pl.Object}),
    "bad option": lambda url: redcol.stream_batches(url, "s", nonsense=1),
    "bad timeout": lambda url: redcol.write_hashes(url, FRAME, timeout_ms=0),
    "bad ids": lambda url: redcol.ack_entries(url, "s", "g", ["x"]),
}
URLS = {
    "refused": f"unix://app:{SECRET}@/nowhere/s",
    "scheme": f"http://app:{SECRET}@host",
    "NUL": f"redis://app:{SECRET}\0@host",
    "surrogate": f"redis://app:{SECRET}\udc80@host",
}


@pytest.mark.parametrize("function", PUBLIC)
@pytest.mark.parametrize("url", URLS)
def test_no_local_variable_shows_a_password(function: str, url: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        PUBLIC[function](URLS[url])
    assert SECRET not in str(caught.value)
    for place, variables in frames_of(caught.value):
        for name, value in variables.items():
            assert SECRET not in repr(value), (place, name)
            # Tools that show local variables cut texts, and so make plain ones of them.
            assert not isinstance(value, str) or SECRET not in str(value), (place, name)
