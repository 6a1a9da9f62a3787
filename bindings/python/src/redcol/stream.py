# SPDX-License-Identifier: Apache-2.0
"""Reading one stream into a DataFrame."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from . import _interrupt, _log, _progress, _reading, client, inference
from ._typing import pl, requests, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import RedcolError


def read_stream(
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
    block_ms: int | None = None,
    group: str | bytes | None = None,
    consumer: str | bytes | None = None,
    auto_ack: bool = False,
    create_group: bool = True,
    include_id: bool = True,
    id_column: str = "_id",
    include_timestamp: bool = True,
    timestamp_column: str = "_ts",
    timestamp_dtype: typing.Any = None,
    include_sequence: bool | None = None,
    sequence_column: str = "_seq",
    missing_field: typing.Literal["null", "raise"] = "null",
    on_error: typing.Literal["raise", "null", "skip", "dead_letter"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    group_start_id: str | int | date = "0",
    claim_idle_ms: int | None = None,
    dead_letter: str | bytes | None = None,
    entry_bytes_max: int | None = None,
    entry_fields_max: int | None = None,
    progress: bool | Callable[[int, int, int | None], object] = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.DataFrame:
    """Read entries of a stream into a DataFrame, oldest first, one row per entry.

    By default this reads a range of entry ids. With ``block_ms`` it waits for new entries. With
    ``group`` it reads as a member of a consumer group: first the member's own pending entries
    (delivered to it before, and not acknowledged), then, with ``claim_idle_ms``, entries that other
    members have held for too long, then new ones.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db]``, ``unix:///path[?db=n]`` (see
            :func:`redcol.connect` for more), or a client from that function, whose own timeouts
            then apply. A path-like object, or ``rdb:///path``, is a server's backup file.
        stream: the stream's key.
        schema: column names to dtypes. The frame then has exactly these columns, in this order,
            after ``_id`` and ``_ts`` (unless the schema names them too). An entry without the field
            has null there, and other fields are ignored. Polars dtypes and Python types (``str``,
            ``int``, …) work, and so does the schema of a frame that was read. Struct, List
            and Array columns are read from JSON text; docs/dtypes.md says which texts each dtype
            reads. Without a schema every field becomes a column, as ``discover`` says, in order of
            first appearance. ``"infer"`` first looks at the newest 1,000 entries, as
            :func:`infer_schema` does. If a field is in an entry twice, the last value counts.
        schema_overrides: columns and dtypes that replace those of `schema`, or are added after
            them. They need a schema, or ``"infer"``.
        start_id: where to begin, inclusive: an entry id such as ``"1704067200000-0"``, its
            milliseconds alone as str or int, ``"-"`` for the first entry, or a time: a datetime, a
            date, or ISO text such as ``"2024-01-01T12:00:00Z"``. A time without a time zone is UTC,
            parts of a millisecond are dropped, and a date is its midnight. It can also be a time
            before now, by the server's clock (TIME): a negative timedelta, or a text such as
            ``"-1h"``, ``"-1d12h"`` or ``"-500ms"`` (units ``w``, ``d``, ``h``, ``m``, ``s`` and
            ``ms``). A ``"("`` before an id excludes it. With ``block_ms`` the read begins after
            this id, and ``"$"`` means entries that are added from now on. Not with ``group``: the
            server remembers where a group is.
        end_id: where to end, inclusive, written in the same ways; ``"+"`` is the last entry.
        count: the largest number of rows, of the first entries; None reads all entries.
        last: read only this many of the newest entries of the range; the rows are oldest first. The
            server sends only these, from the newest to the oldest, so redcol holds all of them in
            memory before the first row. Not with `count`, `block_ms` or `group`.
        if_missing: what a missing stream is: ``"empty"``, like a stream without entries, or
            ``"raise"``, a NoStreamError. redcol then asks for it first (EXISTS; the user needs
            ``+exists``), and with `group` does not create it.
        transfer: ``"entries"`` asks for the entries of the range (XRANGE). ``"dump"`` asks for the
            whole stream at once, in the form in which the server stores it (DUMP; the user needs
            ``+dump`` and ``+xlen``): about a fifth of the bytes, and less work for the server. It
            serves nobody else meanwhile, for about 0.2 s for a million entries, so this is for
            replicas and quiet servers. `start_id`, `end_id` and `count` are applied to what has
            arrived. See docs/bulk.md. Not with `last`, `block_ms` or `group`.
        dump_entries_max: with ``transfer="dump"``, how many entries the stream may have; a longer
            one is an InvalidArgumentError before anything is dumped. None is 1,000,000, and no
            limit where replicas are read (``read_from="replica"``).
        block_ms: if there are no entries, wait this long for the first, in milliseconds; 0 waits
            forever. None does not wait.
        group: the consumer group to read in.
        consumer: the member's name in the group. Keep it over restarts: the server finds the
            member's pending entries by this name.
        auto_ack: acknowledge the entries when the frame is complete, just before it is returned.
            The frame is returned even if that fails: redcol then logs a warning, and entries that
            were not acknowledged are delivered again. Ctrl-C at that moment does not lose the
            frame: KeyboardInterrupt is raised a moment later, when the caller has it. Two gaps
            remain, in which entries are acknowledged that nobody has used: an exception that a
            signal handler of the program raises at that moment, and a process that ends before it
            has used the frame. To lose nothing, call :func:`ack_entries` when the work is done.
        create_group: create the group (and the stream) if it is missing.
        include_id: whether there is a column of entry ids (String).
        id_column: its name. An entry's own field of this name, or of the name of another metadata
            column, becomes the column ``_id_field`` (or ``_id_field2``, … if a field of that name
            came before it). A field whose name another column already has is renamed in the same
            way: a later field ``_id_field`` becomes ``_id_field_field``. A column of the schema
            with this name and dtype is the column of entry ids. To read a field of this name there,
            choose another `id_column`, or ``include_id=False``. The other metadata columns work in
            the same way.
        include_timestamp: whether there is a column of the ids' milliseconds: Int64, or
            ``Datetime("ms")`` with any time zone if `timestamp_dtype` or the schema says so. An id
            can have more milliseconds than Int64 holds; such a value does not fit (see `on_error`).
        timestamp_column: its name.
        timestamp_dtype: its dtype: ``pl.Int64`` or ``pl.Datetime("ms", …)``, with any time zone.
            None is Int64. If the schema names the column, the schema's dtype counts.
        include_sequence: whether there is a column of the ids' sequence numbers (UInt64). None:
            only if the schema has it.
        sequence_column: its name.
        missing_field: what happens to an entry that lacks a field of the schema: ``"null"``, or
            ``"raise"``, which treats it like a value that does not fit (see `on_error`; with
            ``"null"`` there it still raises). An empty value is not missing.
        on_error: what happens to a value that does not fit its column. ``"raise"`` raises.
            ``"null"`` makes it null. ``"skip"`` leaves the entry out, acknowledges it at the end
            even without `auto_ack`, and logs a warning with the number of such entries.
            ``"dead_letter"``, in a group, leaves the entry out, and at once copies it to the stream
            `dead_letter` and acknowledges it. `count` counts rows.
        discover: the dtype of columns without a schema. ``"string"``: String; bytes that are not
            UTF-8 do not fit. ``"binary"``: Binary. ``"auto"``: String, and Binary from the first
            value on that is not UTF-8.
        group_start_id: where a group that this call creates begins: ``"0"``, ``"$"``, or after an
            id or a time.
        claim_idle_ms: take over entries that another member has held for this long without
            acknowledging them, in milliseconds.
        dead_letter: the stream for ``on_error="dead_letter"``; see :func:`iter_stream`.
        entry_bytes_max: the largest size of an entry, in bytes; 1 GiB if None. An entry is kept in
            memory until all of it has arrived.
        entry_fields_max: the largest number of fields of an entry; 1,048,576 if None.
        progress: True shows a bar of tqdm, in a terminal or a notebook (``pip install
            "redcol[progress]"``). A function is called with the rows so far, the bytes so far, and
            the total number of rows: at most about ten times a second, and at the end before
            anything is acknowledged. The total is None unless whole streams are read and the user
            may use XINFO; it does not include entries that are added meanwhile. An exception of
            the function ends the call; what a group has delivered then stays pending.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds; and for how long redcol tries again, without getting any further, when the
            connection is lost or the server refuses for now.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        The entries. An empty or missing stream is a frame without rows (see `if_missing`).

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a dtype that cannot be read from a stream; nothing was sent.
        ValueConversionError: a value does not fit its column, or is missing. The error names
            stream, entry id, field, dtype and value.
        EntryTooLargeError: an entry is larger than ``entry_bytes_max`` or ``entry_fields_max``. The
            error names the entry.
        NoStreamError: a stream is missing, and ``if_missing`` is ``"raise"``.
        NoGroupError: the group is missing and ``create_group`` is False.
        WrongTypeError: the key holds something that is not a stream.
        PermissionDeniedError: the user may not read it (needed: ``+xrange``, or with `last`
            ``+xrevrange``, for times before now also ``+time``, and ``%R~key``).
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            ServerLoadingError, ServerError, ProtocolError: as their names say.

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> df = redcol.read_stream(
        ...     "redis://localhost", "events", schema={"action": pl.String, "value": pl.Int64}
        ... )
        >>> df.columns
        ['_id', '_ts', 'action', 'value']
        >>> df["value"].sum()
        30
    """
    from ._request import read_request
    from ._specs import ColumnSpec, EntrySpec, GroupSpec, RangeSpec

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
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
    member = GroupSpec(
        group=group,
        consumer=consumer,
        auto_ack=auto_ack,
        create_group=create_group,
        group_start_id=group_start_id,
        claim_idle_ms=claim_idle_ms,
        dead_letter=dead_letter,
    )
    told = _progress.of(progress)
    range_ = RangeSpec(start_id, end_id, count, last, if_missing, transfer, dump_entries_max)
    entries = EntrySpec(on_error, entry_bytes_max, entry_fields_max)

    def ask(columns: ColumnSpec) -> requests.Request:
        return read_request(stream, range_, columns, entries, block_ms=block_ms, group=member)

    request = inference.request(server, columns, schema_overrides, ask)
    _reading.check(server, request)
    if not request.acknowledges:
        with client.using(server) as handle:
            return _reading.read(handle, request, told)
    # Returned in any case, once it is complete.
    frame: pl.DataFrame | None = None
    try:
        with (
            client.using(server) as handle,
            _reading.telling(handle, request, told) as (iterator, made),
        ):
            complete = made.make(next(_reading.batches(iterator, told)))
            told.end()
            frame = complete
            # The library acknowledges the only batch before it says that there is no other.
            for _ in _reading.batches(iterator):
                raise AssertionError("a read in one batch has given two")
    except KeyboardInterrupt:
        if frame is None or not _interrupt.raise_on_return():
            raise
    except RedcolError as error:
        # Such as a client that another thread has closed meanwhile.
        if frame is None:
            raise
        _log.warn("group", f"not everything that was read is known to be acknowledged: {error}")
    # No call from here on, after which Python would look at signals.
    return frame
