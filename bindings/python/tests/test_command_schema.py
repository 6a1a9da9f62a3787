# SPDX-License-Identifier: Apache-2.0
"""Schemas as people type them."""

from __future__ import annotations

import polars as pl

from redcol.command.schema import parse, text_of


def test_schemas_as_text() -> None:
    text = (
        "s:str,b:bytes,o:bool,i:i8,u:u64,f:f32,d:date,t:time,c:cat,dt:datetime,"
        "dz:datetime[ms,Europe/Berlin],du:duration[ms],de:decimal[10,2],e:enum[a,b],"
        "l:list[list[i64]],a:array[f64,3],st:struct[x:i64,y:list[str]],a:b:int"
    )
    assert parse(text) == {
        "s": pl.String(),
        "b": pl.Binary(),
        "o": pl.Boolean(),
        "i": pl.Int8(),
        "u": pl.UInt64(),
        "f": pl.Float32(),
        "d": pl.Date(),
        "t": pl.Time(),
        "c": pl.Categorical(),
        "dt": pl.Datetime("us"),
        "dz": pl.Datetime("ms", "Europe/Berlin"),
        "du": pl.Duration("ms"),
        "de": pl.Decimal(10, 2),
        "e": pl.Enum(["a", "b"]),
        "l": pl.List(pl.List(pl.Int64)),
        "a": pl.Array(pl.Float64, 3),
        "st": pl.Struct({"x": pl.Int64, "y": pl.List(pl.String)}),
        "a:b": pl.Int64(),
    }
    written = ",".join(f"{name}:{text_of(dtype)}" for name, dtype in parse(text).items())
    assert parse(written) == parse(text)
