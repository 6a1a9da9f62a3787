# SPDX-License-Identifier: Apache-2.0
"""Following streams in an async for loop. The event loop waits on the socket.

It uses no thread, except for `ack`, `lag` and the end of an ``async with`` block: one short-lived
thread each, which waits for the server's answer; and for `heartbeat_ms`. (The library can
acknowledge without a thread, with the next request. It then reports errors there, and cannot return
a count.)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from types import TracebackType

from . import _native, _native_position, client, inference
from ._follow import Follower, Placed
from ._in_thread import in_thread
from ._typing import asyncio, pl, requests, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import CancelledError, ClosedError, InvalidArgumentError
from .iterator import BLOCK_MS, CLAIM_IDLE_MS


class AsyncBatches(Follower):
    """What an async for loop needs."""

    _connects_later = True
    _is_connected = False

    #: The event loop that waits for the socket, and how to wake it.
    _waiting: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None

    async def __anext__(self) -> pl.DataFrame:
        await self._fill()
        if not self._ready:
            raise StopAsyncIteration
        # Nothing here lets a signal handler run: a frame is either still ours or the caller's.
        frame = self._ready[0]
        del self._ready[0]
        return frame

    async def _fill(self) -> None:
        token = object()
        try:
            self._take_turn(token)
            if not self._is_connected and not await self._has_connected():
                return
            while not self._advance(0):
                await self._readable()
        finally:
            # No call before it, so that no interrupt comes in between.
            if 0 in self._turn and self._turn[0] is token:
                del self._turn[0]

    async def connected(self) -> None:
        """Connect, create the group and look "$" up. If that is done, do nothing.

        Raises:
            ConnectionFailedError, TimedOutError, NoGroupError and whatever else may be wrong with a
            server. Calling it again tries again.
        """
        token = object()
        try:
            self._take_turn(token)
            await self._connect()
        except (CancelledError, ClosedError):
            if not self._is_closed:
                raise
            raise ClosedError("This iterator was closed.") from None
        finally:
            # No call before it, so that no interrupt comes in between.
            if 0 in self._turn and self._turn[0] is token:
                del self._turn[0]

    async def _has_connected(self) -> bool:
        """Connect. False if another task or thread has closed the iterator meanwhile: it ends."""
        try:
            await self._connect()
        except (CancelledError, ClosedError):
            if not self._is_closed:
                raise
            self._is_over = True
        return not self._is_over

    async def _connect(self) -> None:
        while not self._is_connected:
            if self._is_closed:
                raise ClosedError("This iterator was closed.")
            self._is_connected = _native.iter_connect(self._handle, 0)
            if not self._is_connected:
                await self._readable()

    async def _readable(self) -> None:
        """Wait until the read can continue."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        descriptor = self._descriptor

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        loop.add_reader(descriptor, wake)
        self._waiting = loop, wake
        try:
            await woken
        finally:
            self._waiting = None
            loop.remove_reader(descriptor)

    def close(self) -> None:
        """Close the connection. Nothing is acknowledged, so pending entries stay pending.

        A loop that waits in another task ends. May be called from any thread, and twice.
        """
        super().close()
        waiting = self._waiting
        if waiting is not None:
            loop, wake = waiting
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(wake)


class AsyncStreamIterator(AsyncBatches, Placed):
    """Batches of a stream as frames, made by :func:`stream_batches`.

    When it is made, nothing has been sent. ``async with`` and :meth:`connected` connect, create the
    group and look "$" up: entries that are added after that are not missed. Otherwise the first
    request for a batch does so. Cancelling the task that waits loses nothing: entries that were on
    their way come with the next batch.
    """

    def __aiter__(self) -> AsyncStreamIterator:
        return self

    async def ack(self, entries: Iterable[str] | pl.Series | pl.DataFrame | None = None) -> int:
        """Acknowledge entries of the group.

        The event loop continues meanwhile, and so does a task that waits for this iterator's next
        batch. If the task that waits here is cancelled, the entries may be acknowledged or not.

        Args:
            entries: as in :meth:`StreamIterator.ack`.

        Returns:
            As :meth:`StreamIterator.ack`.
        """
        total = 0
        for stream, ids in self._to_acknowledge(entries):
            total += await in_thread(_native.iter_ack, self._handle, stream, ids)
        return total

    async def lag(self) -> dict[str, int | None]:
        """Ask how many entries of each stream are still to come: see :meth:`StreamIterator.lag`.

        The event loop continues meanwhile, and so does a task that waits for the next batch.
        """
        return {
            name: await in_thread(_native_position.lag, self._handle, key)
            for name, key in self._by_name()
        }

    async def __aenter__(self) -> AsyncStreamIterator:
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
        try:
            if self._acknowledges_at_end(kind):
                await self.ack()
        finally:
            self.close()


