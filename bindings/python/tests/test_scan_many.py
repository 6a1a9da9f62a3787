# SPDX-License-Identifier: Apache-2.0
"""scan_streams: what a query needs of many streams, and the same rows as read_streams."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
import redis
from many import fill

import redcol
from servers import Server

SCHEMA = {"n": pl.Int64}
N = pl.col("n")
TS = pl.col("_ts")
key_column = pl.col("_key")
#: What `streams` calls its stream of 5,000 entries: a test's own name is put before it.
FULL = ":070"


@pytest.fixture
def streams(server: Server, db: redis.Redis, key: str) -> str:
    """The pattern of streams of 0 to 300 entries, and one of 5,000."""
    fill(db, {f"{key}:{n:03}": 5_000 if n == 70 else n * 7 % 300 for n in range(100)})
    return f"{key}:*"


QUERIES: dict[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "all": lambda f: f,
    "rows": lambda f: f.select(pl.len()),
    "a column": lambda f: f.select("n"),
    "the key": lambda f: f.group_by("_key").len().sort("_key"),
    "turned": lambda f: f.select("n", "_ts", "_key"),
    "bounds": lambda f: f.filter(TS.is_between(20, 40), N % 3 != 0),
    "an id": lambda f: f.filter(pl.col("_id") == "17-1").select("_key"),
    "a stream": lambda f: f.filter(pl.col("_key").str.ends_with(":070"), TS > 4_000),
    "a key": lambda f: f.filter(pl.col("_key").str.slice(-3) != "x", key_column == FULL),
    "keys": lambda f: f.filter(key_column.is_in([FULL, "no such key", "other:1"]), TS < 40),
    "a key or": lambda f: f.filter((key_column == FULL) | (TS == 5)),
    "head": lambda f: f.head(777),
    "head, filter": lambda f: f.head(777).filter(TS < 5),
    "filter, head": lambda f: f.filter(TS > 250).head(60),
    "tail": lambda f: f.tail(5),
    "or": lambda f: f.filter((TS < 3) | (N == 100)),
    "nothing": lambda f: f.filter(TS < 0),
    "join": lambda f: (
        f.select("_key", "_ts", "n").join(f, on=["_key", "_ts"]).sort("n").select("n", "n_right")
    ),
}


KEYS = [
    "e",
    "é",
    "e:",
    "e:1",
    "e:2",
    "e1",
    "ex",
    "e]",
    "e[",
    "e^",
    "e\\x",
    "e-",
    "f",
    "",
    "e*",
    "ee\n",
]
PATTERNS = [
    "*",
    "e*",
    "e?",
    "e[:1]*",
    "e[^:]*",
    "e[1-x]",
    "e[x-1]",
    "e[]*",
    "e[^]*",
    "e\\*",
    "e\\",
    "e",
]
PATTERNS += ["e[\\]]", "e[]]", "e[-1]", "*:*", "", "[e", "e[a-", "e[^^]", "*\n"]


def test_the_keys_of_a_predicate(server: Server, db: redis.Redis) -> None:
    """The server's own matching of patterns says which streams are asked for."""
    db.flushdb()
    fill(db, dict.fromkeys(KEYS, 1))
    for pattern in PATTERNS:
        lazy = redcol.scan_streams(server.url, pattern, schema=SCHEMA)
        frame = lazy.collect()
        for wanted in (KEYS, KEYS[3:7], ["e"], ["none"], []):
            expected = frame.filter(key_column.is_in(wanted))
            found = lazy.filter(key_column.is_in(wanted)).collect()
            assert found.equals(expected), (pattern, wanted)
        one = pl.lit("e:1") == key_column
        assert lazy.filter(one).collect().equals(frame.filter(one))
    given = redcol.scan_streams(server.url, [b"e", "no", "e:1"], schema=SCHEMA)
    assert given.filter(key_column.is_in(["e:1", "e", "f"])).collect()["_key"].to_list() == [
        "e",
        "e:1",
    ]
    db.flushdb()


@pytest.mark.parametrize("options", [{}, {"include_row_index": True}, {"count": 100}], ids=str)
@pytest.mark.parametrize("query", QUERIES)
def test_queries(server: Server, streams: str, query: str, options: dict) -> None:
    for schema in (SCHEMA, None):
        frame = redcol.read_streams(server.url, streams, schema=schema, **options)
        lazy = redcol.scan_streams(server.url, streams, schema=schema, **options)
        assert lazy.collect_schema() == frame.schema
        if schema is None:
            frame = frame.with_columns(N.cast(pl.Int64))
            lazy = lazy.with_columns(N.cast(pl.Int64))
        expected = QUERIES[query](frame.lazy()).collect()
        assert QUERIES[query](lazy).collect().equals(expected)
        assert QUERIES[query](lazy).collect(engine="streaming").equals(expected)


