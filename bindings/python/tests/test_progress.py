# SPDX-License-Identifier: Apache-2.0
"""Progress of reads and writes: what a function is told, and when; tqdm's bar; C's statistics."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable

import polars as pl
import pytest
import redis

import redcol
from clusters import Cluster
from redcol import _native
from redcol.client import Server as Address
from redcol.client import using
from servers import FakeServer, Server

ROWS = 300
SCHEMA = {"n": pl.Int64}
Told = list[tuple[int, int, int | None]]


class ProgressError(Exception):
    """Raised by a function that is told."""


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def tell(told: Told) -> Callable[[int, int, int | None], object]:
    """A function that notes what it is told, and that it runs in the thread of the caller."""
    caller = threading.get_ident()

    def tell(rows: int, size: int, total: int | None) -> None:
        assert threading.get_ident() == caller
        told.append((rows, size, total))

    return tell


@pytest.fixture
def stream(any_db: redis.Redis, key: str) -> str:
    add(any_db, key)
    return key


def add(db: redis.Redis, stream: str, count: int = ROWS) -> None:
    pipeline = db.pipeline(transaction=False)
    for number in range(count):
        pipeline.xadd(stream, {"n": number}, id=f"{number + 1}-0")
    pipeline.execute()


def fail(rows: int, size: int, total: int | None) -> None:
    raise ProgressError


def fail_at_the_end(rows: int, size: int, total: int | None) -> None:
    if rows == ROWS:
        raise ProgressError


# -- What is told


def check(told: Told, rows: int, total: int | None) -> None:
    assert told[-1][0] == rows
    assert told[-1][1] > 10 * rows
    assert [each[2] for each in told] == [total] * len(told)
    assert told == sorted(told)


def test_a_read(url: str, stream: str, told: Told, tell: Callable[..., object]) -> None:
    frame = redcol.read_stream(url, stream, schema=SCHEMA, progress=tell)
    assert frame["n"].to_list() == list(range(ROWS))
    check(told, ROWS, ROWS)


@pytest.mark.parametrize(
    ("arguments", "rows", "total"),
    [
        ({"count": 5}, 5, 5),
        ({"count": 1_000}, ROWS, ROWS),
        ({"start_id": 11}, ROWS - 10, None),
        ({"end_id": "5-0"}, 5, None),
        ({"block_ms": 1, "start_id": "0"}, ROWS, None),
        ({"group": "g", "consumer": "c"}, ROWS, None),
    ],
)
def test_the_number_in_all(
    url: str,
    stream: str,
    told: Told,
    tell: Callable[..., object],
    arguments: dict[str, object],
    rows: int,
    total: int | None,
) -> None:
    assert len(redcol.read_stream(url, stream, progress=tell, **arguments)) == rows
    check(told, rows, total)


def test_nothing_there(url: str, key: str, told: Told, tell: Callable[..., object]) -> None:
    assert redcol.read_stream(url, key, progress=tell).is_empty()
    ((rows, _, total),) = told
    assert (rows, total) == (0, 0)


def test_who_may_not_ask_for_the_number_reads(
    any_server: Server,
    any_db: redis.Redis,
    stream: str,
    told: Told,
    tell: Callable[..., object],
) -> None:
    any_db.execute_command("ACL", "SETUSER", "reader", "on", ">pass", "~*", "+xrange", "+xrevrange")
    url = any_server.url.replace("unix://", "unix://reader:pass@")
    assert len(redcol.read_stream(url, stream, progress=tell)) == ROWS
    check(told, ROWS, None)


def test_many_streams(
    url: str, any_db: redis.Redis, key: str, told: Told, tell: Callable[..., object]
) -> None:
    add(any_db, f"{key}:a", 30)
    add(any_db, f"{key}:b", 200)
    assert len(redcol.read_streams(url, f"{key}:*", progress=tell)) == 230
    check(told, 230, 230)
    told.clear()
    keys = [f"{key}:a", f"{key}:b", f"{key}:none"]
    assert len(redcol.read_streams(url, keys, count_per_stream=50, progress=tell)) == 80
    check(told, 80, 80)
    told.clear()
    assert len(redcol.read_streams(url, keys, start_id=2, progress=tell)) == 228
    check(told, 228, None)


def test_a_cluster(told: Told, tell: Callable[..., object]) -> None:
    with Cluster() as cluster:
        frame = pl.DataFrame({"stream": [f"s{n % 7}" for n in range(700)], "n": range(700)})
        redcol.write_stream(cluster.url, frame, stream_column="stream", progress=tell)
        check(told, 700, 700)
        told.clear()
        assert len(redcol.read_streams(cluster.url, "s*", progress=tell)) == 700
        check(told, 700, 700)


def test_scans(url: str, stream: str, told: Told) -> None:
    def tell(rows: int, size: int, total: int | None) -> None:
        told.append((rows, size, total))  # in a thread of Polars

    events = redcol.scan_stream(url, stream, schema=SCHEMA, progress=tell)
    assert not told
    assert events.select(pl.col("n").sum()).collect().item() == sum(range(ROWS))
    check(told, ROWS, ROWS)
    told.clear()
    assert len(events.head(7).collect()) == 7
    check(told, 7, 7)
    told.clear()
    assert len(events.filter(pl.col("_ts") > ROWS - 10).collect()) == 10
    check(told, 10, None)
    told.clear()
    many = redcol.scan_streams(url, [stream], schema=SCHEMA, progress=tell)
    assert len(many.collect()) == ROWS
    check(told, ROWS, ROWS)


def test_writes(url: str, key: str, told: Told, tell: Callable[..., object]) -> None:
    frame = pl.DataFrame({"_key": [f"{key}:{n}" for n in range(ROWS)], "n": range(ROWS)})
    redcol.write_stream(url, frame, key, metadata="omit", progress=tell)
    check(told, ROWS, ROWS)
    told.clear()
    assert redcol.write_hashes(url, frame, progress=tell) == ROWS
    check(told, ROWS, ROWS)
    told.clear()
    redcol.write_stream(url, frame.to_arrow(), key, metadata="omit", progress=tell)
    assert told[-1][0] == ROWS


# -- When it is told


def page(command: list[bytes]) -> bytes:
    """An answer to XRANGE, as full as it was asked to be."""
    first, count = int(command[2].split(b"-")[0].strip(b"(")), int(command[5])
    rows = [
        b"*2\r\n$%d\r\n%s\r\n*2\r\n$1\r\nn\r\n$1\r\n5\r\n" % (len(text), text)
        for text in (b"%d-1" % number for number in range(first, first + count))
    ]
    return b"*%d\r\n%s" % (count, b"".join(rows))


class Pages:
    """Answers the first page of a range, and the others once `go` is set; then the range ends."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.sent = 0

    def __call__(self, command: list[bytes]) -> bytes:
        if command[0] != b"XRANGE":
            return b"+OK\r\n" if command[0] != b"XREVRANGE" else b"*0\r\n"
        if self.sent == 0:
            self.sent = int(command[5])
            return page(command)
        assert self.go.wait(60)
        return b"*0\r\n"


