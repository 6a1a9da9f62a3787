# SPDX-License-Identifier: Apache-2.0
"""A stream as a LazyFrame, which reads what a query needs when the query runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta

from . import _bounds, _native, _progress, _reading, client, inference
from ._lazy import LazyReads
from ._snapshot import Snapshots
from ._source import lazy_frame
from ._typing import TYPE_CHECKING, pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from ._request import Request
    from ._snapshot import Snapshot
    from ._specs import ColumnSpec, EntrySpec, RangeSpec


def scan_stream(
    url: str | os.PathLike[str] | Client,
    stream: str | bytes,
    *,
    schema: Mapping[str, typing.Any] | typing.Literal["infer"] | None = None,
    schema_overrides: Mapping[str, typing.Any] | None = None,
    start_id: str | int | date | timedelta = "-",
    end_id: str | int | date | timedelta = "+",
    count: int | None = None,
    last: int | None = None,
    if_missing: typing.Literal["empty", "raise"] = "empty",
    transfer: typing.Literal["entries", "dump"] = "entries",
    dump_entries_max: int | None = None,
    include_id: bool = True,
    id_column: str = "_id",
    include_timestamp: bool = True,
    timestamp_column: str = "_ts",
    timestamp_dtype: typing.Any = None,
    include_sequence: bool | None = None,
    sequence_column: str = "_seq",
    missing_field: typing.Literal["null", "raise"] = "null",
    on_error: typing.Literal["raise", "null", "skip"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    progress: bool | Callable[[int, int, int | None], object] = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
    block_ms: None = None,
    group: None = None,
    consumer: None = None,
    auto_ack: typing.Literal[False] = False,
    create_group: typing.Literal[True] = True,
    group_start_id: typing.Literal["0"] = "0",
    claim_idle_ms: None = None,
) -> pl.LazyFrame:
    """Make a LazyFrame of a stream's entries: :func:`read_stream`, done when a query runs.

    This call sends nothing. A query reads only the columns that it needs, and of the entries only:

    - with ``head(n)`` or ``limit(n)``: the first n;
    - with ``filter``: those between the bounds of ``_ts`` (``<``, ``<=``, ``==``, ``>=``, ``>`` and
      ``is_between`` with constants, joined by ``&``), and the one of ``_id == "…"``. Other filters
      are applied to the entries when they arrive. To compare ``_ts`` with datetimes, make it one:
      ``timestamp_dtype=pl.Datetime("ms", "UTC")``. Next to a plain Int64, Polars takes a datetime
      for its number of microseconds. If a constant looks like one, the log has a warning.

    A query reads a snapshot. When it begins, redcol asks for the stream's last entry (XREVRANGE),
    and no place of the query reads past it. (A place that begins more than a minute after the
    others have ended has a later snapshot. Entries that are deleted or trimmed meanwhile may be
    missing.) Each place reads by itself, on its own connection, in batches of 65,536 rows. So a
    query like ``sink_parquet`` needs little memory, and nothing changes on the server.

    **Without a schema** redcol discovers the columns when a query, or ``collect_schema``, first
    needs them: it reads all entries from ``start_id`` to ``end_id`` for that, whatever the query
    keeps of them, and reads them again for the rows. After that the columns stay. If a query then
    reads an entry that has another field, that is a :class:`SchemaError`. With a schema, redcol
    asks the server only for the rows.

    Consumer groups and waiting for entries are refused, because a query may run any number of
    times, or never. Use :func:`iter_stream` or :func:`read_stream`.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: the stream's key.
        schema: column names to dtypes, as in :func:`read_stream`. Better give one, see above.
            ``"infer"`` looks at the newest 1,000 entries in this call, which then connects. If
            there are none, its frames have no columns of fields, and the log says so.
        schema_overrides: as in :func:`read_stream`.
        start_id: where to begin, inclusive, as in :func:`read_stream`. A time before now is counted
            from the moment when a query begins, by the server's clock (TIME), for all places of the
            query together.
        end_id: where to end, inclusive, likewise.
        count: read only the first so many entries from ``start_id`` on; filters apply to them.
        last: read only this many of the newest entries up to ``end_id``; the rows are oldest first,
            and filters apply to them. ``tail(n)`` of the LazyFrame has the same rows, but reads
            all entries, since Polars does not tell redcol of it.
        if_missing: as in :func:`read_stream`, when a query runs.
        transfer: as in :func:`read_stream`, each time that a query reads rows.
        dump_entries_max: as in :func:`read_stream`.
        include_id: whether there is a column of entry ids (String).
        id_column: its name. An entry's own field of this name becomes ``_id_field``, and a column
            of the schema with this name is the column of entry ids, as in :func:`read_stream`.
        include_timestamp: whether there is a column of the ids' milliseconds (Int64).
        timestamp_column: its name.
        timestamp_dtype: as in :func:`read_stream`.
        include_sequence: whether there is a column of the ids' sequence numbers (UInt64). None:
            only if the schema has it.
        sequence_column: its name.
        missing_field: as in :func:`read_stream`, in the columns that a query needs.
        on_error: what happens to a value that does not fit its column: ``"raise"``, ``"null"``, or
            ``"skip"``, which leaves the entry out and logs a warning with the number of such
            entries. redcol does not look at columns that a query does not need.
        discover: the dtype of columns without a schema: ``"string"``, ``"binary"`` or ``"auto"``,
            as in :func:`read_stream`.
        progress: as in :func:`read_stream`, for each read of a query by itself, in the thread in
            which Polars reads. The total is None if the query's filter has bounds. Discovering
            columns is not shown.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.
        block_ms: refused, like the arguments below, unless it is :func:`read_stream`'s default.
        group: refused.
        consumer: refused.
        auto_ack: refused.
        create_group: refused.
        group_start_id: refused.
        claim_idle_ms: refused.

    Returns:
        A LazyFrame.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a dtype that cannot be read from a stream; nothing was sent.

        Queries raise what :func:`read_stream` raises. Before Polars 2 that is a
        ``polars.exceptions.ComputeError`` with the error's name and message; while columns are
        discovered it is one in every version. The user needs ``+xrange +xrevrange`` (for times
        before now also ``+time``) and ``%R~key``.

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> events = redcol.scan_stream(
        ...     "redis://localhost", "events", schema={"action": pl.String, "value": pl.Int64}
        ... )
        >>> events.filter(pl.col("_ts") > 1_704_067_200_000).select("action").collect().item()
        'view'
    """
    from dataclasses import replace

    from ._request import read_request
    from ._specs import ColumnSpec, EntrySpec, RangeSpec

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    _refuse("block_ms", block_ms, None)
    _refuse("group", group, None)
    _refuse("consumer", consumer, None)
    _refuse("auto_ack", auto_ack, False)
    _refuse("create_group", create_group, True)
    _refuse("group_start_id", group_start_id, "0")
    _refuse("claim_idle_ms", claim_idle_ms, None)
    server.check()
    range_ = RangeSpec(start_id, end_id, count, last, if_missing, transfer, dump_entries_max)
    columns = ColumnSpec(
        schema=schema,
        discover=discover,
        include_id=include_id,
        id_column=id_column,
        include_timestamp=include_timestamp,
        timestamp_column=timestamp_column,
        timestamp_dtype=timestamp_dtype,
        include_sequence=include_sequence,
        sequence_column=sequence_column,
        missing_field=missing_field,
    )
    entries = EntrySpec(on_error)

    def ask(columns: ColumnSpec) -> Request:
        return read_request(stream, range_, columns, entries)

    request = inference.request(server, columns, schema_overrides, ask, is_read_later=True)
    _reading.check(server, request, is_read_later=True)
    if request.columns is not None:
        columns = replace(columns, schema=request.columns)
    return lazy_frame(_StreamReads(server, request, range_, columns, entries, progress))


def _refuse(name: str, value: object, default: object) -> None:
    """Refuse what a query cannot have, unless it is `read_stream`'s default, which asks nothing."""
    if value != default:
        raise InvalidArgumentError(
            f"scan_stream takes no {name}: a query may run any number of times, so it must neither "
            "wait for entries nor be given them as a group's member. Use iter_stream, or "
            "read_stream for a single frame."
        )


