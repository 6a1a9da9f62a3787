# SPDX-License-Identifier: Apache-2.0
"""Messages of channels as frames: what comes, in which columns, and when it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from sentinels import wait_until
from servers import FakeServer, Server

LATER = 60_000


@pytest.fixture
def channel(key: str) -> str:
    return f"channel:{key}"


def take(messages: Iterator[pl.DataFrame], rows: int) -> pl.DataFrame:
    """So many rows, of one frame or several."""
    frames: list[pl.DataFrame] = []
    while sum(map(len, frames)) < rows:
        frames.append(next(messages))
    return pl.concat(frames)


def publishing(
    db: redis.Redis, channel: str, *messages: Any, anew: bool = True
) -> threading.Thread:
    """Publishes when somebody listens; `anew`: who has listened until now does not count."""
    if anew:
        wait_until(lambda: listeners(db, channel) == 0, "nobody listens any more")

    def publish() -> None:
        wait_until(lambda: listeners(db, channel) > 0)
        for message in messages:
            db.publish(channel, message)

    thread = threading.Thread(target=publish)
    thread.start()
    return thread


def listeners(db: redis.Redis, channel: str) -> int:
    return int(db.pubsub_numsub(channel)[0][1])


# -- Rows


def test_messages_come_in_order_with_channel_and_time(
    url: str, any_db: redis.Redis, channel: str
) -> None:
    before = time.time()
    with redcol.iter_pubsub(url, [channel, channel + "2"], batch_timeout_ms=0) as messages:
        # Subscribed as soon as it is made.
        for number in range(500):
            assert any_db.publish(channel + "2" * (number % 2), f"m{number}") == 1
        frame = take(messages, 500)
        after = time.time()
    assert frame.schema == {
        "_channel": pl.String,
        "_received_at": pl.Float64,
        "message": pl.String,
    }
    assert frame["message"].to_list() == [f"m{number}" for number in range(500)]
    assert frame["_channel"].to_list() == [channel, channel + "2"] * 250
    assert frame["_received_at"].is_sorted()
    # Parts of a millisecond, and the text of a number, may be cut.
    assert before - 0.001 <= frame["_received_at"][0]
    assert frame["_received_at"][-1] <= after + 0.001
    wait_until(lambda: listeners(any_db, channel) == 0)


def test_patterns_and_channels_at_once(url: str, any_db: redis.Redis, channel: str) -> None:
    with redcol.iter_pubsub(
        url,
        channel,
        patterns=[channel + "*", "*" + channel],
        pattern_column="_pattern",
        batch_timeout_ms=0,
    ) as messages:
        assert any_db.publish(channel, "x") == 3
        frame = take(messages, 3)
    assert set(frame["_pattern"]) == {None, channel + "*", "*" + channel}
    with redcol.iter_pubsub(url, channel + "?", pattern=True, batch_timeout_ms=0) as messages:
        any_db.publish(channel, "no")
        any_db.publish(channel + "1", "yes")
        assert take(messages, 1)["message"].to_list() == ["yes"]


@pytest.mark.parametrize(
    "dtype", [pl.Datetime("ms"), pl.Datetime("us", "UTC"), pl.Datetime("ns", "Europe/Berlin")]
)
def test_arrival_as_a_datetime(server: Server, db: redis.Redis, channel: str, dtype: Any) -> None:
    thread = publishing(db, channel, "x")
    frame = redcol.collect_pubsub(
        server.url, channel, count=1, timestamp_dtype=dtype, include_channel=False
    )
    thread.join()
    assert frame.schema == {"_received_at": dtype, "message": pl.String}
    arrival = frame["_received_at"].dt.epoch("ms")[0] / 1000
    assert abs(arrival - time.time()) < 3600
    assert datetime.fromtimestamp(arrival, timezone.utc).year > 2020


def test_raw_messages_of_other_dtypes(server: Server, db: redis.Redis, channel: str) -> None:
    thread = publishing(db, channel, b"\xff\x00", b"")
    frame = redcol.collect_pubsub(
        server.url,
        channel,
        count=2,
        message_format="raw",
        schema={"message": pl.Binary},
        include_timestamp=False,
    )
    thread.join()
    assert frame["message"].to_list() == [b"\xff\x00", b""]
    thread = publishing(db, channel, "1.5", "nan")
    frame = redcol.collect_pubsub(
        server.url,
        channel,
        count=2,
        message_format="raw",
        schema={"price": pl.Float64},
        message_column="price",
    )
    thread.join()
    assert frame["price"].to_list()[0] == 1.5


def test_json_by_a_schema(url: str, any_db: redis.Redis, channel: str) -> None:
    schema = {
        "id": pl.Int64,
        "name": pl.String,
        "ok": pl.Boolean,
        "at": pl.Datetime("us", "UTC"),
        "kind": pl.Enum(["a", "b"]),
        "tags": pl.List(pl.String),
        "who": pl.Struct({"age": pl.UInt8}),
        'odd "name"': pl.Float64,
    }
    whole = {
        "id": 1,
        "name": 'é "q" \n\U0001f600',
        "ok": True,
        "at": "2024-01-01T00:00:00Z",
        "kind": "b",
        "tags": ["x", None],
        "who": {"age": 7, "more": [1]},
        'odd "name"': 1.5,
        "unknown": {"deep": [{}]},
    }
    twice = '{"id": 1, "id": null, "name": "a", "name": "\\u0062", "tags": [], "tags": null}'
    texts = [json.dumps(whole), json.dumps(whole, ensure_ascii=False), " {} ", twice]
    thread = publishing(any_db, channel, *texts)
    frame = redcol.collect_pubsub(
        url, channel, count=4, schema=schema, include_channel=False, include_timestamp=False
    )
    thread.join()
    assert frame.schema == schema
    first = {**whole, "at": datetime(2024, 1, 1, tzinfo=timezone.utc), "who": {"age": 7}}
    del first["unknown"]
    nothing = dict.fromkeys(schema)
    assert frame.rows(named=True) == [first, first, nothing, {**nothing, "name": "b"}]


WRONG = ["nope", "", "[1]", '{"n": 1', '{"n": 1} x', '{"n": "1"}', '{"n": 1.5}', '{"n": {}}']
WRONG += [b'{"n": 1, "t": "\xff"}', '{"n": true}', '{"t": 5}']  # type: ignore[list-item]


def test_messages_that_do_not_fit(server: Server, db: redis.Redis, channel: str) -> None:
    schema = {"n": pl.Int64, "t": pl.String}
    right = '{"n": 5, "t": "x"}'
    with redcol.iter_pubsub(server.url, channel, schema=schema, batch_timeout_ms=0) as messages:
        for text in WRONG:
            for message in (right, text, right):
                db.publish(channel, message)
            assert take(messages, 1)["n"].to_list() == [5]
            with pytest.raises(redcol.ValueConversionError) as caught:
                next(messages)
            assert channel in str(caught.value)
            if text == "nope":
                assert "leave the schema out" in str(caught.value)
            assert caught.value.stream == channel
            assert take(messages, 1)["n"].to_list() == [5]
    options: dict[str, Any] = {"schema": schema, "batch_timeout_ms": 0}
    with redcol.iter_pubsub(server.url, channel, on_error="null", **options) as messages:
        for text in [*WRONG, right]:
            db.publish(channel, text)
        frame = take(messages, len(WRONG) + 1)
        assert frame["n"].to_list() == [None] * (len(WRONG)) + [5]
        assert messages.stats.nulled == len(WRONG)
    with redcol.iter_pubsub(server.url, channel, on_error="skip", **options) as messages:
        for text in [*WRONG, right]:
            db.publish(channel, text)
        assert take(messages, 1)["n"].to_list() == [5]
        assert messages.stats.skipped == len(WRONG)


def test_invalid_utf8(server: Server, db: redis.Redis, channel: str) -> None:
    for on_error, expected in (("null", [None, "x"]), ("skip", ["x"])):
        thread = publishing(db, channel, b"\xff", "x")
        frame = redcol.collect_pubsub(
            server.url,
            channel,
            count=len(expected),
            on_error=on_error,  # type: ignore[arg-type]
        )
        thread.join()
        assert frame["message"].to_list() == expected
    thread = publishing(db, channel, b"\xff")
    with pytest.raises(redcol.ValueConversionError) as caught:
        redcol.collect_pubsub(server.url, channel, count=1)
    thread.join()
    assert caught.value.field == "message"


# -- Batches and ends


def test_batches(server: Server, db: redis.Redis, channel: str) -> None:
    with redcol.iter_pubsub(
        server.url, channel, batch_size=3, batch_timeout_ms=LATER, count=7
    ) as messages:
        for number in range(9):
            db.publish(channel, number)
        assert [len(frame) for frame in messages] == [3, 3, 1]
        assert messages.stats.delivered == 7


def test_a_batch_that_is_not_full_comes_in_time(
    server: Server, db: redis.Redis, channel: str
) -> None:
    with redcol.iter_pubsub(server.url, channel, batch_timeout_ms=50) as messages:
        db.publish(channel, "x")
        assert len(next(messages)) == 1
        db.publish(channel, "y")
        assert len(next(messages)) == 1


def test_idle(server: Server, db: redis.Redis, channel: str) -> None:
    with redcol.iter_pubsub(
        server.url, channel, on_idle="empty", block_ms=20, batch_timeout_ms=0
    ) as messages:
        empty = next(messages)
        assert len(empty) == 0
        db.publish(channel, "x")
        frame = take(messages, 1)
        assert frame.schema == empty.schema
    with redcol.iter_pubsub(
        server.url, channel, on_idle="stop", block_ms=50, batch_timeout_ms=LATER
    ) as messages:
        db.publish(channel, "x")
        assert [len(frame) for frame in messages] == [1]


def test_collecting_ends_by_time(server: Server, db: redis.Redis, channel: str) -> None:
    thread = publishing(db, channel, *range(3))
    frame = redcol.collect_pubsub(server.url, channel, window_seconds=0.5, timeout_ms=LATER)
    thread.join()
    assert frame["message"].to_list() == ["0", "1", "2"]
    assert redcol.collect_pubsub(server.url, channel, count=0).shape == (0, 3)
    empty = redcol.collect_pubsub(server.url, channel, timeout_ms=0, schema={"a": pl.Int8})
    assert empty.schema == {"_channel": pl.String, "_received_at": pl.Float64, "a": pl.Int8}


def test_collecting_ends_although_the_server_is_gone(channel: str) -> None:
    server = Server(tcp=True)
    with server.client() as db:
        stopper = threading.Thread(
            target=lambda: (wait_until(lambda: listeners(db, channel) > 0), server.stop())
        )
        stopper.start()
        frame = redcol.collect_pubsub(server.url, channel, window_seconds=1.5)
        stopper.join()
    assert len(frame) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"channels": []},
        {"channels": ["a", "a"]},
        {"channels": 5},
        {"channels": [5]},
        {"count": -1},
        {"count": 1, "message_format": "text"},
        {"count": 1, "message_format": "json"},
        {"count": 1, "channel_column": "message"},
        {"count": 1, "channel_column": "x", "timestamp_column": "x"},
        {"count": 1, "schema": {"_channel": pl.String}},
        {"count": 1, "schema": {"a": pl.Int8}, "message_format": "raw"},
        {"count": 1, "sharded": True, "patterns": ["x*"]},
        {"channels": ["a", "b"], "count": 1, "sharded": True},
        {"count": 1, "on_error": "dead_letter"},
        {"count": 1, "timestamp_dtype": pl.Int64},
        {"window_seconds": -1},
        {"window_seconds": "1"},
        {"window_seconds": float("nan")},
    ],
)
def test_what_cannot_be_right(arguments: dict[str, Any]) -> None:
    """Nothing listens at this address, and nobody tries."""
    given = {"channels": ["a"], **arguments}
    with pytest.raises((redcol.InvalidArgumentError, redcol.SchemaError)):
        redcol.collect_pubsub("redis://127.0.0.1:1", **given)


def test_what_an_idle_iterator_does_needs_a_time() -> None:
    for action in ("stop", "empty"):
        with pytest.raises(redcol.InvalidArgumentError, match="give block_ms"):
            redcol.iter_pubsub("redis://127.0.0.1:1", "a", on_idle=action)  # type: ignore[arg-type]
    with pytest.raises(redcol.InvalidArgumentError, match="give channels, patterns"):
        redcol.iter_pubsub("redis://127.0.0.1:1", [])


# -- Lost connections


def test_it_subscribes_again_and_counts_the_gap(
    url: str, any_db: redis.Redis, channel: str
) -> None:
    with redcol.iter_pubsub(url, [channel, channel + "2"], batch_timeout_ms=0) as messages:
        any_db.publish(channel, "before")
        assert take(messages, 1)["message"].to_list() == ["before"]
        any_db.client_kill_filter(_type="pubsub")
        thread = publishing(any_db, channel + "2", "after")
        assert take(messages, 1)["message"].to_list() == ["after"]
        thread.join()
        assert (messages.stats.gaps, messages.stats.reconnects) == (1, 1)
        assert messages.is_connected


def test_a_gap_as_an_error(server: Server, db: redis.Redis, channel: str) -> None:
    with redcol.iter_pubsub(
        server.url, channel, on_gap="raise", batch_timeout_ms=LATER
    ) as messages:
        db.publish(channel, "before")
        db.client_kill_filter(_type="pubsub")
        # What came before the gap comes before the error.
        assert next(messages)["message"].to_list() == ["before"]
        with pytest.raises(redcol.GapError):
            next(messages)
        messages.close()


def test_a_reader_that_is_too_slow(channel: str) -> None:
    """The server closes its connection; the gap is counted, and it goes on."""
    server = Server(args=("--client-output-buffer-limit", "pubsub", "1mb", "1mb", "0"))
    try:
        with (
            server.client() as db,
            redcol.iter_pubsub(server.url, channel, batch_size=10, batch_timeout_ms=0) as messages,
        ):
            payload = "x" * 100_000
            published = 0
            while db.publish(channel, payload):
                published += 1
            thread = publishing(db, channel, "after")
            rows, last = 0, ""
            while last != "after":
                frame = next(messages)
                rows += len(frame)
                last = frame["message"][-1]
            thread.join()
            assert messages.stats.gaps == 1
            assert 0 < rows - 1 <= published
    finally:
        server.stop()


def test_a_silent_server_is_asked_and_given_up(channel: str) -> None:
    """PING finds out that a connection is dead, and a right that is missing does no harm."""
    pings: list[bytes] = []

    def answer(command: list[bytes]) -> bytes | None:
        name = command[0].upper()
        if name == b"SUBSCRIBE":
            size = len(command[1])
            return b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (size, command[1])
        if name == b"PING":
            pings.append(name)
            return None if len(pings) > 1 else b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
        return b"-ERR unknown command\r\n" if name == b"HELLO" else b"+OK\r\n"

    with (
        FakeServer(answer) as fake,
        redcol.iter_pubsub(fake.url, channel, timeout_ms=200, on_gap="raise") as messages,
    ):
        with pytest.raises(redcol.GapError):
            next(messages)
        assert len(pings) == 2
        assert messages.stats.gaps == 1


@pytest.mark.parametrize(
    "pushed",
    [
        b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n:5\r\n",
        b"*3\r\n$7\r\nmessagx\r\n$1\r\nc\r\n$1\r\nx\r\n",
        b"*9\r\n$7\r\nmessage\r\n",
        b"*3\r\n$-1\r\n",
        b"hello\r\n",
        b"*2\r\n$4\r\npong\r\n$0\r\n\r\n",
        b"*3\r\n$7\r\nmessage\r\n$1\r\ncX\r\n$1\r\nx\r\n",
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:2\r\n",
    ],
)
def test_strange_pushes_are_errors(pushed: bytes, channel: str) -> None:
    def answer(command: list[bytes]) -> bytes | None:
        if command[0].upper() == b"SUBSCRIBE":
            return b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n" + pushed
        return b"-ERR unknown command\r\n" if command[0].upper() == b"HELLO" else b"+OK\r\n"

    with (
        FakeServer(answer) as fake,
        redcol.iter_pubsub(fake.url, "c", reconnect_timeout_ms=50) as messages,
        pytest.raises(redcol.ProtocolError),
    ):
        next(messages)


def test_a_message_that_is_too_large(server: Server, db: redis.Redis, channel: str) -> None:
    with redcol.iter_pubsub(
        server.url, channel, message_bytes_max=100, batch_timeout_ms=0
    ) as messages:
        db.publish(channel, "x" * 101)
        with pytest.raises(redcol.EntryTooLargeError, match="message_bytes_max"):
            next(messages)
        thread = publishing(db, channel, "x" * 100)
        assert take(messages, 1)["message"].to_list() == ["x" * 100]
        thread.join()
        assert messages.stats.gaps == 1


def test_large_messages_and_many_channels(server: Server, db: redis.Redis, channel: str) -> None:
    channels = [f"{channel}:{number}" for number in range(1_000)]
    with redcol.iter_pubsub(server.url, channels, batch_timeout_ms=0) as messages:
        large = "y" * (3 << 20)
        for name in channels[::100]:
            db.publish(name, large)
        frame = take(messages, 10)
    assert frame["_channel"].to_list() == channels[::100]
    assert (frame["message"] == large).all()


def test_rights(channel: str) -> None:
    server = Server()
    try:
        with server.client() as db:
            db.acl_setuser(
                "listener", enabled=True, nopass=True, commands=["+subscribe"], channels=["mine"]
            )
            url = f"unix://listener:x@{server.socket_path}"
            with pytest.raises(redcol.PermissionDeniedError):
                redcol.iter_pubsub(url, "other")
            # Without the right to PING it does without.
            with redcol.iter_pubsub(url, "mine", timeout_ms=100, batch_timeout_ms=0) as messages:
                thread = threading.Timer(1.5, db.publish, ("mine", "x"))
                thread.start()
                assert take(messages, 1)["message"].to_list() == ["x"]
                thread.join()
                assert messages.stats.gaps == 0
    finally:
        server.stop()


# -- Interrupts, threads, event loops, forks


def test_closing_and_cancelling_from_another_thread(server: Server, channel: str) -> None:
    messages = redcol.iter_pubsub(server.url, channel)
    threading.Timer(0.1, messages.cancel).start()
    with pytest.raises(redcol.CancelledError):
        next(messages)
    threading.Timer(0.1, messages.close).start()
    assert list(messages) == []
    with pytest.raises(redcol.ClosedError):
        messages.__enter__()


def test_an_interrupt(server: Server, channel: str) -> None:
    program = (
        "import redcol, sys\n"
        "messages = redcol.iter_pubsub(sys.argv[1], sys.argv[2])\n"
        "print('ready', flush=True)\n"
        "try:\n    next(messages)\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    command = [sys.executable, "-c", program, server.url, channel]
    environment = {**os.environ, "PYTHONPATH": str(Path(redcol.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"


def test_in_an_event_loop(url: str, any_db: redis.Redis, channel: str) -> None:
    async def run() -> list[list[str]]:
        threads = threading.active_count()
        found = []
        async with redcol.iter_pubsub_async(url, channel, batch_timeout_ms=0, count=2) as messages:
            any_db.publish(channel, "a")
            async for frame in messages:
                found.append(frame["message"].to_list())
                assert threading.active_count() == threads
                if len(found) == 1:
                    task = asyncio.ensure_future(messages.__anext__())
                    await asyncio.sleep(0.05)
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    any_db.publish(channel, "b")
        return found

    assert asyncio.run(run()) == [["a"], ["b"]]


def test_in_an_event_loop_over_a_lost_connection(
    server: Server, db: redis.Redis, channel: str
) -> None:
    async def run() -> tuple[list[str], int]:
        messages = redcol.iter_pubsub_async(server.url, channel, batch_timeout_ms=200)
        await messages.connected()
        db.client_kill_filter(_type="pubsub")
        thread = publishing(db, channel, "x")
        async for frame in messages:
            thread.join()
            messages.close()
            return frame["message"].to_list(), messages.stats.gaps
        raise AssertionError

    assert asyncio.run(run()) == (["x"], 1)


def test_a_child_process_cannot_use_it(server: Server, db: redis.Redis, channel: str) -> None:
    with redcol.iter_pubsub(server.url, channel, batch_timeout_ms=0) as messages:
        child = os.fork()
        if child == 0:
            try:
                next(messages)
            except redcol.ForkedError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        db.publish(channel, "x")
        assert len(next(messages)) == 1


def test_a_client_serves_several(server: Server, db: redis.Redis, channel: str) -> None:
    with redcol.connect(server.url) as client:
        with (
            redcol.iter_pubsub(client, channel, batch_timeout_ms=0) as one,
            redcol.iter_pubsub(client, channel, batch_timeout_ms=0) as other,
        ):
            db.publish(channel, "x")
            assert len(next(one)) == len(next(other)) == 1
        assert "closed" in repr(one)
        # Its connection was not one to use again.
        redcol.write_stream(client, pl.DataFrame({"a": [1]}), channel)
        assert len(redcol.read_stream(client, channel)) == 1
        db.delete(channel)
