# SPDX-License-Identifier: Apache-2.0
"""Changing groups and streams: for the person who has to put something right."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from . import _arguments, _native_steering, client
from ._typing import pl
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import InvalidArgumentError


def create_group(
    url: str | Client,
    stream: str | bytes,
    group: str | bytes,
    *,
    start_id: str | int | date = "0",
    create_stream: bool = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> bool:
    """Create a consumer group.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: the stream's key.
        group: the group's name.
        start_id: where the group begins: ``"0"`` at the first entry, ``"$"`` with the entries that
            are added from now on, after an entry id (or its milliseconds, as str or int), or with
            the first entry at or after a datetime or date. A time without a time zone is UTC.
        create_stream: create the stream if it is missing, without entries.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        True; False if there was a group of this name, which stays as it is. If the connection was
        lost meanwhile, redcol asks again, and False may also mean that the first try was done.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        NoGroupError: the stream is missing, and `create_stream` is False.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            PermissionDeniedError, WrongTypeError, ServerLoadingError, ServerError, ProtocolError:
            as their names say.

    Example:
        >>> import redcol
        >>> redcol.create_group("redis://localhost", "events", "reports", start_id="$")
        True
        >>> redcol.create_group("redis://localhost", "events", "reports")
        False
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    names = _names(stream=stream, group=group)
    start = _arguments.group_position("start_id", start_id)
    creates = _flag("create_stream", create_stream)
    with client.using(server) as handle:
        return bool(
            _native_steering.counted(handle, "redcol_create_group", *names, start.encode(), creates)
        )


