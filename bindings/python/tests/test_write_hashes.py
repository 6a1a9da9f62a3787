# SPDX-License-Identifier: Apache-2.0
"""Frames as hashes: keys, what exists already, times to live, and the guide's example."""

from __future__ import annotations

import pickle
import threading
from datetime import timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import redis as redis_py

import redcol
from servers import Server


@pytest.fixture
def db(any_server: Server) -> Any:
    with any_server.client(decode_responses=True) as client:
        client.flushall()
        yield client


FRAME = pl.DataFrame({"_key": ["a", "b", "c"], "n": [1, None, 3], "t": ["x", "y", None]})


def test_hashes(no_leaks: None, url: str, db: redis_py.Redis) -> None:
    assert redcol.write_hashes(url, FRAME) == 3
    assert db.hgetall("a") == {"n": "1", "t": "x"}
    assert db.hgetall("b") == {"t": "y"}
    assert db.hgetall("c") == {"n": "3"}
    assert db.dbsize() == 3


def test_keys(url: str, db: redis_py.Redis) -> None:
    frame = pl.DataFrame({"id": [7, 8], "v": [1.5, 2.0]})
    assert redcol.write_hashes(url, frame, key_column="id", key_prefix="é:") == 2
    assert db.hgetall("é:7") == {"v": "1.5"}
    for dtype in (pl.Categorical(), pl.Binary(), pl.Enum(["x", "y"])):
        db.flushall()
        keys = pl.DataFrame({"_key": pl.Series(["x", "y"]).cast(dtype), "v": [1, 2]})
        assert redcol.write_hashes(url, keys) == 2
        assert sorted(db.keys()) == ["x", "y"]
    assert redcol.write_hashes(url, FRAME.to_arrow()) == 3
    assert redcol.write_hashes(url, FRAME.clear()) == 0


def test_replace(url: str, db: redis_py.Redis) -> None:
    db.hset("a", mapping={"old": "1", "n": "old"})
    db.expire("a", 100)
    db.set("b", "a string")
    assert redcol.write_hashes(url, FRAME) == 3
    assert db.hgetall("a") == {"n": "1", "t": "x"}
    assert db.ttl("a") == -1
    assert db.type("b") == "hash"


def test_append(url: str, db: redis_py.Redis) -> None:
    db.hset("a", mapping={"old": "1", "n": "old"})
    db.expire("a", 100)
    assert redcol.write_hashes(url, FRAME, if_exists="append") == 3
    assert db.hgetall("a") == {"old": "1", "n": "1", "t": "x"}
    assert 0 < db.ttl("a") <= 100
    assert db.hgetall("b") == {"t": "y"}
    assert redcol.write_hashes(url, FRAME, if_exists="append", ttl=1000) == 3
    assert 100 < db.ttl("a") <= 1000


def test_fail(url: str, db: redis_py.Redis) -> None:
    assert redcol.write_hashes(url, FRAME[:1], if_exists="fail", ttl=50) == 1
    assert db.hgetall("a") == {"n": "1", "t": "x"}
    assert 0 < db.ttl("a") <= 50
    db.set("c", "kept")
    with pytest.raises(redcol.KeyExistsError) as caught:
        redcol.write_hashes(url, FRAME[1:], if_exists="fail", key_prefix="")
    error = caught.value
    assert str(error) == 'row 1, key "c": the key exists already; 1 key was written'
    assert (error.row, error.key, error.written) == (1, "c", 1)
    assert (db.get("c"), db.hgetall("b")) == ("kept", {"t": "y"})
    with pytest.raises(redcol.KeyExistsError):
        redcol.write_hashes(url, pl.DataFrame({"_key": ["d", "d"], "n": [1, 2]}), if_exists="fail")
    assert db.hgetall("d") == {"n": "1"}


