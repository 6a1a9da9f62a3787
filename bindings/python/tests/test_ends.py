# SPDX-License-Identifier: Apache-2.0
"""The newest entries; times in ISO text and before now; iterators that end with what is there."""

from __future__ import annotations

import asyncio
import random
from datetime import date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import redis
from chaos.proxy import Faults, Proxy

import redcol
from clusters import Cluster
from servers import SERVERS, Server

SCHEMA = {"n": pl.Int64}
NOWHERE = "unix:///nowhere/at/all"


def add(db: redis.Redis, key: str, ids: list[str], text: str = "") -> None:
    """Entries numbered from 0."""
    with db.pipeline(transaction=False) as pipeline:
        for number, entry_id in enumerate(ids):
            pipeline.xadd(key, {"n": number, "t": text}, id=entry_id)
        pipeline.execute()


def plain(count: int) -> list[str]:
    return [f"{number}-0" for number in range(1, count + 1)]


def commands(db: redis.Redis) -> dict[str, int]:
    """How often each command has been called."""
    stats = db.info("commandstats")
    return {name.removeprefix("cmdstat_"): value["calls"] for name, value in stats.items()}


# -- The newest entries of a range


def shapes() -> dict[str, list[str]]:
    rng = random.Random(3)
    bursts, gaps, millisecond = [], [], 1
    for _ in range(60):
        millisecond += rng.choice([1, 1, 1, 50, 100_000])
        bursts += [f"{millisecond}-{number}" for number in range(rng.choice([1, 2, 90]))]
    for _ in range(700):
        millisecond += rng.choice([1, 10**6])
        gaps.append(f"{millisecond}-5")
    return {
        "plain": plain(3_000),
        "one millisecond": [f"7-{number}" for number in range(2_500)],
        "bursts": bursts,
        "gaps": gaps,
        "largest": ["0-1", f"{2**64 - 1}-0", f"{2**64 - 1}-{2**64 - 1}"],
    }