def test_nothing_is_sent_before_a_query_runs() -> None:
    lazy = redcol.scan_streams("unix:///nowhere", "a*", schema=SCHEMA, include_row_index=True)
    assert lazy.collect_schema().names() == ["_index", "_key", "_id", "_ts", "n"]
    with pytest.raises((redcol.ConnectionFailedError, pl.exceptions.ComputeError)):
        lazy.collect()
    with pytest.raises(redcol.InvalidArgumentError, match="two names"):
        redcol.scan_streams("unix:///nowhere", key_column="a", key_column_name="b")
    with pytest.raises(redcol.SchemaError):
        redcol.scan_streams("unix:///nowhere", schema={"_key": int})


def test_the_server_sends_what_a_query_needs(server: Server, db: redis.Redis, streams: str) -> None:
    lazy = redcol.scan_streams(server.url, streams, schema=SCHEMA)

    def sent(query: pl.LazyFrame) -> int:
        before = int(db.info("stats")["total_net_output_bytes"])
        query.collect()
        return int(db.info("stats")["total_net_output_bytes"]) - before

    whole = sent(lazy)
    few = sent(lazy.filter(TS == 5))
    assert few < whole / 20
    assert sent(lazy.head(50)) < whole / 20
    one = streams.replace("*", "013")
    for predicate in (
        key_column == one,
        key_column.is_in([one, "no such key"]),
        (key_column == one) & (TS > 0),
    ):
        assert sent(lazy.filter(predicate)) < whole / 20


def test_a_key_that_a_query_names_needs_no_search(
    server: Server, db: redis.Redis, streams: str
) -> None:
    lazy = redcol.scan_streams(server.url, streams, schema=SCHEMA)
    one = streams.replace("*", "013")
    db.config_resetstat()
    assert lazy.filter(key_column == one).collect().height == 91
    assert "cmdstat_scan" not in db.info("commandstats")
    # A key that the pattern does not match is no stream of the frame.
    db.xadd("elsewhere", {"n": 1})
    assert lazy.filter(key_column == "elsewhere").collect().height == 0


def test_names_in_a_list_are_read_again_for_each_query(server: Server, db: redis.Redis, key: str):
    written = fill(db, {f"{key}-{name}": 3 for name in "ab"})
    lazy = redcol.scan_streams(server.url, iter(written), schema=SCHEMA)
    assert [lazy.collect().height for _ in range(2)] == [6, 6]
    db.xadd(f"{key}-b", {"n": 1})
    assert lazy.collect().height == 7


def test_a_field_that_is_new(server: Server, db: redis.Redis, key: str) -> None:
    fill(db, {f"{key}-{name}": 3 for name in "ab"})
    lazy = redcol.scan_streams(server.url, f"{key}*", include_row_index=True)
    assert lazy.collect().height == 6
    db.xadd(f"{key}-b", {"n": 1, "_index": 5, "_key": 6})
    db.xadd(f"{key}-c", {"new": 1})
    with pytest.raises((redcol.SchemaError, pl.exceptions.ComputeError), match="_index"):
        lazy.collect()
    again = redcol.scan_streams(server.url, f"{key}*", include_row_index=True)
    frame = again.collect()
    assert frame["_index"].to_list() == list(range(8))
    assert frame.columns == [
        "_index",
        "_key",
        "_id",
        "_ts",
        "n",
        "_index_field",
        "_key_field",
        "new",
    ]
    for names in (["_key_field"], ["new", "_index_field"], ["_key", "_index_field"], ["_index"]):
        assert again.select(names).collect().equals(frame.select(names))
    typed = redcol.scan_streams(server.url, f"{key}*", schema=frame.schema)
    assert typed.collect().equals(frame)
    assert typed.select("_key_field").collect().equals(frame.select("_key_field"))


def test_values_that_do_not_fit(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(f"{key}-a", {"n": "bad", "l": "[1"}, id="1-1")
    lazy = redcol.scan_streams(
        server.url, f"{key}*", schema={"n": pl.Int64, "l": pl.List(pl.Int64)}
    )
    for name in "nl":
        with pytest.raises(
            (redcol.ValueConversionError, pl.exceptions.ComputeError), match=f"{key}-a"
        ):
            lazy.select(name).collect()
    assert lazy.select("_id").collect().item() == "1-1"
