# SPDX-License-Identifier: Apache-2.0
"""Many streams as a LazyFrame, which reads what a query needs when the query runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from . import _bounds, _keys, client
from . import stream as _stream
from ._frames import Frames
from ._request import RangesRequest, ranges_request
from ._source import lazy_frame
from ._typing import TYPE_CHECKING, pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import SchemaError
from .scan import comparable, discovered_options, needs
from .streams import FIXED, arranged, checked

if TYPE_CHECKING:
    from typing import Final

#: Rows of a batch. A row that a query keeps may keep its batch alive: no more of them.
_BATCH_ROWS: Final = 65_536


def scan_streams(
    url: str | Client,
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
    include_sequence: bool | None = None,
    sequence_column_name: str | None = None,
    sequence_column: str | None = None,
    include_row_index: bool | None = None,
    row_index_column_name: str | None = None,
    row_index_column: str | None = None,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    count_per_stream: int | None = None,
    count: int | None = None,
    batch_size: int | None = None,
    count_hint: int = 1_000,
    on_error: typing.Literal["raise", "null", "skip"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.LazyFrame:
    r"""Make a LazyFrame of many streams' entries: :func:`read_streams`, done when a query runs.

    Making it sends nothing. A query reads the columns that it needs, and of the entries:

    - ``head(n)`` and ``limit(n)``: the first n of all streams together; with a pattern the keys are
      searched to the end before;
    - ``filter``: of the streams those that ``_key == "…"`` or ``_key.is_in([…])`` names, without a
      search for keys; in each stream those between the bounds of ``_ts`` and the one of
      ``_id == "…"``, as :func:`scan_stream` does it. Not together with ``head`` before the filter,
      nor where the query needs the rows' numbers. Other filters are applied to all entries as they
      come.

    Each query, and each place that the frame has in one, reads by itself on a connection of its
    own, in batches of 65,536 rows. There is no snapshot as :func:`scan_stream` has one: each place
    reads what is there when it reads. If entries are added meanwhile and a query joins the frame
    with itself, give an `end_id` in the past, or :func:`read_streams` it.

    **Without a schema** the columns are discovered when a query, or ``collect_schema``, first needs
    them: everything is read for that, and once more for the rows. The columns then stay. An entry
    with another field, added since, is a :class:`SchemaError` of the query that reads it.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then hold.
        pattern: the pattern of the streams' keys, or the keys, as in :func:`read_streams`; so are
            the arguments below.
        schema: column names to dtypes; better given, see above.
        include_key: whether there is a column of the streams' keys (String).
        key_column_name: its name, ``"_key"`` if none is given.
        key_column: another name of this argument, as are all pairs below: give one of the two.
        include_id: whether there is a column of entry ids (String).
        id_column_name: its name, ``"_id"`` if none is given.
        id_column: the same.
        include_timestamp: whether there is a column of the ids' milliseconds (Int64).
        timestamp_column_name: its name, ``"_ts"`` if none is given.
        timestamp_column: the same.
        include_sequence: whether there is a column of the ids' sequence numbers (UInt64). None:
            if the schema has it.
        sequence_column_name: its name, ``"_seq"`` if none is given.
        sequence_column: the same.
        include_row_index: whether there is a column of the rows' numbers, from 0 (UInt64). None:
            if the schema has it.
        row_index_column_name: its name, ``"_index"`` if none is given.
        row_index_column: the same.
        start_id: where to begin in each stream, inclusive.
        end_id: where to end in each stream, inclusive.
        count_per_stream: only the first so many entries of each stream from `start_id` on; filters
            apply to them.
        count: the same.
        batch_size: how many streams are asked for at once at the most.
        count_hint: how many keys the server looks at for each answer to SCAN.
        on_error: what becomes of a value that does not fit its column: ``"raise"``, ``"null"``, or
            ``"skip"``: its entry gives no row, and a warning in the log says how many there were.
            Columns that a query does not need are not looked at.
        discover: without a schema, ``"string"``, ``"binary"`` or ``"auto"`` columns, as in
            :func:`read_stream`.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may stay silent while an answer is awaited, in milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        A LazyFrame.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a dtype that cannot be read from a stream; nothing was sent.

        Queries raise what :func:`read_streams` raises; before Polars 2 as a
        ``polars.exceptions.ComputeError`` that has its name and message.

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> events = redcol.scan_streams("redis://localhost", "ev*", schema={"value": pl.Int64})
        >>> events.filter(pl.col("_ts") > 1_704_067_200_000).collect()["value"].to_list()
        [20]
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    arguments = checked(locals())
    if not isinstance(pattern, (str, bytes)) and isinstance(pattern, Iterable):
        pattern = list(pattern)
    request = ranges_request(pattern, **arguments)
    return lazy_frame(_ManyReads(server, pattern, request, arguments))