@pytest.mark.parametrize("shape", shapes())
def test_the_newest_entries_in_their_order(
    url: str, any_db: redis.Redis, key: str, shape: str
) -> None:
    ids = shapes()[shape]
    add(any_db, key, ids)
    for last in (0, 1, 2, 255, 256, 257, 1_000, len(ids) - 1, len(ids), len(ids) + 1, 10**6):
        frame = redcol.read_stream(url, key, last=last, schema=SCHEMA, include_timestamp=False)
        assert frame["_id"].to_list() == (ids[-last:] if last else []), last
        assert frame["n"].to_list() == list(range(len(ids)))[-last:] if last else frame.is_empty()
    middle = ids[len(ids) // 3], ids[2 * len(ids) // 3]
    wanted = ids[len(ids) // 3 : 2 * len(ids) // 3 + 1]
    for last in (1, 300, 10_000):
        frame = redcol.read_stream(
            url, key, start_id=middle[0], end_id=middle[1], last=last, include_timestamp=False
        )
        assert frame["_id"].to_list() == wanted[-last:]
    assert redcol.read_stream(url, key, start_id="5", end_id="4", last=3).is_empty()
    assert redcol.read_stream(url, f"{key}-missing", last=3).is_empty()


def test_only_the_newest_entries_are_sent(server: Server, db: redis.Redis, key: str) -> None:
    add(db, key, plain(5_000), text="x" * 100)
    for last, bytes_most in ((10, 5_000), (1_000, 350_000)):
        db.config_resetstat()
        assert len(redcol.read_stream(server.url, key, last=last, schema=SCHEMA)) == last
        assert commands(db)["xrevrange"] >= 1
        assert "xrange" not in commands(db)
        assert db.info("stats")["total_net_output_bytes"] < bytes_most


def test_the_newest_entries_come_in_batches(server: Server, db: redis.Redis, key: str) -> None:
    add(db, key, plain(3_000), text="x" * 2_000)
    table = redcol.read_arrow(server.url, key, last=2_500, batch_size=600, schema={"n": int})
    batches = pa.table(table).to_batches()
    assert [len(batch) for batch in batches] == [600, 600, 600, 600, 100]
    assert pa.table(table)["n"].to_pylist() == list(range(500, 3_000))


def test_large_entries_among_the_newest(server: Server, db: redis.Redis, key: str) -> None:
    texts = ["a" * 3_000_000, "b", "c" * 1_100_000, "d", "e" * 70_000]
    for text in texts:
        db.xadd(key, {"t": text})
    for last in range(1, 6):
        assert redcol.read_stream(server.url, key, last=last)["t"].to_list() == texts[-last:]
    with pytest.raises(redcol.errors.EntryTooLargeError, match="entry_bytes_max") as raised:
        redcol.read_stream(server.url, key, last=3, entry_bytes_max=1_000_000)
    assert raised.value.entry_id == db.xrange(key)[2][0].decode()


def test_values_that_do_not_fit_among_the_newest(server: Server, db: redis.Redis, key: str) -> None:
    for value in ("1", "2", "no", "4"):
        db.xadd(key, {"n": value})
    assert redcol.read_stream(server.url, key, last=1, schema=SCHEMA)["n"].to_list() == [4]
    with pytest.raises(redcol.errors.ValueConversionError, match="no"):
        redcol.read_stream(server.url, key, last=2, schema=SCHEMA)
    null = redcol.read_stream(server.url, key, last=3, schema=SCHEMA, on_error="null")
    assert null["n"].to_list() == [2, None, 4]
    skipped = redcol.read_stream(server.url, key, last=3, schema=SCHEMA, on_error="skip")
    assert skipped["n"].to_list() == [2, 4]


def test_the_tail_of_a_scan(url: str, any_db: redis.Redis, key: str) -> None:
    """Polars does not say that it wants the last rows, and takes them itself."""
    add(any_db, key, plain(2_000))
    lazy = redcol.scan_stream(url, key, schema=SCHEMA)
    assert lazy.tail(3).collect()["n"].to_list() == [1_997, 1_998, 1_999]
    assert lazy.tail(5_000).select("n").collect().height == 2_000
    assert lazy.filter(pl.col("_ts") <= 1_000).tail(2).collect()["n"].to_list() == [998, 999]
    assert (
        redcol.scan_stream(url, key, schema=SCHEMA, last=3).collect().equals(lazy.tail(3).collect())
    )
    streams = redcol.scan_streams(url, [key], schema=SCHEMA)
    assert streams.tail(2).collect()["n"].to_list() == [1_998, 1_999]


@pytest.mark.parametrize("end_after", [0, 1, 20, 500, 20_000, 33_000, 60_000])
def test_the_newest_entries_over_a_lost_connection(
    any_server: Server, any_db: redis.Redis, key: str, end_after: int
) -> None:
    add(any_db, key, plain(3_000))
    cut = Faults(end_after=end_after, since=b"XREVRANGE", pieces=(1, 3_000))
    with Proxy(any_server.socket_path, lambda n: cut if n < 3 else Faults()) as proxy:
        frame = redcol.read_stream(proxy.url, key, last=2_000, schema=SCHEMA, timeout_ms=60_000)
    assert frame["n"].to_list() == list(range(1_000, 3_000))


def test_the_newest_entries_of_a_scan(server: Server, db: redis.Redis, key: str) -> None:
    add(db, key, plain(2_000))
    for schema in (SCHEMA, None):
        lazy = redcol.scan_stream(server.url, key, last=1_000, schema=schema)
        numbers = pl.col("n").cast(pl.Int64)
        assert lazy.select(numbers).collect()["n"].to_list() == list(range(1_000, 2_000))
        assert lazy.head(3).select(numbers).collect()["n"].to_list() == [1_000, 1_001, 1_002]
        assert lazy.tail(2).select(numbers).collect()["n"].to_list() == [1_998, 1_999]
        late = lazy.filter(pl.col("_ts") > 1_997).select(numbers).collect()
        assert late["n"].to_list() == [1_997, 1_998, 1_999]
        early = lazy.filter(pl.col("_ts") <= 1_002).select(numbers).collect()
        assert early["n"].to_list() == [1_000, 1_001]
        assert lazy.filter(pl.col("_ts") < 1_000).collect().is_empty()


def test_the_newest_entries_in_a_cluster() -> None:
    with Cluster(SERVERS["r7"]) as cluster:
        for node in cluster.primaries:
            key = cluster.key_at(node)
            with cluster.db(key) as db:
                add(db, key, plain(700))
            frame = redcol.read_stream(cluster.url, key, last=300, schema=SCHEMA)
            assert frame["n"].to_list() == list(range(400, 700))
        keys = [cluster.key_at(node) for node in cluster.primaries]
        with redcol.iter_stream(
            cluster.url, keys, start_last=2, until="now", schema=SCHEMA
        ) as batches:
            frame = pl.concat(batches)
        for key in keys:
            assert frame.filter(pl.col("_stream") == key)["n"].to_list() == [698, 699]
        begin = redcol.read_streams(cluster.url, keys, start_id="-1h", schema=SCHEMA)
        assert begin.is_empty()


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (redcol.read_stream, {"last": 1, "count": 1}, "count is the first entries"),
        (redcol.read_stream, {"last": 1, "block_ms": 1}, "last is about reading a range"),
        (redcol.read_stream, {"last": 1, "group": "g", "consumer": "c"}, "last is about reading"),
        (redcol.read_stream, {"last": -1}, "last must be from 0"),
        (redcol.read_stream, {"start_id": timedelta(hours=1)}, "a time after now"),
        (redcol.read_stream, {"start_id": "-1y"}, "is not an entry id.* '-1h'"),
        (redcol.read_streams, {"start_id": "1h"}, "is not an entry id.* '-1h'"),
        (redcol.iter_stream, {"end_id": "-1 h"}, "is not an entry id.* '-1h'"),
        (redcol.read_stream, {"start_id": "-1h-"}, "is not an entry id.* '-1h'"),
        (redcol.read_stream, {"end_id": "1969-12-31"}, "before 1970"),
        (redcol.scan_stream, {"start_id": timedelta(hours=1)}, "a time after now"),
        (redcol.scan_streams, {"end_id": "-1y"}, "is not an entry id.* '-1h'"),
        (redcol.list_pending, {"group": "g", "start_id": "-1h"}, "a time before now, which only"),
        (redcol.create_group, {"group": "g", "start_id": "-1h"}, "a time before now, which only"),
        (redcol.seek_group, {"group": "g", "to": "2024-01-01"}, "give a datetime or a date"),
        (redcol.trim_stream, {"min_id": "-1h"}, "a time before now, which only"),
        (redcol.iter_stream, {"start_last": 1, "start_id": "5"}, "start_id and start_last"),
        (
            redcol.iter_stream,
            {"start_last": 1, "group": "g", "consumer": "c"},
            "a group remembers where it reads",
        ),
        (
            redcol.iter_stream,
            {"until": "now", "group": "g", "consumer": "c"},
            "a group remembers where it reads",
        ),
        (redcol.iter_stream, {"start_last": 0, "group": "g", "consumer": "c"}, "seek_group moves"),
        (redcol.iter_stream, {"until": "now", "group": "g", "consumer": "c"}, 'on_idle "stop"'),
        (redcol.iter_stream, {"until": "then"}, "until"),
    ],
)
def test_what_cannot_be(function: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(redcol.errors.InvalidArgumentError, match=said):
        function(NOWHERE, "s", **arguments)


# -- Times


@pytest.fixture
def hours(any_db: redis.Redis, key: str) -> str:
    """Entries 0, 1, 2 and 3 hours before now by the server's clock, the oldest first."""
    seconds, _ = any_db.time()
    add(any_db, key, [f"{(seconds - 3_600 * back) * 1_000}-0" for back in (3, 2, 1, 0)])
    return key


def test_times_before_now(url: str, hours: str) -> None:
    def numbers(**ends: Any) -> list[int]:
        frame = redcol.read_stream(url, hours, schema=SCHEMA, **ends)
        arrow = redcol.read_arrow(url, hours, schema={"n": int}, **ends)
        many = redcol.read_streams(url, [hours], schema=SCHEMA, **ends)
        assert pa.table(arrow)["n"].to_pylist() == many["n"].to_list() == frame["n"].to_list()
        return frame["n"].to_list()

    assert numbers(start_id="-90m") == [2, 3]
    assert numbers(start_id=timedelta(minutes=-90)) == [2, 3]
    assert numbers(start_id="-1h30m") == [2, 3]
    assert numbers(end_id="-5400s") == [0, 1]
    assert numbers(end_id=timedelta(0)) == [0, 1, 2, 3]
    assert numbers(start_id="-1d", end_id="-9000000ms") == [0]
    assert numbers(start_id="-1w") == [0, 1, 2, 3]
    assert numbers(start_id="-99999999w") == [0, 1, 2, 3]  # before 1970: from the beginning
    for last in (1, 2):
        frame = redcol.read_stream(url, hours, schema=SCHEMA, end_id="-90m", last=last)
        assert frame["n"].to_list() == [0, 1][-last:]


def test_times_before_now_in_scans(url: str, hours: str) -> None:
    def numbers(lazy: pl.LazyFrame) -> list[int]:
        return lazy.select(pl.col("n").cast(pl.Int64)).collect()["n"].to_list()

    for schema in (SCHEMA, None):
        for scan in (redcol.scan_stream, redcol.scan_streams):
            streams = hours if scan is redcol.scan_stream else [hours]
            for ends, wanted in (
                ({"start_id": "-90m"}, [2, 3]),
                ({"start_id": timedelta(minutes=-90), "end_id": "-30m"}, [2]),
                ({"start_id": "-1d12h", "end_id": "-9000000ms"}, [0]),
                ({"end_id": timedelta(0)}, [0, 1, 2, 3]),
                ({"start_id": "-99999999w"}, [0, 1, 2, 3]),
                ({"start_id": timedelta.min}, [0, 1, 2, 3]),
            ):
                lazy = scan(url, streams, schema=schema, **ends)
                assert numbers(lazy) == wanted, ends
                assert numbers(lazy.head(1)) == wanted[:1]
                oldest = lazy.select(pl.col("_ts").min()).collect().item()
                assert numbers(lazy.filter(pl.col("_ts") > oldest)) == wanted[1:]
        matching = redcol.scan_streams(url, f"{hours}*", schema=schema, start_id="-90m")
        assert numbers(matching) == [2, 3]


def test_a_time_before_now_is_fixed_for_all_places_of_a_query(
    url: str, any_db: redis.Redis, hours: str
) -> None:
    """Each query counts from its own beginning, all places in it from the same moment."""
    lazy = redcol.scan_stream(url, hours, schema=SCHEMA, start_id="-30m")
    any_db.config_resetstat()
    both = lazy.select(pl.col("n").max()).join(lazy.select(pl.col("n").min()), how="cross")
    assert both.collect().height == 1
    assert commands(any_db)["time"] == 1
    assert lazy.collect()["n"].to_list() == [3]
    assert commands(any_db)["time"] == 2


def test_iterators_begin_and_end_at_times_before_now(url: str, hours: str) -> None:
    read = {"schema": SCHEMA, "on_idle": "stop", "block_ms": 1}
    with redcol.iter_stream(url, hours, start_id="-90m", **read) as batches:
        assert pl.concat(batches)["n"].to_list() == [2, 3]
    with redcol.iter_stream(url, hours, end_id=timedelta(minutes=-90), schema=SCHEMA) as batches:
        assert pl.concat(batches)["n"].to_list() == [0, 1]

    async def numbers() -> list[int]:
        ends = {"start_id": "-150m", "end_id": "-30m"}
        async with redcol.stream_batches(url, hours, schema=SCHEMA, **ends) as batches:
            return [number async for frame in batches for number in frame["n"]]

    assert asyncio.run(numbers()) == [1, 2]


def test_the_clock_is_the_servers(server: Server, db: redis.Redis, key: str) -> None:
    add(db, key, plain(3))
    db.config_resetstat()
    redcol.read_stream(server.url, key, start_id="-1h")
    assert commands(db)["time"] == 1
    redcol.read_stream(server.url, key, start_id="1970-01-01")
    assert commands(db)["time"] == 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-01", date(2024, 1, 1)),
        ("2024-01-01T12:30", datetime(2024, 1, 1, 12, 30)),
        ("2024-01-01 12:30:15", datetime(2024, 1, 1, 12, 30, 15)),
        ("2024-01-01T12:30:15.25", datetime(2024, 1, 1, 12, 30, 15, 250_000)),
        ("2024-01-01T12:30:15.123456789Z", datetime(2024, 1, 1, 12, 30, 15, 123_000)),
        ("2024-01-01T12:30:15+02:00", datetime(2024, 1, 1, 10, 30, 15)),
        ("2024-01-01T12:30-0130", datetime(2024, 1, 1, 14, 0)),
        ("2024-01-01t12:30+01", datetime(2024, 1, 1, 11, 30)),
    ],
)
def test_iso_texts(server: Server, db: redis.Redis, key: str, text: str, moment: date) -> None:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    milliseconds = int(moment.replace(tzinfo=timezone.utc).timestamp() * 1_000)
    add(db, key, [f"{milliseconds - 1}-9", f"{milliseconds}-0", f"{milliseconds}-9"])
    add(db, key, [f"{milliseconds + 1}-0"])
    options = {"start_id": text, "end_id": text}
    assert redcol.read_stream(server.url, key, schema=SCHEMA, **options)["n"].to_list() == [1, 2]
    lazy = redcol.scan_stream(server.url, key, schema=SCHEMA, **options)
    assert lazy.collect()["n"].to_list() == [1, 2]


