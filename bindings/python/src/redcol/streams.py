# SPDX-License-Identifier: Apache-2.0
"""Reading many streams into one DataFrame: those that are named, or whose keys match a pattern."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import date, timedelta

from . import _native, _progress, client
from ._arguments import either
from ._reading import arranged, check, telling, whole
from ._typing import TYPE_CHECKING, pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client

if TYPE_CHECKING:
    from typing import Final

#: What a read of many streams counts.
_COUNTS: Final = ("streams", "empty_streams", "wrong_types")


def read_streams(
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
    counts: MutableMapping[str, int] | None = None,
    progress: bool | Callable[[int, int, int | None], object] = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.DataFrame:
    r"""Read the same range of many streams into one DataFrame, one row per entry.

    The rows of a stream stand together, oldest first. The streams are in the order of their keys'
    bytes, or in the order of the list. One connection asks for many streams at once; in a cluster,
    one for each node does, at the same time, and keys are searched on all of them. A stream is
    read up to the entry that is its last when redcol asks for it, which may be while the streams
    before it are read. A key that is gone, or holds something other than a stream, is skipped (see
    `counts`). If the connection is lost, the read continues where it was.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db]``, ``unix:///path[?db=n]`` (see
            :func:`redcol.connect` for more), or a client from that function, whose own timeouts
            then apply.
        pattern: a str or bytes is a pattern that the streams' keys match, with ``*``, ``?``,
            ``[abc]``, ``[^a]``, ``[a-z]``, and ``\`` before a character that stands for itself.
            redcol searches the keys with SCAN, which looks at all keys of the database without
            blocking the server. Keys that are created or deleted during the search may be found or
            not. Anything else is the keys themselves, in a list, a Series or another iterable, each
            once. If there is no key, the frame has no rows.
        schema: column names to dtypes, as in :func:`redcol.read_stream`. Without a schema every
            field of any stream becomes a String column, in order of first appearance.
        include_key: whether there is a column of the streams' keys (String). Bytes that are not
            UTF-8, and NUL, are shown as ``\xNN``.
        key_column_name: its name; ``"_key"`` if None.
        key_column: another name of the argument above, as in all pairs below: give one of the two.
        include_id: whether there is a column of entry ids (String).
        id_column_name: its name; ``"_id"`` if None. An entry's own field of the name of a metadata
            column becomes ``_id_field``, and a column of the schema with such a name is that
            metadata column, as in :func:`read_stream`.
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
        start_id: where to begin in each stream, inclusive: an entry id, its milliseconds as str or
            int, ``"-"``, or a time, also one before now, as in :func:`read_stream`. ``"("``
            excludes the id.
        end_id: where to end in each stream, inclusive, written in the same ways; ``"+"`` is its
            last entry.
        count_per_stream: the largest number of entries of each stream; None reads all.
        count: another name of `count_per_stream`. If both are given, they must be the same.
        batch_size: how many streams to ask for at once, at most. None lets redcol choose from the
            size of the streams and the distance to the server.
        count_hint: how many keys the server looks at for each answer to SCAN.
        if_missing: ``"empty"``, or ``"raise"``: a NoStreamError if a stream of the list is missing
            (EXISTS asks for each; the user needs ``+exists``), or if no stream matches the pattern.
        missing_field: as in :func:`read_stream`.
        on_error: what happens to a value that does not fit its column: ``"raise"``, ``"null"``, or
            ``"skip"``, which leaves the entry out and logs a warning with the number of such
            entries.
        discover: the dtype of columns without a schema: ``"string"``, ``"binary"`` or ``"auto"``,
            as in :func:`read_stream`.
        counts: a dict for what the read has met: ``"streams"``, the keys that were read;
            ``"empty_streams"``, those of them that had no entry in the range or were gone;
            ``"wrong_types"``, the keys that held something other than a stream. With a pattern,
            redcol then searches the keys twice, to count those too.
        progress: as in :func:`read_stream`. For the total, redcol first asks for the streams'
            lengths, unless there are bounds.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        The entries: first the metadata columns (row number, key, id, milliseconds, sequence
        number) that are wanted, then the fields.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a dtype that cannot be read from a stream; nothing was sent.
        ValueConversionError: a value does not fit its column, or is missing. The error names
            stream, entry id, field, dtype and value.
        NoStreamError: a stream is missing, and ``if_missing`` is ``"raise"``.
        PermissionDeniedError: the user may not read one of the streams (needed: ``+xrange`` and
            ``%R~key``, and ``+scan`` for a pattern).
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            ServerLoadingError, ServerError, ProtocolError: as their names say.

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> df = redcol.read_streams("redis://localhost", "ev*", schema={"value": pl.Int64})
        >>> df.columns
        ['_key', '_id', '_ts', 'value']
        >>> df.group_by("_key").agg(pl.col("value").sum()).rows()
        [('events', 30)]
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
    range_ = RangeSpec(start_id, end_id, if_missing=if_missing)
    entries = EntrySpec(on_error)
    own = {} if counts is None else {"count_wrong_types": "true"}
    request = ranges_request(pattern, many, range_, columns, entries, own)
    told = _progress.of(progress)
    check(server, request)
    with client.using(server) as handle, telling(handle, request, told) as (iterator, made):
        frame = whole(iterator, made, told)
        if counts is not None:
            counts.update({name: _native.iter_statistic(iterator, name) for name in _COUNTS})
    return arranged(frame, request)
