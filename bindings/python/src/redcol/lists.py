# SPDX-License-Identifier: Apache-2.0
"""What is on a server: streams, their groups, the groups' consumers, and pending entries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import date

from . import _arguments, _native, _native_lists, client
from ._typing import pl
from .arrow import ArrowTable
from .client import DEFAULT_TIMEOUT_MS, Client


def list_streams(
    url: str | os.PathLike[str] | Client,
    pattern: str | bytes | Iterable[str | bytes] = "*",
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.DataFrame:
    r"""List streams: one row for each, sorted by key.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        pattern: which streams: a pattern of keys as in :func:`redcol.read_streams`, a key, or a
            list of keys.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        ``stream`` (String), ``length``, ``first_id`` and ``last_id`` (null if it has no entries),
        ``first_ts`` and ``last_ts`` (the times in these ids, Datetime in UTC), ``entries_added``
        (null before Redis 7.0), ``groups``, and ``bytes``, the memory it takes as the server
        estimates it (null without the right to MEMORY USAGE). Numbers are Int64. A key that is
        missing has no row. What a pattern finds and is no stream has none either. Keys with NUL or
        bytes that are not UTF-8 show those as ``\xNN``.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        WrongTypeError: a key that is named holds something other than a stream.
        PermissionDeniedError: the user may not do this (needed: ``+xinfo``, and ``+scan`` for a
            pattern).
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            ServerLoadingError, ServerError, ProtocolError: as their names say.

    Example:
        >>> import redcol
        >>> streams = redcol.list_streams("redis://localhost", "ev*")
        >>> streams.select("stream", "length", "first_id", "groups").rows()
        [('events', 2, '1704067200000-0', 1)]
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    chosen = _arguments.pattern_or_keys("pattern", pattern)
    return _frame(server, lambda handle: _native_lists.list_streams(handle, chosen))


