# SPDX-License-Identifier: Apache-2.0
"""Struct and List columns from JSON text: what is read is what the text says, or an error."""

from __future__ import annotations

import json
import math
import struct
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

import oracle
import redcol
from servers import Server
from test_oracle import DTYPES, write

INTEGERS = {
    **{
        dtype: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        for dtype, bits in oracle.INTEGER_BITS.items()
    },
    **{dtype: (0, 2**bits - 1) for dtype, bits in oracle.UNSIGNED_BITS.items()},
}
ENUM = pl.Enum(["red", "blue"])
V = pl.Struct({"a": pl.List(pl.Int64), "b": pl.Struct({"c d": pl.UInt8, "e": pl.String})})

#: dtype; texts and what they are; texts that do not fit, and the path to what does not.
CASES: list[tuple[Any, dict[str, Any], dict[str, str | None]]] = [
    (
        pl.List(pl.Int64),
        {"[1, -2]": [1, -2], "[-0]": [0], "[]": [], " [ null ] ": [None], "null": None}
        | {str([2**63 - 1, -(2**63)]): [2**63 - 1, -(2**63)]},
        {"[1.9, 2]": "v[0]", "[1, 2, 3, 2.0]": "v[3]", "[1e3]": "v[0]", '["1"]': "v[0]"}
        | {"[true]": "v[0]", "[[1]]": "v[0]", "[9223372036854775808]": "v[0]", "{}": "v", "1": "v"}
        | {"[01]": None, "[1,]": None, "[,1]": None, "[+1]": None, "[1": None, "1]": None}
        | {"[1] 2": None, "[1],[2]": None, "": None, "[.5]": None, "[1.]": None, "[-]": None},
    ),
    (
        pl.Struct({"n": pl.UInt8}),
        {'{"n":255}': {"n": 255}, '{"n":null}': {"n": None}, "{}": {"n": None}, "null": None}
        | {'{"n":1,"n":2}': {"n": 2}, '{"n":"x","n":3}': {"n": 3}, '{"n":1,"n":null}': {"n": None}}
        | {'{"x":[{"y":[1e400,"\\u0000"]}],"n":1}': {"n": 1}, '{"\\u006e":4}': {"n": 4}},
        {'{"n":300}': "v.n", '{"n":-1}': "v.n", '{"n":1e3}': "v.n", '{"n":true}': "v.n"}
        | {'{"n":-0}': "v.n", '{"n":1,"n":256}': "v.n", '{"n":1,"x":[}': None, "[]": "v"}
        | {'{"n":1,}': None, "{'n':1}": None, '{"n" 1}': None, "{n:1}": None, '{"n":1} x': None}
        | {'{"x":nul,"n":1}': None, '{"x":"\\ud800","n":1}': None, '{"x":"\\q"}': None},
    ),
    (
        V,
        {
            '{"b":{"e":"é\\ud83d\\ude00\\n\\/"},"a":[1,2]}': {
                "a": [1, 2],
                "b": {"c d": None, "e": "é😀\n/"},
            }
        }
        | {
            '{"b":null}': {"a": None, "b": None},
            '{"b":{"c d":7}}': {"a": None, "b": {"c d": 7, "e": None}},
        }
        | {'{"a":[1,2],"a":[3]}': {"a": [3], "b": None}}
        | {'{"b":{"c d":1},"b":{"e":"x"}}': {"a": None, "b": {"c d": None, "e": "x"}}},
        {'{"a":[1,2,3,"4"]}': "v.a[3]", '{"b":{"c d":-1}}': 'v.b["c d"]', '{"b":{"e":1}}': "v.b.e"}
        | {
            '{"b":[]}': "v.b",
            '{"a":{}}': "v.a",
            '{"b":{"e":"a\tb"}}': None,
            '{"b":{"e":"\\ud800x"}}': None,
        },
    ),
    (
        pl.List(pl.List(pl.Struct({"x": pl.List(pl.Boolean)}))),
        {"[[],null,[null,{}]]": [[], None, [None, {"x": None}]]}
        | {'[[{"x":[true,false,null]}]]': [[{"x": [True, False, None]}]]},
        {'[[],[{"x":[true,0]}]]': "v[1][0].x[1]", '[[{"x":["true"]}]]': "v[0][0].x[0]"},
    ),
    (
        pl.List(pl.Float64),
        {"[1, 1.5, -2e-3, 0.1, 1E2]": [1.0, 1.5, -0.002, 0.1, 100.0], "[-0.0]": [-0.0]},
        {"[1e309]": "v[0]", '["1.5"]': "v[0]", "[NaN]": None, "[true]": "v[0]", "[Infinity]": None},
    ),
    (
        pl.Array(pl.Int64, 2),
        {"[1, -2]": [1, -2], "[null,3]": [None, 3], " null ": None},
        {"[1]": "v", "[]": "v", "[1,2,3]": "v", '[1,"2"]': "v[1]", "[1,2,true]": "v[2]", "{}": "v"}
        | {"1": "v", "[1,2": None, "[1,2,]": None, "": None},
    ),
    (
        pl.Array(pl.Int128, (2, 1)),
        {"[[1],[-2]]": [[1], [-2]], "[null,[null]]": [None, [None]]}
        | {f"[[{2**127 - 1}],[{-(2**127)}]]": [[2**127 - 1], [-(2**127)]]},
        {"[[1],[2,3]]": "v[1]", "[[1]]": "v", "[1,2]": "v[0]", f"[[1],[{2**127}]]": "v[1][0]"}
        | {"[[1.0],[2]]": "v[0][0]", '[["1"],[2]]': "v[0][0]"},
    ),
    (
        pl.Struct({"a": pl.Array(pl.String, 2), "b": pl.UInt128}),
        {'{"a":["x"],"a":["y","z"]}': {"a": ["y", "z"], "b": None}}
        | {f'{{"b":{2**128 - 1},"a":null}}': {"a": None, "b": 2**128 - 1}}
        | {'{"a":["x","y"],"a":null,"b":0}': {"a": None, "b": 0}},
        {'{"a":["x"]}': "v.a", '{"a":["x","y","z"]}': "v.a", '{"a":["x",1]}': "v.a[1]"}
        | {'{"b":-0}': "v.b", f'{{"b":{2**128}}}': "v.b"},
    ),
    (
        pl.List(pl.Array(pl.Struct({"e": ENUM}), 1)),
        {'[[{"e":"red"}],null,[null]]': [[{"e": "red"}], None, [None]], "[]": []},
        {'[[{"e":"red"}],[]]': "v[1]", '[[{"e":"green"}]]': "v[0][0].e"},
    ),
    (pl.List(pl.Float32), {"[0.5]": [0.5]}, {"[1, 1e39]": "v[1]"}),
    (pl.List(pl.String), {'["", "a\\"b"]': ["", 'a"b']}, {"[1]": "v[0]", "[true]": "v[0]"}),
    (
        pl.List(pl.Decimal(5, 2)),
        {'["1.5", 1.25, -3, 1e2]': [Decimal("1.5"), Decimal("1.25"), Decimal(-3), Decimal(100)]},
        {"[1.234]": "v[0]", '["x"]': "v[0]", "[1000]": "v[0]"},
    ),
    (
        pl.List(pl.Date),
        {'["2024-02-29"]': [date(2024, 2, 29)]},
        {'["2023-02-29"]': "v[0]", "[19000]": "v[0]"},
    ),
    (
        pl.List(pl.Datetime("us")),
        {
            '["2024-02-29T12:00", 1000000]': [
                datetime(2024, 2, 29, 12),
                datetime(1970, 1, 1, 0, 0, 1),
            ]
        },
        {"[1.5]": "v[0]", '["noon"]': "v[0]"},
    ),
    (pl.List(pl.Time), {'["12:30"]': [time(12, 30)]}, {'["24:00"]': "v[0]", "[1]": "v[0]"}),
    (
        pl.List(pl.Duration("us")),
        {'[1500, "PT1S"]': [timedelta(microseconds=1500), timedelta(seconds=1)]},
        {'["1h"]': "v[0]", "[1e3]": "v[0]"},
    ),
    (pl.List(ENUM), {'["red", "blue"]': ["red", "blue"]}, {'["green"]': "v[0]", "[1]": "v[0]"}),
    (
        pl.Struct({"c": pl.Categorical(), "e": pl.Struct({"e": pl.List(ENUM)})}),
        {'{"c":"x","e":{"e":["blue"]}}': {"c": "x", "e": {"e": ["blue"]}}},
        {'{"e":{"e":["green"]}}': "v.e.e[0]"},
    ),
]


