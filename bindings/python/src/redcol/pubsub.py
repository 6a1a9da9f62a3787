# SPDX-License-Identifier: Apache-2.0
"""Messages of channels (Pub/Sub) as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from . import _reading, client
from ._typing import pl, typing
from .async_iterator import AsyncBatches
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import InvalidArgumentError
from .iterator import Batches


class MessageIterator(Batches):
    """Batches of messages as frames, made by :func:`iter_pubsub`.

    When it is made, the server has confirmed every channel: what is published after that comes.
    One thread at a time may ask for batches. :meth:`cancel` and :meth:`close` may be called from
    any thread.
    """

    _comes_again = False  # Redis keeps no messages
    _made_from = "the URL and the channels"

    def __iter__(self) -> MessageIterator:
        return self

    def __enter__(self) -> MessageIterator:
        self._require_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncMessageIterator(AsyncBatches):
    """Batches of messages as frames, made by :func:`iter_pubsub_async`.

    When it is made, nothing has been sent. ``async with`` and :meth:`connected` subscribe: what is
    published after that comes. Otherwise the first request for a batch does so. Cancelling the task
    that waits loses nothing.
    """

    _comes_again = False  # Redis keeps no messages
    _made_from = "the URL and the channels"

    def __aiter__(self) -> AsyncMessageIterator:
        return self

    async def __aenter__(self) -> AsyncMessageIterator:
        self._require_open()
        try:
            await self.connected()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def iter_pubsub(
    url: str | Client,
    channels: str | bytes | Sequence[str | bytes],
    *,
    batch_size: int = 100,
    batch_timeout_ms: int = 1_000,
    pattern: bool = False,
    patterns: Sequence[str | bytes] = (),
    sharded: bool = False,
    count: int | None = None,
    message_format: typing.Literal["raw", "json"] | None = None,
    schema: Mapping[str, typing.Any] | None = None,
    include_channel: bool = True,
    include_timestamp: bool = True,
    channel_column: str = "_channel",
    pattern_column: str | None = None,
    message_column: str = "message",
    timestamp_column: str = "_received_at",
    timestamp_dtype: typing.Any = None,
    on_error: typing.Literal["raise", "null", "skip"] = "raise",
    block_ms: int | None = None,
    on_idle: typing.Literal["wait", "stop", "empty"] = "wait",
    on_gap: typing.Literal["log", "raise"] = "log",
    reconnect_timeout_ms: int | None = None,
    message_bytes_max: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> MessageIterator:
    """Listen to channels: frames of the messages that are published from now on.

    Redis keeps no messages: whoever does not listen misses them. If the connection is lost, redcol
    subscribes again, and counts the time without a subscription (`on_gap`).

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        channels: the channel's name, or a list of names.
        batch_size: the largest number of rows of a frame.
        batch_timeout_ms: how long after the frame before (or the beginning) a frame is yielded that
            is not full, in milliseconds. 0 yields what has come. No frame is empty, unless
            `on_idle` says so.
        pattern: whether `channels` are patterns of names: ``"news.*"``.
        patterns: patterns of names besides `channels`. A message that matches two of them, or a
            pattern and a channel, comes twice, as the server sends it.
        sharded: listen to sharded channels (SSUBSCRIBE; Redis 7.0), in a cluster at the node that
            has their slot: all of them in one slot, without patterns.
        count: end after so many messages.
        message_format: ``"raw"``: a message is one value. ``"json"``: it is a JSON object, whose
            keys are the columns of the schema. None: ``"json"`` with a schema, else ``"raw"``.
        schema: column names to dtypes, as in :func:`redcol.read_stream`. In JSON, nothing is
            converted that JSON does not say itself: the text ``"5"`` is not an Int64. A key that is
            missing is null, and other keys are ignored. With ``"raw"`` it has one column, named as
            `message_column`, of any dtype that a field can have: Binary, for example.
        include_channel: whether there is a column of the channels' names (String).
        include_timestamp: whether there is a column of when each message arrived, by this machine's
            clock.
        channel_column: the name of the column of channels.
        pattern_column: the name of a column of the patterns that the channels matched; null for a
            message of a channel that was named.
        message_column: the name of the column of raw messages (String, without a schema).
        timestamp_column: the name of the column of arrivals.
        timestamp_dtype: its dtype: ``pl.Datetime`` of any unit, with any time zone. None is
            Float64: seconds since 1970.
        on_error: what happens to a message with a value that does not fit its column, or that is
            not a JSON object. ``"raise"`` raises, and the loop can go on after it. ``"null"`` makes
            the value null, or all columns of a message that is not an object. ``"skip"`` leaves the
            message out, and logs a warning with the number of such messages.
        block_ms: how long no message comes before `on_idle` says what happens, in milliseconds;
            0 waits forever. `on_idle` needs it, unless it is ``"wait"``.
        on_idle: ``"wait"`` keeps waiting. ``"stop"`` ends the loop, and ``"empty"`` yields a frame
            without rows, when no message has come for `block_ms`.
        on_gap: what happens after a time without a subscription. It is counted in ``stats.gaps``
            and ``stats.gap_ms``, and ``"log"`` writes warnings to the log. ``"raise"`` also raises
            GapError; after that the iterator goes on. A reader that is slower than its messages
            loses its connection as soon as the server keeps more for it than its
            client-output-buffer-limit allows: that is a gap, too.
        reconnect_timeout_ms: as in :func:`redcol.iter_stream`.
        message_bytes_max: the largest size of a message, in bytes; 536,870,912 (512 MiB) if None.
        connect_timeout_ms: as in :func:`redcol.read_stream`.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds. When no message comes for that long, redcol asks whether it is there.
        answer_timeout_ms: as in :func:`redcol.connect`.

    Returns:
        An iterator of frames. It is also a context manager, and has ``close``, ``cancel``,
        ``stats``, ``is_connected`` and ``last_error``.

    Raises:
        InvalidArgumentError, SchemaError: nothing was sent.
        ValueConversionError: from the loop. The iterator continues after the message.
        EntryTooLargeError: from the loop. The iterator subscribes again, which is a gap.
        GapError: from the loop, with ``on_gap="raise"``.
        ConnectionFailedError, TimedOutError and the like: from this call, and from the loop after
            ``reconnect_timeout_ms``.
        PermissionDeniedError: the user may not listen (needed: ``+subscribe``, ``+psubscribe``
            or ``+ssubscribe``, and ``&channel``; ``+ping`` is used if it is there).

    Example:
        >>> import redcol
        >>> with redcol.iter_pubsub(
        ...     "redis://localhost", "prices", on_idle="stop", block_ms=10
        ... ) as messages:
        ...     [frame["message"].to_list() for frame in messages]
        []
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    from ._subscription import SubscriptionSpec

    spec = SubscriptionSpec(
        channels=channels,
        pattern=pattern,
        patterns=patterns,
        sharded=sharded,
        batch_size=batch_size,
        batch_timeout_ms=batch_timeout_ms,
        count=count,
        message_format=message_format,
        schema=schema,
        include_channel=include_channel,
        include_timestamp=include_timestamp,
        channel_column=channel_column,
        pattern_column=pattern_column,
        message_column=message_column,
        timestamp_column=timestamp_column,
        timestamp_dtype=timestamp_dtype,
        on_error=on_error,
        block_ms=block_ms,
        on_idle=on_idle,
        on_gap=on_gap,
        reconnect_timeout_ms=reconnect_timeout_ms,
        message_bytes_max=message_bytes_max,
    )
    return MessageIterator(server, spec.request())


