# SPDX-License-Identifier: Apache-2.0
"""Generated streams, read by redcol and by a slow and independent reader, must give the same."""

from __future__ import annotations

import itertools
import os
import struct
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import reads
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import oracle
import redcol
from redcol import _native, _progress, _reading, client
from servers import Server

RESERVED = ("_id", "_ts", "_seq")
INT64_MAX = 2**63 - 1
_keys = itertools.count()

settings.register_profile(
    "redcol",
    deadline=None,
    max_examples=2_000 if os.environ.get("REDCOL_FULL") == "1" else 150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("redcol")

names = st.one_of(
    st.sampled_from([b"a", b"b", b"_id", b"_ts", b"", b"\0", b"\xff", b"\\xff", "é".encode()]),
    st.sampled_from([b"_id_field", b"_id_field2", b"_id_field3", b"_ts_field", b"_id_field02"]),
    st.binary(max_size=40),
)
values = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=30).map(str.encode),
    st.sampled_from([b"", b"\r\n", b"$1\r\nx", b"x" * 12, b"y" * 13, b"\xed\xa0\x80", b"\xc0\x80"]),
    st.integers(1, 70_000).map(lambda size: b"z" * size),
)
timestamps = st.one_of(
    st.integers(0, 50), st.integers(10**12, 10**12 + 9), st.sampled_from([INT64_MAX - 1, INT64_MAX])
)
sequences = st.one_of(st.integers(0, 12), st.sampled_from([2**63, 2**64 - 2, 2**64 - 1]))
entry_ids = st.tuples(timestamps, sequences).filter(lambda pair: pair != (0, 0))


def dtype_texts() -> dict[str, tuple[Any, st.SearchStrategy[str]]]:
    """For every dtype texts that fit it, and some that nearly do."""
    dates = st.dates().map(str)
    clocks = st.times().map(str)
    moments = st.tuples(
        dates,
        st.sampled_from(["T", " "]),
        clocks,
        st.sampled_from(["", "Z", "+02", "-0330", "+14:00"]),
    ).map("".join)
    integers = st.integers(-(2**64), 2**65)
    near = [0, 2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**63, 2**64]
    limits = st.sampled_from([sign * n + d for n in near for d in (-1, 0, 1) for sign in (1, -1)])
    whole = (integers | limits | st.integers(-300, 300)).map(str)
    floats = st.floats().map(repr) | whole
    floats32 = st.floats(width=32, allow_nan=False).map(
        lambda number: repr(struct.unpack("f", struct.pack("f", number))[0])
    )
    decimals = st.decimals(-(10**9), 10**9, places=3).map(str) | whole | floats
    durations = st.tuples(
        st.sampled_from(["P", "-P"]),
        st.sampled_from(["", "2W", "3D", "1W4D"]),
        st.sampled_from(["T5H", "T1H2M3S", "T0.123456789S", "T7M", "T"]),
    ).map("".join)
    found: dict[str, tuple[Any, st.SearchStrategy[str]]] = {
        str(dtype()): (dtype, whole) for dtype in (*oracle.INTEGER_BITS, *oracle.UNSIGNED_BITS)
    }
    found |= {
        "f32": (pl.Float32, floats32),
        "f64": (pl.Float64, floats),
        "dec": (pl.Decimal(12, 2), decimals),
        "dec38": (pl.Decimal(38, 0), decimals),
        "bool": (pl.Boolean, st.sampled_from(["true", "FALSE", "1", "0", "2", "yes", "truE"])),
        "date": (pl.Date, dates | moments),
        "time": (pl.Time, clocks | st.sampled_from(["24:00", "09:30", "1:02:03"])),
        "dt": (pl.Datetime("ms"), moments | dates | whole),
        "dtz": (pl.Datetime("ns", "Europe/Berlin"), moments | dates | whole),
        "dur": (pl.Duration("us"), durations | whole),
        "cat": (pl.Categorical(), st.sampled_from(["red", "green", "x" * 20, ""])),
        "enum": (pl.Enum(["red", "", "x" * 20, "é"]), st.sampled_from(["red", "", "é", "blue"])),
        "str": (pl.String(), st.text(max_size=20)),
        "bin": (pl.Binary(), st.text(max_size=20)),
    }
    return found


DTYPES = dtype_texts()


@st.composite
def typed_streams(draw: st.DrawFn) -> tuple[dict[str, Any], list[list[bytes]]]:
    chosen = draw(st.lists(st.sampled_from(sorted(DTYPES)), min_size=1, max_size=6, unique=True))
    schema = {name: DTYPES[name][0] for name in chosen}
    field = st.sampled_from(chosen).flatmap(
        lambda name: st.tuples(
            st.just(name.encode()), DTYPES[name][1].map(str.encode) | st.binary(max_size=5)
        )
    )
    rows = draw(st.lists(st.lists(field, min_size=1, max_size=8), max_size=25))
    return schema, [[part for pair in row for part in pair] for row in rows]


def write(db: redis.Redis, key: str, ids: list[tuple[int, int]], rows: list[list[bytes]]) -> None:
    with db.pipeline(transaction=False) as pipeline:
        for (ms, sequence), fields in zip(ids, rows, strict=True):
            pipeline.execute_command("XADD", key, f"{ms}-{sequence}", *fields)
        pipeline.execute()