@pytest.mark.parametrize(("dtype", "good", "bad"), CASES, ids=[str(case[0])[:40] for case in CASES])
def test_values(
    server: Server, db: redis.Redis, key: str, no_leaks: None, dtype: Any, good: Any, bad: Any
) -> None:
    texts = [*good, *bad]
    write(db, key, [(1, i) for i in range(1, len(texts) + 1)], [[b"v", t.encode()] for t in texts])
    schema = {"v": dtype}
    frame = redcol.read_stream(server.url, key, schema=schema, on_error="null", include_id=False)
    assert frame.schema == pl.Schema({"_ts": pl.Int64, "v": dtype})
    values = frame["v"].to_list()
    assert values == [*good.values(), *[None] * len(bad)]
    for index, (text, path) in enumerate(bad.items()):
        entry_id = f"1-{len(good) + index + 1}"
        with pytest.raises(redcol.ValueConversionError) as caught:
            redcol.read_stream(
                server.url, key, schema=schema, start_id=entry_id, end_id=entry_id, include_id=False
            )
        assert caught.value.path == path, text
        assert (caught.value.stream, caught.value.entry_id) == (key, entry_id)
        assert (caught.value.field, caught.value.dtype) == ("v", str(frame["v"].dtype))
        assert (f": {path} is " if path else "it is not JSON") in str(caught.value)
    wanted = redcol.read_stream(server.url, key, schema=schema, count=len(good))
    assert wanted["v"].to_list() == list(good.values())


