# SPDX-License-Identifier: Apache-2.0
"""Fields that have the names of columns that redcol adds: nothing that an entry holds is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pytest
import reads
import redis

import redcol
from redcol import client
from redcol._reading import discovered
from servers import Server

OWN = {"_id": "own id", "_ts": "own ts", "_seq": "own seq", "_stream": "own stream", "_key": "k"}
STOP = {"on_idle": "stop", "block_ms": None}


def stream_batches(url: str, stream: str | list[str], **arguments: Any) -> pl.DataFrame:
    async def read() -> list[pl.DataFrame]:
        batches = redcol.stream_batches(url, stream, **STOP, **arguments)
        return [frame async for frame in batches]

    return pl.concat(asyncio.run(read()), how="diagonal")


#: Every way to read a stream, and the columns besides `_id` that each adds.
READERS: dict[str, tuple[Callable[..., pl.DataFrame], list[str]]] = {
    "read_stream": (redcol.read_stream, ["_ts"]),
    "waiting": (lambda *a, **k: redcol.read_stream(*a, block_ms=1, **k), ["_ts"]),
    "group": (lambda *a, **k: redcol.read_stream(*a, group="g", consumer="c", **k), ["_ts"]),
    "all parts": (lambda *a, **k: redcol.read_stream(*a, include_sequence=True, **k),
                  ["_ts", "_seq"]),
    "only ids": (lambda *a, **k: redcol.read_stream(*a, include_timestamp=False, **k), []),
    "scan": (lambda *a, **k: redcol.scan_stream(*a, **k).collect(), ["_ts"]),
    "scan of columns": (
        lambda *a, **k: pl.concat(
            [redcol.scan_stream(*a, **k).select(cs.by_name(name)).collect()
             for name in redcol.scan_stream(*a, **k).collect_schema().names()],
            how="horizontal"),
        ["_ts"]),
    "arrow": (lambda *a, **k: pl.DataFrame(redcol.read_arrow(*a, **k)), ["_ts"]),
    "iterator": (
        lambda *a, **k: pl.concat(redcol.iter_stream(*a, **STOP, **k), how="diagonal"), ["_ts"]),
    "members of a group": (
        lambda *a, **k: pl.concat(
            redcol.iter_stream(*a, group="h", consumer="c", **STOP, **k), how="diagonal"),
        ["_ts"]),
    "several": (
        lambda url, stream, **k: pl.concat(
            redcol.iter_stream(url, [stream, "missing"], **STOP, **k), how="diagonal"),
        ["_ts", "_stream"]),
    "async": (stream_batches, ["_ts"]),
    "streams": (lambda url, stream, **k: redcol.read_streams(url, [stream], **k), ["_key", "_ts"]),
    "rows": (
        lambda *a, **k: redcol.read_streams(*a, include_row_index=True, **k),
        ["_index", "_key", "_ts"]),
    "scan of streams": (lambda *a, **k: redcol.scan_streams(*a, **k).collect(), ["_key", "_ts"]),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_fields_are_kept_and_their_frames_schema_is_one(
    no_leaks: None, server: Server, db: redis.Redis, key: str, reader: str
) -> None:
    read, added = READERS[reader]
    for number in range(3):
        own = {f"{name}": f"{value} {number}" for name, value in OWN.items()}
        db.xadd(key, {"a": number, **own, "_index": "i", b"\xff": "bytes"}, id=f"{number}-7")
    frame = read(server.url, key)
    taken = {"_id", *added}
    own = [f"{name}_field" if name in taken else name for name in (*OWN, "_index")]
    assert set(frame.columns[: len(taken)]) == taken
    assert frame.columns[len(taken) :] == ["a", *own, r"\xff"]
    assert frame["_id"].to_list() == ["0-7", "1-7", "2-7"]
    for name, value in OWN.items():
        column = f"{name}_field" if name in taken else name
        assert frame[column].to_list() == [f"{value} {number}" for number in range(3)]
    db.xgroup_destroy(key, "g")
    db.xgroup_destroy(key, "h")
    assert read(server.url, key, schema=frame.schema).equals(frame)
    # Other dtypes, another order, not all of them.
    some = frame.select("a", "_id", own[0]).with_columns(pl.col("a").cast(pl.Int16))
    db.xgroup_destroy(key, "g")
    db.xgroup_destroy(key, "h")
    again = read(server.url, key, schema=some.schema)
    assert again.columns[-3:] == some.columns
    assert again.select(some.columns).equals(some)


def test_own_fields_can_be_asked_for(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"_ts": 5, "_seq": 6}, id="1-2")
    read = redcol.read_stream
    with pytest.raises(redcol.SchemaError, match="'_ts' of the schema is Int32"):
        read(server.url, key, schema={"_ts": pl.Int32})
    schema = {"_ts": pl.Int32, "_seq": pl.UInt64}
    own = read(server.url, key, schema=schema, timestamp_column="at", sequence_column="n")
    assert own.rows() == [("1-2", 1, 5, 6)]
    assert own.columns == ["_id", "at", "_ts", "_seq"]
    own = read(server.url, key, schema=schema, include_timestamp=False, include_sequence=False)
    assert own.rows() == [("1-2", 5, 6)]
    # A sequence number of another dtype is a field.
    assert read(server.url, key, schema={"_seq": pl.Int64})["_seq"].to_list() == [6]
    assert read(server.url, key, schema={"_seq": pl.UInt64})["_seq"].to_list() == [2]


def test_milliseconds_as_datetimes(server: Server, db: redis.Redis, key: str) -> None:
    for ms in (1_704_067_200_000, 1_704_067_200_001):
        db.xadd(key, {"v": ms}, id=f"{ms}-0")
    plain = redcol.read_stream(server.url, key, schema={"v": pl.Int64})
    for zone in (None, "UTC", "Europe/Berlin"):
        schema = {"_ts": pl.Datetime("ms", zone), "v": pl.Int64}
        frame = redcol.read_stream(server.url, key, schema=schema)
        assert frame.schema == {"_id": pl.String, **schema}
        assert frame["_ts"].to_physical().to_list() == plain["_ts"].to_list()
        scan = redcol.scan_stream(server.url, key, schema=schema)
        assert scan.collect().equals(frame)
        last = pl.col("_ts") > frame["_ts"][0]
        assert scan.filter(last).collect().equals(frame.filter(last))
        assert scan.filter(last).select("v").collect().equals(frame.filter(last).select("v"))
    for dtype in (pl.Datetime("us"), pl.UInt64, pl.String):
        with pytest.raises(redcol.SchemaError, match="timestamp_column"):
            redcol.read_stream(server.url, key, schema={"_ts": dtype})


def test_schemas_of_other_libraries(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"_id": "own", "v": "1"}, id="1-2")
    table = pa.table(redcol.read_arrow(server.url, key, include_sequence=True))
    assert table.column_names == ["_id", "_ts", "_seq", "_id_field", "v"]
    assert table.schema.field("_id_field").metadata == {b"redcol.field": b"_id"}
    assert table.schema.field("v").metadata is None
    again = pa.table(redcol.read_arrow(server.url, key, schema=table.schema))
    assert again.equals(table)
    with pytest.raises(redcol.SchemaError, match="timestamp_column"):
        redcol.read_arrow(server.url, key, schema=pa.schema({"_ts": pa.int32()}))
    frame = redcol.read_stream(server.url, key, schema=table.schema)
    assert frame.equals(pl.DataFrame(table))


@pytest.mark.parametrize("reader", READERS)
def test_a_field_whose_name_another_column_has(
    no_leaks: None, server: Server, db: redis.Redis, key: str, reader: str
) -> None:
    read, added = READERS[reader]
    entries: list[dict[str | bytes, str]] = [
        {"_id": "own"},
        {"_id_field": "late"},
        {"_id_field2": "later"},
        {"_id_field_field": "last"},
        {"a\\x00b": "literal"},
        {b"a\0b": "NUL"},
        {b"\xff": "bytes"},
        {r"\xff": "literal"},
        {r"\xff_field": "taken"},
    ]
    for number, fields in enumerate(entries, 1):
        db.xadd(key, fields, id=f"{number}-1")
    frame = read(server.url, key)
    columns = [
        "_id_field", "_id_field_field", "_id_field2_field", "_id_field_field_field",
        r"a\x00b", r"a\x00b_field", r"\xff", r"\xff_field", r"\xff_field_field",
    ]  # fmt: skip
    assert set(frame.columns) == {"_id", *added, *columns}
    assert [name for name in frame.columns if name in columns] == columns
    for row, (column, fields) in enumerate(zip(columns, entries, strict=True)):
        (value,) = fields.values()
        assert frame[column].to_list() == [value if i == row else None for i in range(9)]
    # With other names for its own columns, the fields keep theirs.
    other = read(server.url, key, id_column="entry") if "group" not in reader else frame
    assert other is frame or {"_id", "_id_field", "_id_field2"} <= set(other.columns)


def test_renamed_fields_name_their_field_in_arrow(
    server: Server, db: redis.Redis, key: str
) -> None:
    for number, field in enumerate(("_id", "_id_field", r"a\x00b", b"a\0b", r"c\d"), 1):
        db.xadd(key, {field: "v"}, id=f"{number}-1")
    schema = pa.table(redcol.read_arrow(server.url, key, include_timestamp=False)).schema
    told = {field.name: (field.metadata or {}).get(b"redcol.field") for field in schema}
    assert told == {
        "_id": None,
        "_id_field": b"_id",
        "_id_field_field": b"_id_field",
        r"a\x00b": rb"a\x5cx00b",
        r"a\x00b_field": rb"a\x00b",
        r"c\d": None,
    }


FIELDS = [b"a\\b", b"\xff", b"a\x00b", "grün\t\u202e".encode(), b"x" * 5000, b"\\xff\xfe"]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: repr(field[:20]))
def test_an_errors_field_is_the_name_of_its_column(
    server: Server, db: redis.Redis, key: str, field: bytes
) -> None:
    db.xadd(key, {field: "no number"}, id="1-1")
    (column,) = redcol.read_stream(server.url, key, include_id=False, include_timestamp=False)
    with pytest.raises(redcol.ValueConversionError) as caught:
        redcol.read_stream(server.url, key, schema={column.name: pl.Int64})
    assert caught.value.field == column.name


@pytest.mark.parametrize("field", FIELDS[:-1], ids=lambda field: repr(field[:20]))
def test_a_field_is_written_back_under_its_own_name(
    server: Server, db: redis.Redis, key: str, field: bytes
) -> None:
    db.xadd(key, {field: "v"}, id="1-1")
    df = redcol.read_stream(server.url, key)
    redcol.write_stream(server.url, df, f"{key}-copy")
    assert [fields for _, fields in db.xrange(f"{key}-copy")] == [{field: b"v"}]
    df = df.select("_id", df.columns[-1])
    redcol.write_hashes(server.url, df, key_column="_id", key_prefix=f"{key}:")
    assert db.hgetall(f"{key}:1-1") == {field: b"v"}


def test_many_fields_take_no_longer_than_their_number(
    server: Server, db: redis.Redis, key: str
) -> None:
    """Each name is looked up, not compared with all others: 40,000 would take minutes."""
    fields = {f"a field with the number {number}": "" for number in range(40_000)}
    db.xadd(key, fields, id="1-1")
    options = {"batch_rows": "0", "columns_max": "50000"}
    with client.using(client.Server(server.url)) as handle:
        found, _ = discovered(handle, reads.request(key, options=options))
    assert found.width == 40_002
