# SPDX-License-Identifier: Apache-2.0
"""Every dtype: values that fit, the limits, and values that do not fit, raised or null."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import redis
from hypothesis import given

import oracle
import redcol
from servers import Server
from test_oracle import typed_streams, write

D, T = date, time
BERLIN = pl.Datetime("ns", "Europe/Berlin")
ENUM = pl.Enum(["red", "", "grün", "x" * 40])
UTC_SUMMER = datetime(2024, 6, 1, 12, tzinfo=timezone.utc)
JSON = pl.Struct({"a": pl.Int64, "b": pl.List(pl.String)})

#: dtype asked for; texts and what they are; texts that do not fit.
CASES: list[tuple[Any, dict[bytes | str, Any], list[bytes | str]]] = [
    (
        pl.String,
        {"": "", "é€😀": "é€😀", "x" * 13: "x" * 13},
        [b"\xff", b"a\xc0\x80", b"\xed\xa0\x80"],
    ),
    (str, {"a": "a"}, [b"\x80"]),
    (pl.Utf8, {b"\0": "\0"}, [b"\xf4\x90\x80\x80"]),
    (pl.Binary, {b"\xff\0": b"\xff\0", "": b"", b"y" * 50: b"y" * 50}, []),
    (bytes, {b"\xff": b"\xff"}, []),
    (pl.Boolean, {"true": True, "False": False, "1": True, "0": False}, ["", "yes", "2", " true"]),
    (bool, {"TRUE": True}, ["t"]),
    (
        pl.Int8,
        {"-128": -128, "127": 127, "+5": 5, "007": 7},
        ["128", "-129", "", "1.0", " 1", "1_0"],
    ),
    (pl.Int16, {"-32768": -32768, "32767": 32767}, ["32768", "-32769"]),
    (pl.Int32, {str(-(2**31)): -(2**31), str(2**31 - 1): 2**31 - 1}, [str(2**31), "0x1"]),
    (
        pl.Int64,
        {str(-(2**63)): -(2**63), str(2**63 - 1): 2**63 - 1},
        [str(2**63), "-", "+-1", "1e3"],
    ),
    (int, {"0": 0}, ["\u0661"]),
    (pl.UInt8, {"0": 0, "255": 255}, ["256", "-1", "-0"]),
    (pl.UInt16, {"65535": 65535}, ["65536"]),
    (pl.UInt32, {str(2**32 - 1): 2**32 - 1}, [str(2**32)]),
    (pl.UInt64, {str(2**64 - 1): 2**64 - 1, "0" * 30 + "1": 1}, [str(2**64), "9" * 40]),
    (
        pl.Float32,
        {"0.1": oracle.convert(b"0.1", pl.Float32), "inf": float("inf"), "1e-60": 0.0},
        ["", "1,5", ".", "1e39", "-3.5e38"],
    ),
    (
        pl.Float64,
        {"1.5": 1.5, "-0": -0.0, "1.7976931348623157e308": 1.7976931348623157e308, "5e-324": 5e-324}
        | {"nan": float("nan"), "-Inf": float("-inf"), "+infinity": float("inf")}
        | {"NaN": float("nan"), "1e-400": 0.0, ".5": 0.5, "1.": 1.0},
        ["1e400", "-1e309", "infinite", "", "1.5.", "0x10", " 1", "1 ", "--1", "e5", "1e"],
    ),
    (float, {"2": 2.0}, ["two"]),
    (
        pl.Decimal(5, 2),
        {"1.5": Decimal("1.50"), "-999.99": Decimal("-999.99"), "1.500": Decimal("1.5")}
        | {"12e1": Decimal(120), "0e99": Decimal(0)},
        ["1000", "1.234", "", "nan", "1e9"],
    ),
    (pl.Decimal(38, 0), {"9" * 38: Decimal("9" * 38)}, ["1" + "0" * 38, "0.5"]),
    (
        pl.Date,
        {"2024-02-29": D(2024, 2, 29), "0001-01-01": D.min, "9999-12-31": D.max},
        ["2023-02-29", "2024-13-01", "24-01-01", "2024-1-1", "2024-01-01T00:00", "19000"],
    ),
    (date, {"1970-01-01": D(1970, 1, 1)}, ["today"]),
    (
        pl.Time,
        {"00:00": T(), "23:59:59.999999": T(23, 59, 59, 999_999), "12:30": T(12, 30)},
        ["24:00", "12:60", "1:00", "12", "12:30:60", "12:30:00."],
    ),
    (time, {"01:02:03": T(1, 2, 3)}, [""]),
    (
        pl.Datetime("ms"),
        {"2024-01-01T12:00:00.123": datetime(2024, 1, 1, 12, 0, 0, 123_000)}
        | {"2024-01-01": datetime(2024, 1, 1), "2024-01-01 12:00": datetime(2024, 1, 1, 12)}
        | {"1000": datetime(1970, 1, 1, 0, 0, 1)}
        | {"1969-12-31T23:59:59.9999": datetime(1969, 12, 31, 23, 59, 59, 999_000)},
        [
            *("2024-01-01T", "2024-01-01T25:00", "yesterday", "", "1.5", "2024-01-01T12:00:00+2"),
            *("2024-01-01T12:00:00+02:00", "1969-12-31T23:59:59.9999Z"),
        ],
    ),
    (datetime, {"1000000": datetime(1970, 1, 1, 0, 0, 1)}, ["x"]),
    (pl.Datetime, {"-1": datetime(1969, 12, 31, 23, 59, 59, 999_999)}, ["x"]),
    (
        BERLIN,
        {"2024-06-01T12:00:00Z": UTC_SUMMER.astimezone(ZoneInfo("Europe/Berlin"))}
        | {"2024-06-01T14:00:00": UTC_SUMMER.astimezone(ZoneInfo("Europe/Berlin"))},
        [
            "2024-03-31T02:30:00",
            "2024-10-27T02:30:00",
            "2300-01-01T00:00:00Z",
            "1600-01-01",
            str(2**63),
        ],
    ),
    (
        pl.Duration("us"),
        {"1500": timedelta(microseconds=1500), "PT1H30M": timedelta(hours=1, minutes=30)}
        | {"-P1DT0.5S": -timedelta(days=1, seconds=0.5), "P1W": timedelta(weeks=1)},
        ["P", "PT", "P1Y", "P1M", "1h", "", "PT1.5M", "P1D2W"],
    ),
    (timedelta, {"7": timedelta(microseconds=7)}, ["x"]),
    (pl.Duration("ns"), {str(10**9): timedelta(seconds=1)}, [str(2**63)]),
    (pl.Categorical, {"red": "red", "": "", "z" * 30: "z" * 30}, [b"\xff"]),
    (pl.Categorical(pl.Categories("n", "redcol", pl.UInt16)), {"a": "a"}, [b"\xff"]),
    (ENUM, {"red": "red", "": "", "grün": "grün", "x" * 40: "x" * 40}, ["blue", b"\xff", "RED"]),
    (
        JSON,
        {'{"a": 1, "b": ["x", null]}': {"a": 1, "b": ["x", None]}, "{}": {"a": None, "b": None}}
        | {'{"b":[],"z":0}': {"a": None, "b": []}, " null ": None},
        ["", "{", '{"a":"x"}', '{"a":1},{"a":2}', "[1]", '{"a":1', "{'a':1}", "[" * 5000],
    ),
    (
        pl.List(pl.Int8),
        {"[1, 2]": [1, 2], "[]": [], "[null]": [None]},
        ["[1],[2]", "[1", "2]", "", "x", b"\xff", '["a"]', "NaN", "[1,]"],
    ),
]
IDS = [str(dtype).replace(" ", "")[:40] for dtype, _, _ in CASES]


def as_bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


@pytest.mark.parametrize(("dtype", "good", "bad"), CASES, ids=IDS)
def test_values(
    server: Server, db: redis.Redis, key: str, no_leaks: None, dtype: Any, good: Any, bad: Any
) -> None:
    texts = [*good, *bad]
    rows = [[b"v", as_bytes(text)] for text in texts] + [[b"other", b"1"]]
    write(db, key, [(1, index) for index in range(1, len(rows) + 1)], rows)
    frame = redcol.read_stream(server.url, key, schema={"v": dtype}, on_error="null")
    values = frame["v"].to_list()
    assert values[len(good) :] == [None] * (len(bad) + 1)
    for text, found, wanted in zip(good, values[: len(good)], good.values(), strict=True):
        assert oracle.same(found, wanted), (text, found, wanted)
    for index, text in enumerate(bad):
        entry_id = f"1-{len(good) + index + 1}"
        with pytest.raises(redcol.ValueConversionError) as caught:
            redcol.read_stream(
                server.url, key, schema={"v": dtype}, start_id=entry_id, end_id=entry_id
            )
        error = caught.value
        raw = as_bytes(text)
        shown = "".join(
            "\\\\" if byte == 92 else chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
            for byte in raw[:80]
        ) + ("…" if len(raw) > 80 else "")
        details = (error.stream, error.entry_id, error.field, error.value)
        assert details == (key, entry_id, "v", shown)
        assert error.dtype == str(frame["v"].dtype)
        for word in (key, entry_id, '"v"', f'"{shown}"'):
            assert word in str(error)
    good_ids = {"end_id": f"1-{len(good)}"}
    raised = redcol.read_stream(server.url, key, schema={"v": dtype}, **good_ids)
    assert raised.equals(frame[: len(good)])


@given(typed=typed_streams())
def test_raise_is_raised_exactly_where_null_would_stand(
    server: Server, db: redis.Redis, typed: tuple[dict[str, Any], list[list[bytes]]]
) -> None:
    schema, rows = typed
    db.delete("raise")
    write(db, "raise", [(1, index) for index in range(1, len(rows) + 1)], rows)
    dicts = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
    bad = {
        (f"1-{index}", name)
        for index, row in enumerate(dicts, 1)
        for name, dtype in schema.items()
        if name.encode() in row and oracle.convert(row[name.encode()], dtype) is None
    }
    if not bad:
        redcol.read_stream(server.url, "raise", schema=schema)
        return
    with pytest.raises(redcol.ValueConversionError) as caught:
        redcol.read_stream(server.url, "raise", schema=schema)
    assert caught.value.entry_id == min(bad, key=lambda pair: int(pair[0][2:]))[0]
    assert (caught.value.entry_id, caught.value.field) in bad


def test_json_values_stay_in_their_rows(server: Server, db: redis.Redis, key: str) -> None:
    # Joined by commas, as Polars decodes them, these would be five good values in other rows.
    texts = [b"[1],[2]", b"[3", b"4]", b"[5]", b"[6]"]
    write(db, key, [(1, index) for index in range(1, 6)], [[b"j", text] for text in texts])
    frame = redcol.read_stream(
        server.url, key, schema={"j": pl.List(pl.Int64)}, on_error="null", include_id=False
    )
    assert frame.columns == ["_ts", "j"]
    assert frame["j"].to_list() == [None, None, None, [5], [6]]


@pytest.mark.parametrize(
    "dtype",
    [
        *(pl.Object, pl.Null, pl.Array(pl.Binary, 2), pl.List(pl.Binary), pl.Decimal, pl.Array),
        *(pl.List, pl.Struct, pl.Enum, pl.Unknown, pl.Struct({"a": pl.Array(pl.Object, 1)})),
        *(object, "Int65", None),
    ],
    ids=str,
)
def test_unsupported_dtypes_are_refused_before_anything_is_sent(dtype: Any) -> None:
    with pytest.raises(redcol.SchemaError, match="'v'"):
        redcol.read_stream("redis://nowhere.invalid", "s", schema={"v": dtype})


def test_categories_of_eight_bits(server: Server, db: redis.Redis, key: str) -> None:
    write(db, key, [(1, i) for i in range(1, 302)], [[b"v", b"%d" % i] for i in range(301)])
    dtype = pl.Categorical(pl.Categories("eight", "redcol", pl.UInt8))
    with pytest.raises((redcol.ValueConversionError, redcol.SchemaError)):
        redcol.read_stream(server.url, key, schema={"v": dtype})
    frame = redcol.read_stream(server.url, key, schema={"v": dtype}, count=200)
    assert frame["v"].dtype == dtype
    assert frame["v"].cast(pl.String).to_list() == [str(i) for i in range(200)]


def test_no_rows_have_the_dtypes_too(server: Server, key: str) -> None:
    schema = pl.Schema(
        {"e": ENUM, "c": pl.Categorical(), "s": JSON, "d": pl.Decimal(9, 3), "t": BERLIN}
    )
    frame = redcol.read_stream(server.url, key, schema=schema, include_id=False)
    assert frame.schema == pl.Schema({"_ts": pl.Int64, **schema})
    assert frame.height == 0
