# SPDX-License-Identifier: Apache-2.0
"""Generated frames: what write_stream writes, read_stream reads back equal, whatever the dtype."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import redcol
import test_oracle  # noqa: F401  (it chooses how many examples there are)
from servers import Server

_keys = itertools.count()
BITS = {
    pl.Int8: (-(2**7), 2**7), pl.Int16: (-(2**15), 2**15), pl.Int32: (-(2**31), 2**31),
    pl.Int64: (-(2**63), 2**63), pl.UInt8: (0, 2**8), pl.UInt16: (0, 2**16),
    pl.UInt32: (0, 2**32), pl.UInt64: (0, 2**64),
    pl.Int128: (-(2**127), 2**127), pl.UInt128: (0, 2**128),
}  # fmt: skip
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = TEXTS.filter(lambda name: "\0" not in name)
CATEGORIES = ["", "red", "x" * 20, "é", '"', "null"]

#: Physical values; those of times are ticks.
TICKS = {
    "ms": st.integers(-(2**63), 2**63 - 1),
    "us": st.integers(-(2**63), 2**63 - 1),
    "ns": st.integers(-(2**63), 2**63 - 1),
}
#: Years that Polars can parse in JSON and print: 1600 (in nanoseconds 1677) to 2200.
NEAR = {
    unit: st.integers(max(-11_676_096_000 * n, -(2**63)), 7_258_118_400 * n)
    for unit, n in (("ms", 10**3), ("us", 10**6), ("ns", 10**9))
}
DAYS = st.integers(-(10**6), 10**7)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata"])


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    most = 10**precision - 1
    # From its digits: arithmetic would round to 28 of them.
    return st.integers(-most, most).map(
        lambda unscaled: Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale))
    )


@st.composite
def scalars(draw: st.DrawFn, *, nested: bool) -> tuple[Any, st.SearchStrategy[Any]]:
    """A dtype and its values: of times their ticks."""
    kinds = [*BITS, "f32", "f64", "decimal", "bool", "str", "date", "time", "dur", "dt", "dtz"]
    kind = draw(st.sampled_from([*kinds, "cat", "enum", *([] if nested else ["bin"])]))
    ticks = NEAR if nested or kind == "dtz" else TICKS
    unit = draw(st.sampled_from(["ms", "us", "ns"]))
    if not isinstance(kind, str):
        low, high = BITS[kind]
        return kind(), st.integers(low, high - 1) | st.sampled_from([low, high - 1, 0])
    match kind:
        case "f32" | "f64":
            width = 32 if kind == "f32" else 64
            dtype = pl.Float32() if kind == "f32" else pl.Float64()
            return dtype, st.floats(width=width, allow_nan=not nested, allow_infinity=not nested)
        case "decimal":
            precision = draw(st.integers(1, 38))
            scale = draw(st.integers(0, precision))
            return pl.Decimal(precision, scale), decimals(precision, scale)
        case "bool":
            return pl.Boolean(), st.booleans()
        case "str":
            return pl.String(), TEXTS
        case "bin":
            return pl.Binary(), st.binary(max_size=20)
        case "date":
            return pl.Date(), st.integers(-200_000, 200_000) if nested else DAYS
        case "time":
            return pl.Time(), st.integers(0, 86_400 * 10**9 - 1)
        case "dur":
            return pl.Duration(unit), TICKS[unit]
        case "dt":
            return pl.Datetime(unit), ticks[unit]
        case "dtz":
            return pl.Datetime(unit, draw(ZONES)), ticks[unit]
        case "cat":
            return pl.Categorical(), st.sampled_from(CATEGORIES)
        case _:
            return pl.Enum(CATEGORIES), st.sampled_from(CATEGORIES)


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pl.Series:
    nestings = ["none", "none", "none", "none", "list", "struct", "list of structs", "array"]
    nesting = draw(st.sampled_from(nestings))
    if nesting == "none":
        dtype, values = draw(scalars(nested=False))
        return series(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), dtype)
    inner, values = draw(scalars(nested=True))
    if nesting == "array":
        width = draw(st.integers(1, 3))
        items = st.lists(st.none() | values, min_size=rows * width, max_size=rows * width)
        if rows == 0:
            return pl.Series([], dtype=pl.Array(inner, width))
        arrays = series(draw(items), inner).reshape((rows, width))
        there = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
        return pl.select(pl.when(pl.Series(there, dtype=pl.Boolean)).then(arrays)).to_series()
    some = st.lists(st.none() | values, max_size=3)
    lists: list[list[Any] | None] = draw(st.lists(st.none() | some, min_size=rows, max_size=rows))
    flat = series([value for one in lists for value in one or []], inner)
    if nesting == "struct":
        other = series(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), inner)
        names = draw(st.lists(NAMES, min_size=2, max_size=2, unique=True))
        fields = [other.alias(names[0]), other.reverse().alias(names[1])]
        whole = pl.DataFrame(fields).to_struct()
        return pl.select(
            pl.when(pl.Series([one is not None for one in lists], dtype=pl.Boolean)).then(whole)
        ).to_series()
    if nesting == "list of structs":
        flat = flat.alias("x").to_frame().to_struct()
    places = [row for row, one in enumerate(lists) for _ in one or []]
    counted = pl.DataFrame({"row": pl.Series(places, dtype=pl.Int64), "v": flat})
    grouped = counted.group_by("row").agg("v")
    frame = pl.DataFrame(
        {"row": range(rows), "null": [one is None for one in lists]},
        schema={"row": pl.Int64, "null": pl.Boolean},
    )
    empty = pl.lit(pl.Series([[]], dtype=pl.List(flat.dtype)))
    joined = frame.join(grouped, on="row", how="left", maintain_order="left")
    return joined.select(pl.when(~pl.col("null")).then(pl.col("v").fill_null(empty))).to_series()


def series(values: list[Any], dtype: Any) -> pl.Series:
    if dtype.is_temporal():
        physical = pl.Int32 if dtype == pl.Date else pl.Int64
        made = pl.Series(values, dtype=physical)
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
            naive = made.cast(pl.Datetime(dtype.time_unit)).dt.replace_time_zone("UTC")
            return naive.dt.convert_time_zone(dtype.time_zone)
        return made.cast(dtype)
    return pl.Series(values, dtype=dtype, strict=True)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows = draw(st.integers(0, 12))
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    made = {name: draw(columns(rows)) for name in names if name not in ("_id", "_ts", "_seq")}
    # Every row has a field.
    frame = pl.DataFrame({**made, "row number": pl.Series(range(rows), dtype=pl.Int64)})
    cut = draw(st.integers(0, rows))
    how = draw(st.sampled_from(["whole", "slice", "chunks"]))
    if how == "slice":
        return frame[cut:]
    return pl.concat([frame[cut:], frame[:cut]], rechunk=False) if how == "chunks" else frame


def plain(value: Any) -> Any:
    """A value that can be compared: NaN equals NaN, and 0.0 is not -0.0."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else (value, math.copysign(1, value))
    return value


