# SPDX-License-Identifier: Apache-2.0
"""What becomes of entries with a value that does not fit: left out, moved away, or read as null."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
import redis
from chaos.proxy import Faults, Proxy

import redcol
from grouping import GROUP, SCHEMA, add, ids_of, pending
from servers import Server

STOP = {"on_idle": "stop", "block_ms": 20}
SKIP = {"schema": SCHEMA, "on_error": "skip"}


def mixed(db: redis.Redis, key: str, entries: int, seed: int, good: float = 0.7) -> list[int]:
    """Adds numbers and texts that are none, in runs; gives the numbers."""
    rng = random.Random(seed)
    numbers: list[int] = []
    is_good = good > 0
    with db.pipeline(transaction=False) as pipeline:
        for number in range(entries):
            if rng.random() < 0.2:
                is_good = rng.random() < good
            pipeline.xadd(key, {"n": number if is_good else f"bad {number}"})
            if is_good:
                numbers.append(number)
        pipeline.execute()
    return numbers


def following(url: str, key: str, **arguments: Any) -> list[int]:
    with redcol.iter_stream(url, key, batch_size=7, **STOP, **SKIP, **arguments) as batches:
        return [n for batch in batches for n in batch["n"]]


READS: dict[str, Callable[[str, str], list[int]]] = {
    "a range": lambda url, key: redcol.read_stream(url, key, **SKIP)["n"].to_list(),
    "an Arrow table": lambda url, key: pl.DataFrame(
        redcol.read_arrow(url, key, batch_size=50, **SKIP)
    )["n"].to_list(),
    "many streams": lambda url, key: redcol.read_streams(url, [key], **SKIP)["n"].to_list(),
    "a scan": lambda url, key: redcol.scan_stream(url, key, **SKIP).collect()["n"].to_list(),
    "a scan of many": lambda url, key: (
        redcol.scan_streams(url, [key], **SKIP).collect()["n"].to_list()
    ),
    "waiting": lambda url, key: redcol.read_stream(url, key, block_ms=50, **SKIP)["n"].to_list(),
    "a group": lambda url, key: redcol.read_stream(url, key, **GROUP, **SKIP)["n"].to_list(),
    "following": following,
    "following as a member": lambda url, key: following(url, key, **GROUP),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("good", [0.7, 0.0])
def test_skip(server: Server, db: redis.Redis, key: str, name: str, good: float) -> None:
    expected = mixed(db, key, 5_000, seed=1, good=good)
    assert READS[name](server.url, key) == expected


@pytest.mark.parametrize("count", [1, 10, 499, 10_000])
def test_counts_count_rows(server: Server, db: redis.Redis, key: str, count: int) -> None:
    expected = mixed(db, key, 2_000, seed=2)[:count]
    others = mixed(db, f"{key}-b", 2_000, seed=3)[:count]
    url = server.url
    assert redcol.read_stream(url, key, count=count, **SKIP)["n"].to_list() == expected
    assert redcol.scan_stream(url, key, **SKIP).head(count).collect()["n"].to_list() == expected
    assert following(url, key, count=count) == expected
    assert following(url, key, count=count, **GROUP) == expected
    df = redcol.read_stream(url, key, count=count, group="once", consumer="c", **SKIP)
    assert df["n"].to_list() == expected
    streams = [key, f"{key}-b"]
    df = redcol.read_streams(url, streams, count_per_stream=count, **SKIP)
    assert df["n"].to_list() == expected + others
    df = redcol.scan_streams(url, streams, **SKIP).head(count).collect()
    assert df["n"].to_list() == (expected + others)[:count]


@pytest.mark.parametrize("name", ["a range", "many streams", "following", "following as a member"])
def test_lost_connections(server: Server, db: redis.Redis, key: str, name: str) -> None:
    expected = mixed(db, key, 3_000, seed=4)
    cut = random.Random(5)

    def plan(number: int) -> Faults:
        return Faults(end_after=cut.randint(200, 40_000)) if number < 12 else Faults()

    with Proxy(server.socket_path, plan) as proxy:
        while True:
            try:
                got = READS[name](proxy.url, key)
            except redcol.ConnectionFailedError:  # while it connects
                continue
            break
    if name == "following as a member":
        got = sorted(got)
    assert got == expected


def test_what_was_left_out_is_counted_and_logged(
    server: Server, db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = len(mixed(db, key, 300, seed=6))
    with redcol.iter_stream(server.url, key, batch_size=7, **STOP, **SKIP) as batches:
        rows = sum(len(batch) for batch in batches)
        stats = batches.stats
    assert (rows, stats.delivered, stats.skipped, stats.nulled) == (good, good, 300 - good, 0)
    lines = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert any(
        f'stream "{key}"' in line and 'field "n" does not fit Int64' in line for line in lines
    )
    assert not any("bad" in line for line in lines)


def test_only_bad_entries_are_asked_for_once(server: Server, db: redis.Redis, key: str) -> None:
    """Reading goes on behind them, and waits there."""
    mixed(db, key, 500, seed=7, good=0)
    for arguments in ({}, GROUP):
        with redcol.iter_stream(server.url, key, **STOP, **SKIP, **arguments) as batches:
            assert list(batches) == []
            assert batches.stats.skipped == 500


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_a_batch_that_was_taken_back(
    url: str, any_db: redis.Redis, key: str, group: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from redcol import _frames

    for text in ("1", "x", "2", "y"):
        any_db.xadd(key, {"n": text})
    made = _frames.Frames.make
    calls = []

    def make(self: _frames.Frames, batch: Any) -> pl.DataFrame:
        calls.append(batch)
        if len(calls) < 3:
            raise KeyboardInterrupt
        return made(self, batch)

    monkeypatch.setattr(_frames.Frames, "make", make)
    with redcol.iter_stream(url, key, block_ms=0, **SKIP, **group) as batches:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                next(batches)
        assert next(batches)["n"].to_list() == [1, 2]
        assert (batches.stats.skipped, batches.stats.delivered) == (2, 2)


# Acknowledging what was left out.


def bad_between(db: redis.Redis, key: str) -> tuple[list[str], list[str]]:
    ids = [db.xadd(key, {"n": text}).decode() for text in "1x2yz3w"]
    return [ids[0], ids[2], ids[5]], [ids[1], ids[3], ids[4], ids[6]]


def test_acknowledged_as_the_rest(url: str, any_db: redis.Redis, key: str) -> None:
    bad_between(any_db, key)
    with redcol.iter_stream(url, key, **GROUP, auto_ack=True, batch_size=2, **SKIP, **STOP) as got:
        assert [n for batch in got for n in batch["n"]] == [1, 2, 3]
        assert got.stats.skipped == 4
    assert pending(any_db, key) == []
    bad_between(any_db, f"{key}-b")
    df = redcol.read_stream(url, f"{key}-b", **GROUP, auto_ack=True, **SKIP)
    assert df["n"].to_list() == [1, 2, 3]
    assert pending(any_db, f"{key}-b") == []


@pytest.mark.parametrize("how", ["all", "frames", "frames at once"])
def test_acknowledged_by_hand(url: str, any_db: redis.Redis, key: str, how: str) -> None:
    """With the rows of their batch; the last one, alone in its batch, with what comes next."""
    _, bad = bad_between(any_db, key)
    waits = {"on_idle": "empty", "block_ms": 20}
    with redcol.iter_stream(url, key, **GROUP, batch_size=2, **SKIP, **waits) as batches:
        frames, counts = [], []
        while len(batch := next(batches)):
            frames.append(batch)
            if how == "frames":
                counts.append(batches.ack(batch))
        if how == "all":
            counts = [batches.ack()]
        elif how == "frames at once":
            counts = [batches.ack(pl.concat(frames))]
        assert counts == ([2, 2, 2] if how == "frames" else [7])
        assert pending(any_db, key) == (bad[-1:] if how == "frames" else [])
        any_db.xadd(key, {"n": 4})
        while not len(batch := next(batches)):
            pass
        assert batches.ack(batch["_id"]) == (2 if how == "frames" else 1)
        assert batches.stats.acknowledged == 8
    assert pending(any_db, key) == []


def test_after_the_last_row_of_a_frame(url: str, any_db: redis.Redis, key: str) -> None:
    """No row follows, and none of the batch's own stream is needed either."""
    streams = [key, f"{key}-b"]
    for stream, texts in zip(streams, ("x1y", "zw"), strict=True):
        for text in texts:
            any_db.xadd(stream, {"n": text})
    with redcol.iter_stream(url, streams, **GROUP, **SKIP) as batches:
        assert batches.ack(next(batches)) == 5
        assert batches.stats.acknowledged == 5
    assert pending(any_db, key) == pending(any_db, f"{key}-b") == []


