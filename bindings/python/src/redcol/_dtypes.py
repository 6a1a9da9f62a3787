# SPDX-License-Identifier: Apache-2.0
"""Dtypes that are not written in the Polars way: those of pyarrow and numpy, and names."""

from __future__ import annotations

import sys

from ._typing import TYPE_CHECKING, pl, typing
from .errors import SchemaError

if TYPE_CHECKING:
    from typing import Final

#: Names that mean the same dtype in every library, in lower case. Not among them: "float", which
#: has 32 bits in pyarrow and 64 in numpy, and "datetime", which has no unit.
_NAMES: Final = {
    **{f"int{bits}": f"Int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UInt{bits}" for bits in (8, 16, 32, 64)},
    "float32": "Float32",
    "float64": "Float64",
    "double": "Float64",
    "bool": "Boolean",
    "boolean": "Boolean",
    **dict.fromkeys(("string", "str", "utf8", "large_string", "string_view"), "String"),
    **dict.fromkeys(("binary", "bytes", "large_binary", "binary_view"), "Binary"),
    **dict.fromkeys(("date", "date32", "date32[day]"), "Date"),
    "time": "Time",
    "categorical": "Categorical",
    "category": "Categorical",
}
_UNITS: Final[tuple[typing.Literal["ms", "us", "ns"], ...]] = ("ms", "us", "ns")


def polars_dtype(column: str, given: object) -> typing.Any:
    """The Polars dtype for a dtype of pyarrow or numpy, or for a name; anything else unchanged.

    Raises:
        SchemaError: text that is not the name of one dtype.
    """
    if isinstance(given, str):
        return _named(column, given)
    kind = given if isinstance(given, type) else type(given)
    library = kind.__module__.partition(".")[0]
    if library == "pyarrow" and hasattr(given, "__arrow_c_schema__"):
        return _of_pyarrow(column, given)
    if library == "numpy":
        # A class such as numpy.int64, or a dtype.
        return _named(column, kind.__name__ if kind is given else str(given))
    return given


def _named(column: str, name: str) -> typing.Any:
    import polars

    known = _NAMES.get(name.strip().lower())
    if known is not None:
        return getattr(polars, known)
    for prefix, dtype in (("datetime64", polars.Datetime), ("timedelta64", polars.Duration)):
        for unit in _UNITS:
            if name == f"{prefix}[{unit}]":
                return dtype(unit)
    import difflib

    alike = difflib.get_close_matches(name.lower(), _NAMES, n=1)
    meant = f"pl.{_NAMES[alike[0]]}" if alike else "pl.Int64, pl.String or pl.Datetime('ms')"
    raise SchemaError(
        f"Column {column!r}: {name!r} does not name one dtype; give a Polars dtype, such as "
        f"{meant}.",
        field=column,
    )


def _of_pyarrow(column: str, given: typing.Any) -> pl.DataType:
    import polars

    arrow = sys.modules["pyarrow"]
    try:
        return polars.Series(arrow.array([], given)).dtype
    except Exception as error:
        raise SchemaError(
            f"Column {column!r}: Polars has no dtype for pyarrow's {given} ({error}).", field=column
        ) from error


def columns_of(schema: object) -> object:
    """A pyarrow schema as a mapping of names to types; anything else unchanged."""
    arrow = sys.modules.get("pyarrow")
    if arrow is None or not isinstance(schema, arrow.Schema):
        return schema
    names = [field.name for field in schema]
    if len(set(names)) != len(names):
        raise SchemaError("The schema has two columns of one name.")
    return {field.name: field.type for field in schema}
