# SPDX-License-Identifier: Apache-2.0
"""Reading one stream for any library that speaks Arrow, whether Polars is installed or not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, timedelta

from . import _arguments, _arrow_schema, _native, _reading, client, inference
from ._typing import TYPE_CHECKING, requests, typing
from .client import DEFAULT_TIMEOUT_MS, Client

if TYPE_CHECKING:
    from typing import Final

#: How long one call into the library waits before Python looks at signals.
_WAIT_MS: Final = 100


class ArrowTable:
    """Entries that were read by :func:`read_arrow`, for anything that takes Arrow streams.

    ``pl.DataFrame(table)``, ``pa.table(table)``, ``pandas.DataFrame.from_arrow(table)``, DuckDB's
    SQL and others take it, any number of times and on any thread. Nothing is read from the server
    again. They share the table's memory, and may outlive the table. Strings are string views,
    unless the schema or ``string_layout`` asked for another layout; a consumer that asks for one
    gets that. Only views are shared: other layouts are made for each consumer.

    https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: _native.Handle) -> None:
        self._handle = handle

    def __len__(self) -> int:
        """Number of rows."""
        return _native.table_rows(self._handle)

    def __arrow_c_schema__(self) -> object:
        """The schema, in an "arrow_schema" capsule."""
        return _native.table_schema(self._handle, None)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """All batches, in an "arrow_array_stream" capsule.

        From `requested_schema` only the layouts of strings (``u``, ``U`` or ``vu``) and bytes
        (``z``, ``Z`` or ``vz``) are used, by column name.
        """
        return _native.table_stream(self._handle, requested_schema)

    def __reduce__(self) -> typing.NoReturn:
        raise TypeError(
            "a redcol.ArrowTable cannot be copied or pickled: make a frame of it, such as "
            "pl.DataFrame(table) or pa.table(table), which can"
        )

    def __repr__(self) -> str:
        names = _native.schema_names(self.__arrow_c_schema__())
        shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        return f"<redcol.ArrowTable of {len(self)} rows: {shown}>"


def read_arrow(
    url: str | os.PathLike[str] | Client,
    stream: str | bytes,
    *,
    schema: Mapping[str, typing.Any] | typing.Any | None = None,
    start_id: str | int | date | timedelta = "-",
    end_id: str | int | date | timedelta = "+",
    count: int | None = None,
    last: int | None = None,
    if_missing: typing.Literal["empty", "raise"] = "empty",
    transfer: typing.Literal["entries", "dump"] = "entries",
    dump_entries_max: int | None = None,
    block_ms: int | None = None,
    batch_size: int = 65_536,
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
    string_layout: typing.Literal["view", "large", "string"] | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> ArrowTable:
    """Read entries of a stream, oldest first, for pandas, DuckDB, pyarrow, Polars or others.

    Everything is read before this returns, so a consumer of the columns waits for no server. Polars
    need not be installed. Entries of a consumer group cannot be read in this way, because they are
    acknowledged: use :func:`read_stream` or :func:`iter_stream`.

    Args:
        url: as in :func:`read_stream`.
        stream: the stream's key.
        schema: column names to types: those of pyarrow, Polars or any library whose types have
            ``__arrow_c_schema__``, or Python types (``str``, ``bytes``, ``int``, ``float``,
            ``bool``, ``date``, ``datetime``, ``time``, ``timedelta``). Or a whole Arrow schema,
            such as a ``pa.schema``. The table has exactly these columns, as in
            :func:`read_stream`, with strings in the layout of their Arrow type. Without a schema
            every field becomes a string column. ``"infer"`` is as in :func:`read_stream`.
        start_id: as in :func:`read_stream`.
        end_id: as in :func:`read_stream`.
        count: as in :func:`read_stream`.
        last: as in :func:`read_stream`.
        if_missing: as in :func:`read_stream`.
        transfer: as in :func:`read_stream`.
        dump_entries_max: as in :func:`read_stream`.
        block_ms: as in :func:`read_stream`.
        batch_size: the largest number of rows of a batch; 0 for one batch of all rows.
        include_id: as in :func:`read_stream`.
        id_column: as in :func:`read_stream`.
        include_timestamp: as in :func:`read_stream`.
        timestamp_column: as in :func:`read_stream`.
        timestamp_dtype: as in :func:`read_stream`.
        include_sequence: as in :func:`read_stream`.
        sequence_column: as in :func:`read_stream`.
        missing_field: as in :func:`read_stream`.
        on_error: ``"raise"``, ``"null"`` or ``"skip"``, as in :func:`read_stream`.
        discover: as in :func:`read_stream`.
        string_layout: the layout of strings and bytes for which the schema names no Arrow type:
            those of Python's ``str`` and ``bytes``, ``_id``, and columns without a schema.
            ``"view"`` is ``string_view``, which consumers share without a copy. ``"large"`` is
            ``large_string``. ``"string"`` is ``string``, of which a column can have 2 GiB in a
            batch. pyarrow cannot filter, sort or join tables with views: choose one of the other
            two for it. None takes the layout of the first text in the schema, else ``"view"``.
        connect_timeout_ms: as in :func:`read_stream`.
        timeout_ms: as in :func:`read_stream`.
        answer_timeout_ms: as in :func:`read_stream`.

    Returns:
        A table, which consumers can take any number of times. An empty or missing stream is a table
        without rows (see `if_missing`).

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a type that cannot be read from a stream; nothing was sent.
        ValueConversionError: a value does not fit its column, or is missing. The error names
            stream, entry id, field, dtype and value.
        NoStreamError: a stream is missing, and ``if_missing`` is ``"raise"``.
        WrongTypeError, PermissionDeniedError, ConnectionFailedError, NameResolutionError,
            TimedOutError, AuthenticationError, ServerLoadingError, ServerError, ProtocolError: as
            in :func:`read_stream`.

    Example:
        >>> import pyarrow as pa
        >>> import redcol
        >>> events = redcol.read_arrow("redis://localhost", "events", schema={"value": int})
        >>> events
        <redcol.ArrowTable of 2 rows: _id, _ts, value>
        >>> pa.table(events)["value"].to_pylist()
        [10, 20]
    """
    from dataclasses import replace

    from ._request import read_request
    from ._specs import ColumnSpec, EntrySpec, RangeSpec

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    own = {"batch_rows": str(_arguments.integer("batch_size", batch_size, at_least=0))}
    if string_layout is not None:
        layouts = ("view", "large", "string")
        own["string_layout"] = _arguments.one_of("string_layout", string_layout, layouts)
    columns = ColumnSpec(
        schema=_arrow_schema.parse(schema, string_layout or "view"),
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
    range_ = RangeSpec(start_id, end_id, count, last, if_missing, transfer, dump_entries_max)
    entries = EntrySpec(on_error)

    def ask(columns: ColumnSpec) -> requests.Request:
        return read_request(stream, range_, columns, entries, block_ms=block_ms, own=own)

    if isinstance(schema, str) and schema == "infer":
        layout = {} if string_layout is None else {"string_layout": string_layout}
        found = inference.arrow_schema(server, columns, ask, layout)
        columns = replace(columns, schema=_arrow_schema.of_capsule(found))
    request = ask(columns)
    _reading.check(server, request)
    with client.using(server) as handle:
        iterator = _native.read_streams(
            handle, request.streams, request.schema_capsule(), request.options
        )
        try:
            table = None
            while table is None:  # between two bytecodes Python runs signal handlers
                table = _native.iter_collect(iterator, _WAIT_MS)
        finally:
            iterator.free()
    return ArrowTable(table)
