# SPDX-License-Identifier: Apache-2.0
"""Reading one stream into a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from . import _interrupt, _log, _reading, client
from ._typing import pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import RedcolError


def read_stream(
    url: str | Client,
    stream: str | bytes,
    *,
    schema: Mapping[str, typing.Any] | None = None,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    count: int | None = None,
    block_ms: int | None = None,
    group: str | bytes | None = None,
    consumer: str | bytes | None = None,
    auto_ack: bool = False,
    create_group: bool = True,
    include_id: bool = True,
    id_column: str = "_id",
    include_timestamp: bool = True,
    timestamp_column: str = "_ts",
    include_sequence: bool | None = None,
    sequence_column: str = "_seq",
    on_error: typing.Literal["raise", "null", "skip", "dead_letter"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    group_start_id: str | int | date = "0",
    claim_idle_ms: int | None = None,
    dead_letter: str | bytes | None = None,
    entry_bytes_max: int | None = None,
    entry_fields_max: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.DataFrame:
    """Read entries of a stream into a DataFrame, oldest first, one row per entry.

    A range of ids, unless ``block_ms`` waits for new entries or ``group`` makes it a member of a
    consumer group. A member gets its own pending entries first (those that it did not acknowledge
    before), then, with ``claim_idle_ms``, those that others have held for too long, then new ones.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db]``, ``unix:///path[?db=n]`` (see
            :func:`redcol.connect` for more), or a client
            from :func:`redcol.connect`, whose own timeouts then hold.
        stream: the stream's key.
        schema: column names to dtypes. The frame then has exactly these columns (after ``_id`` and
            ``_ts``, unless they are among them), in this order; an entry without the field has null
            there, and other fields are ignored. The schema of a frame that was read is one, too.
            Polars dtypes and Python types (``str``, ``int``, …) are taken. Struct and List columns
            are read from JSON text; docs/dtypes.md says which texts each dtype reads. Without a
            schema every field that is found becomes a column, as ``discover`` says, in order of
            first appearance. If a field is twice in an entry, the last one counts.
        start_id: where to begin, inclusive (with ``block_ms``: after which to begin): an entry
            id such as ``"1704067200000-0"``, its milliseconds alone as str or int, ``"-"`` for the
            first entry, or a datetime or date (without a time zone: UTC; parts of a millisecond are
            dropped; a date is its midnight).
            A ``"("`` before an id excludes it. With ``block_ms`` also ``"$"``: only what is added
            from now on. Not with ``group``, which remembers where it is.
        end_id: where to end, inclusive, likewise; ``"+"`` for the last entry there is.
        count: how many entries at the most; all if None.
        block_ms: if there are no entries, wait for the first this long, in milliseconds; 0 for
            ever. None does not wait.
        group: read as a member of this consumer group.
        consumer: the member's name in the group. Keep it over restarts: its pending entries are
            found by it.
        auto_ack: acknowledge the entries when the frame is complete, just before it is returned.
            It is returned whatever becomes of that: a warning is logged, and what was not
            acknowledged comes again. Ctrl-C meanwhile does not cost the frame: KeyboardInterrupt is
            raised a moment later, when the caller has it. What is left are exceptions that signal
            handlers of the program raise meanwhile, and a process that ends before it has used the
            frame: then entries may be acknowledged that nobody has. To lose nothing, acknowledge
            with :func:`ack_entries` when the work is done.
        create_group: create the group (and the stream) if it is missing.
        include_id: whether there is a column of entry ids (String).
        id_column: its name. An entry's own field of this name, or of the name of another such
            column, becomes the column ``_id_field`` (or ``_id_field2``, … if a field of that
            name came before it). So does any field whose name another column already has: a
            later field ``_id_field`` becomes ``_id_field_field``. A column of the schema with this
            name and dtype is the column of entry ids; to read a field of this name there, choose
            another `id_column`, or ``include_id=False``. The same applies to the other such
            columns.
        include_timestamp: whether there is a column of the ids' milliseconds: Int64, or
            ``Datetime("ms")`` with any time zone if the schema says so. An id may have more than
            Int64 holds; that is a value that does not fit (see `on_error`).
        timestamp_column: its name.
        include_sequence: whether there is a column of the ids' sequence numbers (UInt64). None:
            if the schema has it.
        sequence_column: its name.
        on_error: what becomes of a value that does not fit its column: ``"raise"``; ``"null"``;
            ``"skip"``: its entry gives no row, is acknowledged as the rest, and a warning in the
            log says how many there were; or, in a group, ``"dead_letter"``: its entry gives no row,
            is copied to the stream `dead_letter` at once and acknowledged. `count` counts rows.
        discover: without a schema, what columns are: ``"string"`` (bytes that are not UTF-8 do not
            fit), ``"binary"``, or ``"auto"``: a column of strings becomes Binary with the first
            value that is not UTF-8.
        group_start_id: where a group that is created begins: ``"0"``, ``"$"``, or after an id or a
            time.
        claim_idle_ms: take over entries that another consumer has held unacknowledged for this
            long, in milliseconds.
        dead_letter: the stream for ``on_error="dead_letter"``; see :func:`iter_stream`.
        entry_bytes_max: how large an entry may be, since it is kept in memory until it has come in
            full; 1 GiB if None.
        entry_fields_max: how many fields an entry may have; 1,048,576 if None.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may stay silent while an answer is awaited, in milliseconds;
            and how long a lost connection, or a request that the server refuses for now, is tried
            again without getting any further.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        The entries. An empty or missing stream gives a frame without rows.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a dtype that cannot be read from a stream; nothing was sent.
        ValueConversionError: a value does not fit its column. It names stream, entry id, field,
            dtype and value.
        EntryTooLargeError: an entry is larger than ``entry_bytes_max`` or ``entry_fields_max``. It
            names the entry.
        NoGroupError: the group is missing and ``create_group`` is False.
        WrongTypeError: the key holds something that is no stream.
        PermissionDeniedError: the user may not read it (``+xrange`` and ``%R~key`` are needed).
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
        include_sequence=include_sequence,
        sequence_column=sequence_column,
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
    request = read_request(
        stream,
        RangeSpec(start_id, end_id, count),
        columns,
        EntrySpec(on_error, entry_bytes_max, entry_fields_max),
        block_ms=block_ms,
        group=member,
    )
    _reading.check(server, request)
    if not request.acknowledges:
        with client.using(server) as handle:
            return _reading.read(handle, request)
    # Returned in any case, once it is complete.
    frame: pl.DataFrame | None = None
    try:
        with (
            client.using(server) as handle,
            _reading.reading(handle, request) as (iterator, made),
        ):
            frame = made.make(next(_reading.batches(iterator)))
            # The library acknowledges the only batch before it tells that there is no other.
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
