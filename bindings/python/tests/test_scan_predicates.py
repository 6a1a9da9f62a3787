# SPDX-License-Identifier: Apache-2.0
"""Filters of a scan against the same filters on a frame: bounds must never cost a row."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from redcol import _bounds
from scans import requests
from servers import Server

FIRST = 1_704_067_200_000
ENTRIES = 240
LAST = FIRST + ENTRIES // 2 * 7
SCHEMA = {"value": pl.Int64, "action": pl.String}
ts = pl.col("_ts")
EPOCH = datetime(1970, 1, 1)


@pytest.fixture(scope="module")
def stream(server: Server, db: redis.Redis) -> Iterator[str]:
    with db.pipeline(transaction=False) as pipeline:
        for index in range(ENTRIES):
            entry = {"value": index % 11, "action": "click" if index % 3 else "view"}
            pipeline.xadd("predicates", entry, id=f"{FIRST + index // 2 * 7}-{index % 2 * 5}")
        pipeline.execute()
    yield "predicates"
    db.delete("predicates")


def moment(random_: random.Random) -> int:
    """Milliseconds in or around the stream, often those of an entry."""
    if random_.random() < 0.1:
        return random_.choice([0, -5, 1, 2**40, 2**53, 2**62, FIRST * 1000])
    index = random_.randrange(-20, ENTRIES // 2 + 20)
    return FIRST + index * 7 + random_.choice([0, 0, -1, 1, 3])


def constant(random_: random.Random) -> tuple[pl.Expr, Any]:
    """The timestamp column in some form, and something to compare it with."""
    ms = moment(random_)
    kind = random_.randrange(10)
    if kind < 4:
        return ts, random_.choice([ms, pl.lit(ms), pl.lit(ms) + 0, pl.lit(ms, dtype=pl.Int64)])
    if kind == 4:
        return ts, ms + random_.choice([0.0, 0.25, -0.5])
    if not 0 < ms < 2**42:
        ms = FIRST
    time = EPOCH + timedelta(milliseconds=ms, microseconds=random_.choice([0, 0, 1, 999]))
    if kind == 5:
        zone = random_.choice(["UTC", "Europe/Paris"])
        aware = pl.lit(time).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        return ts.cast(pl.Datetime("ms", zone)), aware
    if kind == 6:
        return ts, pl.lit(time).dt.timestamp("ms")
    if kind == 7:
        day = date(2024, 1, random_.choice([1, 2]))
        return ts.cast(pl.Datetime("ms")), random_.choice([day, pl.lit(time).dt.offset_by("-1s")])
    if kind == 8:
        unit, scale = random_.choice([("us", 1_000), ("ns", 1_000_000)])
        return (ts * scale).cast(pl.Datetime(unit)), time
    return random_.choice(
        [(pl.from_epoch("_ts", "ms"), time), (ts.cast(pl.Datetime("ms")), time), (ts, time)]
    )


def leaf(random_: random.Random) -> pl.Expr:
    column, value = constant(random_)
    kind = random_.randrange(14)
    if kind < 7:
        compare: Callable[[Any, Any], pl.Expr] = random_.choice(
            [
                lambda a, b: a > b,
                lambda a, b: a >= b,
                lambda a, b: a < b,
                lambda a, b: a <= b,
                lambda a, b: a == b,
                lambda a, b: a != b,
                lambda a, b: a.eq_missing(b),
            ]
        )
        return compare(column, value)
    if kind == 7 and isinstance(value, (int, float)):
        return pl.lit(value) < column
    if kind < 9:
        closed = random_.choice(["both", "left", "right", "none"])
        span = timedelta(milliseconds=random_.randrange(300))
        high = value + span if isinstance(value, (datetime, pl.Expr)) else value
        if isinstance(value, (int, float)):
            high = value + random_.randrange(300)
        return column.is_between(value, high, closed=closed)
    if kind == 9:
        entry = random_.randrange(ENTRIES)
        texts = [f"{FIRST + entry // 2 * 7}-{entry % 2 * 5}", "1-1", "none", "01-1", ""]
        return pl.col("_id") == random_.choice(texts[:1] * 4 + texts[1:])
    if kind == 10:
        return ts.is_in([moment(random_) for _ in range(3)])
    if kind == 11:
        return random_.choice(
            [
                ts.is_null(),
                ts > pl.lit(None, dtype=pl.Int64),
                pl.lit(True),
                ts % 2 == 0,
                ts + 7 > FIRST,
            ]
        )
    if kind == 12:
        return pl.col("action") == random_.choice(["click", "view"])
    return pl.col("value") < random_.randrange(12)


def predicate(random_: random.Random, depth: int) -> pl.Expr:
    if depth == 0 or random_.random() < 0.3:
        return leaf(random_)
    left, right = predicate(random_, depth - 1), predicate(random_, depth - 1)
    kind = random_.randrange(8)
    if kind < 5:
        return left & right
    return [left | right, ~left, left ^ right][kind - 5]


def test_random_predicates(server: Server, stream: str) -> None:
    random_ = random.Random(20_240_101)
    bounded = 0
    compared = 0
    with redcol.connect(server.url) as client, requests() as seen:
        everything = redcol.read_stream(client, stream, schema=SCHEMA)
        ranges = [{}, {}, {"start_id": FIRST + 200}, {"end_id": f"({FIRST + 350}-5"}, {"count": 60}]
        ranges.append({"start_id": f"({FIRST + 70}-0", "end_id": FIRST + 700, "count": 100})
        while compared < 3_000:
            chosen = predicate(random_, 2)
            limits = random_.choice(ranges)
            frame = everything
            if limits:
                frame = redcol.read_stream(client, stream, schema=SCHEMA, **limits)
            lazy = redcol.scan_stream(client, stream, schema=SCHEMA, **limits)
            shape = random_.randrange(4)
            if shape == 1:
                head = random_.randrange(80)
                frame, lazy = frame.head(head), lazy.head(head)
            try:
                expected = frame.lazy().filter(chosen)
                if shape == 2:
                    expected, lazy = expected.head(9), lazy.filter(chosen).head(9)
                else:
                    lazy = lazy.filter(chosen)
                if shape == 3:
                    expected, lazy = expected.select("action"), lazy.select("action")
                wanted = expected.collect()
            except pl.exceptions.PolarsError as refused:
                # Polars compares no such things: neither here nor there.
                with pytest.raises(type(refused)):
                    lazy.collect()
                continue
            seen.clear()
            got = lazy.collect()
            assert got.equals(wanted), (compared, limits, shape, chosen, got, wanted)
            assert got.schema == wanted.schema
            compared += 1
            whole = [("0-0", everything["_id"][-1])]
            bounded += not limits and whole != [(one["start_id"], one["end_id"]) for one in seen]
    # A third has no limits, and many of those give bounds.
    assert bounded > 300


#: The bounds that a scan asks for, without the fixed end of the stream.
TABLE: list[tuple[pl.Expr, tuple[str, str] | None]] = [
    (ts >= FIRST + 70, (f"{FIRST + 70}-0", "+")),
    (ts > FIRST + 70, (f"{FIRST + 71}-0", "+")),
    (pl.lit(FIRST + 70) < ts, (f"{FIRST + 71}-0", "+")),
    (ts < FIRST + 70, ("0-0", f"{FIRST + 69}-18446744073709551615")),
    (ts <= FIRST + 70, ("0-0", f"{FIRST + 70}-18446744073709551615")),
    (ts == FIRST + 70, (f"{FIRST + 70}-0", f"{FIRST + 70}-18446744073709551615")),
    (ts.is_between(FIRST + 7, FIRST + 9), (f"{FIRST + 7}-0", f"{FIRST + 9}-{2**64 - 1}")),
    (
        ts.is_between(FIRST, FIRST + 9, closed="none"),
        (f"{FIRST + 1}-0", f"{FIRST + 8}-{2**64 - 1}"),
    ),
    ((ts > FIRST) & (pl.col("value") > 3), (f"{FIRST + 1}-0", "+")),
    ((ts > FIRST + 7) | (ts > FIRST + 3), (f"{FIRST + 4}-0", "+")),
    ((ts > FIRST + 7) | (pl.col("value") > 3), ("0-0", "+")),
    (~(ts > FIRST + 7) & (pl.col("value") > 3), None),
    (ts > FIRST + 0.5, (f"{FIRST + 1}-0", "+")),
    (
        ts.cast(pl.Datetime("ms")) >= EPOCH + timedelta(milliseconds=FIRST + 9, microseconds=1),
        None,
    ),
    (
        pl.from_epoch("_ts", "ms") >= EPOCH + timedelta(milliseconds=FIRST + 9),
        (f"{FIRST + 9}-0", "+"),
    ),
    (
        ts.cast(pl.Datetime("ms", "UTC"))
        <= (EPOCH + timedelta(milliseconds=FIRST + 9)).replace(tzinfo=timezone.utc),
        ("0-0", f"{FIRST + 9}-18446744073709551615"),
    ),
    (
        ts >= pl.lit(EPOCH + timedelta(milliseconds=FIRST + 9)).dt.epoch("ms"),
        (f"{FIRST + 9}-0", "+"),
    ),
    (pl.col("_id") == f"{FIRST + 7}-5", (f"{FIRST + 7}-5", f"{FIRST + 7}-5")),
]


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_bounds(server: Server, stream: str, number: int) -> None:
    chosen, expected = TABLE[number]
    lazy = redcol.scan_stream(server.url, stream, schema=SCHEMA)
    with requests() as seen:
        got = lazy.filter(chosen).collect()
    assert got.equals(redcol.read_stream(server.url, stream, schema=SCHEMA).filter(chosen))
    if expected is not None:
        end = f"{FIRST + (ENTRIES - 1) // 2 * 7}-5" if expected[1] == "+" else expected[1]
        assert [(one["start_id"], one["end_id"]) for one in seen] == [(expected[0], end)]


def test_what_cannot_be_is_not_asked_for(server: Server, stream: str) -> None:
    lazy = redcol.scan_stream(server.url, stream, schema=SCHEMA)
    with requests() as seen:
        for chosen in (ts > LAST + 7, (ts > LAST) & (ts < FIRST), ts < -5):
            got = lazy.filter(chosen).collect()
            assert (got.height, got.schema) == (0, lazy.collect_schema())
    assert seen == []


def test_products_that_overflow(server: Server, db: redis.Redis, key: str) -> None:
    ids = [5, 2**53, 2**62 + 5, 2**63 - 1]
    for ms in ids:
        db.xadd(key, {"value": 1}, id=f"{ms}-1")
    for factor in (1_000, 2**20, 4):
        for limit in (-(2**60), 0, 10_000, 2**62):
            for chosen in (ts * factor < limit, ts * factor >= limit, factor * ts == limit):
                lazy = redcol.scan_stream(server.url, key, schema={"value": int})
                frame = redcol.read_stream(server.url, key, schema={"value": int})
                assert lazy.filter(chosen).collect().equals(frame.filter(chosen)), str(chosen)


def test_a_field_that_is_called_as_the_id_is(server: Server, db: redis.Redis, key: str) -> None:
    for number in range(1, 6):
        db.xadd(key, {"_ts": 6 - number, "_id": f"{6 - number}-0"}, id=f"{number}-0")
    lazy = redcol.scan_stream(
        server.url,
        key,
        schema={"_ts": pl.Int64, "_id": pl.String},
        include_id=False,
        include_timestamp=False,
    )
    assert lazy.filter(ts > 4).collect().rows() == [(5, "5-0")]
    assert lazy.filter(pl.col("_id") == "5-0").collect().rows() == [(5, "5-0")]
    named = redcol.scan_stream(
        server.url, key, schema={"_ts": int}, id_column="entry", timestamp_column="ms"
    )
    with requests() as seen:
        assert named.filter(pl.col("ms") > 4).collect().rows() == [("5-0", 5, 1)]
        assert named.filter(pl.col("entry") == "2-0").collect().rows() == [("2-0", 2, 4)]
        assert named.filter(ts > 4).collect().rows() == [("1-0", 1, 5)]
        assert named.rename({"ms": "t"}).filter(pl.col("t") == 3).collect().height == 1
    assert [one["start_id"] for one in seen] == ["5-0", "2-0", "0-0", "3-0"]


def test_predicates_that_cannot_be_read() -> None:
    many = pl.col("_ts").is_in(list(range(300_000)))
    find = {"timestamp_column": "_ts", "id_column": "_id"}
    assert _bounds.find(many, **find) == _bounds.ALL
    assert _bounds.find(pl.col("other") > 3, **find) == _bounds.ALL
    assert _bounds.find(ts > pl.len(), **find) == _bounds.ALL
    assert _bounds.find(ts > pl.lit(pl.Series([3, 4])), **find) == _bounds.ALL