def comparable(column: pl.Series) -> list[Any]:
    if isinstance(column.dtype, pl.Struct):
        parts = [comparable(column.struct[i]) for i in range(len(column.struct.fields))]
        return [(null, *row) for null, *row in zip(column.is_null(), *parts, strict=True)]
    if isinstance(column.dtype, pl.Array):
        return comparable(column.arr.to_list())
    if isinstance(column.dtype, pl.List):
        lengths = column.list.len().to_list()
        flat = iter(comparable(column.explode(empty_as_null=False, keep_nulls=False)))
        return [None if n is None else [next(flat) for _ in range(n)] for n in lengths]
    if column.dtype.is_temporal():
        return column.to_physical().to_list()
    return [plain(value) for value in column.to_list()]


@given(frame=frames())
def test_what_is_written_is_read_back(no_leaks: None, server: Server, frame: pl.DataFrame) -> None:
    key = f"written-{next(_keys)}"
    ids = redcol.write_stream(server.url, frame, key)
    back = redcol.read_stream(server.url, key, schema=frame.schema)
    assert back["_id"].to_list() == ids.to_list()
    assert back.columns[2:] == frame.columns
    for name in frame.columns:
        assert back[name].dtype == frame[name].dtype
        assert comparable(back[name]) == comparable(frame[name]), name


@pytest.mark.parametrize("dtype", [pl.Int128, pl.UInt128])
def test_wide_integers_are_text_without_a_schema(server: Server, dtype: Any) -> None:
    key = f"written-{next(_keys)}"
    frame = pl.DataFrame({"v": [2**100, 0]}, schema={"v": dtype})
    redcol.write_stream(server.url, frame, key)
    assert redcol.read_stream(server.url, key)["v"].to_list() == [str(2**100), "0"]