def iter_pubsub_async(
    url: str | Client,
    channels: str | bytes | Sequence[str | bytes],
    *,
    batch_size: int = 100,
    batch_timeout_ms: int = 1_000,
    pattern: bool = False,
    patterns: Sequence[str | bytes] = (),
    sharded: bool = False,
    count: int | None = None,
    message_format: typing.Literal["raw", "json"] | None = None,
    schema: Mapping[str, typing.Any] | None = None,
    include_channel: bool = True,
    include_timestamp: bool = True,
    channel_column: str = "_channel",
    pattern_column: str | None = None,
    message_column: str = "message",
    timestamp_column: str = "_received_at",
    timestamp_dtype: typing.Any = None,
    on_error: typing.Literal["raise", "null", "skip"] = "raise",
    block_ms: int | None = None,
    on_idle: typing.Literal["wait", "stop", "empty"] = "wait",
    on_gap: typing.Literal["log", "raise"] = "log",
    reconnect_timeout_ms: int | None = None,
    message_bytes_max: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> AsyncMessageIterator:
    """Listen to channels in an ``async for`` loop. The event loop waits on the socket, no thread.

    Args:
        url: as in :func:`iter_pubsub`.
        channels: as in :func:`iter_pubsub`.
        batch_size: as in :func:`iter_pubsub`.
        batch_timeout_ms: as in :func:`iter_pubsub`.
        pattern: as in :func:`iter_pubsub`.
        patterns: as in :func:`iter_pubsub`.
        sharded: as in :func:`iter_pubsub`.
        count: as in :func:`iter_pubsub`.
        message_format: as in :func:`iter_pubsub`.
        schema: as in :func:`iter_pubsub`.
        include_channel: as in :func:`iter_pubsub`.
        include_timestamp: as in :func:`iter_pubsub`.
        channel_column: as in :func:`iter_pubsub`.
        pattern_column: as in :func:`iter_pubsub`.
        message_column: as in :func:`iter_pubsub`.
        timestamp_column: as in :func:`iter_pubsub`.
        timestamp_dtype: as in :func:`iter_pubsub`.
        on_error: as in :func:`iter_pubsub`.
        block_ms: as in :func:`iter_pubsub`.
        on_idle: as in :func:`iter_pubsub`.
        on_gap: as in :func:`iter_pubsub`.
        reconnect_timeout_ms: as in :func:`redcol.iter_stream`.
        message_bytes_max: as in :func:`iter_pubsub`.
        connect_timeout_ms: as in :func:`redcol.read_stream`.
        timeout_ms: as in :func:`iter_pubsub`.
        answer_timeout_ms: as in :func:`redcol.connect`.

    Returns:
        An async iterator of frames. It is also an async context manager, and has ``connected``
        (await it), ``close``, ``cancel``, ``stats``, ``is_connected`` and ``last_error``. This call
        sends nothing. ``async with`` and ``await messages.connected()`` subscribe. A bare
        ``async for`` does so when it asks for its first batch.

    Raises:
        InvalidArgumentError, SchemaError: nothing was sent. The other exceptions of
            :func:`iter_pubsub` come from ``async with``, ``connected`` and the loop.

    Example:
        >>> import asyncio
        >>> import redcol
        >>> async def listen():
        ...     async with redcol.iter_pubsub_async(
        ...         "redis://localhost", "prices", on_idle="stop", block_ms=10
        ...     ) as messages:
        ...         return [frame["message"].to_list() async for frame in messages]
        >>> asyncio.run(listen())
        []
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    from ._subscription import SubscriptionSpec

    spec = SubscriptionSpec(
        channels=channels,
        pattern=pattern,
        patterns=patterns,
        sharded=sharded,
        batch_size=batch_size,
        batch_timeout_ms=batch_timeout_ms,
        count=count,
        message_format=message_format,
        schema=schema,
        include_channel=include_channel,
        include_timestamp=include_timestamp,
        channel_column=channel_column,
        pattern_column=pattern_column,
        message_column=message_column,
        timestamp_column=timestamp_column,
        timestamp_dtype=timestamp_dtype,
        on_error=on_error,
        block_ms=block_ms,
        on_idle=on_idle,
        on_gap=on_gap,
        reconnect_timeout_ms=reconnect_timeout_ms,
        message_bytes_max=message_bytes_max,
    )
    return AsyncMessageIterator(server, spec.request())


def collect_pubsub(
    url: str | Client,
    channels: str | bytes | Sequence[str | bytes],
    *,
    count: int | None = None,
    timeout_ms: int | None = None,
    window_seconds: float | None = None,
    pattern: bool = False,
    patterns: Sequence[str | bytes] = (),
    sharded: bool = False,
    message_format: typing.Literal["raw", "json"] | None = None,
    schema: Mapping[str, typing.Any] | None = None,
    include_channel: bool = True,
    include_timestamp: bool = True,
    channel_column: str = "_channel",
    pattern_column: str | None = None,
    message_column: str = "message",
    timestamp_column: str = "_received_at",
    timestamp_dtype: typing.Any = None,
    on_error: typing.Literal["raise", "null", "skip"] = "raise",
    on_gap: typing.Literal["log", "raise"] = "log",
    message_bytes_max: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
) -> pl.DataFrame:
    """Listen to channels, and collect what is published in one frame.

    It ends after `count` messages, or when the time is over, whichever comes first. At least one of
    `count`, `timeout_ms` and `window_seconds` must be given.

    Args:
        url: as in :func:`iter_pubsub`.
        channels: as in :func:`iter_pubsub`.
        count: end after so many messages.
        timeout_ms: end so many milliseconds after the server has confirmed the channels.
        window_seconds: the same in seconds. Of both, the shorter time counts.
        pattern: as in :func:`iter_pubsub`.
        patterns: as in :func:`iter_pubsub`.
        sharded: as in :func:`iter_pubsub`.
        message_format: as in :func:`iter_pubsub`.
        schema: as in :func:`iter_pubsub`.
        include_channel: as in :func:`iter_pubsub`.
        include_timestamp: as in :func:`iter_pubsub`.
        channel_column: as in :func:`iter_pubsub`.
        pattern_column: as in :func:`iter_pubsub`.
        message_column: as in :func:`iter_pubsub`.
        timestamp_column: as in :func:`iter_pubsub`.
        timestamp_dtype: as in :func:`iter_pubsub`.
        on_error: as in :func:`iter_pubsub`; an error ends the call.
        on_gap: as in :func:`iter_pubsub`; an error ends the call.
        message_bytes_max: as in :func:`iter_pubsub`.
        connect_timeout_ms: as in :func:`redcol.read_stream`.

    Returns:
        The messages in the order in which they came; a frame without rows if none came.

    Raises:
        InvalidArgumentError, SchemaError: nothing was sent.
        ValueConversionError, EntryTooLargeError, GapError: as in :func:`iter_pubsub`. What had come
            before is lost.
        ConnectionFailedError, TimedOutError, PermissionDeniedError and the like: as in
            :func:`iter_pubsub`.

    Example:
        >>> import redcol
        >>> redcol.collect_pubsub("redis://localhost", ["prices"], window_seconds=0.01).columns
        ['_channel', '_received_at', 'message']
    """
    server = client.Server(url, connect_timeout_ms, DEFAULT_TIMEOUT_MS, None)
    del url  # see Server
    server.check()
    from ._subscription import SubscriptionSpec

    spec = SubscriptionSpec(
        channels=channels,
        pattern=pattern,
        patterns=patterns,
        sharded=sharded,
        count=count,
        timeout_ms=timeout_ms,
        window_seconds=window_seconds,
        message_format=message_format,
        schema=schema,
        include_channel=include_channel,
        include_timestamp=include_timestamp,
        channel_column=channel_column,
        pattern_column=pattern_column,
        message_column=message_column,
        timestamp_column=timestamp_column,
        timestamp_dtype=timestamp_dtype,
        on_error=on_error,
        on_gap=on_gap,
        message_bytes_max=message_bytes_max,
    )
    if count is None and timeout_ms is None and window_seconds is None:
        raise InvalidArgumentError(
            "collect_pubsub would never end: give count, timeout_ms or window_seconds."
        )
    request = spec.request()
    _reading.check(server, request)
    with (
        client.using(server) as handle,
        _reading.reading(handle, request) as (iterator, made),
    ):
        frames = [made.make(batch) for batch in _reading.batches(iterator)]
        if not frames:
            return made.empty()
        import polars as pl

        return frames[0] if len(frames) == 1 else pl.concat(frames)
