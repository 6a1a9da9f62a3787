# SPDX-License-Identifier: Apache-2.0
"""Acknowledging entries of a consumer group."""

from __future__ import annotations

from collections.abc import Iterable

from . import _arguments, _native, client
from ._typing import pl
from .client import DEFAULT_TIMEOUT_MS, Client


def ack_entries(
    url: str | Client,
    stream: str | bytes,
    group: str | bytes,
    entry_ids: Iterable[str] | pl.Series | pl.DataFrame,
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> int:
    """Acknowledge entries of a consumer group, so that the server no longer holds them as pending.

    No other entries are acknowledged. What ``on_error="skip"`` left out of an iterator's batches is
    acknowledged by the iterator's own ``ack``.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: the stream's key.
        group: the group's name.
        entry_ids: entry ids, any number of them: a list or another iterable, a Series, or a frame
            with an ``_id`` column.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        How many entries were pending and are no longer. This is a lower bound if the connection was
        lost meanwhile, since redcol then acknowledged them again.

    Raises:
        InvalidArgumentError: something that is not an entry id; nothing was sent.
        NoGroupError: the group does not exist.
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            PermissionDeniedError, WrongTypeError, ServerLoadingError, ServerError, ProtocolError:
            as their names say.

    Example:
        >>> import redcol
        >>> redcol.ack_entries("redis://localhost", "events", "analytics", ["1704067200000-0"])
        1
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    key = _arguments.key("stream", stream)
    name = _arguments.key("group", group)
    ids = _arguments.entry_ids(_arguments.ids_in(entry_ids))
    if not ids:
        return 0
    with client.using(server) as handle:
        acknowledged, was_interrupted = 0, True
        with _native.Repeating(handle):
            while was_interrupted:
                # Those that are done by now do not count a second time.
                more, was_interrupted = _native.ack(handle, key, name, ids)
                acknowledged += more
    return acknowledged
