"""The columns that a caller asks for: Polars dtypes in, an Arrow schema for the library out.

The library reads every scalar type. Struct and List columns are read as text by it, and decoded
from JSON here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from . import _arguments
from ._dtypes import columns_of, polars_dtype
from ._typing import TYPE_CHECKING
from .errors import InvalidArgumentError, SchemaError, ValueConversionError

if TYPE_CHECKING:
    from typing import Any

    from polars import DataFrame, DataType, Schema, Series

    SchemaLike = Mapping[str, Any]


class Columns:
    """What was asked for (`asked`), and what the library is asked for in its place (`read`)."""

    def __init__(self, asked: Schema, read: Schema) -> None:
        self.asked = asked
        self.read = read

    @property
    def json(self) -> dict[str, DataType]:
        """The columns that arrive as JSON text."""
        return {name: dtype for name, dtype in self.asked.items() if dtype.is_nested()}

    def capsule(self) -> object:
        """The schema for the library, as an "arrow_schema" capsule."""
        return self.read.__arrow_c_schema__()

    def options(self) -> dict[str, str]:
        """The allowed values of Enum columns, which an Arrow schema has no place for."""
        import polars as pl

        found = {}
        for index, (name, dtype) in enumerate(self.read.items()):
            if isinstance(dtype, pl.Enum):
                categories = dtype.categories.to_list()
                if any("\0" in category for category in categories):
                    raise SchemaError(f"Column {name!r}: a category must not contain NUL.")
                found[f"categories:{index}"] = "".join(
                    f"{len(category.encode())}:{category}," for category in categories
                )
        return found


def parse(schema: object) -> Columns:
    """The columns of a schema as callers write it: a mapping of names to dtypes or Python types."""
    if isinstance(schema, Columns):
        return schema
    import polars as pl

    schema = columns_of(schema)
    if not isinstance(schema, Mapping):
        raise InvalidArgumentError(
            f"schema must map column names to dtypes, not be a {type(schema).__name__}."
        )
    asked = {}
    for name, dtype in schema.items():
        _arguments.text("a column's name", name)
        asked[name] = _dtype(name, dtype)
    read = {name: pl.String() if dtype.is_nested() else dtype for name, dtype in asked.items()}
    return Columns(pl.Schema(asked), pl.Schema(read))


def _dtype(name: str, given: object) -> DataType:
    import polars as pl

    # Those of which Polars has a default, but which pl.Schema wants spelled out.
    defaults: dict[object, DataType] = {
        timedelta: pl.Duration("us"),
        pl.Duration: pl.Duration("us"),
        pl.Datetime: pl.Datetime("us"),
        pl.Categorical: pl.Categorical(),
    }
    given = polars_dtype(name, given)
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


def _lookup(defaults: dict[object, DataType], given: object) -> Any:
    # By identity: dtype instances equal their class.
    return next((dtype for key, dtype in defaults.items() if key is given), given)


def _is_readable(dtype: DataType, *, nested: bool) -> bool:
    import polars as pl

    if isinstance(dtype, pl.Struct):
        return all(_is_readable(_instance(field.dtype), nested=True) for field in dtype.fields)
    if isinstance(dtype, pl.List):
        return _is_readable(_instance(dtype.inner), nested=True)
    if isinstance(dtype, pl.Binary):
        return not nested  # JSON has no bytes
    integers = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
    others = (pl.String, pl.Boolean, pl.Float32, pl.Float64, pl.Decimal, pl.Categorical, pl.Enum)
    times = (pl.Date, pl.Datetime, pl.Time, pl.Duration)
    return isinstance(dtype, integers + others + times)


def _instance(dtype: Any) -> DataType:
    made: DataType = dtype() if isinstance(dtype, type) else dtype
    return made


def decode_json(
    frame: DataFrame,
    columns: Columns,
    *,
    stream_of: Callable[[int], str],
    ids: Series,
    on_error: str,
) -> tuple[DataFrame, dict[int, ValueConversionError]]:
    """The frame with its JSON text columns decoded, and the rows whose value does not fit.

    `ids` are the rows' entry ids, for errors.
    """
    decoded = []
    errors: dict[int, ValueConversionError] = {}
    for name, dtype in columns.json.items():
        text = frame[name]
        values, bad_rows = _decode_column(text, dtype)
        if on_error == "raise":
            for row in bad_rows:
                error = _value_error(stream_of(row), ids[row], name, dtype, text[row])
                errors.setdefault(row, error)
        decoded.append(values)
    return frame.with_columns(decoded), errors


def _decode_column(text: Series, dtype: DataType) -> tuple[Series, list[int]]:
    """The decoded values, and the rows whose text is not JSON of that dtype: null in the values."""
    import polars as pl

    # Polars joins the texts with commas into one JSON array: '[1],[2]' would become two rows, and
    # '[1' with the '2]' of another entry one. So each text must be one JSON value by itself.
    broken = (
        text.is_not_null()
        & text.str.json_path_match("$").is_null()
        & (text.str.strip_chars(" \t\r\n") != "null")
    )
    bad_rows: list[int] = broken.arg_true().to_list()
    if bad_rows:
        text = text.set(broken, None)
    pieces: list[Series] = []
    _decode_piece(text, dtype, 0, pieces, bad_rows)
    values = pl.concat(pieces) if len(pieces) > 1 else pieces[0]
    if len(values) != len(text):
        raise AssertionError(f"{len(text)} JSON texts gave {len(values)} values")
    return values.alias(text.name), sorted(bad_rows)


def _decode_piece(
    text: Series, dtype: DataType, first_row: int, pieces: list[Series], bad_rows: list[int]
) -> None:
    """Decode a run of rows at once; where that fails, its halves, down to the row that is bad."""
    import polars as pl

    try:
        pieces.append(text.str.json_decode(dtype))
    except pl.exceptions.PolarsError:
        if len(text) == 1:
            bad_rows.append(first_row)
            pieces.append(pl.Series(text.name, [None], dtype=dtype))
            return
        half = len(text) // 2
        _decode_piece(text[:half], dtype, first_row, pieces, bad_rows)
        _decode_piece(text[half:], dtype, first_row + half, pieces, bad_rows)


def _value_error(
    stream: str, entry_id: str, field: str, dtype: DataType, text: str
) -> ValueConversionError:
    shown = escape(text.encode())
    return ValueConversionError(
        f'stream "{stream}": entry {entry_id}, field "{escape(field.encode(), at_most=200)}": the '
        f'value "{shown}" is not JSON that fits {dtype}; give the column another type, or '
        'on_error="null" to read such values as null',
        stream=stream,
        entry_id=entry_id,
        field=field,
        dtype=str(dtype),
        value=shown,
    )


def escape(value: bytes, *, at_most: int = 80) -> str:
    r"""Bytes as the library shows them: ASCII, other bytes as \xNN, cut at a number of bytes."""
    shown = "".join(
        "\\\\" if byte == 0x5C else chr(byte) if 0x20 <= byte <= 0x7E else f"\\x{byte:02x}"
        for byte in value[:at_most]
    )
    return shown + "…" if len(value) > at_most else shown