# -- Iterators


@pytest.mark.parametrize("count", [0, 1, 5, 999, 1_000, 1_001, 2_500, 3_000, 5_000])
def test_following_from_the_newest_entries(
    url: str, any_db: redis.Redis, key: str, count: int
) -> None:
    add(any_db, key, plain(3_000))
    with redcol.iter_stream(
        url, key, start_last=count, schema=SCHEMA, batch_size=10_000, count=count + 1
    ) as batches:
        any_db.xadd(key, {"n": 3_000})
        got: list[int] = []
        while len(got) < min(count, 3_000) + 1:
            got += next(batches)["n"].to_list()
    assert got == list(range(3_000 - min(count, 3_000), 3_001))


def test_following_from_the_newest_entries_of_several_streams(
    url: str, any_db: redis.Redis, key: str
) -> None:
    keys = [f"{key}-{number}" for number in range(3)]
    add(any_db, keys[0], plain(10))
    add(any_db, keys[2], plain(1_500))
    with redcol.iter_stream(
        url, keys, start_last=1_200, until="now", schema=SCHEMA, batch_size=10_000
    ) as batches:
        any_db.xadd(keys[1], {"n": 1})
        frame = pl.concat(batches)
    numbers = {key: frame.filter(pl.col("_stream") == key)["n"].to_list() for key in keys}
    assert numbers == {keys[0]: [*range(10)], keys[1]: [], keys[2]: [*range(300, 1_500)]}