@pytest.mark.parametrize("taken", [[7], [7, 8, 9, 40, 99]])
def test_fail_says_which_rows_were_refused(url: str, db: redis_py.Redis, taken: list[int]) -> None:
    """Rows after the first that is refused are under way, and may be written."""
    for row in taken:
        db.set(f"k{row}", "kept")
    frame = pl.DataFrame({"_key": [f"k{row}" for row in range(20_000)]}).with_row_index("n")
    frame = frame.with_columns(n=pl.when(pl.col("n") != 30).then("n"), text=pl.lit("x" * 100))
    with pytest.raises(redcol.KeyExistsError) as caught:
        redcol.write_hashes(url, frame, if_exists="fail")
    error = caught.value
    assert error.row == 7
    assert error.refused_rows == taken
    assert error.unknown_rows is not None
    assert len(error.unknown_rows) == 0
    sent = error.unknown_rows.start
    assert error.written == sent - len(taken) < 20_000
    hashes = db.scan_iter(match="k*", count=10_000, _type="hash")
    written = {int(key.removeprefix("k")) for key in hashes}
    assert written == set(range(sent)) - set(taken)
    if len(taken) > 1:
        assert f"of the rows before row {sent}, the server refused rows 7-9,40,99" in str(error)
        assert copied(error).refused_rows == taken


def copied(error: redcol.RedcolError) -> redcol.RedcolError:
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("if_exists", ["replace", "append", "fail"])
def test_many_fields(url: str, db: redis_py.Redis, if_exists: Any) -> None:
    frame = pl.DataFrame({"_key": ["wide"], **{f"f{i}": [i] for i in range(12_001)}})
    assert redcol.write_hashes(url, frame, if_exists=if_exists, ttl=60) == 1
    assert db.hgetall("wide") == {f"f{i}": str(i) for i in range(12_001)}
    assert 0 < db.ttl("wide") <= 60


@pytest.mark.parametrize(
    ("ttl", "milliseconds"), [(5, 5000), (timedelta(milliseconds=90_001), 90_001)]
)
def test_time_to_live(url: str, db: redis_py.Redis, ttl: Any, milliseconds: int) -> None:
    for if_exists in ("replace", "append", "fail"):
        db.flushall()
        redcol.write_hashes(url, FRAME, ttl=ttl, if_exists=if_exists)
        assert all(milliseconds - 4000 < db.pttl(key) <= milliseconds for key in "abc")


def test_rows_without_values(url: str, db: redis_py.Redis) -> None:
    frame = pl.DataFrame({"_key": ["a", "b"], "n": [None, 1], "t": [None, None]})
    for if_exists, left in (("append", {"old": "1"}), ("fail", {"old": "1"}), ("replace", {})):
        db.flushall()
        db.hset("a", "old", "1")
        assert redcol.write_hashes(url, frame, if_exists=if_exists, ttl=100) == 1
        assert db.hgetall("a") == left
        assert db.hgetall("b") == {"n": "1"}


def test_keys_twice(url: str, db: redis_py.Redis) -> None:
    frame = pl.DataFrame({"_key": ["a", "a"], "n": [1, None], "t": [None, "x"]})
    assert redcol.write_hashes(url, frame) == 2
    assert db.hgetall("a") == {"t": "x"}
    assert redcol.write_hashes(url, frame, if_exists="append") == 2
    assert db.hgetall("a") == {"n": "1", "t": "x"}


def test_null_keys(url: str, db: redis_py.Redis) -> None:
    frame = pl.DataFrame({"_key": ["a", "b", None], "n": [1, 2, 3]})
    with pytest.raises(redcol.ValueConversionError, match="Row 2: '_key'") as caught:
        redcol.write_hashes(url, frame)
    assert caught.value.row == 2
    assert db.dbsize() == 0
    with pytest.raises(redcol.ValueConversionError, match="row 2") as caught:
        redcol.write_hashes(url, frame.to_arrow())
    assert (caught.value.row, caught.value.written, db.dbsize()) == (2, 2, 2)


BAD_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"key_column": "nope"}, "no column 'nope' (key_column)"),
    ({"key_column": None}, "key_column must be a str"),
    ({"key_prefix": "a\0"}, "must not contain a NUL"),
    ({"ttl": 0}, "ttl must be from 1"),
    ({"ttl": True}, "not bool"),
    ({"ttl": 1.5}, "ttl must be an int"),
    ({"ttl": timedelta(microseconds=1)}, "from 1 millisecond"),
    ({"ttl": 2**60}, "ttl must be from 1 to"),
    ({"if_exists": "skip"}, "if_exists must be 'replace' or 'append' or 'fail'"),
    ({"df": FRAME.lazy()}, "LazyFrame"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_ARGUMENTS)
