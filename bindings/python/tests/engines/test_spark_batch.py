# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import datetime, timezone

import polars as pl
import pytest
import redis

import redcol
import sparks
from servers import Server

pytestmark = pytest.mark.filterwarnings("ignore")

VALUES = {
    "text": ["plain", "é\n", "", None],
    "bytes": [b"\xff\x00", b"", b"abc", None],
    "flag": ["true", "false", "1", None],
    "tiny": ["-128", "127", "0", None],
    "small": ["-32768", "32767", "0", None],
    "middle": ["-2147483648", "2147483647", "0", None],
    "large": ["-9223372036854775808", "9223372036854775807", "0", None],
    "single": ["1.5", "-0.25", "inf", None],
    "double": ["0.1", "-1e300", "5e-324", None],
    "price": ["1.25", "-99999999.99", "0.01", None],
    "day": ["2024-02-29", "1970-01-01", "1969-12-31", None],
    "moment": ["2024-01-01T12:00:00.123456Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", None],
    "local": ["2024-01-01 12:00:00.5", "1969-12-31 23:59:59", "1970-01-01 00:00:00", None],
    "span": ["PT1.5S", "P1DT1H", "-PT1S", None],
    "list": ["[1,2,null]", "[]", "[3]", None],
    "pair": ['{"a":1,"b":"x"}', '{"a":null,"b":null}', '{"b":"y"}', None],
    "pairs": ['[{"a":[1.5]}]', "[]", "[null]", None],
}
SPARK = (
    "_id string, _ts long, _seq long, text string, bytes binary, flag boolean, tiny byte,"
    " small short, middle int, large long, single float, double double, price decimal(10,2),"
    " day date, moment timestamp, local timestamp_ntz, span interval day to second,"
    " list array<int>, pair struct<a:long,b:string>, pairs array<struct<a:array<double>>>"
)
POLARS = {
    "_id": pl.String,
    "_ts": pl.Int64,
    "_seq": pl.UInt64,
    "text": pl.String,
    "bytes": pl.Binary,
    "flag": pl.Boolean,
    "tiny": pl.Int8,
    "small": pl.Int16,
    "middle": pl.Int32,
    "large": pl.Int64,
    "single": pl.Float32,
    "double": pl.Float64,
    "price": pl.Decimal(10, 2),
    "day": pl.Date,
    "moment": pl.Datetime("us", "UTC"),
    "local": pl.Datetime("us"),
    "span": pl.Duration("us"),
    "list": pl.List(pl.Int32),
    "pair": pl.Struct({"a": pl.Int64, "b": pl.String}),
    "pairs": pl.List(pl.Struct({"a": pl.List(pl.Float64)})),
}


def fill(db: redis.Redis, stream: str, count: int, *, first_ms: int = 1_000) -> None:
    with db.pipeline(transaction=False) as pipe:
        for number in range(count):
            # Four entries in each millisecond.
            pipe.xadd(stream, {"n": number}, id=f"{first_ms + number // 4}-{number % 4 + 1}")
        pipe.execute()


def numbers(frame) -> list[int]:
    return sorted(row["n"] for row in frame.select("n").collect())


@pytest.fixture(scope="module")
def streams(server: Server) -> Server:
    """`even:a` with 400 entries, `even:b` with 40, and `even:none` with none."""
    with server.client() as db:
        fill(db, "even:a", 400)
        fill(db, "even:b", 40, first_ms=500_000)
        db.xadd("even:none", {"n": 0})
        db.xtrim("even:none", maxlen=0)
    return server


def test_all_types_are_those_of_read_stream(server, db, key):
    for place in range(4):
        entry = {name: values[place] for name, values in VALUES.items()}
        db.xadd(key, {name: value for name, value in entry.items() if value is not None} | {"x": 1})
    table = sparks.read(server.url, key, SPARK).toArrow()
    frame = redcol.read_stream(server.url, key, schema=POLARS)
    assert frame.cast({"_seq": pl.Int64}).equals(pl.DataFrame(table).select(frame.columns))
    assert len(table) == 4