def stream_batches(
    url: str | Client,
    stream: str | bytes | Sequence[str | bytes],
    *,
    batch_size: int = 100,
    block_ms: int | None = BLOCK_MS,
    batch_timeout_ms: int | None = BLOCK_MS,
    schema: Mapping[str, typing.Any] | typing.Literal["infer"] | None = None,
    schema_overrides: Mapping[str, typing.Any] | None = None,
    start_id: str | int | date | timedelta = "-",
    end_id: str | int | date | timedelta = "+",
    start_last: int | None = None,
    until: typing.Literal["now"] | None = None,
    count: int | None = None,
    if_missing: typing.Literal["empty", "raise"] = "empty",
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
    stream_column: str | None = None,
    missing_field: typing.Literal["null", "raise"] = "null",
    on_error: typing.Literal["raise", "null", "skip", "dead_letter"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    on_idle: typing.Literal["wait", "stop", "empty"] = "wait",
    on_gap: typing.Literal["log", "raise"] = "log",
    reconnect_timeout_ms: int | None = None,
    group_start_id: str | int | date = "0",
    after_ack: typing.Literal["keep", "delete"] = "keep",
    claim_idle_ms: int | None = CLAIM_IDLE_MS,
    heartbeat_ms: int | None = None,
    max_deliveries: int | None = None,
    dead_letter: str | bytes | None = None,
    entry_bytes_max: int | None = None,
    entry_fields_max: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> AsyncStreamIterator:
    """Follow one or more streams in an ``async for`` loop.

    Args:
        url: as in :func:`iter_stream`.
        stream: as in :func:`iter_stream`.
        batch_size: as in :func:`iter_stream`.
        block_ms: as in :func:`iter_stream`.
        batch_timeout_ms: another name of ``block_ms``; give one of the two.
        schema: as in :func:`iter_stream`. ``"infer"`` waits for the sample in this call, and the
            event loop with it: better ``await asyncio.to_thread(infer_schema, …)`` first.
        schema_overrides: as in :func:`iter_stream`.
        start_id: as in :func:`iter_stream`.
        end_id: as in :func:`iter_stream`.
        start_last: as in :func:`iter_stream`.
        until: as in :func:`iter_stream`.
        count: as in :func:`iter_stream`.
        if_missing: as in :func:`iter_stream`.
        group: as in :func:`iter_stream`.
        consumer: as in :func:`iter_stream`.
        auto_ack: as in :func:`iter_stream`.
        create_group: as in :func:`iter_stream`.
        include_id: as in :func:`iter_stream`.
        id_column: as in :func:`iter_stream`.
        include_timestamp: as in :func:`iter_stream`.
        timestamp_column: as in :func:`iter_stream`.
        timestamp_dtype: as in :func:`read_stream`.
        include_sequence: as in :func:`iter_stream`.
        sequence_column: as in :func:`iter_stream`.
        stream_column: as in :func:`iter_stream`.
        missing_field: as in :func:`iter_stream`.
        on_error: as in :func:`iter_stream`.
        discover: as in :func:`iter_stream`.
        on_idle: as in :func:`iter_stream`.
        on_gap: as in :func:`iter_stream`.
        reconnect_timeout_ms: as in :func:`iter_stream`.
        group_start_id: as in :func:`iter_stream`.
        after_ack: as in :func:`iter_stream`.
        claim_idle_ms: as in :func:`iter_stream`.
        heartbeat_ms: as in :func:`iter_stream`.
        max_deliveries: as in :func:`iter_stream`.
        dead_letter: as in :func:`iter_stream`.
        entry_bytes_max: as in :func:`iter_stream`.
        entry_fields_max: as in :func:`iter_stream`.
        connect_timeout_ms: as in :func:`iter_stream`.
        timeout_ms: as in :func:`iter_stream`.
        answer_timeout_ms: as in :func:`iter_stream`.

    Returns:
        An async iterator of frames. It is also an async context manager, and has ``connected`` and
        ``ack`` (await both), ``close``, ``cancel``, ``stats``, ``is_connected`` and ``last_error``.
        This call sends nothing. ``async with`` and ``await batches.connected()`` connect, create
        the group and look ``"$"`` up. A bare ``async for`` does so when it asks for its first
        batch: ``"$"`` then means the entries that are added after that.

    Raises:
        InvalidArgumentError, SchemaError: nothing was sent. The other exceptions of
            :func:`iter_stream` come from ``async with``, ``connected`` and the loop.

    Example:
        >>> import asyncio
        >>> import redcol
        >>> async def first_batch():
        ...     async with redcol.stream_batches("redis://localhost", "events") as batches:
        ...         async for batch in batches:
        ...             return batch["value"].to_list()
        >>> asyncio.run(first_batch())
        ['10', '20']
    """
    from ._request import follow_request
    from ._specs import ColumnSpec, EntrySpec, FollowSpec, GroupSpec, RangeSpec

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    if batch_timeout_ms != BLOCK_MS:
        if block_ms != BLOCK_MS:
            raise InvalidArgumentError(
                "batch_timeout_ms is another name of block_ms: give one of them."
            )
        block_ms = batch_timeout_ms
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
        stream_column=stream_column,
        missing_field=missing_field,
    )
    member = GroupSpec(
        group=group,
        consumer=consumer,
        auto_ack=auto_ack,
        after_ack=after_ack,
        create_group=create_group,
        group_start_id=group_start_id,
        claim_idle_ms=claim_idle_ms,
        heartbeat_ms=heartbeat_ms,
        max_deliveries=max_deliveries,
        dead_letter=dead_letter,
        usual_claim_idle_ms=CLAIM_IDLE_MS,
    )
    follow = FollowSpec(
        batch_size, block_ms, on_idle, reconnect_timeout_ms, on_gap, start_last, until
    )
    range_ = RangeSpec(start_id, end_id, count, if_missing=if_missing)
    entries = EntrySpec(on_error, entry_bytes_max, entry_fields_max)

    def ask(columns: ColumnSpec) -> requests.Request:
        return follow_request(stream, follow, range_, columns, entries, member)

    return AsyncStreamIterator(server, inference.request(server, columns, schema_overrides, ask))