@pytest.mark.parametrize("good", [0.5, 0.0])
def test_at_the_end_nothing_that_was_left_out_is_pending(
    url: str, any_db: redis.Redis, key: str, good: float
) -> None:
    """By hand, a frame at a time; a good entry is acknowledged only if its frame was."""
    mixed(any_db, key, 300, seed=10, good=good)
    entries = any_db.xrange(key)
    unacknowledged = {one.decode() for one, fields in entries if b"bad" not in fields[b"n"]}
    waiting: list[pl.DataFrame] = []
    total = 0
    rng = random.Random(11)
    with redcol.iter_stream(url, key, **GROUP, batch_size=7, **SKIP, **STOP) as batches:
        for batch in batches:
            waiting.append(batch)
            while len(waiting) > rng.randint(0, 3):
                frame = waiting.pop(rng.randrange(len(waiting)))
                total += batches.ack(frame)
                unacknowledged -= set(frame["_id"])
            last = any_db.xinfo_groups(key)[0]["last-delivered-id"].decode()
            delivered = {one for one in unacknowledged if stamp(one) <= stamp(last)}
            assert delivered <= set(pending(any_db, key))
        # All that is left out has a row in its batch that waits, or is acknowledged by now.
        left = set(pending(any_db, key)) - unacknowledged
        assert bool(left) <= bool(waiting)
        total += sum(batches.ack(frame) for frame in waiting)
        alone = batches.stats.acknowledged - total
    assert pending(any_db, key) == []
    assert alone == 300 if good == 0 else alone < 300


