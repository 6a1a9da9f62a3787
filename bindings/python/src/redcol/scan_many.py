# SPDX-License-Identifier: Apache-2.0
"""Many streams as a LazyFrame, which reads what a query needs when the query runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta

from . import _bounds, _keys, _native, _progress, _reading, client
from ._arguments import either
from ._lazy import LazyReads
from ._source import lazy_frame
from ._typing import TYPE_CHECKING, pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client

if TYPE_CHECKING:
    from ._request import Request
    from ._specs import ColumnSpec, EntrySpec, ManySpec


def scan_streams(
    url: str | os.PathLike[str] | Client,
    pattern: str | bytes | Iterable[str | bytes] = "*",
    *,
    schema: Mapping[str, typing.Any] | None = None,
    include_key: bool = True,
    key_column_name: str | None = None,
    key_column: str | None = None,
    include_id: bool = True,
    id_column_name: str | None = None,
    id_column: str | None = None,
    include_timestamp: bool = True,
    timestamp_column_name: str | None = None,
    timestamp_column: str | None = None,
    timestamp_dtype: typing.Any = None,
    include_sequence: bool | None = None,
    sequence_column_name: str | None = None,
    sequence_column: str | None = None,
    include_row_index: bool | None = None,
    row_index_column_name: str | None = None,
    row_index_column: str | None = None,
    start_id: str | int | date | timedelta = "-",
    end_id: str | int | date | timedelta = "+",
    count_per_stream: int | None = None,
    count: int | None = None,
    batch_size: int | None = None,
    count_hint: int = 1_000,
    if_missing: typing.Literal["empty", "raise"] = "empty",
    missing_field: typing.Literal["null", "raise"] = "null",
    on_error: typing.Literal["raise", "null", "skip"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    progress: bool | Callable[[int, int, int | None], object] = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.LazyFrame:
    r"""Make a LazyFrame of many streams' entries: :func:`read_streams`, done when a query runs.

    This call sends nothing. A query reads only the columns that it needs, and of the entries only:

    - with ``head(n)`` or ``limit(n)``: the first n of all streams together; with a pattern, redcol
      first searches all keys;
    - with ``filter``: those of the streams that ``_key == "…"`` or ``_key.is_in([…])`` names,
      without a search for keys; and in each stream those between the bounds of ``_ts`` and the one
      of ``_id == "…"``, as in :func:`scan_stream`. Not if ``head`` comes before the filter, nor if
      the query needs row numbers. Other filters are applied to the entries when they arrive.

    Each query, and each place of the frame in a query, reads by itself, on its own connection, in
    batches of 65,536 rows. There is no snapshot, unlike in :func:`scan_stream`: each place reads
    what is there when it reads. If entries are added meanwhile and a query joins the frame with
    itself, give an `end_id` in the past, or use :func:`read_streams`.

    **Without a schema** redcol discovers the columns when a query, or ``collect_schema``, first
    needs them: it reads everything for that, and reads it again for the rows. After that the
    columns stay. If a query then reads an entry that has another field, that is a
    :class:`SchemaError`.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        pattern: the pattern of the streams' keys, or the keys, as in :func:`read_streams`, which
            explains the other arguments too.
        schema: column names to dtypes. Better give one, see above.
        include_key: whether there is a column of the streams' keys (String).
        key_column_name: its name; ``"_key"`` if None.
        key_column: another name of the argument above, as in all pairs below: give one of the two.
        include_id: whether there is a column of entry ids (String).
        id_column_name: its name; ``"_id"`` if None.
        id_column: another name of the argument above.
        include_timestamp: whether there is a column of the ids' milliseconds (Int64).
        timestamp_column_name: its name; ``"_ts"`` if None.
        timestamp_column: another name of the argument above.
        timestamp_dtype: as in :func:`read_stream`.
        include_sequence: whether there is a column of the ids' sequence numbers (UInt64). None:
            only if the schema has it.
        sequence_column_name: its name; ``"_seq"`` if None.
        sequence_column: another name of the argument above.
        include_row_index: whether there is a column of row numbers, from 0 (UInt64). None: only if
            the schema has it.
        row_index_column_name: its name; ``"_index"`` if None.
        row_index_column: another name of the argument above.
        start_id: where to begin in each stream, inclusive. A time before now is counted from the
            moment when a place of a query reads, by the clock of a server (TIME).
        end_id: where to end in each stream, inclusive, likewise.
        count_per_stream: read only the first so many entries of each stream from `start_id` on;
            filters apply to them.
        count: another name of ``count_per_stream``.
        batch_size: how many streams to ask for at once, at most.
        count_hint: how many keys the server looks at for each answer to SCAN.
        if_missing: as in :func:`read_streams`, for the streams that a query reads: not for those
            that a filter on the keys leaves out, nor for a pattern with such a filter. With
            ``head(0)`` Polars reads nothing, and so nothing is looked for.
        missing_field: as in :func:`read_stream`, in the columns that a query needs.
        on_error: what happens to a value that does not fit its column: ``"raise"``, ``"null"``, or
            ``"skip"``, which leaves the entry out and logs a warning with the number of such
            entries. redcol does not look at columns that a query does not need.
        discover: the dtype of columns without a schema: ``"string"``, ``"binary"`` or ``"auto"``,
            as in :func:`read_stream`.
        progress: as in :func:`read_streams`, for each read of a query by itself, in the thread in
            which Polars reads. The total is None if the query's filter has bounds or chooses
            streams. Discovering columns is not shown.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        A LazyFrame.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a dtype that cannot be read from a stream; nothing was sent.

        Queries raise what :func:`read_streams` raises. Before Polars 2 that is a
        ``polars.exceptions.ComputeError`` with the error's name and message.

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> events = redcol.scan_streams("redis://localhost", "ev*", schema={"value": pl.Int64})
        >>> events.filter(pl.col("_ts") > 1_704_067_200_000).collect()["value"].to_list()
        [20]
    """
    from ._request import ranges_request
    from ._specs import ColumnSpec, EntrySpec, ManySpec, RangeSpec

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    columns = ColumnSpec(
        schema=schema,
        discover=discover,
        include_row_index=include_row_index,
        row_index_column=either(
            "_index", row_index_column_name=row_index_column_name, row_index_column=row_index_column
        ),
        include_key=include_key,
        key_column=either("_key", key_column_name=key_column_name, key_column=key_column),
        include_id=include_id,
        id_column=either("_id", id_column_name=id_column_name, id_column=id_column),
        include_timestamp=include_timestamp,
        timestamp_column=either(
            "_ts", timestamp_column_name=timestamp_column_name, timestamp_column=timestamp_column
        ),
        timestamp_dtype=timestamp_dtype,
        include_sequence=include_sequence,
        missing_field=missing_field,
        sequence_column=either(
            "_seq", sequence_column_name=sequence_column_name, sequence_column=sequence_column
        ),
    )
    many = ManySpec(
        count_per_stream=either(None, count_per_stream=count_per_stream, count=count),
        batch_size=batch_size,
        count_hint=count_hint,
    )
    entries = EntrySpec(on_error)
    if not isinstance(pattern, (str, bytes)) and isinstance(pattern, Iterable):
        pattern = list(pattern)
    range_ = RangeSpec(start_id, end_id, if_missing=if_missing)
    request = ranges_request(pattern, many, range_, columns, entries)
    _reading.check(server, request, is_read_later=True)
    return lazy_frame(_ManyReads(server, request, pattern, many, columns, entries, progress))


class _ManyReads(LazyReads):
    """The reads of many streams. Each place in a query reads what is there when it reads."""

    _function = "scan_streams"

    def __init__(
        self,
        server: client.Server,
        request: Request,
        pattern: str | bytes | Iterable[str | bytes],
        many: ManySpec,
        columns: ColumnSpec,
        entries: EntrySpec,
        progress: object,
    ) -> None:
        super().__init__(server, request, columns, entries, progress)
        self._if_missing = request.options.get("if_missing", "empty")
        self._pattern = pattern
        self._many = many

    def _discovery(self, handle: _native.ClientHandle) -> Request:
        return self._read(None, self._within())

    def _frames(
        self, columns: Mapping[str, pl.DataType], predicate: pl.Expr | None, rows_max: int | None
    ) -> Iterator[pl.DataFrame]:
        bounds = within = self._within()
        streams = None
        # The first so many rows, and their numbers, are those before the predicate.
        if rows_max is None and self._request.names.get("row_index") not in columns:
            found = self._found(predicate, within)
            # So are the first so many of each stream.
            is_counted = self._many.count_per_stream is not None
            bounds &= _bounds.Bounds(last=found.last) if is_counted else found
            streams = self._streams(predicate)
        if bounds.is_empty or rows_max == 0 or streams == []:
            if self._if_missing == "empty" or streams == []:
                return
            # The library looks for the streams although nothing of them is wanted.
            bounds, rows_max = _bounds.ALL, 0
        request = self._read(columns, bounds, rows_max, streams)
        rows = 0
        with client.using(self._server) as handle:
            is_whole = bounds == _bounds.ALL and streams is None and rows_max != 0
            told = _progress.of(self._progress)
            for frame in _reading.frames(handle, request, told, is_whole=is_whole):
                yield _reading.arranged(frame, request, first_row=rows)
                rows += len(frame)

    def _streams(self, predicate: pl.Expr | None) -> list[str | bytes] | None:
        """The streams that a predicate asks for; None for all."""
        keys = _keys.find(predicate, self._request.names.get("key"))
        return None if keys is None else _keys.among(self._pattern, keys)

    def _read(
        self,
        columns: Mapping[str, pl.DataType] | None,
        bounds: _bounds.Bounds,
        count: int | None = None,
        streams: list[str | bytes] | None = None,
    ) -> Request:
        """The read of these columns (None: to discover them)."""
        from ._request import ranges_request
        from ._specs import RangeSpec

        pattern = self._pattern if streams is None else streams
        # A filter may name a stream that no stream is found for by the pattern: that is no error.
        is_filtered = pattern is not self._pattern and isinstance(self._pattern, (str, bytes))
        range_ = RangeSpec(
            _bounds.text(bounds.first),
            _bounds.text(bounds.last),
            count,
            if_missing="empty" if is_filtered else self._if_missing,
        )
        spec, entries, own = self._asked(columns)
        return ranges_request(pattern, self._many, range_, spec, entries, own)
