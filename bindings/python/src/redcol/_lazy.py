# SPDX-License-Identifier: Apache-2.0
"""What the lazy scans share: columns that are discovered once, and reads of some of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping

from . import _arguments, _bounds, _native, _native_position, _progress, client
from ._frames import Frames
from ._reading import arranged, discovered
from ._typing import TYPE_CHECKING
from .errors import SchemaError

if TYPE_CHECKING:
    from typing import Any, Final

    from polars import DataFrame, DataType, Expr, Schema

    from ._request import Request
    from ._specs import ColumnSpec, EntrySpec

#: Rows of a batch. A row that a query keeps may keep its batch alive: no more of them.
_BATCH_ROWS: Final = 65_536


class LazyReads:
    """The reads of one LazyFrame: one for each query, and for each place that it has in a query.

    A subclass says what to ask for.
    """

    #: The public function, for messages.
    _function: str

    def __init__(
        self,
        server: client.Server,
        request: Request,
        columns: ColumnSpec,
        entries: EntrySpec,
        progress: object,
    ) -> None:
        """`request`: the read of everything, made of these specs among others."""
        _progress.of(progress)  # is refused now, if it is wrong
        self._progress = progress
        self._server = server
        self._request = request
        self._columns = columns
        self._entries = entries
        self._ends = request.options["start_id"], request.options["end_id"]
        # Reentrant: the collection of garbage may end a read anywhere.
        self._lock = threading.RLock()
        #: All columns, when they are known.
        self._schema: Schema | None = None
        #: The fields of the columns that were discovered; None with a schema.
        self._discovered: dict[str, str] | None = None
        if request.columns is not None:
            self._schema = self._empty().schema

    # -- For subclasses

    def _discovery(self, handle: _native.ClientHandle) -> Request | None:
        """The read that shows which fields there are; None if nothing can come."""
        raise NotImplementedError

    def _frames(
        self, columns: Mapping[str, DataType], predicate: Expr | None, rows_max: int | None
    ) -> Iterator[DataFrame]:
        """As `frames`, with the columns that are needed."""
        raise NotImplementedError

    # -- What a source asks for

    def schema(self) -> Schema:
        """All columns. Polars asks for them when it plans a query, once for each place in it."""
        return self._known_schema()

    def _known_schema(self) -> Schema:
        with self._lock:
            if self._schema is None:
                self._schema = self._discover()
            return self._schema

    def frames(
        self, names: list[str] | None, predicate: Expr | None, rows_max: int | None
    ) -> Iterator[DataFrame]:
        """Read these columns (None: all), batch by batch: the first `rows_max` rows, or all.

        The caller applies the predicate to what comes. Rows that cannot satisfy it may be left out,
        unless others would then be among the first `rows_max`.
        """
        schema = self._known_schema()
        wanted = schema.keys() if names is None else set(names)
        columns = {name: dtype for name, dtype in schema.items() if name in wanted}
        try:
            yield from self._frames(columns, predicate, rows_max)
        except SchemaError as error:
            # A field that was added after the columns were discovered.
            if self._discovered is not None and error.entry_id is not None:
                error.args = (
                    f"{error}. (That is: pass schema= to {self._function}, or call it again.)",
                )
            raise

    # -- Requests

    def _empty(self) -> DataFrame:
        return arranged(Frames(self._request).empty(), self._request)

    def _discover(self) -> Schema:
        """Read everything to see which fields there are."""
        with client.using(self._server) as handle:
            request = self._discovery(handle)
            found = self._empty()
            fields: dict[str, str] = {}
            if request is not None:
                frame, fields = discovered(handle, request)
                found = arranged(frame, request)
        metadata = set(self._request.names.values())
        self._discovered = {
            name: fields.get(name, name) for name in found.columns if name not in metadata
        }
        return found.schema

    def _asked(
        self, columns: Mapping[str, DataType] | None
    ) -> tuple[ColumnSpec, EntrySpec, dict[str, str]]:
        """The specs of a read of these columns, and the library's options that go with them.

        None: of a read that discovers the columns.
        """
        from dataclasses import replace

        options = {"batch_rows": str(_BATCH_ROWS)}
        if columns is None:
            # Values that do not fit are an error of the query that needs them.
            return self._columns, replace(self._entries, on_error="null"), options
        included: dict[str, Any] = {
            f"include_{part}": _needs(columns, name) for part, name in self._request.names.items()
        }
        spec = replace(self._columns, schema=dict(columns), discover="string", **included)
        if self._discovered is not None:
            # The library knows nothing about row numbers.
            row_index = self._request.names.get("row_index")
            options |= _discovered_options(
                self._discovered, [name for name in columns if name != row_index]
            )
        return spec, self._entries, options

    def _within(self) -> _bounds.Bounds:
        """The bounds of all entries. Times before now are counted from this moment."""
        if all(_arguments.milliseconds_back(end) is None for end in self._ends):
            return _bounds.of_range(*self._ends)
        streams = self._request.streams
        with client.using(self._server) as handle:
            now_ms = _native_position.server_ms(handle, streams[0] if streams else b"redcol")
        return _bounds.of_range(*self._ends, now_ms)

    def _found(self, predicate: Expr | None, within: _bounds.Bounds) -> _bounds.Bounds:
        """The ids that can satisfy a predicate, of those within these bounds."""
        import polars as pl

        timestamp = self._request.names.get("timestamp")
        dtype = None if timestamp is None else self._known_schema()[timestamp]
        is_datetime = isinstance(dtype, pl.Datetime)
        if dtype != pl.Int64 and not is_datetime:
            timestamp = None
        return _bounds.find(
            predicate,
            timestamp_column=timestamp,
            id_column=self._request.names.get("id"),
            largest_ms=max(within.last[0], 0),
            is_datetime=is_datetime,
        )


def _needs(columns: Iterable[str], name: str) -> bool:
    """Whether a metadata column is needed for `columns`.

    An entry's own field of its name has another name only if there is that column.
    """
    return any(column == name or column.startswith(f"{name}_field") for column in columns)


def _discovered_options(fields: Mapping[str, str], columns: list[str]) -> dict[str, str]:
    """The library's options for discovered fields; `fields`: the field of each column."""
    from ._specs import netstrings

    options = {"discovered": netstrings(fields.values())}
    for place, name in enumerate(columns):
        if fields.get(name, name) != name:
            options[f"field:{place}"] = fields[name]
    return options