@pytest.mark.parametrize("batch_size", [1, 7, 1_000])
def test_until_now(url: str, any_db: redis.Redis, key: str, batch_size: int) -> None:
    add(any_db, key, plain(50))
    with redcol.iter_stream(url, key, until="now", schema=SCHEMA, batch_size=batch_size) as batches:
        any_db.xadd(key, {"n": 99})
        assert pl.concat(batches)["n"].to_list() == list(range(50))
        with pytest.raises(StopIteration):
            next(batches)
    for start in ("$", "20-0", "50-0"):
        with redcol.iter_stream(
            url, key, until="now", start_id=start, end_id="40", schema=SCHEMA
        ) as batches:
            got = [number for batch in batches for number in batch["n"]]
        assert got == (list(range(20, 40)) if start == "20-0" else [])
    with redcol.iter_stream(url, f"{key}-missing", until="now") as batches:
        assert list(batches) == []


@pytest.mark.parametrize("batch_size", [1, 10, 1_000])
def test_until_now_each_stream_has_its_own_end(
    url: str, any_db: redis.Redis, key: str, batch_size: int
) -> None:
    short, long, none = f"{key}-short", f"{key}-long", f"{key}-none"
    add(any_db, short, plain(5))
    add(any_db, long, plain(500))
    with redcol.iter_stream(
        url, [short, long, none], until="now", schema=SCHEMA, batch_size=batch_size
    ) as batches:
        # Before the end of the long stream.
        for late in (short, none):
            any_db.xadd(late, {"n": 99}, id="50-0")
        frame = pl.concat(batches)
    assert dict(frame.group_by("_stream").len().iter_rows()) == {short: 5, long: 500}