class _StreamReads(LazyReads):
    """The reads of one stream. All places of a query see the same snapshot."""

    _function = "scan_stream"

    def __init__(
        self,
        server: client.Server,
        request: Request,
        range_: RangeSpec,
        columns: ColumnSpec,
        entries: EntrySpec,
        progress: object,
    ) -> None:
        super().__init__(server, request, columns, entries, progress)
        self._range = range_
        self._snapshots = Snapshots()

    def schema(self) -> pl.Schema:
        self._snapshots.planned()
        return self._known_schema()

    def _discovery(self, handle: _native.ClientHandle) -> Request | None:
        # The rows are then read up to the same end.
        bounds, _ = self._snapshots.planning(lambda: self._snapshot(handle))
        return self._read(None, bounds, self._range.count, self._range.last)

    def _frames(
        self, columns: Mapping[str, pl.DataType], predicate: pl.Expr | None, rows_max: int | None
    ) -> Iterator[pl.DataFrame]:
        count, last = self._range.count, self._range.last
        if rows_max is not None and last is None:
            count = rows_max if count is None else min(count, rows_max)
        with client.using(self._server) as handle:
            bounds, end = self._snapshots.begin(lambda: self._snapshot(handle))
            try:
                found = self._found(predicate, bounds)
                # The first so many are counted from the beginning, the newest from the end.
                if count is not None:
                    found = _bounds.Bounds(last=found.last)
                elif last is not None:
                    found = _bounds.Bounds(first=found.first)
                bounds &= found
                request = self._read(columns, bounds, count, last)
                if request is None:
                    return
                is_whole = last is None and bounds.first == (0, 0) and bounds.last == end
                told = _progress.of(self._progress)
                frames = _reading.frames(handle, request, told, is_whole=is_whole)
                yield from frames if last is None or rows_max is None else _first(frames, rows_max)
            finally:
                self._snapshots.end()

    def _read(
        self,
        columns: Mapping[str, pl.DataType] | None,
        bounds: _bounds.Bounds,
        count: int | None,
        last: int | None,
    ) -> Request | None:
        """The read of these columns (None: to discover them); None if nothing can come."""
        from ._request import read_request
        from ._specs import RangeSpec

        if bounds.is_empty or count == 0 or last == 0:
            return None
        range_ = RangeSpec(
            *(_bounds.text(bounds.first), _bounds.text(bounds.last)),
            *(count, last),
            # Which columns there are is seen from the first entries.
            transfer="entries" if columns is None else self._range.transfer,
            dump_entries_max=None if columns is None else self._range.dump_entries_max,
        )
        spec, entries, own = self._asked(columns)
        return read_request(self._request.streams[0], range_, spec, entries, own=own)

    def _snapshot(self, handle: _native.ClientHandle) -> Snapshot:
        """The range as it is now, and the stream's last entry."""
        stream = self._request.streams[0]
        end = _native.last_id(handle, stream)
        if end is None:
            _reading.look_for(handle, stream, self._range.if_missing)
            return _until(None), None
        return self._within() & _until(end), end


def _first(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The first so many rows of all frames."""
    for frame in frames:
        yield frame.head(rows)
        rows -= frame.height
        if rows <= 0:
            return


def _until(end: _bounds.EntryID | None) -> _bounds.Bounds:
    """What is there up to an entry; nothing if there is none."""
    return _bounds.Bounds(last=(-1, 0) if end is None else end)