def list_groups(
    url: str | os.PathLike[str] | Client,
    stream: str | bytes | Iterable[str | bytes],
    *,
    exact: bool = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.DataFrame:
    """List the consumer groups of streams, and how far each is behind. Sorted by key and name.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: which streams: a pattern of keys as in :func:`redcol.read_streams`, a key, or a
            list of keys.
        exact: count the entries that a group has not got yet. They are all transferred for that,
            but not kept.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        ``stream`` and ``group`` (String), ``consumers`` (how many), ``pending`` (entries that were
        delivered and not acknowledged), ``last_delivered_id`` (String), ``entries_read`` and
        ``lag``, the entries that were not delivered yet (both null before Redis 7.0, and where the
        server does not know; servers before Redis 8 and Valkey 9 go on counting entries that were
        trimmed before the group had them), ``lag_exact`` (the same, counted up to the entry that is
        the last when the counting begins; null without `exact`), and ``oldest_pending_ms``, how
        long ago the first pending entry was delivered last (null if none is pending, or without the
        right to XPENDING). Numbers are Int64. A key that is missing has no row.

    Raises:
        PermissionDeniedError: the user may not do this (needed: ``+xinfo``, ``+scan`` for a
            pattern, ``+xrange`` and ``+xrevrange`` with `exact`).
        InvalidArgumentError, WrongTypeError, ConnectionFailedError, NameResolutionError,
            TimedOutError, AuthenticationError, ServerLoadingError, ServerError, ProtocolError: as
            in :func:`list_streams`.

    Example:
        >>> import redcol
        >>> groups = redcol.list_groups("redis://localhost", "events", exact=True)
        >>> groups.select("group", "consumers", "pending", "lag_exact").rows()
        [('analytics', 1, 2, 0)]
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    chosen = _arguments.pattern_or_keys("stream", stream)
    options = {"exact": _arguments.flag("exact", exact)}
    return _frame(server, lambda handle: _native_lists.list_groups(handle, chosen, options))


def list_consumers(
    url: str | os.PathLike[str] | Client,
    stream: str | bytes | Iterable[str | bytes],
    group: str | bytes | None = None,
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.DataFrame:
    """List the consumers of groups: one row for each, sorted by key, group and name.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: which streams: a pattern of keys as in :func:`redcol.read_streams`, a key, or a
            list of keys.
        group: the group's name; None for all groups. What a pattern finds and has no such group is
            left out.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        ``stream``, ``group`` and ``consumer`` (String), ``pending`` (entries that were delivered to
        it and not acknowledged), ``idle_ms`` (since it tried to read, claim or acknowledge), and
        ``inactive_ms`` (since it got an entry; null before Redis 7.2, and if it never got one).
        Numbers are Int64. A key that is missing has no row.

    Raises:
        NoGroupError: a stream that is named has no such group.
        PermissionDeniedError: the user may not do this (needed: ``+xinfo``, and ``+scan`` for a
            pattern).
        InvalidArgumentError, WrongTypeError, ConnectionFailedError, NameResolutionError,
            TimedOutError, AuthenticationError, ServerLoadingError, ServerError, ProtocolError: as
            in :func:`list_streams`.

    Example:
        >>> import redcol
        >>> consumers = redcol.list_consumers("redis://localhost", "events", "analytics")
        >>> consumers.select("consumer", "pending").rows()
        [('worker-1', 2)]
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    chosen = _arguments.pattern_or_keys("stream", stream)
    name = None if group is None else _arguments.key("group", group)
    return _frame(server, lambda handle: _native_lists.list_consumers(handle, chosen, name))


def list_pending(
    url: str | os.PathLike[str] | Client,
    stream: str | bytes,
    group: str | bytes,
    *,
    consumer: str | bytes | None = None,
    min_idle_ms: int = 0,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    count: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.DataFrame:
    """List the pending entries of a group: those that were delivered and not acknowledged.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: the stream's key.
        group: the group's name.
        consumer: only the entries of this consumer.
        min_idle_ms: only entries that were delivered at least so many milliseconds ago.
        start_id: where to begin, inclusive: an entry id, its milliseconds as str or int, ``"-"``,
            or a datetime or date (without a time zone: UTC). ``"("`` excludes the id.
        end_id: where to end, inclusive, written in the same ways; ``"+"`` is the last one.
        count: the largest number of entries; None lists all.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        In the order of their ids: ``_id`` (String), ``_ts`` (its milliseconds, Int64),
        ``consumer`` (String), ``idle_ms`` (since it was delivered last) and ``deliveries`` (how
        often), both Int64. Entries that were deleted from the stream are listed as long as they are
        pending.

    Raises:
        NoGroupError: there is no such group, or no such stream.
        PermissionDeniedError: the user may not do this (needed: ``+xpending``).
        InvalidArgumentError, WrongTypeError, ConnectionFailedError, NameResolutionError,
            TimedOutError, AuthenticationError, ServerLoadingError, ServerError, ProtocolError: as
            in :func:`list_streams`.

    Example:
        >>> import redcol
        >>> pending = redcol.list_pending("redis://localhost", "events", "analytics", count=1)
        >>> pending.select("_id", "consumer", "deliveries").rows()
        [('1704067200000-0', 'worker-1', 1)]
    """
    from ._specs import PendingSpec

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    key = _arguments.one_key("stream", stream, "call list_pending for each of them")
    name = _arguments.key("group", group)
    options = PendingSpec(consumer, min_idle_ms, start_id, end_id, count).options()
    return _frame(server, lambda handle: _native_lists.list_pending(handle, key, name, options))


def _frame(
    server: client.Server, make: Callable[[_native.ClientHandle], _native.Handle]
) -> pl.DataFrame:
    # Before anything is asked, so that Ctrl-C during this import costs nothing.
    import polars as pl

    with client.using(server) as handle:
        return pl.DataFrame(ArrowTable(make(handle)))
