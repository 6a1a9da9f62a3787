# SPDX-License-Identifier: Apache-2.0
"""What was read can be written, and read again with its frame's schema: every reader and writer."""

from __future__ import annotations

import datetime as dt
import itertools

import polars as pl
import pyarrow as pa
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from test_names import READERS
from test_write_oracle import columns, comparable

import redcol
from oracle import column_name, discovered_names
from servers import Server

_keys = itertools.count()

#: Names that columns of readers have, or that fields of such names get.
NAMES = ["a", "b", "_id", "_ts", "_seq", "_stream", "_key", "_index", "_id_field", "_ts_field",
         "_ts_field2", "_id_field_field", r"\xff", "^.*$", ""]  # fmt: skip

TYPED = pl.DataFrame(
    {
        "text": ["é", "", None, "x" * 20],
        "whole": [1, -(2**63), None, 2**63 - 1],
        "float": [0.1, -0.0, float("nan"), None],
 "exact": pl.Series(["1.50", None, "-0.05", "0"]).cast(pl.Decimal(9, 2)),
        "moment": [dt.datetime(2024, 10, 27, 0, 30), None, dt.datetime(1969, 12, 31), None],
        "day": [dt.date(2024, 2, 29), None, None, dt.date(1, 1, 1)],
        "kind": pl.Series(["red", None, "blue", "red"], dtype=pl.Categorical()),
        "list": [[1, None], [], None, [2**53 + 1]],
        "record": [{"x": 1, "y": ["é"]}, {"x": None, "y": None}, None, {"x": 2, "y": []}],
        "bytes": [b"\xff\x00", b"", None, b"x"],
    }
)  # fmt: skip


def same(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert one.schema == other.schema
    for name in one.columns:
        assert comparable(one.get_column(name)) == comparable(other.get_column(name)), name


@pytest.mark.parametrize("reader", READERS)
def test_a_frame_that_was_read_extended_and_written(
    no_leaks: None, server: Server, db: redis.Redis, key: str, reader: str
) -> None:
    read, _ = READERS[reader]
    redcol.write_stream(server.url, TYPED.with_columns(n=pl.int_range(4)), key)
    schema = {**TYPED.schema, "n": pl.Int64}
    frame = read(server.url, key, schema=schema)
    same(frame.select(list(schema)), TYPED.with_columns(n=pl.int_range(4)))
    extended = frame.with_columns(more=pl.col("n") * 2, _id_field=pl.lit("own"))
    several = next((name for name in ("_stream", "_key") if name in frame.columns), None)
    copy = f"{key}-copy"
    if several is None:
        redcol.write_stream(server.url, extended, copy, id_column="_id")
    elif "_index" in frame.columns:
        with pytest.raises(redcol.SchemaError, match=r'"_(key|index)" may'):
            redcol.write_stream(server.url, extended, copy)
        redcol.write_stream(server.url, extended, copy, id_column="_id", metadata="omit")
    else:
        extended = extended.with_columns(pl.lit(copy).alias(several))
        redcol.write_stream(server.url, extended, stream_column=several, id_column="_id")
    again = read(server.url, copy, schema=extended.schema)
    assert again.columns == extended.columns
    same(
        again.drop("_key", "_stream", strict=False), extended.drop("_key", "_stream", strict=False)
    )


@st.composite
def named_frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(1, 6))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    made = {name: draw(columns(rows)) for name in names}
    return pl.DataFrame({**made, "row number": pl.Series(range(rows), dtype=pl.Int64)})


@settings(max_examples=60, deadline=None)
@given(frame=named_frames(), reader=st.sampled_from(sorted(READERS)))
def test_columns_of_any_name_come_back(server: Server, frame: pl.DataFrame, reader: str) -> None:
    """Whatever a user's columns are called: they are told from readers' own, or refused."""
    read, added = READERS[reader]
    key = f"again-{next(_keys)}"
    refusals = (redcol.SchemaError, redcol.ValueConversionError)
    try:
        redcol.write_stream(server.url, frame, key)
    except refusals:
        with pytest.raises(refusals, match="metadata"):
            redcol.write_stream(server.url, frame, key + "-refused")
        server.client().delete(key)
        redcol.write_stream(server.url, frame, key, metadata="write")
    # Each field is a column, without a schema too, and the frame's schema gives the same.
    rows = [[part for pair in entry.items() for part in pair]
            for _, entry in server.client().xrange(key)]  # fmt: skip
    names = discovered_names(rows, ("_id", *added))
    found = read(server.url, key, discover="auto")
    assert set(found.columns) == {"_id", *added, *names.values()}
    assert found.width == len(names) + 1 + len(added)
    kept = {column_name(field): name for field, name in names.items()}
    if all(field in (name, "_id", *added) for field, name in kept.items()):
        server.client().xgroup_destroy(key, "g")
        server.client().xgroup_destroy(key, "h")
        same(read(server.url, key, schema=found.schema), found)
    # Under the dtypes that were written, with other names for the readers' columns.
    other = {"id_column": "i", "timestamp_column": "t", "sequence_column": "s"}
    back = redcol.read_stream(server.url, key, schema=frame.schema, **other)
    same(back.drop("i", "t"), frame)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "column",
    [
        pl.Series([2**127 - 1, None, -(2**127)], dtype=pl.Int128),
        pl.Series([2**128 - 1, None, 0], dtype=pl.UInt128),
        pl.Series([[1, 2], None, [3, None]], dtype=pl.Array(pl.Int64, 2)),
        pl.Series([[[1], [2]], None, [None, [3]]], dtype=pl.Array(pl.UInt128, (2, 1))),
        pl.Series([[[], None], [["a"], ["b", None]], None], dtype=pl.Array(pl.List(pl.String), 2)),
    ],
    ids=["Int128", "UInt128", "Array", "two dimensions", "lists in an Array"],
)
def test_wide_integers_and_arrays_are_read_as_themselves(
    server: Server, db: redis.Redis, key: str, column: pl.Series, reader: str
) -> None:
    read, _ = READERS[reader]
    frame = pl.DataFrame({"n": [1, 2, 3], "v": column})
    redcol.write_stream(server.url, frame, key)
    same(read(server.url, key, schema=frame.schema).select("n", "v"), frame)


def test_half_floats_are_read_as_wider_ones(server: Server, db: redis.Redis, key: str) -> None:
    column = pa.array([1.5, None, 6.104e-5], pa.float32()).cast(pa.float16())
    redcol.write_stream(server.url, pa.table({"n": [1, 2, 3], "v": column}), key)
    if hasattr(pl, "Float16"):
        with pytest.raises(redcol.SchemaError, match="'v'"):
            redcol.read_stream(server.url, key, schema={"v": pl.Float16})
    back = redcol.read_stream(server.url, key, schema={"n": pl.Int64, "v": pl.Float32})
    assert back["v"].to_list() == column.cast(pa.float32()).to_pylist()


def test_objects_are_refused(server: Server, db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame({"_key": [key], "v": pl.Series([object()], dtype=pl.Object)})
    for write in (redcol.write_hashes, lambda *a: redcol.write_stream(*a, key)):
        with pytest.raises(redcol.SchemaError, match="Python objects") as caught:
            write(server.url, frame)
        assert caught.value.field == "v"
    assert db.keys(f"{key}*") == []
