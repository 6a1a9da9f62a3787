"""Batches of the library as DataFrames with the dtypes that were asked for."""

from __future__ import annotations

from . import schema as _schema
from ._capsule import Batch
from ._request import Request
from ._typing import TYPE_CHECKING
from .errors import SchemaError, ValueConversionError

if TYPE_CHECKING:
    from polars import DataFrame

    #: Rows, or what was wrong with the row in their place; and, where values are decoded here, the
    #: rows' entry ids by stream.
    Piece = tuple[DataFrame | None, ValueConversionError | None, dict[bytes, list[str]] | None]


class Frames:
    """Makes the frames of one read."""

    def __init__(self, request: Request) -> None:
        # Before anything is read: Ctrl-C in the middle of this import must not cost a batch.
        import polars as pl

        self._new_frame = pl.DataFrame
        self._refusal = pl.exceptions.PolarsError
        self._request = request
        self._columns = request.columns
        self._last: DataFrame | None = None
        #: Whether all frames have the same columns.
        self.is_fixed = self._columns is not None
        #: Whether values are decoded here, which can fail when the library is done with them.
        self.decodes = self._columns is not None and bool(self._columns.json)

    def make(self, batch: Batch) -> DataFrame:
        """The frame of a batch, which is taken."""
        frame, errors = self._decoded(self._imported(batch))
        for error in errors.values():
            raise error
        return self._finished(frame)

    def pieces(self, batch: Batch) -> list[Piece]:
        """Those of an iterator's batch: a row whose value does not fit is an error by itself."""
        if not self.decodes:
            return [(self._finished(self._imported(batch)), None, None)]
        frame, errors = self._decoded(self._imported(batch))
        found: list[Piece] = []
        begin = 0
        for row in [*sorted(errors), len(frame)]:
            if row > begin:
                rows = frame[begin:row]
                found.append((self._finished(rows), None, self._ids(rows)))
            if row in errors:
                found.append((None, errors[row], None))
            begin = row + 1
        return found

    def _imported(self, batch: Batch) -> DataFrame:
        try:
            return self._new_frame(batch)
        except self._refusal as error:
            # Such as a Categorical of 8 bits with more values than that.
            raise SchemaError(f"Polars refused the columns that were read: {error}") from error

    def _decoded(self, frame: DataFrame) -> tuple[DataFrame, dict[int, ValueConversionError]]:
        if self._columns is None or not self.decodes:
            return frame, {}
        options = self._request.options
        column = options.get("stream_column")

        names = {} if column is None else self.streams_by_name()

        def stream_of(row: int) -> str:
            if column is None:
                stream = self._request.streams[0]
            else:  # streams that were found by a pattern are known by their column only
                name = frame[column][row]
                stream = names.get(name) or name.encode()
            return _schema.escape(stream, at_most=200)

        return _schema.decode_json(
            frame,
            self._columns,
            stream_of=stream_of,
            ids=frame[options["id_column"]],
            on_error=options["on_error"],
        )

    def _finished(self, frame: DataFrame) -> DataFrame:
        if self._request.hidden_id is not None:
            frame = frame.drop(self._request.hidden_id)
        # Without a schema, later frames may have more columns.
        if self._last is None or (not self.is_fixed and self._last.width != frame.width):
            self._last = frame.clear()
        return frame

    def _ids(self, frame: DataFrame) -> dict[bytes, list[str]]:
        options = self._request.options
        column = options.get("stream_column")
        if column is None:
            return {self._request.streams[0]: frame[options["id_column"]].to_list()}
        by_name = self.streams_by_name()
        return {
            by_name[part[column][0]]: part[options["id_column"]].to_list()
            for part in frame.partition_by(column)
        }

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

    def streams_by_name(self) -> dict[str, bytes]:
        """The streams' keys by what their column shows."""
        return {self.stream_name(name): name for name in self._request.streams}

    @staticmethod
    def stream_name(stream: bytes) -> str:
        r"""A stream's key as its column shows it: what is not UTF-8, and NUL, as \xNN."""
        text = stream.decode("utf-8", "backslashreplace")
        return text.replace("\0", "\\x00")
