# SPDX-License-Identifier: Apache-2.0
"""The newest entries of a stream, and what they tell about it."""

from __future__ import annotations

import time

from .._typing import TYPE_CHECKING, pl, typing
from ..inference import infer_schema

if TYPE_CHECKING:
    from ..client import Client
    from .output import Output

_MINUTE_MS = 60_000


def discovering(schema: object) -> typing.Literal["string", "auto"]:
    """How columns are found: bytes that are no text are no error, if there is no schema."""
    return "auto" if schema is None else "string"


class Numbers:
    """Which fields are numbers, by the newest entries, for tables that nobody gave a schema for.

    Entries are read as text, and then made numbers where all of a frame's values are: so other
    values, and fields that the newest entries do not have, are shown as they are.
    """

    def __init__(self, client: Client, stream: str, output: Output, schema: object) -> None:
        is_wanted = schema is None and output.is_table
        self._dtypes = dict(infer_schema(client, stream)) if is_wanted else {}

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with its numbers."""
        import polars

        made = []
        for name, dtype in self._dtypes.items():
            if dtype not in (polars.Int64, polars.Float64) or name not in frame.columns:
                continue
            column = frame[name]
            if column.dtype != polars.String:
                continue
            cast = column.cast(dtype, strict=False)
            if dtype == polars.Int64:
                is_same = cast.cast(polars.String).equals(column, null_equal=True)
            else:
                is_same = cast.null_count() == column.null_count() and bool(cast.is_finite().all())
            if is_same:
                made.append(cast)
        return frame.with_columns(made)


def fields_of(sample: pl.DataFrame, dtypes: pl.Schema) -> pl.DataFrame:
    """The fields of a sample: dtypes (for ``--schema``), in how much of it they are, an example."""
    import polars

    from .schema import text_of

    fields = [column for column in sample.get_columns() if column.name not in ("_id", "_ts")]
    rows = max(len(sample), 1)
    return polars.DataFrame(
        {
            "field": [column.name for column in fields],
            "dtype": [text_of(dtypes.get(column.name, column.dtype)) for column in fields],
            "filled_percent": [100 * (rows - column.null_count()) / rows for column in fields],
            "example": [
                str(values[-1]) if len(values := column.drop_nulls()) else None for column in fields
            ],
        },
        schema={
            "field": polars.String,
            "dtype": polars.String,
            "filled_percent": polars.Float64,
            "example": polars.String,
        },
    )


def rate_of(sample: pl.DataFrame) -> float:
    """Entries per second over the last minute, or over the time that the sample covers."""
    now = time.time_ns() // 1_000_000
    recent = sample["_ts"].filter(sample["_ts"] >= now - _MINUTE_MS)
    if not len(recent):
        return 0.0
    # If all of the sample is younger than a minute, there may be more entries in the minute.
    covered = now - int(recent[0]) if len(recent) == len(sample) else _MINUTE_MS
    return len(recent) * 1_000 / max(covered, 1)