def test_it_is_told_while_the_server_is_slow() -> None:
    pages = Pages()
    told = []

    def tell(rows: int, size: int, total: int | None) -> None:
        told.append((rows, size, total))
        if rows > 0:
            pages.go.set()

    with FakeServer(pages) as fake:
        frame = redcol.read_stream(fake.url, "s", start_id="1-1", progress=tell)
    assert len(frame) == pages.sent
    assert len(told) >= 2, "while it waited, and at the end"
    assert told[-2][0] == told[-1][0] == pages.sent
    assert told[-1][1] > told[-2][1] > 0


def test_statistics_while_a_read_runs() -> None:
    pages = Pages()
    with FakeServer(pages) as fake, using(Address(fake.url, 60_000, 60_000)) as client:
        reading = _native.read_streams(client, [b"s"], None, {"start_id": "1-1", "batch_rows": "0"})
        slot = _native.Slot()
        thread = threading.Thread(target=_native.iter_next, args=(reading, -1, slot))
        thread.start()
        try:
            while _native.iter_statistic(reading, "rows_read") < max(1, pages.sent):
                assert thread.is_alive()
            while _native.iter_statistic(reading, "bytes_received") == 0:
                assert thread.is_alive()
            assert _native.iter_statistic(reading, "delivered") == 0
        finally:
            pages.go.set()
            thread.join()
        assert _native.iter_statistic(reading, "delivered") == pages.sent == slot.rows()
        assert _native.iter_statistic(reading, "rows_read") == pages.sent
        reading.free()


