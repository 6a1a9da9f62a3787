# SPDX-License-Identifier: Apache-2.0
"""What write_stream writes: the text of CSV, under the ids that come back; and its arguments."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import redis

import redcol
from servers import Server

INT_LIMITS = {
    pl.Int8: 2**7, pl.Int16: 2**15, pl.Int32: 2**31, pl.Int64: 2**63, pl.Int128: 2**127,
}  # fmt: skip
UINT_LIMITS = {
    pl.UInt8: 2**8, pl.UInt16: 2**16, pl.UInt32: 2**32, pl.UInt64: 2**64, pl.UInt128: 2**128,
}  # fmt: skip
MOMENTS = [
    dt.datetime(1970, 1, 1),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
    dt.datetime(2024, 2, 29, 12, 30, 0, 1000),
    dt.datetime(2024, 10, 27, 0, 30),
    dt.datetime(2024, 10, 27, 1, 30),
    None,
]
FLOATS = [
    *(0.0, -0.0, 1.0, -1.5, 0.1, 1e15, 1e16, 123456789012345680.0, 1e-4, 1e-5, 1.5e-5, 1e-6),
    *(5e-324, 1.7976931348623157e308, 1e22, 1e100, 2.0**53, 0.30000000000000004),
    *(1234567890123456.8, float("inf"), float("-inf"), float("nan"), None),
]
SHORT_FLOATS = [
    *(0.0, -0.0, 0.1, 1e12, 1e13, 1.5e13, 16777216.0, 3.4028234663852886e38, 1e-6, 1e-7, 1e-45),
    *(1.5e-6, float("inf"), float("nan"), None),
]


def temporal(values: list[Any], dtype: pl.DataType) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64).cast(dtype)


CSV_COLUMNS: dict[str, pl.Series] = {
    **{str(d()): pl.Series([-n, -1, 0, 1, n - 1, None], dtype=d) for d, n in INT_LIMITS.items()},
    **{str(d()): pl.Series([0, 9, 10, 99, n - 1, None], dtype=d) for d, n in UINT_LIMITS.items()},
    "boolean": pl.Series([True, False, None]),
    "string": pl.Series(["", "a", "exactly 12 b", "13 bytes long", "é" * 300, None]),
    "float64": pl.Series(FLOATS),
    "float32": pl.Series(SHORT_FLOATS, dtype=pl.Float32),
    "decimal": pl.Series(
        [Decimal(text) for text in ("0.00", "-0.05", "1.50", "12345678.90", "-99999999.99")],
        dtype=pl.Decimal(10, 2),
    ),
    "decimal38": pl.Series([10**38 - 1, -(10**38) + 1, 0], dtype=pl.Decimal(38, 0)),
    "decimal38.38": pl.Series(
        [Decimal("0." + "9" * 38), Decimal("-0." + "0" * 37 + "1")], dtype=pl.Decimal(38, 38)
    ),
    "date": pl.Series(
        [0, -1, 11016, 19782, -719528, -719529, 2932896, 2932897, 30000000, None], dtype=pl.Int32
    ).cast(pl.Date),
    **{f"datetime {u}": pl.Series(MOMENTS, dtype=pl.Datetime(u)) for u in ("ms", "us", "ns")},
    **{
        f"{zone} {u}": pl.Series(MOMENTS).dt.cast_time_unit(u).dt.replace_time_zone("UTC")
        .dt.convert_time_zone(zone)
        for u in ("ms", "us", "ns")
        for zone in ("UTC", "Europe/Berlin", "America/St_Johns")
    },
    "time": temporal([0, 1, 86_399_999_999_999, 3_600_000_000_000, None], pl.Time()),
    "categorical": pl.Series(["red", "", "x" * 20, None, "red"], dtype=pl.Categorical()),
    "enum": pl.Series(["red", "é", None], dtype=pl.Enum(["é", "red"])),
}  # fmt: skip


def values_in(db: redis.Redis, key: str, field: str) -> list[str | None]:
    entries = db.xrange(key)
    found = [fields.get(field.encode()) for _, fields in entries]
    return [None if value is None else value.decode() for value in found]


@pytest.mark.parametrize("name", CSV_COLUMNS)
def test_values_are_those_of_csv(
    no_leaks: None, server: Server, db: redis.Redis, key: str, name: str
) -> None:
    column = CSV_COLUMNS[name]
    # A neighbor, so that a row with a null has a field.
    frame = pl.DataFrame({"v": column, "n": range(len(column))})
    csv = frame.write_csv(include_header=False, quote_style="never").splitlines()
    nulls = column.is_null().to_list()
    expected = [
        None if null else line.rsplit(",", 1)[0] for line, null in zip(csv, nulls, strict=True)
    ]
    redcol.write_stream(server.url, frame, key)
    assert values_in(db, key, "v") == expected


def test_values_that_csv_has_not(server: Server, db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame(
        {
            "bytes": [b"\x00\xff\r\n", b""],
            "duration": [dt.timedelta(days=1, seconds=3661, milliseconds=500), dt.timedelta(0)],
            "list": [['a"\\\x01', None], []],
            "struct": [{"d": dt.date(2024, 1, 2), "x": 1.5}, {"d": None, "x": None}],
            "nested": [[[1], []], [None]],
            "durations": [[dt.timedelta(seconds=1)], None],
            "decimals": pl.Series([[Decimal("1.50")], None], dtype=pl.List(pl.Decimal(9, 2))),
        }
    )
    redcol.write_stream(server.url, frame, key)
    (_, first), (_, second) = db.xrange(key)
    assert first == {
        b"bytes": b"\x00\xff\r\n",
        b"duration": b"P1DT1H1M1.5S",
        b"list": rb'["a\"\\\u0001",null]',
        b"struct": b'{"d":"2024-01-02","x":1.5}',
        b"nested": b"[[1],[]]",
        b"durations": b"[1000000]",
        b"decimals": b'["1.50"]',
    }
    assert second == {
        b"bytes": b"",
        b"duration": b"PT0S",
        b"list": b"[]",
        b"struct": b'{"d":null,"x":null}',
        b"nested": b"[null]",
    }


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_durations_are_those_of_to_string(
    server: Server, db: redis.Redis, key: str, unit: Any
) -> None:
    ticks = [0, 1, -1, 999, 1000, 86_400_000, 86_400_000_000_000, 3_661_001_000_000, 2**63 - 1]
    ticks += [-(2**63) + 1, 60_000_000_000, -86_399_999_999_999]
    column = temporal(ticks, pl.Duration(unit))
    redcol.write_stream(server.url, pl.DataFrame({"v": column}), key)
    # Polars puts a minus before each part of some negative ones.
    expected = [("-" if t < 0 else "") + text.replace("-", "")
                for t, text in zip(ticks, column.dt.to_string("iso"), strict=True)]  # fmt: skip
    assert values_in(db, key, "v") == expected
    back = redcol.read_stream(server.url, key, schema={"v": column.dtype})
    assert back["v"].to_physical().to_list() == ticks


def test_times_that_polars_cannot_print(server: Server, key: str) -> None:
    column = temporal([2**63 - 1, -(2**63), 10**18], pl.Datetime("ms"))
    zoned = column.dt.replace_time_zone("UTC")
    redcol.write_stream(server.url, pl.DataFrame({"v": column, "z": zoned}), key)
    back = redcol.read_stream(server.url, key, schema={"v": column.dtype, "z": zoned.dtype})
    assert back["v"].to_physical().to_list() == column.to_physical().to_list()
    assert back["z"].to_physical().to_list() == column.to_physical().to_list()


def test_a_time_zone_with_seconds(server: Server, key: str) -> None:
    column = pl.Series([dt.datetime(1850, 1, 1)]).dt.replace_time_zone("UTC")
    column = column.dt.convert_time_zone("Europe/Berlin")
    redcol.write_stream(server.url, pl.DataFrame({"v": column}), key)
    assert redcol.read_stream(server.url, key, schema={"v": column.dtype})["v"].equals(column)


def test_ids_come_back(url: str, any_db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame({"n": range(5000)})
    ids = redcol.write_stream(url, frame, key)
    assert ids.dtype == pl.String
    assert ids.to_list() == [entry_id.decode() for entry_id, _ in any_db.xrange(key)]
    assert redcol.read_stream(url, key, schema={"n": pl.Int64})["n"].to_list() == [*range(5000)]


def test_what_was_read_is_written_as_it_is(server: Server, db: redis.Redis, key: str) -> None:
    for number in (5, 7, 9):
        db.xadd(key, {"a": "x", "b": str(number)}, id=f"{number}-{number}")
    frame = redcol.read_stream(server.url, key, include_sequence=True)
    assert frame.columns == ["_id", "_ts", "_seq", "a", "b"]
    redcol.write_stream(server.url, frame, key + "-new")
    new = redcol.read_stream(server.url, key + "-new")
    assert new.columns == ["_id", "_ts", "a", "b"]
    assert new.select("a", "b").equals(frame.select("a", "b"))
    same = redcol.write_stream(server.url, frame, key + "-same", id_column="_id")
    assert same.to_list() == ["5-5", "7-7", "9-9"]
    again = redcol.read_stream(server.url, key + "-same", include_sequence=True)
    assert again.equals(frame)


def test_columns_of_readers_that_were_changed(server: Server, db: redis.Redis, key: str) -> None:
    """They are left out only where nothing is lost by that."""
    frame = pl.DataFrame({
        "_id": ["1704067200000-5", "7-0", None], "_ts": [1_704_067_200_000, 7, None],
        "_seq": pl.Series([5, None, None], dtype=pl.UInt64), "v": [1, 2, 3],
    })  # fmt: skip
    moments = [
        frame["_ts"].cast(pl.Datetime(unit, zone)) if unit == "ms"
        else frame["_ts"].cast(pl.Datetime("ms", zone)).dt.cast_time_unit(unit)
        for unit in ("ms", "us", "ns") for zone in (None, "UTC", "Europe/Berlin")
    ]  # fmt: skip
    for number, stamps in enumerate([frame["_ts"], *moments]):
        redcol.write_stream(server.url, frame.with_columns(stamps), f"{key}-{number}")
        assert [fields for _, fields in db.xrange(f"{key}-{number}")] == [
            {b"v": b"1"}, {b"v": b"2"}, {b"v": b"3"}
        ]  # fmt: skip
    without = frame.drop("_id").with_columns(at=frame["_id"])
    redcol.write_stream(server.url, without[1:], key + "-at", id_column="at")
    assert db.xrange(key + "-at")[0] == (b"7-0", {b"v": b"2"})


CHANGED: list[tuple[dict[str, list[Any]], int, str]] = [
    ({"_id": ["1-1", "1"]}, 1, "_id"),
    ({"_id": ["mine"]}, 0, "_id"),
    ({"_id": ["1-1", ""]}, 1, "_id"),
    ({"_id": ["1-1", "2-1"], "_ts": [1, 3]}, 1, "_ts"),
    ({"_id": ["1-1"], "_ts": [-1]}, 0, "_ts"),
    ({"_id": [None], "_ts": [1]}, 0, "_ts"),
    ({"_id": ["1-1"], "_ts": [dt.datetime(1970, 1, 1, 0, 0, 0, 1001)]}, 0, "_ts"),
    ({"_id": ["1-1"], "_seq": [2]}, 0, "_seq"),
]


@pytest.mark.parametrize(("columns", "row", "name"), CHANGED)
def test_a_column_that_only_looks_like_a_readers(
    server: Server, db: redis.Redis, key: str, columns: dict[str, list[Any]], row: int, name: str
) -> None:
    height = len(next(iter(columns.values())))
    dtypes = {"_id": pl.String, "_seq": pl.UInt64}
    frame = pl.DataFrame({**columns, "v": range(height)}, schema_overrides=dtypes)
    for given in (frame, frame.to_arrow()):
        with pytest.raises(redcol.ValueConversionError, match=f'column "{name}"') as caught:
            redcol.write_stream(server.url, given, key)
        assert (caught.value.row, caught.value.field, caught.value.stream) == (row, name, key)
        assert 'metadata what it is: "write"' in str(caught.value)
        assert db.xlen(key) == row
        db.delete(key)
    redcol.write_stream(server.url, frame, key, metadata="omit")
    assert [set(fields) for _, fields in db.xrange(key)] == [{b"v"}] * height
    redcol.write_stream(server.url, frame, key + "-all", metadata="write")
    # Read again without a schema, they are there.
    back = redcol.read_stream(server.url, key + "-all", include_sequence=True)
    shown = [f"{column}_field" for column, values in columns.items() if any(values)]
    assert back.columns[3:] == [*shown, "v"]
    assert back["v"].to_list() == [str(v) for v in range(height)]


@pytest.mark.parametrize(
    "columns",
    [{"_ts": [5]}, {"_seq": [5]}, {"_ts": [dt.datetime(2024, 1, 1)]}, {"_stream": ["s"]},
     {"_key": ["s"], "_id": ["1-1"]}, {"_index": [0]}, {"_stream": ["a"], "_id": ["1-1"]}],
)  # fmt: skip
def test_what_may_be_a_readers_column_is_not_dropped_in_silence(
    server: Server, db: redis.Redis, key: str, columns: dict[str, list[Any]]
) -> None:
    """A user's own number of milliseconds, or the stream that an entry came from."""
    numbers = {"_seq": pl.UInt64, "_index": pl.UInt64}
    frame = pl.DataFrame({**columns, "v": [1]}, schema_overrides=numbers)
    name = next(iter(columns))
    for given in (frame, frame.to_arrow()):
        with pytest.raises(redcol.SchemaError, match=f'column "{name}" may') as caught:
            redcol.write_stream(server.url, given, key)
        assert caught.value.field == name
    assert db.exists(key) == 0
    redcol.write_stream(server.url, frame, key, metadata="write")
    assert set(db.xrange(key)[0][1]) == {column.encode() for column in frame.columns}
    redcol.write_stream(server.url, frame, key + "-omitted", metadata="omit")
    assert db.xrange(key + "-omitted")[0][1] == {b"v": b"1"}
    with pytest.raises(redcol.InvalidArgumentError, match="metadata"):
        redcol.write_stream(server.url, frame, key, metadata="drop")  # type: ignore[arg-type]