def test_metadata_as_times_and_decimals(server, db, key):
    db.xadd(key, {"n": 1}, id=f"1704067200123-{2**64 - 1}")
    schema = "_seq decimal(20,0), n int, _ts timestamp, _key string"
    [row] = sparks.read(server.url, key, schema).collect()
    assert (int(row["_seq"]), row["n"], row["_key"]) == (2**64 - 1, 1, key)
    assert row["_ts"].astimezone(timezone.utc) == datetime(
        2024, 1, 1, 0, 0, 0, 123_000, tzinfo=timezone.utc
    )
    with pytest.raises(Exception, match=r"Column '_seq' of stream .* does not fit bigint"):
        sparks.read(server.url, key, "_seq long").collect()


@pytest.mark.parametrize("stream", ["even:a,even:b,even:none", "even:*"])
def test_tasks_are_cut_and_make_a_whole(streams, stream):
    frame = sparks.read(streams.url, stream, "_key string, _id string, n int", rowsPerPartition=100)
    assert frame.rdd.getNumPartitions() >= 4
    rows = frame.collect()
    assert sorted((row["_key"], row["n"]) for row in rows) == sorted(
        [("even:a", n) for n in range(400)] + [("even:b", n) for n in range(40)]
    )
    ids = redcol.read_stream(streams.url, "even:a", schema={})["_id"].to_list()
    assert [row["_id"] for row in rows if row["_key"] == "even:a"] == ids


@pytest.mark.parametrize("bounds", [{}, {"start_id": "1010", "end_id": "1080-2"}])
def test_tasks_are_the_partitions_of_the_package(streams, bounds):
    from pyspark.sql.types import StructType

    from redcol.spark._source import RedcolDataSource

    sparks.session()  # which reads the schema
    options = {"url": streams.url, "stream": "even:*", "rowsPerPartition": "50"}
    reader = RedcolDataSource(options | bounds).reader(StructType.fromDDL("n long"))
    tasks = [(task.stream, task.start, task.end) for task in reader.partitions()]
    parts = redcol.partitions(streams.url, "even:*", rows=50, **bounds)
    assert tasks == [(part.stream, part.start_id, part.end_id) for part in parts]
    assert len(tasks) >= 6


def test_a_key_that_lists_show_with_escapes(server, db):
    fill(db, "odd\\xff", 20)
    fill(db, "odd:plain", 3)
    frame = sparks.read(server.url, "odd\\xff,odd:plain", "_key string, n int", rowsPerPartition=10)
    rows = [(row["_key"], row["n"]) for row in frame.collect()]
    assert sorted(rows) == [
        *(("odd:plain", n) for n in range(3)),
        *(("odd\\xff", n) for n in range(20)),
    ]
    with pytest.raises(Exception, match="may not be UTF-8"):
        sparks.read(server.url, "odd*", "n int").count()


FILTERS = [
    "_ts >= timestamp_millis(1050)",
    "_ts > timestamp_millis(1050)",
    "_ts < timestamp_micros(1050001)",
    "_ts <= timestamp_millis(1050) and _ts > timestamp_micros(1020999)",
    "_ts = timestamp_millis(500003)",
    "_ts = timestamp_micros(500003001)",
    "_id = '1050-2'",
    "_id = '1050-02'",
    "_id in ('1050-2', '1060-1', '500001-1', '7')",
    "_id > '1050-2'",
    "_key = 'even:b' and n > 3",
    "_key in ('even:a', 'even:none') and _ts < timestamp_millis(1010)",
    "_ts < timestamp_millis(1010) and _ts > timestamp_millis(1020)",
    "_ts is not null and _key is not null and not (_id = '1001-1')",
    "_ts is null",
]


def test_filters_read_less_and_find_the_same(streams):
    schema = "_key string, _id string, _ts timestamp, n int"
    frame = sparks.read(streams.url, "even:*", schema)
    everything = frame.persist()
    try:
        expected = {text: numbers(everything.where(text)) for text in FILTERS}
    finally:
        everything.unpersist(blocking=True)
    frame = sparks.read(streams.url, "even:*", schema)
    assert {text: numbers(frame.where(text)) for text in FILTERS} == expected
    assert [len(expected[text]) for text in FILTERS[:2]] == [240, 236]


