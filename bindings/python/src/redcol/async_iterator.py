# SPDX-License-Identifier: Apache-2.0
"""Following streams in an async for loop. The event loop waits on the socket.

No thread is used, but for acknowledging by hand and at the end of a block: each time one, for as
long as the server takes to answer.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from . import _native, client
from ._follow import Follower
from ._request import follow_request
from ._typing import asyncio, pl, typing
from .client import Client
from .errors import CancelledError, ClosedError, InvalidArgumentError, NoGroupError
from .iterator import _request_arguments, iter_stream


class AsyncStreamIterator(Follower):
    """Batches of a stream as frames, made by :func:`stream_batches`.

    Made, it has sent nothing yet. ``async with`` and :meth:`connected` connect, make the group and
    look "$" up: what is added after that is not missed. Else the first batch that is asked for does
    so. Cancelling the task that waits loses nothing: what was under way is there when the next
    batch is asked for.
    """

    _connects_later = True
    _is_connected = False

    #: The event loop that waits for the socket, and how to wake it.
    _waiting: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None

    def __aiter__(self) -> AsyncStreamIterator:
        return self

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
        """Connect, make the group and look "$" up, unless that was done: it is done once.

        Raises:
            ConnectionFailedError, TimedOutError, NoGroupError and what else may be wrong with a
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
        """Connect; False if another task or thread has closed it meanwhile: that is the end."""
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
        """Wait until the read can go on."""
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
        """Close the connection. Nothing is acknowledged: what is pending stays so. Any thread.

        A loop that waits in another task ends. Twice is no error.
        """
        super().close()
        waiting = self._waiting
        if waiting is not None:
            loop, wake = waiting
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(wake)

    async def ack(self, entries: Iterable[str] | pl.Series | pl.DataFrame | None = None) -> int:
        """Acknowledge entries of the group: those given, or all handed over and not acknowledged.

        Others go on meanwhile, also whoever waits for this iterator's next batch. If the task that
        waits here is cancelled, the entries may be acknowledged or not.

        Args:
            entries: a frame of this iterator (with its ``_id`` and, of several streams, ``_stream``
                column), or entry ids of its only stream. None: everything it has handed over.

        Returns:
            How many entries were pending and are no longer.
        """
        total = 0
        for stream, ids in self._to_acknowledge(entries):
            total += await _in_thread(_native.iter_ack, self._handle, stream, ids)
        return total

    async def _ack_automatically(self) -> None:
        try:
            await self.ack()
        except NoGroupError:
            if not self._is_made_again():
                raise

    async def __aenter__(self) -> AsyncStreamIterator:
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
            if kind is None and self._auto_ack and not self._is_closed:
                await self._ack_automatically()
        finally:
            self.close()


async def _in_thread(function: Callable[..., int], *arguments: object) -> int:
    """Call what waits for the server, in a thread of its own: the event loop goes on.

    Not one of the loop's own threads: while a server is silent, others would wait for one of those.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[int] = loop.create_future()

    def tell(result: int, error: BaseException | None) -> None:
        if answer.done():  # cancelled
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def call() -> None:
        result, error = 0, None
        try:
            result = function(*arguments)
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=call, name="redcol-ack", daemon=True).start()
    return await answer


@functools.wraps(iter_stream, assigned=("__annotations__", "__kwdefaults__"))
def stream_batches(
    url: str | Client, stream: typing.Any, **arguments: typing.Any
) -> AsyncStreamIterator:
    """Follow one or more streams in an ``async for`` loop.

    Args:
        url: as in :func:`iter_stream`.
        stream: as in :func:`iter_stream`.
        arguments: those of :func:`iter_stream`; ``batch_timeout_ms`` is another name of
            ``block_ms``.

    Returns:
        An async iterator of frames, also an async context manager, with ``connected`` and ``ack``
        (both to be awaited), ``close``, ``cancel``, ``stats``, ``is_connected`` and
        ``last_error``. This call sends nothing. ``async with`` and ``await batches.connected()``
        connect, make the group and look ``"$"`` up; a bare ``async for`` does so when it asks for
        its first batch, so that ``"$"`` then means the entries that are added after that. Nothing
        of it blocks the event loop, but that the system resolves names: give an address where that
        may be slow.

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
    import inspect  # here, so that importing redcol stays light

    waits = ("connect_timeout_ms", "timeout_ms", "answer_timeout_ms")
    server = client.Server(url, **{name: arguments[name] for name in waits if name in arguments})
    del url  # see Server
    server.check()
    if "batch_timeout_ms" in arguments:
        if "block_ms" in arguments:
            raise InvalidArgumentError(
                "batch_timeout_ms is another name of block_ms: give one of them."
            )
        arguments["block_ms"] = arguments.pop("batch_timeout_ms")
    bound = inspect.signature(iter_stream).bind(server, stream, **arguments)
    bound.apply_defaults()
    given = bound.arguments
    request = follow_request(**_request_arguments(given))
    return AsyncStreamIterator(
        server,
        request,
        auto_ack=given["auto_ack"],
    )


# Those of `iter_stream`, but for what it makes.
stream_batches.__annotations__ = {**iter_stream.__annotations__, "return": AsyncStreamIterator}
