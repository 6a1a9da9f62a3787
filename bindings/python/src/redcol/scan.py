# SPDX-License-Identifier: Apache-2.0
"""A stream as a LazyFrame, which reads what a query needs when the query runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from . import _bounds, _native, client
from . import stream as _stream
from ._frames import Frames
from ._request import Request, netstrings, read_request
from ._snapshot import Snapshots
from ._source import lazy_frame
from ._typing import TYPE_CHECKING, pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import InvalidArgumentError, SchemaError

if TYPE_CHECKING:
    from typing import Final

#: Rows of a batch. A row that a query keeps may keep its batch alive: no more of them.
_BATCH_ROWS: Final = 65_536
#: What `read_stream` takes and a query cannot have.
_REFUSED: Final = (
    *("block_ms", "group", "consumer", "auto_ack", "create_group", "group_start_id"),
    "claim_idle_ms",
)


#: The columns of an entry's id: what includes each, and what names it.
_FIXED: Final = {
    "include_id": "id_column",
    "include_timestamp": "timestamp_column",
    "include_sequence": "sequence_column",
}


def scan_stream(
    url: str | Client,
    stream: str | bytes,
    *,
    schema: Mapping[str, typing.Any] | None = None,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    count: int | None = None,
    include_id: bool = True,
    id_column: str = "_id",
    include_timestamp: bool = True,
    timestamp_column: str = "_ts",
    include_sequence: bool | None = None,
    sequence_column: str = "_seq",
    on_error: typing.Literal["raise", "null", "skip"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
    **refused: typing.Any,
) -> pl.LazyFrame:
    """Make a LazyFrame of a stream's entries: :func:`read_stream`, done when a query runs.

    Making it sends nothing. A query reads the columns that it needs, and of the entries:

    - ``head(n)`` and ``limit(n)``: the first n;
    - ``filter``: those between the bounds of ``_ts`` (``<``, ``<=``, ``==``, ``>=``, ``>`` and
      ``is_between`` with constants, joined by ``&``), and the one of ``_id == "…"``. Other filters
      are applied to all entries as they come. ``_ts`` is a number of milliseconds; for datetimes
      write ``pl.from_epoch("_ts", "ms") >= datetime(…)``, or cast it to ``pl.Datetime("ms", …)``:
      next to a bare Int64 Polars takes a datetime for its number of microseconds.

    What is read is a snapshot: where a query begins to read, the stream's last entry is looked up
    (XREVRANGE), and nothing behind it is read, at no place of that query. (Places that begin more
    than a minute after the others have ended have a later one. Entries that are deleted or trimmed
    meanwhile may be missing.) Each place reads by itself, on a connection of its own and in batches
    of 65,536 rows, so that a query like ``sink_parquet`` needs little memory, and the server is
    changed in nothing.

    **Without a schema** the columns are discovered when a query, or ``collect_schema``, first needs
    them: all entries from ``start_id`` to ``end_id`` are read for that, whatever the query keeps of
    them, and once more for its rows. The columns then stay. An entry with another field, added
    since, is a :class:`SchemaError` of the query that reads it. With a schema the server is asked
    for nothing but the rows.

    Consumer groups and waiting for entries are refused: a query may run any number of times, or
    never. Use :func:`iter_stream` or :func:`read_stream`.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then hold.
        stream: the stream's key.
        schema: column names to dtypes, as in :func:`read_stream`; better given, see above.
        start_id: where to begin, inclusive, as in :func:`read_stream`.
        end_id: where to end, inclusive, likewise.
        count: only the first so many entries from ``start_id`` on; filters apply to them.
        include_id: whether there is a column of entry ids (String).
        id_column: its name. An entry's own field of this name becomes ``_id_field``, and a column
            of the schema with this name is this one, as in :func:`read_stream`.
        include_timestamp: whether there is a column of the ids' milliseconds (Int64).
        timestamp_column: its name.
        include_sequence: whether there is a column of the ids' sequence numbers (UInt64). None:
            if the schema has it.
        sequence_column: its name.
        on_error: what becomes of a value that does not fit its column: ``"raise"``, ``"null"``, or
            ``"skip"``: its entry gives no row, and a warning in the log says how many there were.
            Columns that a query does not need are not looked at.
        discover: without a schema, ``"string"``, ``"binary"`` or ``"auto"`` columns, as in
            :func:`read_stream`.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may stay silent while an answer is awaited, in milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.
        refused: ``group``, ``block_ms`` and the like, which only :func:`read_stream` has.

    Returns:
        A LazyFrame.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a dtype that cannot be read from a stream; nothing was sent.

        Queries raise what :func:`read_stream` raises; before Polars 2 as a
        ``polars.exceptions.ComputeError`` that has its name and message, and so in every version
        while columns are discovered. The user needs ``+xrange +xrevrange`` and ``%R~key``.

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> events = redcol.scan_stream(
        ...     "redis://localhost", "events", schema={"action": pl.String, "value": pl.Int64}
        ... )
        >>> events.filter(pl.col("_ts") > 1_704_067_200_000).select("action").collect().item()
        'view'
    """
    _refuse(refused)
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    options: dict[str, typing.Any] = {
        "start_id": start_id,
        "end_id": end_id,
        "count": count,
        "include_id": include_id,
        "include_timestamp": include_timestamp,
        "include_sequence": include_sequence,
        "id_column": id_column,
        "timestamp_column": timestamp_column,
        "sequence_column": sequence_column,
        "on_error": on_error,
        "discover": discover,
    }
    request = read_request(stream, schema=schema, **options)
    return lazy_frame(_StreamReads(server, request, options))


def _refuse(arguments: Mapping[str, typing.Any]) -> None:
    """Refuse what a query cannot have, unless it is `read_stream`'s default, which asks nothing."""
    defaults = _stream.read_stream.__kwdefaults__ or {}
    for name, value in arguments.items():
        if name not in _REFUSED:
            raise TypeError(f"scan_stream() got an unexpected keyword argument {name!r}")
        if value != defaults[name]:
            raise InvalidArgumentError(
                f"scan_stream takes no {name}: a query may run any number of times, so it must "
                "neither wait for entries nor be given them as a group's member. Use iter_stream, "
                "or read_stream for a single frame."
            )


