# SPDX-License-Identifier: Apache-2.0
"""Batches from the library as DataFrames with the dtypes that were asked for."""

from __future__ import annotations

from . import schema as _schema
from ._capsule import Batch
from ._typing import TYPE_CHECKING
from .errors import SchemaError, ValueConversionError

if TYPE_CHECKING:
    from polars import DataFrame

    from ._request import Request


class Frames:
    """Makes the frames of one read."""

    def __init__(self, request: Request) -> None:
        # Before anything is read, so that Ctrl-C during this import cannot lose a batch.
        import polars as pl

        self._new_frame = pl.DataFrame
        self._refusal = pl.exceptions.PolarsError
        self._request = request
        self._columns = request.columns
        self._last: DataFrame | None = None
        #: Whether `fields` is kept.
        self.notes_fields = False
        #: The fields of columns that have other names.
        self.fields: dict[str, str] = {}
        #: Whether all frames have the same columns.
        self.is_fixed = self._columns is not None or request.dtypes is not None

    def make(self, batch: Batch) -> DataFrame:
        """The frame of a batch. Takes the batch."""
        if self.notes_fields:
            self.fields |= batch.fields()
        try:
            frame = self._new_frame(batch)
        except self._refusal as error:
            # Such as a Categorical of 8 bits with more values than that.
            raise SchemaError(f"Polars refused the columns that were read: {error}") from error
        # Without a schema, later frames may have more columns, and columns of bytes that were text.
        if self._last is None or (not self.is_fixed and self._last.schema != frame.schema):
            self._last = frame.clear()
        return frame

    def empty(self) -> DataFrame:
        """A frame without rows, with the columns that are known."""
        import polars as pl

        if self._last is not None:
            return self._last
        if self._request.dtypes is not None:
            return pl.DataFrame(schema=dict(self._request.dtypes))
        defaults: dict[str, pl.DataType] = {
            "id": pl.String(),
            "timestamp": _schema.timestamp_dtype(
                self._request.options.get("timestamp_format", "l")
            ),
            "sequence": pl.UInt64(),
            "key": pl.String(),
            "stream": pl.String(),
        }
        names = self._request.names
        asked = {} if self._columns is None else self._columns.read
        # The schema has the place of those that it names.
        dtypes = {
            names[part]: dtype
            for part, dtype in defaults.items()
            if part in names and names[part] not in asked
        }
        if self._columns is not None:
            dtypes |= {name: self._columns.asked[name] for name in asked}
        return pl.DataFrame(schema=dtypes)

    def name_dtype(self, error: ValueConversionError) -> None:
        """Put the requested dtype into `error`: the library knows only its Arrow format."""
        if self._columns is None:
            return
        dtype = self._columns.asked.get(error.field or "")
        if dtype is not None:
            error.dtype = str(dtype)

    @staticmethod
    def stream_name(stream: bytes) -> str:
        r"""A stream's key as its column shows it: bytes that are not UTF-8, and NUL, as \xNN."""
        text = stream.decode("utf-8", "backslashreplace")
        return text.replace("\0", "\\x00")
