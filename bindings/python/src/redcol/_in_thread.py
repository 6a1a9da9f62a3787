# SPDX-License-Identifier: Apache-2.0
"""One call that waits for the server, made in a thread so that the event loop continues."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from ._typing import asyncio, typing


async def in_thread(function: Callable[..., typing.Any], *arguments: object) -> typing.Any:
    """Call what waits for the server, in a thread of its own: the event loop continues.

    Not one of the loop's own threads: while a server is silent, others would wait for one of those.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[typing.Any] = loop.create_future()

    def tell(result: object, error: BaseException | None) -> None:
        if answer.done():  # cancelled
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def call() -> None:
        result, error = None, None
        try:
            result = function(*arguments)
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=call, name="redcol-call", daemon=True).start()
    return await answer