def read_both_ways(server: Server, key: str, **arguments: Any) -> pl.DataFrame:
    """One frame by read_stream's way; the same in batches, each checked in full by pyarrow."""
    options = arguments.pop("options")
    request = reads.request(key, **arguments, options={**options, "batch_rows": "0"})
    with client.using(client.Server(server.url)) as handle:
        whole = _reading.read(handle, request, _progress.of(None))
        frames = []
        for batch in reads.batches(handle, key, **arguments, options=options):
            rows = len(batch)
            checked = pa.record_batch(batch)
            checked.validate(full=True)
            assert checked.num_rows == rows <= (int(options["batch_rows"]) or rows)
            assert rows or not frames, "only the first batch may be empty"
            frames.append(pl.DataFrame(checked))
    joined = pl.concat(frames, how="diagonal")
    assert joined.columns == whole.columns
    for name in whole.columns:
        assert all(
            oracle.same(a, b)
            for a, b in zip(
                oracle.physical(joined[name]), oracle.physical(whole[name]), strict=True
            )
        )
    return whole


def compare(frame: pl.DataFrame, entries: list[oracle.Entry], columns: dict[str, list[Any]]):
    texts, milliseconds, sequences_ = oracle.ids(entries)
    expected = {"_id": texts, "_ts": milliseconds, "_seq": sequences_} | columns
    assert frame.columns == list(expected)
    for name, wanted in expected.items():
        found = oracle.physical(frame[name])
        assert len(found) == len(wanted), name
        for index, (left, right) in enumerate(zip(found, wanted, strict=True)):
            assert oracle.same(left, right), (name, index, left, right, entries[index])


options = st.fixed_dictionaries(
    {
        "page_rows": st.sampled_from(["0", "1", "2", "3", "7", "1000"]),
        "batch_rows": st.sampled_from(["0", "1", "2", "5", "65536"]),
    }
)


@given(
    ids=st.lists(entry_ids, max_size=30, unique=True).map(sorted),
    data=st.data(),
    options=options,
    bounds=st.tuples(st.sampled_from(["", "("]), st.sampled_from(["", "("])),
    count=st.none() | st.integers(1, 40),
)
def test_discovered_columns(
    no_leaks: None, server: Server, db: redis.Redis, ids: Any, data: st.DataObject, **rest: Any
) -> None:
    rows = data.draw(
        st.lists(
            st.lists(st.tuples(names, values), min_size=1, max_size=6).map(
                lambda pairs: [part for pair in pairs for part in pair]
            ),
            min_size=len(ids),
            max_size=len(ids),
        )
    )
    key = f"oracle-{next(_keys)}"
    write(db, key, ids, rows)
    start, end = "-", "+"
    if ids and data.draw(st.booleans()):
        bounds = rest["bounds"]
        start = bounds[0] + "{}-{}".format(*data.draw(st.sampled_from(ids) | entry_ids))
        end = bounds[1] + "{}-{}".format(*data.draw(st.sampled_from(ids) | entry_ids))
    count = rest["count"]
    limit = [] if count is None else ["COUNT", count]
    try:
        entries = oracle.raw_entries(db, key, start, end, *limit)
    except redis.ResponseError:  # "(" before the last id there can be
        entries = []
    read = {
        "start_id": start,
        "end_id": end,
        "count": count,
        "include_sequence": True,
        "on_error": "null",
        "options": rest["options"],
    }
    frame = read_both_ways(server, key, **read)
    compare(frame, entries, oracle.expected(entries, None, RESERVED))
    columns = oracle.discovered_names([row for _, row in entries], RESERVED)
    shown = {field: oracle.column_name(field) for field in columns}
    if all(shown[field] in (name, *RESERVED) for field, name in columns.items()):
        # What was found can be asked for, and is then the same.
        again = read_both_ways(server, key, **read, schema=frame.schema)
        assert again.equals(frame)
    db.delete(key)


@given(typed=typed_streams(), options=options)
def test_every_dtype(
    no_leaks: None, server: Server, db: redis.Redis, typed: Any, options: dict[str, str]
) -> None:
    schema, rows = typed
    key = f"oracle-{next(_keys)}"
    write(db, key, [(5, index) for index in range(1, len(rows) + 1)], rows)
    entries = oracle.raw_entries(db, key, "-", "+")
    frame = read_both_ways(
        server, key, schema=schema, include_sequence=True, on_error="null", options=options
    )
    expected_schema = pl.Schema({"_id": pl.String, "_ts": pl.Int64, "_seq": pl.UInt64} | schema)
    assert frame.schema == expected_schema
    compare(frame, entries, oracle.expected(entries, schema, RESERVED))
    db.delete(key)


@pytest.mark.parametrize("size", [100_000, 3_000_000, 40_000_000])
def test_huge_values(server: Server, db: redis.Redis, key: str, size: int) -> None:
    row = [b"a", b"x", b"big", b"b" * size, b"c", "é".encode() * 10]
    write(db, key, [(1, index) for index in range(1, 5)], [row, row[:2], row, row[4:]])
    entries = oracle.raw_entries(db, key, "-", "+")
    frame = redcol.read_stream(server.url, key, include_sequence=True)
    compare(frame, entries, oracle.expected(entries, None, RESERVED))
    db.delete(key)


def test_every_server_gives_the_same(any_server: Server, no_leaks: None) -> None:
    with any_server.client() as db:
        write(db, "s", [(1, 1), (1, 2**64 - 1), (2**63 - 1, 0)], [[b"a", b"1"]] * 3)
        entries = oracle.raw_entries(db, "s", "-", "+")
        frame = redcol.read_stream(any_server.url, "s", include_sequence=True)
        compare(frame, entries, {"a": ["1"] * 3})
    assert _native.version().startswith(_native.INTERFACE_VERSION + ".")