def test_until_now_although_the_last_entries_are_gone(
    url: str, any_db: redis.Redis, key: str
) -> None:
    add(any_db, key, plain(5))
    with redcol.iter_stream(url, key, until="now", schema=SCHEMA, batch_size=2) as batches:
        any_db.xdel(key, "4-0", "5-0")
        assert pl.concat(batches)["n"].to_list() == [0, 1, 2]


def test_until_now_over_a_lost_connection(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    add(any_db, key, plain(500))
    cut = Faults(end_after=3_000, since=b"XREAD\r\n")
    with (
        Proxy(any_server.socket_path, lambda n: cut if n < 2 else Faults()) as proxy,
        redcol.iter_stream(proxy.url, key, until="now", schema=SCHEMA, batch_size=50) as batches,
    ):
        assert pl.concat(batches)["n"].to_list() == list(range(500))


def test_until_now_without_waiting_in_an_event_loop(
    url: str, any_db: redis.Redis, key: str
) -> None:
    add(any_db, key, plain(20))

    async def numbers() -> list[int]:
        async with redcol.stream_batches(
            url, key, start_last=15, until="now", schema=SCHEMA
        ) as batches:
            return [number async for frame in batches for number in frame["n"]]

    assert asyncio.run(numbers()) == list(range(5, 20))


# -- The dtype of the column of milliseconds

UTC = pl.Datetime("ms", "UTC")


@pytest.mark.parametrize(
    "dtype", [UTC, pl.Datetime("ms"), pl.Datetime("ms", "Asia/Tokyo"), pl.Int64]
)
def test_the_dtype_of_the_milliseconds(
    url: str, any_db: redis.Redis, key: str, dtype: pl.DataType
) -> None:
    add(any_db, key, ["1704067200123-0", "1704067200123-1"])
    expected = pl.Series("_ts", [1_704_067_200_123] * 2).cast(dtype)
    for schema in (SCHEMA, None):
        read: dict[str, Any] = {"timestamp_dtype": dtype, "schema": schema}
        assert redcol.read_stream(url, key, **read)["_ts"].equals(expected)
        assert redcol.read_streams(url, [key], **read)["_ts"].equals(expected)
        assert redcol.scan_stream(url, key, **read).collect()["_ts"].equals(expected)
        assert redcol.scan_streams(url, [key], **read).collect()["_ts"].equals(expected)
        with redcol.iter_stream(url, key, until="now", **read) as batches:
            assert next(batches)["_ts"].equals(expected)
        for empty in (f"{key}-missing", key):
            frame = redcol.read_stream(url, empty, start_id="(1704067200123-1", **read)
            assert frame.is_empty()
            assert frame.schema["_ts"] == dtype
    arrow = redcol.read_arrow(url, key, timestamp_dtype=dtype)
    assert pl.DataFrame(arrow)["_ts"].equals(expected)
    named = redcol.read_stream(url, key, schema={"_ts": pl.Int64}, timestamp_dtype=UTC)
    assert named.schema["_ts"] == pl.Int64


@pytest.mark.parametrize(
    ("dtype", "said"),
    [(pl.Datetime("us"), "but must be Int64"), (pl.String, "but must be Int64"), ("x", "dtype")],
)
def test_what_the_milliseconds_cannot_be(dtype: object, said: str) -> None:
    with pytest.raises(redcol.errors.SchemaError, match=said):
        redcol.read_stream(NOWHERE, "s", timestamp_dtype=dtype)


def test_datetimes_bound_a_scan(server: Server, db: redis.Redis, key: str) -> None:
    day = 86_400_000
    add(db, key, [f"{number * day}-0" for number in range(1, 3_001)], text="x" * 100)
    lazy = redcol.scan_stream(server.url, key, schema=SCHEMA, timestamp_dtype=UTC)
    column = pl.col("_ts")

    def at(days: int) -> datetime:
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(days=days)

    for predicate, days in (
        (column >= at(2_990), range(2_990, 3_001)),
        (column > at(2_990), range(2_991, 3_001)),
        (column < at(5), range(1, 5)),
        (column.is_between(at(7), at(9)), range(7, 10)),
        ((column >= at(7)) & (column <= at(9) - timedelta(microseconds=1)), range(7, 9)),
        (column == at(8), range(8, 9)),
        (at(2_999) <= column, range(2_999, 3_001)),
        (column.cast(pl.Int64) <= 3 * day, range(1, 4)),
        (column.cast(pl.Datetime("us", "UTC")) <= at(3), range(1, 4)),
        (column.dt.replace_time_zone(None) <= datetime(1970, 1, 4), range(1, 4)),
    ):
        db.config_resetstat()
        frame = lazy.filter(predicate).collect()
        assert frame["n"].to_list() == [number - 1 for number in days], predicate
        sent = db.info("stats")["total_net_output_bytes"]
        assert sent < 20_000 or "replace_time_zone" in str(predicate), predicate


def test_a_datetime_next_to_plain_milliseconds_is_warned_of(
    url: str, any_db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Polars has made a number of it when redcol sees it."""
    add(any_db, key, ["1704067200000-0"])
    then, ts = datetime(2024, 1, 1), pl.col("_ts")
    wrong = [
        ts >= then,
        ts.is_between(then, then + timedelta(days=1)),
        (pl.col("n") == 0) & (pl.lit(then) <= ts),
        ts == pl.lit(then, pl.Datetime("ns")),
    ]
    streams = [
        redcol.scan_stream(url, key, schema=SCHEMA),
        redcol.scan_streams(url, [key], schema=SCHEMA),
    ]
    for lazy in streams:
        for predicate in wrong:
            caplog.clear()
            assert lazy.filter(predicate).collect().is_empty()
            (record,) = caplog.records
            assert "if that was a datetime" in record.getMessage()
            assert record.levelname == "WARNING"
        caplog.clear()
        for right in (
            ts >= 1_704_067_200_000,
            ts < 2**62,
            ts.cast(pl.Datetime("ms")) >= then,
            ts * 1_000 >= 1_704_067_200_000_000,
        ):
            assert lazy.filter(right).collect()["n"].to_list() == [0]
    times = redcol.scan_stream(url, key, schema=SCHEMA, timestamp_dtype=pl.Datetime("ms"))
    assert times.filter(ts >= then).collect()["n"].to_list() == [0]
    assert caplog.records == []
