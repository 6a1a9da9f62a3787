"""Following streams in an async for loop. The event loop waits on the socket; no thread is used."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from types import TracebackType

from . import client
from ._follow import Follower
from ._request import follow_request
from ._typing import asyncio, pl, typing
from .client import Client
from .errors import InvalidArgumentError
from .iterator import _request_arguments, iter_stream


class AsyncStreamIterator(Follower):
    """Batches of a stream as frames, made by :func:`stream_batches`.

    Made, it has connected, created the group and looked up "$". Cancelling the task that waits
    loses nothing: what was under way is there when the next batch is asked for.
    """

    #: The event loop that waits for the socket, and how to wake it.
    _waiting: tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None = None

    def __aiter__(self) -> AsyncStreamIterator:
        return self

    async def __anext__(self) -> pl.DataFrame:
        await self._fill()
        if not self._pieces:
            raise StopAsyncIteration
        # Nothing here lets a signal handler run: a frame is either still ours or the caller's.
        frame, error, self._given = self._pieces[0]
        del self._pieces[0]
        if frame is None:
            raise error or StopAsyncIteration
        return frame

    async def _fill(self) -> None:
        token = object()
        try:
            self._take_turn(token)
            idleness = self._idleness(time.monotonic())
            while not self._advance(0):
                if idleness.has_come():
                    if self._idle(idleness):
                        return
                    idleness.forget()  # on_idle="wait"
                await self._readable(idleness.at)
        finally:
            # No call before it, so that no interrupt comes in between.
            if 0 in self._turn and self._turn[0] is token:
                del self._turn[0]

    async def _readable(self, until: float | None) -> None:
        """Wait until the read can go on, or the clock shows `until`."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        descriptor = self._descriptor

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        loop.add_reader(descriptor, wake)
        self._waiting = loop, wake
        alarm = None
        if until is not None:
            alarm = loop.call_later(max(0.0, until - time.monotonic()), wake)
        try:
            await woken
        finally:
            self._waiting = None
            loop.remove_reader(descriptor)
            if alarm is not None:
                alarm.cancel()

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

    async def __aenter__(self) -> AsyncStreamIterator:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(kind)


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
        An async iterator of frames, also an async context manager, with ``ack``, ``close``,
        ``cancel`` and ``stats``. Connecting happens in this call, which may block for as long as
        that takes; waiting for batches does not block the event loop.

    Raises:
        The exceptions of :func:`iter_stream`.

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
        block_ms=given["block_ms"],
        on_idle=given["on_idle"],
    )


# Those of `iter_stream`, but for what it makes.
stream_batches.__annotations__ = {**iter_stream.__annotations__, "return": AsyncStreamIterator}