def delete_group(
    url: str | Client,
    stream: str | bytes,
    group: str | bytes,
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> bool:
    """Delete a consumer group, with its consumers and what they have pending.

    The entries stay in the stream. Iterators with ``create_group`` create the group again.

    Args:
        url: as in :func:`create_group`.
        stream: the stream's key.
        group: the group's name.
        connect_timeout_ms: as in :func:`create_group`.
        timeout_ms: as in :func:`create_group`.
        answer_timeout_ms: as in :func:`create_group`.

    Returns:
        True; False if there was no such group or stream. If the connection was lost meanwhile,
        redcol asks again, and False may also mean that the first try was done.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            PermissionDeniedError, WrongTypeError, ServerLoadingError, ServerError, ProtocolError:
            as their names say.

    Example:
        >>> import redcol
        >>> redcol.delete_group("redis://localhost", "events", "no-such-group")
        False
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    names = _names(stream=stream, group=group)
    with client.using(server) as handle:
        return bool(_native_steering.counted(handle, "redcol_delete_group", *names))


def seek_group(
    url: str | Client,
    stream: str | bytes,
    group: str | bytes,
    to: str | int | date,
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> str:
    """Set where a consumer group reads on: to deliver entries once more, or to pass over some.

    Entries that are pending stay pending. Those after the new position are also delivered again,
    and are then pending for the consumer that asks first. The group's ``entries_read`` is set too
    where the server can tell (Redis 7 and later): at the end of the stream and before its first
    entry. After another position the server knows neither that nor the group's lag until the group
    has come to the end.

    Args:
        url: as in :func:`create_group`.
        stream: the stream's key.
        group: the group's name.
        to: ``"0"`` to the first entry, ``"$"`` to the stream's end at this moment, after an entry
            id (or its milliseconds, as str or int), or to the first entry at or after a datetime or
            date. A time without a time zone is UTC.
        connect_timeout_ms: as in :func:`create_group`.
        timeout_ms: as in :func:`create_group`.
        answer_timeout_ms: as in :func:`create_group`.

    Returns:
        The id that the group was set to: the next entry is the one after it.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        NoGroupError: the group or the stream does not exist.
        PermissionDeniedError: needed are ``+xinfo|stream`` and ``+xgroup|setid``.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            WrongTypeError, ServerLoadingError, ServerError, ProtocolError: as their names say.

    Example:
        >>> from datetime import datetime, timezone
        >>> import redcol
        >>> noon = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
        >>> redcol.seek_group("redis://localhost", "events", "analytics", noon)
        '1704110399999-18446744073709551615'
        >>> redcol.seek_group("redis://localhost", "events", "analytics", "0")
        '0-0'
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    names = _names(stream=stream, group=group)
    position = _arguments.group_position("to", to)
    with client.using(server) as handle:
        milliseconds, sequence = _native_steering.seek_group(handle, *names, position.encode())
    return f"{milliseconds}-{sequence}"


def delete_consumer(
    url: str | Client,
    stream: str | bytes,
    group: str | bytes,
    consumer: str | bytes,
    *,
    force: bool = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> int:
    """Delete a consumer of a group.

    Without `force` a script on the server looks and deletes in one step, so that nothing is
    delivered to the consumer in between.

    Args:
        url: as in :func:`create_group`.
        stream: the stream's key.
        group: the group's name.
        consumer: the consumer's name.
        force: delete it also if it has pending entries. They never come again, unless the group is
            set back with :func:`seek_group`.
        connect_timeout_ms: as in :func:`create_group`.
        timeout_ms: as in :func:`create_group`.
        answer_timeout_ms: as in :func:`create_group`.

    Returns:
        How many entries were pending and no longer are. 0 also if there was no such consumer, and
        perhaps if the connection was lost meanwhile, since redcol then asks again.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        PendingEntriesError: the consumer has pending entries, and `force` is False.
        NoGroupError: the group or the stream does not exist.
        PermissionDeniedError: needed are ``+xgroup|delconsumer``, and without `force` also
            ``+eval`` and ``+xpending``.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            WrongTypeError, ServerLoadingError, ServerError, ProtocolError: as their names say.

    Example:
        >>> import redcol
        >>> redcol.delete_consumer("redis://localhost", "events", "analytics", "worker-9")
        0
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    names = _names(stream=stream, group=group, consumer=consumer)
    forced = _flag("force", force)
    with client.using(server) as handle:
        return _native_steering.counted(handle, "redcol_delete_consumer", *names, forced)


def release(
    url: str | Client,
    stream: str | bytes,
    group: str | bytes,
    consumer: str | bytes,
    entry_ids: Iterable[str] | pl.Series | pl.DataFrame,
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> int:
    """Give pending entries back, so that other consumers may claim them at once.

    Their idle time becomes 2,147,483,647 ms, the largest ``claim_idle_ms``. Until somebody claims
    them they stay pending for this consumer, to which they are delivered again if it reads its own
    pending entries first. How often they were delivered does not change. A script on the server
    looks and releases in one step: no entry is taken from a consumer that has claimed it meanwhile.

    Args:
        url: as in :func:`create_group`.
        stream: the stream's key.
        group: the group's name.
        consumer: the consumer that holds them.
        entry_ids: entry ids, any number of them: a list or another iterable, a Series, or a frame
            with an ``_id`` column.
        connect_timeout_ms: as in :func:`create_group`.
        timeout_ms: as in :func:`create_group`.
        answer_timeout_ms: as in :func:`create_group`.

    Returns:
        How many entries were released; an id that is given twice counts twice. Entries that the
        consumer does not hold are left alone.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        NoGroupError: the group or the stream does not exist.
        PermissionDeniedError: needed are ``+eval``, ``+xpending`` and ``+xclaim``.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            WrongTypeError, ServerLoadingError, ServerError, ProtocolError: as their names say.

    Example:
        >>> import redcol
        >>> redcol.release(
        ...     "redis://localhost", "events", "analytics", "worker-1", ["1704067200001-0"]
        ... )
        1
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    names = _names(stream=stream, group=group, consumer=consumer)
    ids = _arguments.entry_ids(_arguments.ids_in(entry_ids))
    if not ids:
        return 0
    with client.using(server) as handle:
        return _native_steering.counted(handle, "redcol_release_entries", *names, ids, len(ids))


def trim_stream(
    url: str | Client,
    stream: str | bytes,
    *,
    maxlen: int | None = None,
    min_id: str | int | date | None = None,
    approximate: bool = True,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> int:
    """Delete the oldest entries of a stream, also those that a group has not read.

    The server deletes about 10,000 entries at a time, between which other clients have their turn.

    Args:
        url: as in :func:`create_group`.
        stream: the stream's key.
        maxlen: keep so many entries.
        min_id: keep the entries from this one on: an entry id, its milliseconds (as str or int), or
            a datetime or date. A time without a time zone is UTC.
        approximate: leave a few more entries where deleting them costs the server much.
        connect_timeout_ms: as in :func:`create_group`.
        timeout_ms: as in :func:`create_group`.
        answer_timeout_ms: as in :func:`create_group`.

    Returns:
        How many entries were deleted. This is a lower bound if the connection was lost meanwhile.
        A missing stream is 0.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            PermissionDeniedError, WrongTypeError, ServerLoadingError, ServerError, ProtocolError:
            as their names say.

    Example:
        >>> import redcol
        >>> redcol.trim_stream("redis://localhost", "events", maxlen=1_000_000)
        0
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    key = _names(stream=stream)
    if (maxlen is None) == (min_id is None):
        raise InvalidArgumentError("Give maxlen or min_id, one of the two.")
    most = -1 if maxlen is None else _arguments.integer("maxlen", maxlen, at_least=0)
    oldest = None if min_id is None else _arguments.oldest_kept("min_id", min_id).encode()
    roughly = _flag("approximate", approximate)
    with client.using(server) as handle:
        return _native_steering.counted(handle, "redcol_trim_stream", *key, most, oldest, roughly)


def delete_entries(
    url: str | Client,
    stream: str | bytes,
    entry_ids: Iterable[str] | pl.Series | pl.DataFrame,
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> int:
    """Delete entries of a stream. Groups that have them pending keep their ids as pending.

    Args:
        url: as in :func:`create_group`.
        stream: the stream's key.
        entry_ids: entry ids, any number of them: a list or another iterable, a Series, or a frame
            with an ``_id`` column.
        connect_timeout_ms: as in :func:`create_group`.
        timeout_ms: as in :func:`create_group`.
        answer_timeout_ms: as in :func:`create_group`.

    Returns:
        How many entries were there and no longer are. This is a lower bound if the connection was
        lost meanwhile.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            PermissionDeniedError, WrongTypeError, ServerLoadingError, ServerError, ProtocolError:
            as their names say.

    Example:
        >>> import redcol
        >>> redcol.delete_entries("redis://localhost", "events", ["1704067200000-0"])
        1
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    key = _names(stream=stream)
    ids = _arguments.entry_ids(_arguments.ids_in(entry_ids))
    if not ids:
        return 0
    with client.using(server) as handle:
        return _native_steering.counted(handle, "redcol_delete_entries", *key, ids, len(ids))


def _names(**names: str | bytes) -> list[bytes | int]:
    """Each of these names and its length, for the library."""
    pairs: list[bytes | int] = []
    for name, value in names.items():
        given = _arguments.filled_key(name, value)
        pairs += [given, len(given)]
    return pairs


def _flag(name: str, value: object) -> int:
    return int(_arguments.flag(name, value) == "true")