def test_other_columns_of_those_names_are_fields(server: Server, db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame({"_id": [1], "_ts": ["x"], "_seq": [2.5]})
    redcol.write_stream(server.url, frame, key)
    assert db.xrange(key)[0][1] == {b"_id": b"1", b"_ts": b"x", b"_seq": b"2.5"}


def test_kinds_of_ids(server: Server, key: str) -> None:
    ids = ["5-1", "6", "7-*", None, "99999999999999-0"]
    frame = pl.DataFrame({"at": ids, "v": range(5)})
    found = redcol.write_stream(server.url, frame, key, id_column="at").to_list()
    assert found[:3] + found[4:] == ["5-1", "6-0", "7-0", "99999999999999-0"]
    assert int(found[3].split("-")[0]) > 1_700_000_000_000
    numbers = pl.DataFrame({"at": [10, 20], "v": [1, 2]})
    written = redcol.write_stream(server.url, numbers, key + "n", id_column="at")
    assert written.to_list() == ["10-0", "20-0"]


def test_rows_to_many_streams(server: Server, db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame(
        {"to": [f"{key}-{i % 3}" for i in range(30)], "v": range(30)},
        schema={"to": pl.Categorical(), "v": pl.Int64},
    )
    ids = redcol.write_stream(server.url, frame, stream_column="to")
    for part in range(3):
        entries = db.xrange(f"{key}-{part}")
        assert [fields for _, fields in entries] == [
            {b"v": str(v).encode()} for v in range(part, 30, 3)
        ]
        assert [entry_id.decode() for entry_id, _ in entries] == ids[part::3].to_list()


def test_trimming(server: Server, db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame({"v": range(1000)})
    redcol.write_stream(server.url, frame, key, maxlen=10, approximate=False)
    assert db.xlen(key) == 10
    redcol.write_stream(server.url, frame, key + "a", maxlen=10)
    assert 10 <= db.xlen(key + "a") < 500
    redcol.write_stream(server.url, frame, key + "0", maxlen=0, approximate=False)
    assert db.xlen(key + "0") == 0
    ids = pl.DataFrame({"at": range(1, 101), "v": range(100)})
    for min_id in ("91-0", 91):
        db.delete(key)
        redcol.write_stream(server.url, ids, key, id_column="at", min_id=min_id, approximate=False)
        assert next(entry_id for entry_id, _ in db.xrange(key)) == b"91-0"


def test_rows_without_values(server: Server, db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame({"a": [None, 1, None, None], "b": [None, None, "x", None]})
    ids = redcol.write_stream(server.url, frame, key)
    assert ids.is_null().to_list() == [True, False, False, True]
    assert db.xlen(key) == 2
    nothing = pl.DataFrame({"a": [None] * 50_000})
    assert redcol.write_stream(server.url, nothing, key + "0").null_count() == 50_000
    assert redcol.write_stream(server.url, frame.clear(), key).to_list() == []
    assert db.exists(key + "0") == 0


def test_names_and_values_are_any_bytes(server: Server, db: redis.Redis) -> None:
    key = b"\x00\xff key"
    frame = pl.DataFrame({"": ["empty name"], "é\r\n": ["*1\r\n"], "x" * 300: ["y" * 70_000]})
    redcol.write_stream(server.url, frame, key)
    assert db.xrange(key)[0][1] == {
        name.encode(): frame[name][0].encode() for name in frame.columns
    }


def test_slices_and_chunks(server: Server, key: str) -> None:
    frame = pl.DataFrame(
        {
            "s": [f"text number {i}" if i % 3 else None for i in range(200)],
            "n": [i if i % 5 else None for i in range(200)],
            "b": [i % 2 == 0 for i in range(200)],
            "l": [[i, None] if i % 7 else None for i in range(200)],
            "t": [{"x": i, "y": str(i)} for i in range(200)],
            "c": pl.Series([str(i % 4) for i in range(200)], dtype=pl.Categorical()),
        }
    )
    pieces = pl.concat([frame[3:50], frame[77:78], frame[60:60], frame[100:171]], rechunk=False)
    assert pieces.n_chunks() > 1
    redcol.write_stream(server.url, pieces, key)
    back = redcol.read_stream(server.url, key, schema=frame.schema).drop("_id", "_ts")
    assert back.equals(pieces)


def test_frames_of_other_libraries(
    no_leaks: None, server: Server, db: redis.Redis, key: str
) -> None:
    table = pa.table(
        {
            "small": pa.array(["a", None, "ccc"], pa.string()),
            "large": pa.array(["a", None, "ccc"], pa.large_string()),
            "bytes": pa.array([b"\xff", None, b""], pa.large_binary()),
            "fixed": pa.array([b"ab", None, b"cd"], pa.binary(2)),
            "dictionary": pa.array(["x", None, "y"]).dictionary_encode(),
            "numbers": pa.array([7, None, 8]).dictionary_encode(),
            "date64": pa.array([dt.date(2024, 1, 2), None, None], pa.date64()),
            "seconds": pa.array([1, None, 2], pa.time32("s")),
            "zoned": pa.array([0, None, 1], pa.timestamp("s", "Europe/Berlin")),
            "plain": pa.array([0, None, 1], pa.timestamp("s")),
            "half": pa.array([1.5, None, -0.25], pa.float32()).cast(pa.float16()),
            "list": pa.array([[1], None, []], pa.list_(pa.int8())),
            "always": pa.array([1, 2, 3]),
        }
    )
    batches = pa.RecordBatchReader.from_batches(
        table.schema, table.slice(1).to_batches() + table.slice(0, 1).to_batches()
    )
    ids = redcol.write_stream(server.url, batches, key)
    found = [fields for _, fields in db.xrange(key)]
    assert len(ids) == 3
    assert found[0] == {b"always": b"2"}
    first = {
        "small": "a", "large": "a", "fixed": "ab", "dictionary": "x", "numbers": "7",
        "date64": "2024-01-02", "seconds": "00:00:01", "zoned": "1970-01-01T00:00:00+0000",
        "plain": "1970-01-01T00:00:00", "half": "1.5", "list": "[1]", "always": "1",
    }  # fmt: skip
    expected = {name.encode(): text.encode() for name, text in first.items()}
    assert found[2] == expected | {b"bytes": b"\xff"}


BAD_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({}, "stream, or stream_column"),
    ({"stream": "s", "stream_column": "v"}, "stream, or stream_column"),
    ({"stream": "s", "maxlen": 1, "min_id": "5"}, "two ways of trimming"),
    ({"stream": "s", "maxlen": -1}, "maxlen must be from 0"),
    ({"stream": "s", "maxlen": True}, "not bool"),
    ({"stream": "s", "min_id": "x"}, "not an entry id"),
    ({"stream": "s", "approximate": 1}, "approximate must be True or False"),
    ({"stream": "s", "approximate": False}, "approximate says how a stream is trimmed"),
    ({"stream": "s", "id_column": "nope"}, "no column 'nope' (id_column)"),
    ({"stream_column": "nope"}, "no column 'nope' (stream_column)"),
    ({"stream": 5}, "stream must be a str or bytes"),
    ({"stream": "s", "df": pl.LazyFrame({"a": [1]})}, "LazyFrame"),
    ({"stream": "s", "df": pl.Series([1])}, "to_frame"),
    ({"stream": "s", "df": [{"a": 1}]}, "__arrow_c_stream__, not list"),
    ({"stream": "s", "df": None}, "not NoneType"),
    ({"stream": "s", "timeout_ms": 0}, "timeout_ms"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_ARGUMENTS)
def test_bad_arguments_send_nothing(arguments: dict[str, Any], words: str) -> None:
    given = {"df": pl.DataFrame({"v": [1]})} | arguments
    with pytest.raises(redcol.InvalidArgumentError) as caught:
        redcol.write_stream("unix:///nobody/listens/here", **given)
    assert words in str(caught.value)


def test_columns_that_cannot_be_written(server: Server, db: redis.Redis, key: str) -> None:
    frames: list[tuple[Any, str]] = [
        (pl.DataFrame({"a": [[b"x"]]}), "JSON, which has no bytes"),
        (pl.DataFrame({"_id": ["1-1"], "_ts": [5]}), "no column to write"),
        (pl.DataFrame(), "no column to write"),
        (pl.DataFrame({"a\0": [1]}), "has a NUL character"),
        (pl.DataFrame({"a": [[{"b\0": 1}]]}), "has a NUL character"),
        (pa.table({"d": pa.array([1], pa.decimal256(50))}), "cannot be written"),
        (pa.table({"m": pa.array([None], pa.map_(pa.int8(), pa.int8()))}), "cannot be written"),
    ]
    for frame, words in frames:
        with pytest.raises(redcol.SchemaError) as caught:
            redcol.write_stream(server.url, frame, key)
        assert words in str(caught.value)
    twice = pa.table([[1], [2]], names=["a", "a"])
    with pytest.raises(redcol.SchemaError, match='two columns of the frame are called "a"'):
        redcol.write_stream(server.url, twice, key)
    many = pa.table([[1]] * 100_000, names=[f"{n % 99_999}" for n in range(100_000)])
    with pytest.raises(redcol.SchemaError, match='two columns of the frame are called "0"'):
        redcol.write_stream(server.url, many, key)
    with pytest.raises(redcol.SchemaError, match="must hold text or numbers"):
        redcol.write_stream(server.url, pl.DataFrame({"i": [[1]], "a": [1]}), key, id_column="i")
    assert db.exists(key) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_json_has_no_such_number(server: Server, db: redis.Redis, key: str, value: float) -> None:
    frame = pl.DataFrame({"a": [[1.0], [2.0], [value], [3.0]]})
    with pytest.raises(redcol.ValueConversionError, match=r"row 2.*column .*JSON") as caught:
        redcol.write_stream(server.url, frame, key)
    error = caught.value
    assert (error.row, error.field, error.written, error.stream) == (2, "a", 2, key)
    assert error.ids is not None
    assert error.ids.is_null().to_list() == [False, False, True, True]
    assert error.unknown_rows == range(2, 2)
    assert db.xlen(key) == 2


@pytest.mark.parametrize("bad", ["", "x", "5-", "-5", "5-1-1", "5 1", "+", "1-*2", "9" * 21, "5\0"])
def test_ids_that_are_none(server: Server, key: str, bad: str) -> None:
    frame = pl.DataFrame({"at": ["1-1", bad], "v": [1, 2]})
    with pytest.raises(redcol.ValueConversionError, match="not an entry id") as caught:
        redcol.write_stream(server.url, frame, key, id_column="at")
    assert (caught.value.row, caught.value.written) == (1, 1)


def test_a_null_stream(server: Server, db: redis.Redis, key: str) -> None:
    frame = pl.DataFrame({"to": [key, None], "v": [1, 2]})
    with pytest.raises(redcol.ValueConversionError, match=r"Row 1: 'to'.*Nothing was written"):
        redcol.write_stream(server.url, frame, stream_column="to")
    assert db.exists(key) == 0
    # Rows of other frames are looked at when their turn comes.
    with pytest.raises(redcol.ValueConversionError, match=r"row 1.*key is null") as caught:
        redcol.write_stream(server.url, frame.to_arrow(), stream_column="to")
    assert (caught.value.row, caught.value.written) == (1, 1)


def test_rows_of_a_batch_that_may_be_null(server: Server, db: redis.Redis, key: str) -> None:
    """A struct array as a batch: it may have a bitmap, which may say that all rows are there."""
    rows = pa.array([{"v": 1}, {"v": 2}, None, {"v": 3}], pa.struct({"v": pa.int64()}))

    class Batch:
        def __init__(self, rows: pa.StructArray) -> None:
            self.rows = rows

        def __arrow_c_stream__(self, _: object = None) -> object:
            return pa.chunked_array([self.rows]).__arrow_c_stream__()

    def bitmap(rows: pa.StructArray) -> pa.StructArray:
        bits = pa.py_buffer(b"\x0b")
        return pa.StructArray.from_buffers(
            rows.type, len(rows), [bits], null_count=-1, children=[rows.field(0)]
        )

    whole = bitmap(rows)
    assert redcol.write_stream(server.url, Batch(whole[:2]), key).null_count() == 0
    assert redcol.write_stream(server.url, Batch(whole[3:]), key).null_count() == 0
    assert values_in(db, key, "v") == ["1", "2", "3"]
    for part, row in ((whole, 2), (whole[1:], 1), (whole[2:], 0)):
        with pytest.raises(redcol.SchemaError, match="null as a whole") as caught:
            redcol.write_stream(server.url, Batch(part), key)
        words = f'row 0, stream "{key}": a batch of the frame is malformed: its row {row} is null'
        assert words in str(caught.value)
        assert (caught.value.stream, caught.value.row) == (key, 0)
    # Which stream a row goes to is not known if the row cannot be read.
    two = pa.StructArray.from_arrays([pa.array([1, 2]), pa.array(["s", "s"])], names=["v", "to"])
    none = pa.StructArray.from_buffers(
        two.type, 2, [pa.py_buffer(b"\0")], children=[two.field(0), two.field(1)]
    )
    with pytest.raises(redcol.SchemaError, match=r"^row 0: a batch of the frame is malformed"):
        redcol.write_stream(server.url, Batch(none), stream_column="to")


def test_a_frame_that_fails(no_leaks: None, server: Server, db: redis.Redis, key: str) -> None:
    schema = pa.schema({"v": pa.int64()})

    def batches():
        yield pa.record_batch([[1, 2]], schema=schema)
        raise RuntimeError("the source is broken")

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    with pytest.raises(redcol.ValueConversionError, match="the source is broken") as caught:
        redcol.write_stream(server.url, reader, key)
    assert caught.value.written == 2
    assert db.xlen(key) == 2


def test_a_client_is_used_again(no_leaks: None, server: Server, key: str) -> None:
    with redcol.connect(server.url) as client:
        for number in range(20):
            redcol.write_stream(client, pl.DataFrame({"v": [number]}), key)
        assert redcol.read_stream(client, key, schema={"v": int})["v"].to_list() == [*range(20)]
    with pytest.raises(redcol.ClosedError):
        redcol.write_stream(client, pl.DataFrame({"v": [1]}), key)