@st.composite
def nested_dtypes(draw: st.DrawFn, depth: int = 2) -> Any:
    if depth == 0 or draw(st.booleans()):
        names = sorted(set(DTYPES) - {"bin"})
        dtype = DTYPES[draw(st.sampled_from(names))][0]
        return dtype() if isinstance(dtype, type) else dtype
    if draw(st.booleans()):
        inner = draw(nested_dtypes(depth - 1))
        return draw(st.sampled_from([pl.List(inner), pl.Array(inner, 1), pl.Array(inner, 2)]))
    fields = draw(st.lists(st.sampled_from(["a", "b", "a b", "é"]), min_size=1, unique=True))
    return pl.Struct({name: draw(nested_dtypes(depth - 1)) for name in fields})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-300, 300)
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from(["red", "2024-01-01", "12:00:00", "1.5", "PT1S", "true", "é", "x" * 20]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "a b", "é", "z"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def values_of(draw: st.DrawFn, dtype: Any) -> Any:
    """A JSON value that mostly is of this dtype."""
    if draw(st.integers(0, 11)) == 0:
        return draw(json_values)
    if isinstance(dtype, pl.List):
        return [draw(values_of(dtype.inner)) for _ in range(draw(st.integers(0, 3)))]
    if isinstance(dtype, pl.Array):
        return [draw(values_of(dtype.inner)) for _ in range(dtype.size)]
    if isinstance(dtype, pl.Struct):
        return {field.name: draw(values_of(field.dtype)) for field in dtype.fields}
    name = next(name for name, (known, _) in DTYPES.items() if known == dtype)
    text = draw(DTYPES[name][1])
    if type(dtype) in INTEGERS or isinstance(dtype, (pl.Float32, pl.Float64)):
        number = float(text) if "f" in name else int(text)
        return number if not isinstance(number, float) or math.isfinite(number) else 0.5
    return draw(st.booleans()) if dtype == pl.Boolean else text


@st.composite
def nested_columns(draw: st.DrawFn) -> tuple[Any, list[str]]:
    dtype = draw(nested_dtypes().filter(lambda dtype: dtype.is_nested()))
    values = draw(st.lists(values_of(dtype), min_size=1, max_size=12))
    texts = [json.dumps(value, ensure_ascii=draw(st.booleans())) for value in values]
    return dtype, [draw(st.sampled_from([t, t, t, t, t[:-1], t + "]", " " + t])) for t in texts]


class DoesNotFitError(Exception):
    """A value that does not fit its dtype."""


def convert(value: Any, dtype: Any) -> Any:
    """What redcol should make of a JSON value whose numbers are still text."""
    if value is None:
        return None
    if isinstance(dtype, pl.Array) and isinstance(value, list) and len(value) != dtype.size:
        raise DoesNotFitError
    if isinstance(dtype, (pl.List, pl.Array)) and isinstance(value, list):
        return [convert(one, dtype.inner) for one in value]
    if isinstance(dtype, pl.Struct) and isinstance(value, dict):
        return {field.name: convert(value.get(field.name), field.dtype) for field in dtype.fields}
    found = None
    if isinstance(value, bool):
        found = value if dtype == pl.Boolean else None
    elif isinstance(value, Number):
        takes_integers = (*INTEGERS, pl.Datetime, pl.Duration)
        takes_all = (pl.Float32, pl.Float64, pl.Decimal)
        is_integer = not set(value) & set(".eE")
        if isinstance(dtype, takes_all) or (is_integer and isinstance(dtype, takes_integers)):
            found = oracle.convert(value.encode(), dtype)
    elif isinstance(value, str):
        texts = (pl.String, pl.Categorical, pl.Enum, pl.Decimal, pl.Date, pl.Time)
        if isinstance(dtype, (*texts, pl.Datetime, pl.Duration)):
            found = oracle.convert(value.encode(), dtype)
    if found is None:
        raise DoesNotFitError
    return found


def no_constant(word: str) -> Any:
    """Python's json takes NaN and Infinity, which JSON does not have."""
    raise ValueError(word)


class Number(str):
    """The text of a JSON number."""


def physical(column: pl.Series) -> list[Any]:
    """The values of a column in the form that `convert` gives."""
    if isinstance(column.dtype, (pl.List, pl.Array)):
        return [None if one is None else physical(one) for one in column]
    if isinstance(column.dtype, pl.Struct):
        fields = {name: physical(column.struct.field(name)) for name in column.struct.fields}
        return [
            {name: values[row] for name, values in fields.items()} if is_there else None
            for row, is_there in enumerate(column.is_not_null())
        ]
    return oracle.physical(column)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    return oracle.same(left, right)


@given(column=nested_columns())
def test_any_json_is_what_a_slow_reader_makes_of_it(
    server: Server, db: redis.Redis, column: tuple[Any, list[str]]
) -> None:
    dtype, texts = column
    db.delete("nested")
    write(
        db,
        "nested",
        [(1, i) for i in range(1, len(texts) + 1)],
        [[b"v", t.encode()] for t in texts],
    )
    wanted: list[Any] = []
    bad = []
    for index, text in enumerate(texts):
        try:
            value = json.loads(
                text, parse_int=Number, parse_float=Number, parse_constant=no_constant
            )
            wanted.append(convert(value, dtype))
        except (DoesNotFitError, ValueError, UnicodeEncodeError):
            wanted.append(None)
            bad.append(f"1-{index + 1}")
    frame = redcol.read_stream(server.url, "nested", schema={"v": dtype}, on_error="null")
    assert frame.schema["v"] == dtype
    assert same(physical(frame["v"]), wanted), (texts, frame["v"].to_list(), wanted)
    table = pa.table(redcol.read_arrow(server.url, "nested", schema={"v": dtype}, on_error="null"))
    table.validate(full=True)
    if bad:
        with pytest.raises(redcol.ValueConversionError) as caught:
            redcol.read_stream(server.url, "nested", schema={"v": dtype})
        assert caught.value.entry_id == bad[0]


def test_hostile_nesting(server: Server, db: redis.Redis, key: str) -> None:
    for depth in (1_000, 1_100, 200_000):
        for text in (
            "[" * depth,
            "[" * depth + "]" * depth,
            '{"x":' * depth,
            '{"x":' * depth + "1" + "}" * depth,
        ):
            db.xadd(key, {"v": text})
            db.xadd(key, {"v": f'{{"x":{text},"n":1}}'})
    schema = {"v": pl.Struct({"n": pl.Int64, "l": pl.List(pl.List(pl.Int64))})}
    values = redcol.read_stream(server.url, key, schema=schema, on_error="null")["v"].to_list()
    # What nobody wants is skipped as far as it is nested 1,024 deep.
    assert sum(value == {"n": 1, "l": None} for value in values) == 2
    assert sum(value == {"n": None, "l": None} for value in values) == 1


def test_many_keys_that_are_there_twice(server: Server, db: redis.Redis, key: str) -> None:
    members = ",".join(f'"k{i % 300}":"not a number"' for i in range(30_000))
    good = ",".join(f'"k{i}":{i}' for i in range(300))
    db.xadd(key, {"v": f"{{{members},{good}}}"})
    schema = {"v": pl.Struct({f"k{i}": pl.Int64 for i in range(300)})}
    frame = redcol.read_stream(server.url, key, schema=schema)
    assert frame["v"].to_list() == [{f"k{i}": i for i in range(300)}]


def test_values_cut_by_batches_and_pages(server: Server, db: redis.Redis, key: str) -> None:
    rows = 5_000
    with db.pipeline(transaction=False) as pipeline:
        for index in range(rows):
            value = {"i": list(range(index % 7)), "s": {"t": "x" * (index % 40)}, "z": 1}
            pipeline.xadd(key, {"v": json.dumps(value), "n": index}, id=f"{index + 1}-0")
        pipeline.execute()
    schema = {
        "v": pl.Struct({"i": pl.List(pl.UInt8), "s": pl.Struct({"t": pl.String})}),
        "n": pl.Int64,
    }
    wanted = [
        {"i": list(range(index % 7)), "s": {"t": "x" * (index % 40)}} for index in range(rows)
    ]
    assert redcol.read_stream(server.url, key, schema=schema)["v"].to_list() == wanted
    with redcol.iter_stream(
        server.url, key, schema=schema, batch_size=37, on_idle="stop"
    ) as frames:
        assert [value for frame in frames for value in frame["v"]] == wanted
    assert (
        redcol.scan_stream(server.url, key, schema=schema).select("v").collect()["v"].to_list()
        == wanted
    )
    events = redcol.read_arrow(server.url, key, schema=schema, batch_size=100)
    assert pa.table(events)["v"].to_pylist() == wanted
    types = pa.struct({"i": pa.list_(pa.uint8()), "s": pa.struct({"t": pa.string()})})
    events = redcol.read_arrow(server.url, key, schema=pa.schema({"v": types}), batch_size=100)
    table = pa.table(events)
    table.validate(full=True)
    assert table.schema.field("v").type == types
    assert table["v"].to_pylist() == wanted


def test_a_group_goes_on_behind_a_value_that_does_not_fit(
    server: Server, db: redis.Redis, key: str
) -> None:
    for text in ("[1]", "[2.5]", "[3]"):
        db.xadd(key, {"v": text})
    read: list[Any] = []
    with redcol.iter_stream(
        server.url, key, schema={"v": pl.List(pl.Int8)}, group="g", consumer="c", auto_ack=True,
        on_idle="stop", block_ms=20, include_id=False,
    ) as frames:  # fmt: skip
        read += next(frames)["v"].to_list()
        with pytest.raises(redcol.ValueConversionError, match=r"v\[0\] is 2\.5"):
            next(frames)
        read += [value for frame in frames for value in frame["v"].to_list()]
    assert read == [[1], [3]]
    assert db.xpending(key, "g")["pending"] == 1


def test_floats_are_rounded_once(server: Server, db: redis.Redis, key: str) -> None:
    text = "1.00000005960464477540"
    db.xadd(key, {"v": f"[{text}]"})
    frame = redcol.read_stream(server.url, key, schema={"v": pl.List(pl.Float32)})
    assert frame["v"][0][0] == 1 + struct.unpack("f", struct.pack("I", 0x34000000))[0]


def deep(levels: int) -> pl.DataType:
    dtype: pl.DataType = pl.Int64()
    for _ in range(levels):
        dtype = pl.List(dtype)
    return dtype


@pytest.mark.parametrize(
    "dtype", [deep(64), pl.Struct({"a\0b": pl.Int64}), pl.List(pl.Struct({"\0": pl.Int8}))], ids=str
)
def test_types_that_cannot_be(server: Server, key: str, dtype: Any) -> None:
    with pytest.raises(redcol.SchemaError):
        redcol.read_stream(server.url, key, schema={"v": dtype})


def test_the_deepest_type(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"v": "[" * 63 + "7" + "]" * 63})
    frame = redcol.read_stream(server.url, key, schema={"v": deep(63)})
    assert str(frame["v"].to_list()) == "[" * 64 + "7" + "]" * 64


def test_many_streams(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(f"{key}-a", {"v": '{"":5}'})
    db.xadd(f"{key}-b", {"v": '{"":"x"}'})
    schema = {"v": pl.Struct({"": pl.Int8})}
    keys = [f"{key}-a", f"{key}-b"]
    frame = redcol.read_streams(server.url, keys, schema=schema, on_error="null", include_key=False)
    assert frame["v"].to_list() == [{"": 5}, None]
    with pytest.raises(redcol.ValueConversionError) as caught:
        redcol.read_streams(server.url, keys, schema=schema, include_key=False)
    assert (caught.value.stream, caught.value.path) == (f"{key}-b", 'v[""]')