@pytest.mark.parametrize(
    ("text", "asked"),
    [("_ts >= 1098", ("1098-0", "1099-4")), ("_id = '1050-2'", ("1050-2", "1050-2"))],
)
def test_a_filter_becomes_a_range_of_ids(streams, text, asked):
    frame = sparks.read(streams.url, "even:a", "_id string, _ts long, n int").where(text)
    plan = frame._jdf.queryExecution().executedPlan().toString()
    assert "Filter (" not in plan
    with streams.client() as db, db.monitor() as monitor:
        found = numbers(frame)
        db.echo("end")
        ranges = []
        for command in iter(lambda: next(monitor.listen())["command"], "ECHO end"):
            words = command.split()
            if words[0] == "XRANGE" and words[1] == "even:a":
                ranges.append(words[2])
    assert found
    assert ranges
    assert all(id_.strip("(") >= asked[0] for id_ in ranges)


def test_without_filter_pushdown_nothing_is_refused(streams):
    name = "spark.sql.python.filterPushdown.enabled"
    sparks.session().conf.set(name, "false")
    try:
        frame = sparks.read(streams.url, "even:a", "_ts long, n int").where("_ts = 1003")
        assert numbers(frame) == [12, 13, 14, 15]
    finally:
        sparks.session().conf.set(name, "true")


def test_a_range_of_ids_is_an_option(streams):
    frame = sparks.read(streams.url, "even:a", "n int", startId="(1001-4", end_id="1002")
    assert numbers(frame) == [8, 9, 10, 11]


def test_columns_are_found_where_none_are_named(streams, db, key):
    db.xadd(key, {"who": "x", "when": "2024-01-01T00:00:00Z", "much": "1.5", "of": "[1]"})
    frame = sparks.read(streams.url, key)
    assert frame.schema.simpleString() == (
        "struct<_id:string,_ts:bigint,who:string,when:timestamp,much:double,of:array<bigint>>"
    )
    assert frame.collect()[0]["of"] == [1]
    assert sparks.read(streams.url, "even:*").columns == ["_key", "_id", "_ts", "n"]


REFUSED = [
    ({"strem": "x"}, "redcol has no option 'strem'. Did you mean stream?"),
    ({"url": ""}, "option url is missing"),
    ({"stream": ""}, "option stream is missing"),
    ({"stream": "a,,b"}, "has a key without a name"),
    ({"rowsPerPartition": "0"}, "option rows_per_partition must be a whole number from 1"),
    ({"onError": "ignore"}, "option on_error must be 'raise' or 'null' or 'skip'"),
    ({"startId": "yesterday"}, "start_id 'yesterday' is not an entry id"),
    ({"maxEntriesPerTrigger": "5"}, "option max_entries_per_trigger is for spark.readStream"),
    ({"maxlen": "5"}, "option maxlen is for a sink"),
    ({"sslCertReqs": "some"}, "ssl_cert_reqs"),
    ({"ifMissing": "raise", "stream": "nobody"}, "there is no such stream"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_cannot_be_right_is_refused_in_our_words(server, options, message):
    from pyspark.errors import AnalysisException

    given = {"url": server.url, "stream": "a"} | options
    reader = sparks.session().read.format("redcol").options(**given).schema("n int")
    with pytest.raises(AnalysisException) as caught:
        reader.load().collect()
    said = str(caught.value)
    assert message in said
    assert "\tat " not in said
    assert len(said.splitlines()) < 40


def test_columns_that_cannot_be_read_are_refused(server, db):
    db.xadd("lacks", {"other": 1})
    db.xadd("wrong", {"n": "x"})
    with pytest.raises(Exception, match=r"Arrow format \"\+m\" is not supported"):
        sparks.read(server.url, "lacks", "m map<string,int>").collect()
    with pytest.raises(Exception, match="NOT NULL"):
        sparks.read(server.url, "lacks", "n int not null").collect()
    with pytest.raises(Exception, match=r"field \"n\".*\"x\""):
        sparks.read(server.url, "wrong", "n int").collect()
    assert sparks.read(server.url, "wrong", "n int", onError="null").collect()[0]["n"] is None