def test_bad_arguments_send_nothing(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError) as caught:
        redcol.write_hashes("unix:///nobody/listens/here", **({"df": FRAME} | arguments))
    assert words in str(caught.value)


def test_key_columns_that_are_none(url: str) -> None:
    with pytest.raises(redcol.SchemaError, match="must hold text or numbers"):
        redcol.write_hashes(url, pl.DataFrame({"_key": [[1]], "n": [1]}))
    with pytest.raises(redcol.SchemaError, match="no column to write"):
        redcol.write_hashes(url, FRAME.select("_key"))


def test_nobody_sees_half_a_hash(url: str, any_server: Server, db: redis_py.Redis) -> None:
    """While keys are replaced again and again, a reader finds one version or the other."""
    columns = [f"f{i}" for i in range(20)]
    frames = [
        pl.DataFrame({"_key": ["k"] * 400, **{c: [version] * 400 for c in columns}})
        for version in (1, 2)
    ]
    redcol.write_hashes(url, frames[0][:1])
    stop = threading.Event()
    seen: list[tuple[int, int]] = []

    def look() -> None:
        with any_server.client() as reader:
            while not stop.is_set():
                found = reader.hgetall("k")
                seen.append((len(found), len(set(found.values()))))

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(5):
        for frame in frames:
            redcol.write_hashes(url, frame)
    stop.set()
    thread.join()
    assert set(seen) == {(20, 1)}


def test_the_guides_real_time_example(url: str, db: redis_py.Redis) -> None:
    for number in range(2500):
        db.xadd(
            "metrics", {"sensor_id": f"s{number % 3}", "value": number / 4}, id=f"{number + 1}-0"
        )
    program = """
import polars as pl
import redcol as redis

# Continuous aggregation over stream
for batch_df in redis.iter_stream(
    "redis://localhost",
    stream="metrics",
    group="aggregator",
    consumer="worker-1",
    batch_size=1000,
    block_ms=5000,
    schema={
        "sensor_id": pl.Utf8,
        "value": pl.Float64,
    },
    auto_ack=True,
):
    # Aggregate by sensor
    summary = (
        batch_df.group_by("sensor_id")
        .agg([
            pl.col("value").mean().alias("avg"),
            pl.col("value").max().alias("max"),
            pl.len().alias("count"),
        ])
    )

    # Store aggregates
    redis.write_hashes(
        "redis://localhost",
        summary,
        key_column="sensor_id",
        key_prefix="sensor:stats:",
    )
    after_a_batch()
"""
    batches: list[dict[str, str]] = []

    class EnoughError(Exception):
        pass

    def after_a_batch() -> None:
        batches.append(db.hgetall("sensor:stats:s1"))
        if sum(int(batch["count"]) for batch in batches) == 833:
            raise EnoughError

    with pytest.raises(EnoughError):
        exec(program.replace("redis://localhost", url), {"after_a_batch": after_a_batch})
    numbers = [n / 4 for n in range(1, 2500, 3)]
    last = numbers[-int(batches[-1]["count"]) :]
    assert batches[-1] == {
        "avg": repr(sum(last) / len(last)), "max": repr(last[-1]), "count": str(len(last))
    }  # fmt: skip
    assert sorted(db.keys("sensor:stats:*")) == [f"sensor:stats:s{i}" for i in range(3)]


def test_keys_that_are_not_text(url: str, db: redis_py.Redis) -> None:
    frame = pa.table({"_key": pa.array([b"\xff\x00"]), "v": [1]})
    assert redcol.write_hashes(url, frame, if_exists="fail") == 1
    with pytest.raises(redcol.KeyExistsError) as caught:
        redcol.write_hashes(url, frame, if_exists="fail")
    assert caught.value.key == r"\xff\x00"
