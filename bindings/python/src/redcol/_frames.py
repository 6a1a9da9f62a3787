"""Batches of the library as DataFrames with the dtypes that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import schema as _schema
from ._capsule import Batch
from ._request import Request
from .errors import SchemaError, ValueConversionError

if TYPE_CHECKING:
    from polars import DataFrame


class Frames:
    """Makes the frames of one read."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._columns = request.columns
        self._last: DataFrame | None = None

    @property
    def decodes(self) -> bool:
        """Whether values are decoded here, which can fail when the library is done with them."""
        return self._columns is not None and bool(self._columns.json)

    def make(self, batch: Batch) -> DataFrame:
        """The frame of a batch, which is taken."""
        import polars as pl

        try:
            frame = pl.DataFrame(batch)
        except pl.exceptions.PolarsError as error:
            # Such as a Categorical of 8 bits with more values than that.
            raise SchemaError(f"Polars refused the columns that were read: {error}") from error
        request = self._request
        if self._columns is not None and self._columns.json:
            frame = _schema.decode_json(
                frame,
                self._columns,
                stream=_schema.escape(request.streams[0], at_most=200),
                ids=frame[request.options["id_column"]],
                on_error=request.options["on_error"],
            )
        if request.hidden_id is not None:
            frame = frame.drop(request.hidden_id)
        self._last = frame.clear()
        return frame

    def empty(self) -> DataFrame:
        """A frame without rows, of the columns that are known."""
        import polars as pl

        if self._last is not None:
            return self._last
        options = self._request.options
        known = {
            "id": ("id_column", pl.String()),
            "timestamp": ("timestamp_column", pl.Int64()),
            "sequence": ("sequence_column", pl.UInt64()),
        }
        dtypes: dict[str, pl.DataType] = {}
        for part, (column, dtype) in known.items():
            if options[f"include_{part}"] == "true":
                dtypes[options[column]] = dtype
        if "stream_column" in options:
            dtypes[options["stream_column"]] = pl.String()
        if self._columns is not None:
            dtypes |= self._columns.asked
        if self._request.hidden_id is not None:
            del dtypes[self._request.hidden_id]
        return pl.DataFrame(schema=dtypes)

    def name_dtype(self, error: ValueConversionError) -> None:
        """Say in `error` the dtype that was asked for: the library knows its Arrow format only."""
        if self._columns is None:
            return
        dtype = self._columns.asked.get(error.field or "")
        if dtype is not None:
            error.dtype = str(dtype)

    @staticmethod
    def stream_name(stream: bytes) -> str:
        r"""A stream's key as its column shows it: what is not UTF-8, and NUL, as \xNN."""
        text = stream.decode("utf-8", "backslashreplace")
        return text.replace("\0", "\\x00")
