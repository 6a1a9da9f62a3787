# SPDX-License-Identifier: Apache-2.0
"""The columns of a schema: Polars dtypes in, an Arrow schema for the library out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import timedelta

from . import _arguments
from ._dtypes import columns_of, polars_dtype
from ._typing import TYPE_CHECKING
from .errors import InvalidArgumentError, SchemaError

if TYPE_CHECKING:
    from typing import Any, Final

    from polars import DataType, Schema

    SchemaLike = Mapping[str, Any]


class Columns:
    """The columns that were asked for."""

    def __init__(self, asked: Schema, read: Schema | None = None) -> None:
        self.asked = asked
        #: Those that the library reads: all of them, unless something else is given.
        self.read = asked if read is None else read

    def without(self, name: str) -> Columns:
        """The same columns, but the library does not read `name`."""
        import polars as pl

        read = {column: dtype for column, dtype in self.read.items() if column != name}
        return Columns(self.asked, pl.Schema(read))

    def capsule(self) -> object:
        """The schema for the library, as an "arrow_schema" capsule."""
        return self.read.__arrow_c_schema__()

    def options(self) -> dict[str, str]:
        """The allowed values of Enum columns: an Arrow schema cannot hold them."""
        found: dict[str, str] = {}
        for index, (name, dtype) in enumerate(self.read.items()):
            _add_categories(found, name, dtype, str(index))
        return found


def _add_categories(found: dict[str, str], name: str, dtype: DataType, place: str) -> None:
    """Add the option for the Enum column at `place`, or the options for Enums inside it."""
    import polars as pl

    if isinstance(dtype, pl.Struct):
        for index, field in enumerate(dtype.fields):
            _add_categories(found, name, _instance(field.dtype), f"{place}.{index}")
    elif isinstance(dtype, (pl.List, pl.Array)):
        _add_categories(found, name, _instance(dtype.inner), f"{place}.0")
    elif isinstance(dtype, pl.Enum):
        categories = dtype.categories.to_list()
        if any("\0" in category for category in categories):
            raise SchemaError(
                f"Column {name!r}: a category must not contain NUL; read the column as String.",
                field=name,
            )
        found[f"categories:{place}"] = "".join(
            f"{len(category.encode())}:{category}," for category in categories
        )


def _is_text(dtype: object) -> bool:
    import polars as pl

    return isinstance(dtype, pl.String)


def _is_milliseconds(dtype: object) -> bool:
    import polars as pl

    return isinstance(dtype, pl.Int64) or (
        isinstance(dtype, pl.Datetime) and dtype.time_unit == "ms"
    )


def _is_number(dtype: object) -> bool:
    import polars as pl

    return isinstance(dtype, pl.UInt64)


#: The metadata columns, in their order in a frame: what each holds, and which dtypes it can have.
#: `id_column` names the part "id", `include_id` says whether there is one, and so on.
PARTS: Final[dict[str, tuple[str, Callable[[object], bool]]]] = {
    "row_index": ("the rows' numbers (UInt64)", _is_number),
    "key": ("the streams' keys (String)", _is_text),
    "id": ("the entries' ids (String)", _is_text),
    "timestamp": ('their milliseconds (Int64 or Datetime("ms"))', _is_milliseconds),
    "sequence": ("their sequence numbers (UInt64)", _is_number),
    "stream": ("the streams' keys (String)", _is_text),
}


def timestamp_format(given: object) -> str:
    """The dtype of the column of milliseconds as an Arrow format."""
    if given is None:
        return "l"
    import polars as pl

    dtype = _dtype("timestamp_dtype", given)
    if not _is_milliseconds(dtype):
        raise SchemaError(
            f"timestamp_dtype is {dtype}, but must be Int64 or Datetime('ms') with any time zone."
        )
    return f"tsm:{dtype.time_zone or ''}" if isinstance(dtype, pl.Datetime) else "l"


def timestamp_dtype(format_: str) -> DataType:
    """The Polars dtype of such a format."""
    import polars as pl

    return pl.Int64() if format_ == "l" else pl.Datetime("ms", format_[4:] or None)


def parse(schema: object) -> Columns:
    """The columns of a schema as callers write it: a mapping of names to dtypes or Python types."""
    if isinstance(schema, Columns):
        return schema
    import polars as pl

    schema = columns_of(schema)
    if not isinstance(schema, Mapping):
        raise InvalidArgumentError(
            f"schema must be a mapping of column names to dtypes, not {_arguments.kind(schema)}."
        )
    asked = {}
    for name, dtype in schema.items():
        _arguments.text("a column's name", name)
        asked[name] = _dtype(name, dtype)
    return Columns(pl.Schema(asked))


def _dtype(name: str, given: object) -> DataType:
    import polars as pl

    given = polars_dtype(name, given)
    if isinstance(given, type) and given in _without_parts():
        plain: DataType = given()
        return plain
    # Polars has defaults for these, but pl.Schema wants all parts spelled out.
    defaults: dict[object, DataType] = {
        timedelta: pl.Duration("us"),
        pl.Duration: pl.Duration("us"),
        pl.Datetime: pl.Datetime("us"),
        pl.Categorical: pl.Categorical(),
    }
    try:
        dtype = pl.Schema({name: _lookup(defaults, given)})[name]
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"Column {name!r}: {given!r} is not a dtype with all its parts ({error}). Give one "
            "of Polars, such as pl.Int64 or pl.Datetime('ms').",
            field=name,
        ) from None
    if not _is_readable(dtype, nested=False):
        raise SchemaError(
            f"Column {name!r}: {dtype} cannot be read from a stream. Ask for String or Binary and "
            "cast the column.",
            field=name,
            dtype=str(dtype),
        )
    return dtype


@functools.cache
def _without_parts() -> frozenset[type[DataType]]:
    """Classes of dtypes that can be read and say everything: a schema needs no check of them."""
    import polars as pl

    signed = (pl.Int8, pl.Int16, pl.Int32, pl.Int64)
    unsigned = (pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
    others = (pl.String, pl.Binary, pl.Boolean, pl.Float32, pl.Float64, pl.Date, pl.Time)
    return frozenset(signed + unsigned + others)


def _lookup(defaults: dict[object, DataType], given: object) -> Any:
    # By identity: dtype instances equal their class.
    return next((dtype for key, dtype in defaults.items() if key is given), given)


def _is_readable(dtype: DataType, *, nested: bool) -> bool:
    import polars as pl

    if isinstance(dtype, pl.Struct):
        return all(
            "\0" not in field.name and _is_readable(_instance(field.dtype), nested=True)
            for field in dtype.fields
        )
    if isinstance(dtype, (pl.List, pl.Array)):
        return _is_readable(_instance(dtype.inner), nested=True)
    if isinstance(dtype, pl.Binary):
        return not nested  # JSON has no bytes
    if dtype.is_integer():
        return True
    others = (pl.String, pl.Boolean, pl.Float32, pl.Float64, pl.Decimal, pl.Categorical, pl.Enum)
    times = (pl.Date, pl.Datetime, pl.Time, pl.Duration)
    return isinstance(dtype, others + times)


def _instance(dtype: Any) -> DataType:
    made: DataType = dtype() if isinstance(dtype, type) else dtype
    return made
