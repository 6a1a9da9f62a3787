# SPDX-License-Identifier: Apache-2.0
"""Schemas as people type them: ``user:str,value:i64,at:datetime[ms]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .._typing import pl

_NAMES = {
    "String": ("str", "string", "text"),
    "Binary": ("bytes", "binary"),
    "Boolean": ("bool", "boolean"),
    "Int8": ("i8",),
    "Int16": ("i16",),
    "Int32": ("i32",),
    "Int64": ("i64", "int"),
    "Int128": ("i128",),
    "UInt8": ("u8",),
    "UInt16": ("u16",),
    "UInt32": ("u32",),
    "UInt64": ("u64", "uint"),
    "Float32": ("f32",),
    "Float64": ("f64", "float"),
    "Date": ("date",),
    "Time": ("time",),
    "Categorical": ("cat", "categorical"),
}
_PLAIN = {short: name for name, shorts in _NAMES.items() for short in shorts}
_EXAMPLE = "user:str,value:i64,at:datetime[ms]"


def parse(text: str) -> dict[str, pl.DataType]:
    """The columns of a schema. ValueError, with what is wrong."""
    columns: dict[str, pl.DataType] = {}
    for part in _split(text, ","):
        names = list(_split(part, ":"))
        if len(names) < 2 or not names[-1]:
            raise ValueError(f"{part!r} is not a column and its dtype: a schema is {_EXAMPLE}.")
        name = ":".join(names[:-1])
        if name in columns:
            raise ValueError(f"the schema names {name!r} twice.")
        columns[name] = dtype(names[-1])
    return columns


def dtype(text: str) -> pl.DataType:
    """The dtype of a name such as ``i64``, ``datetime[ms,UTC]`` or ``list[str]``."""
    import polars

    word, bracket, rest = text.strip().partition("[")
    word = word.lower()
    if not bracket:
        if word in _PLAIN:
            made: pl.DataType = getattr(polars, _PLAIN[word])()
            return made
        rest = "]"
    if word not in _WITH_PARTS or not rest.endswith("]"):
        known = ", ".join([*(shorts[0] for shorts in _NAMES.values()), *_WITH_PARTS])
        raise ValueError(f"there is no dtype {text!r}. There are: {known}.")
    try:
        return _WITH_PARTS[word](*_split(rest[:-1], ","))
    except (TypeError, ValueError, polars.exceptions.PolarsError):
        raise ValueError(
            f"{text!r} is not a dtype. Write datetime[ms], datetime[us,UTC], duration[ms], "
            "decimal[10,2], enum[low,high], list[i64], array[f64,3] or struct[x:i64,y:f64]."
        ) from None


def text_of(dtype: pl.DataType) -> str:
    """The name from which `dtype` would make it again. Polars' own where there is none."""
    import polars

    if isinstance(dtype, polars.Datetime):
        zone = f",{dtype.time_zone}" if dtype.time_zone else ""
        return f"datetime[{dtype.time_unit}{zone}]"
    if isinstance(dtype, polars.Duration):
        return f"duration[{dtype.time_unit}]"
    if isinstance(dtype, polars.Decimal):
        return f"decimal[{dtype.precision},{dtype.scale}]"
    if isinstance(dtype, polars.Enum):
        return f"enum[{','.join(dtype.categories)}]"
    if isinstance(dtype, polars.Array):
        return f"array[{text_of(_inner(dtype))},{dtype.size}]"
    if isinstance(dtype, polars.List):
        return f"list[{text_of(_inner(dtype))}]"
    if isinstance(dtype, polars.Struct):
        fields = ",".join(f"{each.name}:{text_of(_plain(each.dtype))}" for each in dtype.fields)
        return f"struct[{fields}]"
    names = _NAMES.get(str(dtype))
    return names[0] if names else str(dtype)


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    return _plain(dtype.inner)


def _plain(dtype: Any) -> pl.DataType:
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made


def _datetime(unit: str = "us", zone: str | None = None) -> pl.DataType:
    import polars

    return polars.Datetime(unit, zone)  # type: ignore[arg-type]  # a wrong one is refused


def _duration(unit: str = "us") -> pl.DataType:
    import polars

    return polars.Duration(unit)  # type: ignore[arg-type]


def _decimal(precision: str, scale: str = "0") -> pl.DataType:
    import polars

    return polars.Decimal(int(precision), int(scale))


def _enum(*categories: str) -> pl.DataType:
    import polars

    return polars.Enum(categories)


def _list(inner: str) -> pl.DataType:
    import polars

    return polars.List(dtype(inner))


def _array(inner: str, length: str) -> pl.DataType:
    import polars

    return polars.Array(dtype(inner), int(length))


def _struct(*fields: str) -> pl.DataType:
    import polars

    return polars.Struct(parse(",".join(fields)))


_WITH_PARTS: dict[str, Callable[..., pl.DataType]] = {
    "datetime": _datetime,
    "duration": _duration,
    "decimal": _decimal,
    "enum": _enum,
    "list": _list,
    "array": _array,
    "struct": _struct,
}


def _split(text: str, separator: str) -> Iterator[str]:
    """The parts between separators that are in no brackets."""
    depth, part = 0, ""
    for character in text:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == separator and depth == 0:
            yield part
            part = ""
        else:
            part += character
    if part or text:
        yield part
