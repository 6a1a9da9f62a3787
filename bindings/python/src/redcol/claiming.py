# SPDX-License-Identifier: Apache-2.0
"""Claiming pending entries of a group for a consumer, and reading them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import _arguments, _native_steering, _reading, client
from ._typing import pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import InvalidArgumentError


def claim(
    url: str | Client,
    stream: str | bytes,
    group: str | bytes,
    consumer: str | bytes,
    entry_ids: Iterable[str] | pl.Series | pl.DataFrame | None = None,
    *,
    min_idle_ms: int | None = None,
    count: int | None = None,
    schema: Mapping[str, typing.Any] | None = None,
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
    entry_bytes_max: int | None = None,
    entry_fields_max: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.DataFrame:
    """Claim pending entries of a group for a consumer, and read them into a DataFrame.

    They are pending for `consumer` afterwards, until they are acknowledged with
    :func:`ack_entries`. If this raises an error, some of them may be: they come when the consumer
    reads as a member of the group. After a lost connection redcol does not claim again.

    Args:
        url: as in :func:`create_group`.
        stream: the stream's key.
        group: the group's name.
        consumer: who gets the entries.
        entry_ids: the entries: a list or another iterable of ids, a Series, or a frame with an
            ``_id`` column. Those that nobody has pending are left out. None: all that have been
            idle for `min_idle_ms`.
        min_idle_ms: claim only what nobody was delivered for so long, in milliseconds; with
            `entry_ids` 0 if None.
        count: claim at most this many entries.
        schema: as in :func:`read_stream`.
        include_id: as in :func:`read_stream`.
        id_column: as in :func:`read_stream`.
        include_timestamp: as in :func:`read_stream`.
        timestamp_column: as in :func:`read_stream`.
        timestamp_dtype: as in :func:`read_stream`.
        include_sequence: as in :func:`read_stream`.
        sequence_column: as in :func:`read_stream`.
        missing_field: as in :func:`read_stream`.
        on_error: what happens to a value that does not fit its column: ``"raise"``, ``"null"``, or
            ``"skip"``, which leaves its entry out of the frame. The entry is claimed in any case.
        discover: as in :func:`read_stream`.
        entry_bytes_max: as in :func:`read_stream`.
        entry_fields_max: as in :func:`read_stream`.
        connect_timeout_ms: as in :func:`create_group`.
        timeout_ms: as in :func:`create_group`.
        answer_timeout_ms: as in :func:`create_group`.

    Returns:
        The entries, in the order of their ids. Those that were deleted from the stream are left
        out, and are no longer pending (in Redis 6.2 they stay pending).

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        NoGroupError: the group or the stream does not exist.
        PermissionDeniedError: needed is ``+xclaim``, or for `min_idle_ms` alone ``+xautoclaim``.
        SchemaError, ValueConversionError, EntryTooLargeError: as in :func:`read_stream`.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            WrongTypeError, ServerLoadingError, ServerError, ProtocolError: as their names say.

    Example:
        >>> import redcol
        >>> late = redcol.claim(
        ...     "redis://localhost", "events", "analytics", "worker-2", min_idle_ms=0
        ... )
        >>> late["user_id"].to_list()
        ['user_0', 'user_1']
        >>> redcol.ack_entries("redis://localhost", "events", "analytics", late)
        2
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
    request = read_request(
        _arguments.filled_key("stream", stream),
        RangeSpec(count=count),
        columns,
        EntrySpec(on_error, entry_bytes_max, entry_fields_max),
        group=GroupSpec(group, consumer, claim_idle_ms=min_idle_ms),
    )
    if entry_ids is None and min_idle_ms is None:
        raise InvalidArgumentError("Give entry_ids or min_idle_ms, or both.")
    ids = None if entry_ids is None else _arguments.entry_ids(_arguments.ids_in(entry_ids))
    claimed = (request.streams[0], ids, request.schema_capsule(), request.options)
    with client.unconnected(server) as handle:
        # The library refuses what does not go together.
        _native_steering.claim_entries(handle, *claimed).free()
    with client.using(server) as handle:
        iterator = _native_steering.claim_entries(handle, *claimed)
        with _reading.Reading(iterator, request) as (_, made):
            return _reading.whole(iterator, made)
