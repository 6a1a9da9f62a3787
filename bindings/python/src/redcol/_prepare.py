# SPDX-License-Identifier: Apache-2.0
"""A frame as it is handed to the library for writing: checked, and its local times as text."""

from __future__ import annotations

from ._typing import TYPE_CHECKING, typing
from .errors import InvalidArgumentError, SchemaError, ValueConversionError

if TYPE_CHECKING:
    from typing import Final

#: Digits after the decimal point of a second.
_DIGITS: Final = {"ms": 3, "us": 6, "ns": 9}


def prepared(
    df: typing.Any, times: tuple[str, ...] = (), **columns: str | None
) -> tuple[typing.Any, int | None]:
    """The frame to hand over, and its height if that is known.

    `times`: columns whose local times stay as they are. `columns`: the arguments that name keys,
    streams or ids.
    """
    import polars as pl

    if isinstance(df, pl.LazyFrame):
        raise InvalidArgumentError("df is a LazyFrame, which has no rows yet: pass df.collect().")
    if isinstance(df, pl.Series):
        raise InvalidArgumentError("df is a Series: pass a frame, such as df.to_frame().")
    if not hasattr(df, "__arrow_c_stream__"):
        raise InvalidArgumentError(
            "df must be a DataFrame, or another frame with __arrow_c_stream__, not "
            f"{type(df).__name__}."
        )
    if not isinstance(df, pl.DataFrame):
        return df, None
    for column, dtype in df.schema.items():
        _refuse_nul(column, column, dtype)
        if dtype == pl.Object:  # Polars hands over where the objects are in memory
            raise SchemaError(
                f"Column {column!r} holds Python objects: map it to a dtype that text can carry.",
                field=column,
                dtype=str(dtype),
            )
    for argument, name in columns.items():
        if name is None:
            continue
        if name not in df.columns:
            raise InvalidArgumentError(
                f"The frame has no column {name!r} ({argument}), only {df.columns}."
            )
        if argument != "id_column" and df[name].null_count():
            row = df[name].is_null().arg_max()
            raise ValueConversionError(
                f"Row {row}: {name!r} ({argument}) is null. Nothing was written; filter such rows "
                "out, or fill them.",
                field=name,
                row=row,
            )
    zoned = [
        _in_its_zone(name, dtype.time_unit)
        for name, dtype in df.schema.items()
        if isinstance(dtype, pl.Datetime)
        and dtype.time_zone not in (None, "UTC")
        and name not in times
    ]
    return df.with_columns(zoned) if zoned else df, df.height


def _refuse_nul(column: str, name: str, dtype: typing.Any) -> None:
    """Refuse names with NUL: a C string cannot hold them, and Polars would abort the process."""
    import polars as pl

    if "\0" in name:
        raise SchemaError(
            f"Column {column!r}: the name {name!r} has a NUL character; rename it.", field=column
        )
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            _refuse_nul(column, field.name, field.dtype)
    elif isinstance(dtype, (pl.List, pl.Array)):
        _refuse_nul(column, "", dtype.inner)


def _in_its_zone(name: str, time_unit: str) -> typing.Any:
    """Times as text with the offset of their zone, as in CSV: the library knows only UTC."""
    import polars as pl

    text = f"%Y-%m-%dT%H:%M:%S%.{_DIGITS[time_unit]}f%z"
    column = pl.col(name)
    utc = column.dt.convert_time_zone("UTC")
    offset = column.dt.replace_time_zone(None) - utc.dt.replace_time_zone(None)
    # Old offsets have seconds, which %z cannot write.
    is_exact = offset.dt.total_seconds() % 60 == 0
    written = pl.when(is_exact).then(column.dt.to_string(text)).otherwise(utc.dt.to_string(text))
    return written.alias(name)