def test_statistics_while_a_write_runs() -> None:
    go = threading.Event()
    answered = 0

    def answer(command: list[bytes]) -> bytes:
        nonlocal answered
        if command[0] != b"XADD":
            return b"+OK\r\n"
        if answered == 5:
            assert go.wait(60)
        answered += 1
        return b"$3\r\n1-%d\r\n" % (answered % 10)

    frame = pl.DataFrame({"n": range(9)})
    with FakeServer(answer) as fake, using(Address(fake.url, 60_000, 60_000)) as client:
        writer = _native.write_stream(client, b"s", frame.__arrow_c_stream__(), {})
        thread = threading.Thread(target=_native.writer_run, args=(writer, -1))
        thread.start()
        try:
            while _native.writer_statistic(writer, "known") < 5:
                assert thread.is_alive()
            assert _native.writer_statistic(writer, "written") == 5
            assert _native.writer_statistic(writer, "bytes_sent") > 9 * 20
            assert _native.writer_statistic(writer, "unknown") == -1
        finally:
            go.set()
            thread.join()
        assert _native.writer_statistic(writer, "written") == 9
        assert _native.writer_statistic(writer, "unknown") == 0
        writer.free()


# -- What it raises


def test_an_exception_ends_a_read(url: str, stream: str) -> None:
    for progress in (fail, fail_at_the_end):
        with pytest.raises(ProgressError):
            redcol.read_stream(url, stream, progress=progress)
        with pytest.raises(ProgressError):
            redcol.read_streams(url, [stream], progress=progress)


def test_an_exception_ends_a_query(url: str, stream: str) -> None:
    events = redcol.scan_stream(url, stream, schema=SCHEMA, progress=fail)
    with pytest.raises((ProgressError, pl.exceptions.ComputeError), match=r"ProgressError|^$"):
        events.collect()


def redcol_error(rows: int, size: int, total: int | None) -> None:
    raise redcol.ServerError("of the function's own")


def interrupt(rows: int, size: int, total: int | None) -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("progress", "error"),
    [
        (fail, ProgressError),
        (fail_at_the_end, ProgressError),
        (redcol_error, redcol.ServerError),
        (interrupt, KeyboardInterrupt),
    ],
)
def test_a_group_loses_nothing(
    url: str,
    any_db: redis.Redis,
    stream: str,
    progress: Callable[..., object],
    error: type[BaseException],
) -> None:
    member = {"group": "g", "consumer": "c", "auto_ack": True}
    with pytest.raises(error):
        redcol.read_stream(url, stream, progress=progress, **member)
    assert any_db.xpending(stream, "g")["pending"] == ROWS
    assert len(redcol.read_stream(url, stream, **member)) == ROWS
    assert any_db.xpending(stream, "g")["pending"] == 0


def test_an_exception_ends_a_write(url: str, any_db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame({"n": range(ROWS)})
    with pytest.raises(ProgressError) as caught:
        redcol.write_stream(url, frame, key, progress=fail_at_the_end)
    assert caught.value.written == ROWS
    assert caught.value.ids.to_list() == [entry.decode() for entry, _ in any_db.xrange(key)]


# -- The bar


def test_a_bar(url: str, stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    redcol.read_stream(url, stream, progress=True)
    shown = capsys.readouterr().err
    assert f"{ROWS}/{ROWS} [" in shown
    assert "rows/s" in shown
    assert "MB]" in shown
    redcol.write_stream(url, pl.DataFrame({"n": [1, 2]}), stream, progress=True)
    assert "2.00/2.00 [" in capsys.readouterr().err
    redcol.read_stream(url, stream, start_id=11, progress=True)
    assert f"{ROWS - 8} rows [" in capsys.readouterr().err


def test_without_tqdm(url: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r'pip install "redcol\[progress\]"'):
        redcol.read_stream(url, key, progress=True)
    with pytest.raises(ImportError, match="tqdm"):
        redcol.scan_stream(url, key, progress=True)


def test_tqdm_is_imported_only_for_a_bar(
    url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    redcol.read_stream(url, key, progress=lambda rows, size, total: None)
    redcol.read_stream(url, key)


@pytest.mark.parametrize("wrong", [5, "yes", [print]])
def test_wrong_arguments(wrong: object) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="progress must be True, False or a fun"):
        redcol.read_stream("redis://localhost:1", "s", progress=wrong)
    with pytest.raises(redcol.InvalidArgumentError, match="progress"):
        redcol.write_stream("redis://localhost:1", pl.DataFrame({"n": [1]}), "s", progress=wrong)
    with pytest.raises(redcol.InvalidArgumentError, match="progress"):
        redcol.scan_streams("redis://localhost:1", progress=wrong)