def stamp(entry_id: str) -> list[int]:
    return [int(part) for part in entry_id.split("-")]


def test_a_read_that_ends_acknowledges_what_it_left_out(
    url: str, any_db: redis.Redis, key: str
) -> None:
    """Nobody else could: its rows are acknowledged without it."""
    good, _ = bad_between(any_db, key)
    df = redcol.read_stream(url, key, **GROUP, **SKIP)
    assert df["_id"].to_list() == pending(any_db, key) == good
    assert redcol.ack_entries(url, key, "g", df) == 3


def test_without_acknowledging_they_come_again(url: str, any_db: redis.Redis, key: str) -> None:
    good, bad = bad_between(any_db, key)
    for _ in range(2):
        with redcol.iter_stream(url, key, **GROUP, **SKIP, **STOP) as batches:
            assert ids_of(batches) == good
            assert batches.stats.skipped == 4
    assert pending(any_db, key) == sorted(good + bad)


def test_the_log_says_of_which_stream_and_of_how_many(
    url: str, any_db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A number of all streams; at the end it is the last one, though lines came a moment ago."""
    streams = [f"{key}-{name}" for name in "abc"]
    for stream in streams:
        mixed(any_db, stream, 200, seed=12, good=0.5)
    skipped = []
    with redcol.iter_stream(url, streams, batch_size=5, **SKIP, **STOP) as batches:
        list(batches)
        skipped.append(batches.stats.skipped)
        assert "left out" in caplog.text
    waits = {"on_idle": "empty", "block_ms": 20}
    with redcol.iter_stream(url, streams[2], batch_size=5, **SKIP, **waits) as batches:
        while batches.stats.delivered + batches.stats.skipped < 200:
            next(batches)
        skipped.append(batches.stats.skipped)
    redcol.read_stream(url, streams[1], **SKIP)
    skipped.append(skipped[1])
    lines = [line.getMessage() for line in caplog.records if "left out" in line.getMessage()]
    for count, stream in zip(skipped, (streams[2], streams[2], streams[1]), strict=True):
        assert any(
            line.startswith(f"left out {count} entries so far, the last of them entry ")
            and f' of stream "{stream}": the value of field "n" does not fit Int64' in line
            for line in lines
        ), (count, stream, lines)


# Null.


def test_values_that_became_null_are_counted(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xadd(key, {"n": "x", "m": "y"})
    any_db.xadd(key, {"n": "1", "m": "y"})
    any_db.execute_command("XADD", key, "*", "n", "x", "n", "5", "m", "6")  # the last one holds
    any_db.xadd(key, {"n": "7"})
    schema = {"n": pl.Int64, "m": pl.Int32}
    for group in ({}, GROUP):
        with redcol.iter_stream(
            url, key, schema=schema, on_error="null", **STOP, **group
        ) as batches:
            (frame,) = batches
            assert frame.select("n", "m").rows() == [(None, None), (1, None), (5, 6), (7, None)]
            assert (batches.stats.nulled, batches.stats.skipped) == (3, 0)


# Dead letters.


@pytest.fixture(params=["script", "transaction"])
def member_url(request: pytest.FixtureRequest, any_server: Server, any_db: redis.Redis) -> str:
    if request.param == "script":
        return any_server.url
    any_db.execute_command("ACL SETUSER no-scripts on >pw +@all -@scripting ~*")
    return any_server.url.replace("unix://", "unix://no-scripts:pw@")


@pytest.mark.parametrize("auto_ack", [True, False])
def test_dead_letters(member_url: str, any_db: redis.Redis, key: str, auto_ack: bool) -> None:
    good, bad = bad_between(any_db, key)
    arguments = {"schema": SCHEMA, "on_error": "dead_letter", "dead_letter": f"{key}-dead"}
    with redcol.iter_stream(
        member_url, key, **GROUP, **arguments, auto_ack=auto_ack, batch_size=2, **STOP
    ) as batches:
        assert ids_of(batches) == good
        stats = batches.stats
        assert (stats.dead_lettered, stats.skipped, stats.nulled) == (4, 0, 0)
    assert pending(any_db, key) == ([] if auto_ack else good)
    dead = redcol.read_stream(member_url, f"{key}-dead")
    assert dead["dead_id"].to_list() == bad
    assert dead["n"].to_list() == ["x", "y", "z", "w"]
    assert dead["dead_field"].to_list() == ["n"] * 4
    assert dead["dead_reason"][0] == 'the value "x" does not fit Int64'
    assert dead.select("dead_stream", "dead_consumer", "dead_deliveries").row(0) == (key, "c", "1")


def test_a_bad_value_blocks_nothing(url: str, any_db: redis.Redis, key: str) -> None:
    """Over restarts: what follows it is read, and it is moved away once."""
    arguments = {"schema": SCHEMA, "on_error": "dead_letter", "dead_letter": f"{key}-dead"}
    got = []
    for turn in range(3):
        any_db.xadd(key, {"n": f"bad {turn}"})
        add(any_db, key, [turn])
        df = redcol.read_stream(url, key, **GROUP, **arguments, auto_ack=True)
        got += df["n"].to_list()
    assert got == [0, 1, 2]
    assert any_db.xlen(f"{key}-dead") == 3
    assert pending(any_db, key) == []


def test_pending_entries_of_a_reader_that_raised(url: str, any_db: redis.Redis, key: str) -> None:
    good, bad = bad_between(any_db, key)
    with pytest.raises(redcol.ValueConversionError):
        redcol.read_stream(url, key, **GROUP, schema=SCHEMA)
    arguments = {"schema": SCHEMA, "on_error": "dead_letter", "dead_letter": f"{key}-dead"}
    df = redcol.read_stream(url, key, **GROUP, **arguments, auto_ack=True)
    assert df["_id"].to_list() == good
    assert any_db.xlen(f"{key}-dead") == len(bad)
    assert pending(any_db, key) == []


def test_json_says_where(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xadd(key, {"j": '{"a": [1, "x"]}'})
    schema = {"j": pl.Struct({"a": pl.List(pl.Int64)})}
    arguments = {"schema": schema, "on_error": "dead_letter", "dead_letter": f"{key}-dead"}
    assert len(redcol.read_stream(url, key, **GROUP, **arguments)) == 0
    (reason,) = redcol.read_stream(url, f"{key}-dead")["dead_reason"]
    assert 'j.a[1] is "x", which does not fit' in reason.replace("\\", "")
    assert redcol.read_stream(url, key, **SKIP | {"schema": schema})["j"].to_list() == []


def test_lost_answers_move_each_entry_once(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    expected = mixed(any_db, key, 400, seed=8)
    cut = random.Random(9)

    def plan(number: int) -> Faults:
        return Faults(end_after=cut.randint(100, 6_000)) if 0 < number < 15 else Faults()

    arguments = {"schema": SCHEMA, "on_error": "dead_letter", "dead_letter": f"{key}-dead"}
    with (
        Proxy(any_server.socket_path, plan) as proxy,
        redcol.iter_stream(
            proxy.url, key, **GROUP, **arguments, auto_ack=True, batch_size=20, block_ms=0
        ) as batches,
    ):
        got: list[int] = []
        while len(got) < len(expected):
            any_db.client_kill_filter(_type="normal", skipme=True)
            got += next(batches)["n"].to_list()
        batches.ack()
    assert sorted(got) == expected
    dead = redcol.read_stream(any_server.url, f"{key}-dead")
    read = any_db.xrange(key)
    bad = [entry_id.decode() for entry_id, fields in read if b"bad" in fields[b"n"]]
    # The last ones may not have been put away when the last row was.
    assert len(set(dead["dead_id"])) == len(dead)
    assert set(dead["dead_id"]) | set(pending(any_db, key)) >= set(bad[: len(dead)])
    assert set(dead["dead_id"]).isdisjoint(pending(any_db, key))
    assert set(dead["dead_id"]) <= set(bad)


def test_a_key_that_is_no_stream(member_url: str, any_db: redis.Redis, key: str) -> None:
    _, bad = bad_between(any_db, key)
    any_db.set(f"{key}-dead", "text")
    arguments = {"schema": SCHEMA, "on_error": "dead_letter", "dead_letter": f"{key}-dead"}
    with pytest.raises(redcol.WrongTypeError, match=f'the dead letters "{key}-dead"') as caught:
        redcol.read_stream(member_url, key, **GROUP, **arguments, auto_ack=True)
    assert caught.value.stream == f"{key}-dead"
    assert set(bad) <= set(pending(any_db, key))


def test_members_of_both_kinds(url: str, any_db: redis.Redis, key: str) -> None:
    """Delivered too often and unreadable: one stream for both."""
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    (old,) = add(any_db, key, [1])
    for after in (">", "0"):
        any_db.xreadgroup("g", "c", {key: after})
    bad = any_db.xadd(key, {"n": "x"}).decode()
    arguments = {"schema": SCHEMA, "on_error": "dead_letter", "dead_letter": f"{key}-dead"}
    with redcol.iter_stream(url, key, **GROUP, **arguments, max_deliveries=2, **STOP) as batches:
        assert list(batches) == []
        assert batches.stats.dead_lettered == 2
    dead = redcol.read_stream(url, f"{key}-dead")
    assert dead.select("dead_id", "dead_field").rows() == [(old, None), (bad, "n")]
    assert pending(any_db, key) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"on_error": "ignore"}, "raise"),
        ({"on_error": "dead_letter"}, "dead_letter"),
        ({"on_error": "dead_letter", **GROUP}, "dead_letter"),
        ({"on_error": "dead_letter", "dead_letter": "d"}, "group"),
        ({"on_error": "skip", "dead_letter": "d", **GROUP}, "max_deliveries"),
        ({"dead_letter": ""}, "dead_letter"),
    ],
)
def test_arguments_that_cannot_be_right(arguments: dict[str, Any], reason: str) -> None:
    for read in (redcol.read_stream, redcol.iter_stream):
        with pytest.raises(redcol.InvalidArgumentError, match=reason):
            read("unix:///nowhere", "s", **arguments)
    for read in (redcol.scan_stream, redcol.read_streams, redcol.scan_streams, redcol.read_arrow):
        with pytest.raises(redcol.InvalidArgumentError, match="on_error"):
            read("unix:///nowhere", "s", on_error="dead_letter")


# Entries that are too large.


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
def test_an_entry_that_is_too_large_is_passed(
    member_url: str, any_db: redis.Redis, key: str, on_error: str, follows: bool
) -> None:
    good = add(any_db, key, [1, 2])
    large = [any_db.xadd(key, {"n": "3", "m": "x" * size}).decode() for size in (3000, 400_000)]
    good += add(any_db, key, [4])
    large.append(any_db.xadd(key, {"n": "5", "m": "x" * 3000}).decode())
    arguments: dict[str, Any] = {"schema": SCHEMA, "on_error": on_error, "entry_bytes_max": 2000}
    if on_error == "dead_letter":
        arguments["dead_letter"] = f"{key}-dead"
    if follows:
        with redcol.iter_stream(
            member_url, key, **GROUP, **arguments, auto_ack=True, **STOP
        ) as batches:
            assert ids_of(batches) == good
            stats = batches.stats
        counts = (3, 0) if on_error == "skip" else (0, 3)
        assert (stats.skipped, stats.dead_lettered) == counts
        assert stats.acknowledged + stats.dead_lettered == 6
    else:
        df = redcol.read_stream(member_url, key, **GROUP, **arguments, auto_ack=True)
        assert df["_id"].to_list() == good
    assert pending(any_db, key) == []
    dead = any_db.xrange(f"{key}-dead")
    assert [fields[b"dead_id"].decode() for _, fields in dead] == (
        large if on_error == "dead_letter" else []
    )
    for _, fields in dead:
        assert fields.keys().isdisjoint({b"n", b"m", b"dead_field"})
        assert fields[b"dead_reason"] == b"more than 2000 bytes (entry_bytes_max)"


def test_a_group_that_is_destroyed_moves_no_entry_twice(
    member_url: str, any_db: redis.Redis, key: str
) -> None:
    """The iterator creates the group again before entries that it moved: it knows them."""
    ids: dict[bool, list[str]] = {True: [], False: []}
    for number in range(60):
        text = f"bad {number}" if number % 3 else str(number)
        entry_id = any_db.xadd(key, {"n": text}, id=f"{number + 1}-0").decode()
        ids[number % 3 == 0].append(entry_id)
    arguments = {"schema": SCHEMA, "on_error": "dead_letter", "dead_letter": f"{key}-dead"}
    got: set[str] = set()
    with redcol.iter_stream(member_url, key, **GROUP, **arguments, batch_size=6, **STOP) as batches:
        for number, batch in enumerate(batches):
            got.update(batch["_id"])
            if number % 2:
                batches.ack(batch)
            if number in (1, 4, 5, 7):
                any_db.xgroup_destroy(key, "g")
        assert batches.stats.resets == 4
    assert sorted(got) == sorted(ids[True])
    dead = [fields[b"dead_id"].decode() for _, fields in any_db.xrange(f"{key}-dead")]
    assert sorted(dead) == sorted(ids[False])