class _ManyReads:
    """The reads of many streams; see `_source.Reads`."""

    def __init__(
        self,
        server: client.Server,
        pattern: str | bytes | Iterable[str | bytes],
        request: RangesRequest,
        arguments: dict[str, typing.Any],
    ) -> None:
        self._server = server
        self._pattern = pattern
        self._request = request
        self._arguments = arguments
        options = request.read.options
        self._range = _bounds.of_range(options["start_id"], options["end_id"])
        # Reentrant: the collection of garbage may end a read anywhere.
        self._lock = threading.RLock()
        #: All columns, when they are known.
        self._schema: pl.Schema | None = None
        #: The fields of the columns that were discovered; None with a schema.
        self._discovered: dict[str, str] | None = None
        included = {argument: options.get(argument) == "true" for argument in FIXED}
        included["include_key"] = request.key_column is not None
        included["include_row_index"] = request.row_index_column is not None
        #: The columns that are no fields: what includes each, by its name.
        self._fixed = {
            arguments[name]: argument for argument, (name, _) in FIXED.items() if included[argument]
        }
        if request.read.columns is not None:
            empty = Frames(request.read).empty()
            self._schema = arranged(empty, request).schema

    def schema(self) -> pl.Schema:
        with self._lock:
            if self._schema is None:
                self._schema = self._discover()
            return self._schema

    def _discover(self) -> pl.Schema:
        """Read everything to see which fields there are."""
        request = self._made(None, self._range, on_error="null")
        with client.using(self._server) as handle:
            found, others = _stream.discovered(handle, request.read)
        found = arranged(found, request)
        self._discovered = {
            name: others.get(name, name) for name in found.columns if name not in self._fixed
        }
        return found.schema

    def frames(
        self, names: list[str] | None, predicate: pl.Expr | None, rows_max: int | None
    ) -> Iterator[pl.DataFrame]:
        schema = self.schema()
        wanted = list(schema) if names is None else names
        columns = {name: dtype for name, dtype in schema.items() if name in wanted}
        bounds = self._range
        streams = None
        # The first so many rows, and their numbers, are those before the predicate.
        if rows_max is None and "include_row_index" not in map(self._fixed.get, columns):
            found = self._found(predicate)
            # So are the first so many of each stream.
            is_counted = self._arguments["count_per_stream"] is not None
            bounds &= _bounds.Bounds(last=found.last) if is_counted else found
            streams = self._streams(predicate)
        if bounds.is_empty or rows_max == 0 or streams == []:
            return
        options = {} if rows_max is None else {"count": str(rows_max)}
        request = self._made(columns, bounds, options, streams=streams)
        rows = 0
        with client.using(self._server) as handle:
            try:
                for frame in _stream.frames(handle, request.read):
                    yield arranged(frame, request, first_row=rows)
                    rows += len(frame)
            except SchemaError as error:
                if self._discovered is not None and error.entry_id is not None:
                    error.args = (
                        f"{error}. (That is: pass schema= to scan_streams, or call it again.)",
                    )
                raise

    def _streams(self, predicate: pl.Expr | None) -> list[str | bytes] | None:
        """The streams that a predicate asks for; None for all."""
        names = {argument: name for name, argument in self._fixed.items()}
        keys = _keys.find(predicate, names.get("include_key"))
        return None if keys is None else _keys.among(self._pattern, keys)

    def _found(self, predicate: pl.Expr | None) -> _bounds.Bounds:
        names = {argument: name for name, argument in self._fixed.items()}
        return _bounds.find(
            predicate,
            timestamp_column=comparable(self.schema(), names.get("include_timestamp")),
            id_column=names.get("include_id"),
            largest_ms=max(self._range.last[0], 0),
        )

    def _made(
        self,
        columns: Mapping[str, typing.Any] | None,
        bounds: _bounds.Bounds,
        options: Mapping[str, str] | None = None,
        *,
        streams: list[str | bytes] | None = None,
        **changed: typing.Any,
    ) -> RangesRequest:
        """The request for these columns; None: to discover them."""
        arguments = self._arguments | changed
        arguments["start_id"] = _bounds.text(bounds.first)
        arguments["end_id"] = _bounds.text(bounds.last)
        own = {"batch_rows": str(_BATCH_ROWS), **(options or {})}
        if columns is not None:
            arguments |= {argument: needs(columns, name) for name, argument in self._fixed.items()}
            del arguments["discover"]
            arguments["schema"] = dict(columns)
            if self._discovered is not None:
                # The library is not told of the rows' numbers.
                asked = [name for name in columns if self._fixed.get(name) != "include_row_index"]
                own |= discovered_options(self._discovered, asked)
        pattern = self._pattern if streams is None else streams
        return ranges_request(pattern, options=own, **arguments)