class _StreamReads:
    """The reads of one stream; see `_source.Reads`."""

    def __init__(
        self, server: client.Server, request: Request, options: dict[str, typing.Any]
    ) -> None:
        self._server = server
        self._request = request
        self._options = options
        self._range = _bounds.of_range(request.options["start_id"], request.options["end_id"])
        self._snapshots = Snapshots()
        # Reentrant: the collection of garbage may end a read anywhere.
        self._lock = threading.RLock()
        #: All columns, when they are known.
        self._schema: pl.Schema | None = None
        #: The fields of the columns that were discovered; None with a schema.
        self._discovered: dict[str, str] | None = None
        self._fixed = [
            (argument, options[name])
            for argument, name in _FIXED.items()
            if request.options[argument] == "true"
        ]
        if request.columns is not None:
            self._schema = Frames(request).empty().schema

    def schema(self) -> pl.Schema:
        self._snapshots.planned()
        return self._known_schema()

    def _known_schema(self) -> pl.Schema:
        with self._lock:
            if self._schema is None:
                self._schema = self._discover()
            return self._schema

    def _discover(self) -> pl.Schema:
        """Read everything to see which fields there are. The snapshot is then used for the rows."""
        with client.using(self._server) as handle:
            end = self._snapshots.planning(lambda: self._last_id(handle))
            found = Frames(self._request).empty()
            # Values that do not fit are an error of the query that needs them.
            request = self._made(None, self._range & _until(end), on_error="null")
            others: dict[str, str] = {}
            if request is not None:
                found, others = _stream.discovered(handle, request)
        fixed = {name for _, name in self._fixed}
        self._discovered = {
            name: others.get(name, name) for name in found.columns if name not in fixed
        }
        return found.schema

    def frames(
        self, names: list[str] | None, predicate: pl.Expr | None, rows_max: int | None
    ) -> Iterator[pl.DataFrame]:
        schema = self._known_schema()
        names = list(schema) if names is None else names
        count = self._options["count"]
        if rows_max is not None:
            count = rows_max if count is None else min(count, rows_max)
        with client.using(self._server) as handle:
            end = self._snapshots.begin(lambda: self._last_id(handle))
            try:
                bounds = self._range & _until(end)
                found = self._found(predicate, bounds)
                # The first so many are counted from the beginning.
                bounds &= found if count is None else _bounds.Bounds(last=found.last)
                columns = {name: schema[name] for name in names}
                request = self._made(columns, bounds, count=count)
                if request is not None:
                    yield from _stream.frames(handle, request)
            except SchemaError as error:
                if self._discovered is not None and error.entry_id is not None:
                    error.args = (
                        f"{error}. (That is: pass schema= to scan_stream, or call it again.)",
                    )
                raise
            finally:
                self._snapshots.end()

    def _made(
        self,
        columns: Mapping[str, typing.Any] | None,
        bounds: _bounds.Bounds,
        **changed: typing.Any,
    ) -> Request | None:
        """The request for these columns (None: to discover them); None if nothing can come."""
        arguments = self._options | changed
        if bounds.is_empty or arguments["count"] == 0:
            return None
        arguments["start_id"] = _bounds.text(bounds.first)
        arguments["end_id"] = _bounds.text(bounds.last)
        schema = None
        options = {"batch_rows": str(_BATCH_ROWS)}
        if columns is not None:
            arguments |= {argument: needs(columns, name) for argument, name in self._fixed}
            del arguments["discover"]
            schema = dict(columns)
            if self._discovered is not None:
                options |= discovered_options(self._discovered, list(schema))
        stream = self._request.streams[0]
        return read_request(stream, schema=schema, options=options, **arguments)

    def _found(self, predicate: pl.Expr | None, within: _bounds.Bounds) -> _bounds.Bounds:
        """The bounds of a predicate."""
        fixed = dict(self._fixed)
        return _bounds.find(
            predicate,
            timestamp_column=comparable(self._known_schema(), fixed.get("include_timestamp")),
            id_column=fixed.get("include_id"),
            largest_ms=max(within.last[0], 0),
        )

    def _last_id(self, handle: _native.ClientHandle) -> _bounds.EntryID | None:
        return _native.last_id(handle, self._request.streams[0])


def needs(columns: Iterable[str], name: str) -> bool:
    """Whether a column that is not a field's is needed for `columns`.

    An entry's own field of its name is read under another one only where there is that column.
    """
    return any(column == name or column.startswith(f"{name}_field") for column in columns)


def comparable(schema: pl.Schema, timestamp_column: str | None) -> str | None:
    """The column of the ids' milliseconds, if bounds can be found of it."""
    import polars as pl

    is_number = timestamp_column is not None and schema[timestamp_column] == pl.Int64
    return timestamp_column if is_number else None


def discovered_options(fields: Mapping[str, str], columns: list[str]) -> dict[str, str]:
    """What the library is told of fields that were discovered; `fields`: those of the columns."""
    options = {"discovered": netstrings(fields.values())}
    for place, name in enumerate(columns):
        if fields.get(name, name) != name:
            options[f"field:{place}"] = fields[name]
    return options


def _until(end: _bounds.EntryID | None) -> _bounds.Bounds:
    """What is there up to an entry; nothing if there is none."""
    return _bounds.Bounds(last=(-1, 0) if end is None else end)
