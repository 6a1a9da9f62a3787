# SPDX-License-Identifier: Apache-2.0
"""The dtypes that a sample of a stream's entries shows, and reads with them."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import redis

import redcol
from servers import Server

NOWHERE = "unix:///nowhere/at/all"


def add(db: redis.Redis, key: str, field: str, values: list[Any]) -> None:
    with db.pipeline(transaction=False) as pipeline:
        for value in values:
            pipeline.xadd(key, {field: value})
        pipeline.execute()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["1", "-5", "0", "9223372036854775807"], pl.Int64),
        (["0", "1"], pl.Int64),
        (["7", "9223372036854775808"], pl.String),
        (["00501", "10115"], pl.String),
        (["0", "-0"], pl.String),
        (["+49301234567"], pl.String),
        (["4111111111111111", "12345678901234567890123"], pl.String),
        (["1", "2.5"], pl.Float64),
        (["1e3", "-.5", "3.", "0.25"], pl.Float64),
        (["1.5", "nan", "-inf"], pl.Float64),
        (["nan"], pl.String),
        (["Inf", "Nan"], pl.String),
        (["1.5", "12345678901234567"], pl.String),
        (["0.123456789012345678901234"], pl.String),
        (["1.5", "01.5"], pl.String),
        (["1,5"], pl.String),
        (["1 "], pl.String),
        (["1", ""], pl.String),
        ([""], pl.String),
        (["true", "false", "True"], pl.Boolean),
        (["true", "1"], pl.String),
        (["yes"], pl.String),
        (["2024-01-01", "1969-12-31"], pl.Date),
        (["2024-01-01", "2024-02-30"], pl.String),
        (["2024-01-01", "2024-01-01T10:00"], pl.Datetime("us")),
        (["2024-01-01 10:00:00.123456"], pl.Datetime("us")),
        (["2024-01-01T10:00:00.123456789"], pl.Datetime("ns")),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00.5+02:00"], pl.Datetime("us", "UTC")),
        (["2024-01-01T10:00:00.1234567Z"], pl.Datetime("ns", "UTC")),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"], pl.String),
        (["2024-01-01T10:00:00.1234567", "9999-01-01T00:00"], pl.String),
        (["20240101"], pl.Int64),
        (['{"a": 1, "b": [1.5, null]}', '{"a": null, "c": "x"}'],
         pl.Struct({"a": pl.Int64, "b": pl.List(pl.Float64), "c": pl.String})),
        (["[1, 2]", "[]", "[null]"], pl.List(pl.Int64)),
        (["[]"], pl.List(pl.String)),
        (["[[true], [false, null]]"], pl.List(pl.List(pl.Boolean))),
        (['[{"a": {"b": 1}}]'], pl.List(pl.Struct({"a": pl.Struct({"b": pl.Int64})}))),
        (["[1, 2.5]"], pl.List(pl.Float64)),
        (['[1, "a"]'], pl.String),
        (['{"a": 1}', "[1]"], pl.String),
        (['{"a": 1}', '{"a": "x"}'], pl.String),
        (["{}"], pl.String),
        (["[1", "[2]"], pl.String),
        (["[1] x"], pl.String),
        (["[9223372036854775808]"], pl.String),
        (["[" * 200 + "]" * 200], pl.String),
        (['{"a\\u0041": 1}'], pl.String),
        (["null"], pl.String),
        (["ü", "日本"], pl.String),
        ([b"\xff\x00", "1"], pl.Binary),
        (["1", b"\x80"], pl.Binary),
    ],
)  # fmt: skip
def test_the_narrowest_dtype(
    server: Server, db: redis.Redis, key: str, values: list[Any], dtype: pl.DataType
) -> None:
    for order in (values, values[::-1]):
        db.delete(key)
        add(db, key, "v", order)
        schema = redcol.infer_schema(server.url, key)
        if isinstance(dtype, pl.Struct) and order is not values:
            assert isinstance(schema["v"], pl.Struct)
            assert {(field.name, field.dtype) for field in schema["v"].fields} == {
                (field.name, field.dtype) for field in dtype.fields
            }
        else:
            assert schema == pl.Schema({"v": dtype})
        # Every value fits, and none is null.
        frame = redcol.read_stream(server.url, key, schema=schema, on_error="raise")
        assert frame["v"].null_count() == 0
        assert frame.equals(redcol.read_stream(server.url, key, schema="infer"), null_equal=True)


def test_any_values(server: Server, db: redis.Redis, key: str) -> None:
    """Whatever the sample has: reading with its schema does not fail, and loses no text."""
    rng = random.Random(11)
    words = [
        "1", "0", "-7", "2.5", "007", "+1", "true", "FALSE", "2024-01-01", "2024-01-01T01:02:03Z",
        "2024-01-01 01:02", "[1]", "[1.5, 2]", '{"a": 1}', '{"a": [1]}', '{"b": "x"}', "", "x",
        "nan", "1e400", "1e5", "12345678901234567890", "[]", "{}", "null", b"\xfe", "9" * 16,
    ]  # fmt: skip
    for _ in range(60):
        db.delete(key)
        kinds = [rng.sample(words, rng.randint(1, 3)) for _ in range(5)]
        for _ in range(12):
            entry = {
                f"f{place}": rng.choice(kind)
                for place, kind in enumerate(kinds)
                if rng.random() < 0.8
            }
            db.xadd(key, entry or {"f0": rng.choice(kinds[0])})
        written = [fields for _, fields in db.xrange(key)]
        schema = redcol.infer_schema(server.url, key)
        frame = redcol.read_stream(server.url, key, schema=schema)
        for name, dtype in schema.items():
            texts = [fields.get(name.encode()) for fields in written]
            values = frame[name].to_list()
            assert [value is None for value in values] == [text is None for text in texts], name
            if dtype == pl.Int64:
                assert [None if v is None else str(v).encode() for v in values] == texts


def test_which_entries_are_looked_at(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, "v", ["old", *range(50)])
    assert redcol.infer_schema(url, key) == {"v": pl.String}
    assert redcol.infer_schema(url, key, sample=50) == {"v": pl.Int64}
    assert redcol.infer_schema(url, key, sample=50, from_="start") == {"v": pl.String}
    assert redcol.infer_schema(url, f"{key}-missing") == {}
    any_db.xadd(key, {"w": "1.5"})
    assert redcol.infer_schema(url, key, sample=1) == {"w": pl.Float64}
    assert redcol.infer_schema(url, key, sample=3) == {"v": pl.Int64, "w": pl.Float64}
    with redcol.connect(url) as client:
        assert redcol.infer_schema(client, key.encode(), sample=1) == {"w": pl.Float64}


def test_fields_with_the_names_of_metadata_columns(
    server: Server, db: redis.Redis, key: str
) -> None:
    db.xadd(key, {"_id": "5", "_ts": "2024-01-01", "v": "1"}, id="1-0")
    schema = redcol.infer_schema(server.url, key)
    assert schema == {"_id_field": pl.Int64, "_ts_field": pl.Date, "v": pl.Int64}
    frame = redcol.read_stream(server.url, key, schema=schema)
    assert frame.select("_id", "_id_field", "v").row(0) == ("1-0", 5, 1)
    other = redcol.read_stream(server.url, key, schema="infer", include_id=False)
    assert other.schema["_id"] == pl.Int64


def test_readers_infer_by_themselves(url: str, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, "v", [1, 2, 3])
    any_db.xadd(key, {"v": "4", "j": json.dumps({"a": [1]}), "s": "x"})
    expected = {"v": pl.Int64, "j": pl.Struct({"a": pl.List(pl.Int64)}), "s": pl.String}
    everything = {"_id": pl.String, "_ts": pl.Int64, **expected}
    frame = redcol.read_stream(url, key, schema="infer")
    assert frame.schema == everything
    assert redcol.scan_stream(url, key, schema="infer").collect().equals(frame)
    with redcol.iter_stream(url, key, schema="infer", until="now") as batches:
        assert pl.concat(batches).equals(frame)
    group = {"group": "g", "consumer": "c"}
    assert redcol.read_stream(url, key, schema="infer", **group).equals(frame)
    table = redcol.read_arrow(url, key, schema="infer")
    assert pl.DataFrame(table).equals(frame)
    large = redcol.read_arrow(url, key, schema="infer", string_layout="large")
    assert pa.table(large).schema.field("s").type == pa.large_string()

    overrides = {"v": pl.Float32, "more": pl.Date}
    changed = {**everything, **overrides}
    assert (
        redcol.read_stream(url, key, schema="infer", schema_overrides=overrides).schema == changed
    )
    lazy = redcol.scan_stream(url, key, schema="infer", schema_overrides=overrides)
    assert lazy.collect_schema() == changed
    given = redcol.read_stream(url, key, schema={"v": str}, schema_overrides=overrides)
    assert given.schema == {"_id": pl.String, "_ts": pl.Int64, **overrides}

    async def schema() -> pl.Schema:
        found = await asyncio.to_thread(redcol.infer_schema, url, key)
        async with redcol.stream_batches(url, key, schema=found, until="now") as batches:
            return (await anext(batches)).schema

    assert asyncio.run(schema()) == everything

    async def inferred() -> pl.Schema:
        async with redcol.stream_batches(url, key, schema="infer", until="now") as batches:
            return (await anext(batches)).schema

    assert asyncio.run(inferred()) == everything


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (redcol.infer_schema, {"sample": 0}, "sample must be from 1"),
        (redcol.infer_schema, {"from_": "middle"}, "from_"),
        (redcol.read_stream, {"schema": "guess"}, "or be 'infer'"),
        (redcol.read_stream, {"schema": "infer", "consumer": "c"}, "consumer"),
        (redcol.read_stream, {"schema_overrides": {"a": int}}, "needs a schema"),
        (redcol.read_stream, {"schema": "infer", "last": 1, "count": 1}, "count is the first"),
        (redcol.read_arrow, {"schema": "guess"}, "schema must be"),
    ],
)
def test_what_cannot_be(function: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(redcol.errors.InvalidArgumentError, match=said):
        function(NOWHERE, "s", **arguments)


def test_several_streams_need_a_schema(server: Server, key: str) -> None:
    with pytest.raises(redcol.errors.InvalidArgumentError, match="looks at one stream"):
        redcol.iter_stream(server.url, [key, f"{key}-2"], schema="infer")


def test_a_key_that_is_no_stream(server: Server, db: redis.Redis, key: str) -> None:
    db.set(key, "x")
    with pytest.raises(redcol.errors.WrongTypeError):
        redcol.infer_schema(server.url, key)


def test_fields_that_share_a_column_fit_it(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xadd(key, {"_id": "5", "_id_field": "x"})
    assert redcol.infer_schema(url, key) == {"_id_field": pl.String}
    assert redcol.read_stream(url, key, schema="infer")["_id_field"].to_list() == ["x"]
    any_db.xadd(key, {"_id": b"\xff"})
    assert redcol.infer_schema(url, key) == {"_id_field": pl.Binary}
    assert redcol.read_stream(url, key, schema="infer")["_id_field"].to_list() == [b"x", b"\xff"]


def test_fields_that_share_a_column_of_a_table(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xadd(key, {"_id": "5", "_id_field": "x", "_ts": "2024-01-01"})
    table = pa.table(redcol.read_arrow(url, key, schema="infer", string_layout="large"))
    assert table.column_names == ["_id", "_ts", "_id_field", "_ts_field"]
    assert table.schema.field("_id_field").type == pa.large_string()
    assert table["_id_field"].to_pylist() == ["x"]
    assert table.schema.field("_ts_field").type == pa.date32()
    any_db.xadd(key, {"_id": b"\xff"})
    table = pa.table(redcol.read_arrow(url, key, schema="infer"))
    assert table["_id_field"].to_pylist() == [b"x", b"\xff"]


def test_an_empty_stream_has_no_columns_for_later_entries(
    url: str, any_db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> int:
        return caplog.text.count(f"schema='infer' has found no entry in stream '{key}'")

    assert redcol.read_stream(url, key, schema="infer").columns == ["_id", "_ts"]
    assert warnings() == 0
    lazy = redcol.scan_stream(url, key, schema="infer")
    assert warnings() == 1
    with redcol.iter_stream(url, key, schema="infer") as batches:
        assert warnings() == 2
        any_db.xadd(key, {"v": 1}, id="1-0")
        assert next(batches).columns == ["_id", "_ts"]
    assert lazy.collect().columns == ["_id", "_ts"]
    with redcol.iter_stream(url, key, schema="infer") as batches:
        assert next(batches).schema["v"] == pl.Int64
    assert warnings() == 2
