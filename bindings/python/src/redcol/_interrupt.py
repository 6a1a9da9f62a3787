# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C that must not lose what a function is about to return."""

from __future__ import annotations

import signal
import sys
import threading
import time

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType
    from typing import Final

#: How often to look whether the function has returned.
_LOOK_SECONDS: Final = 0.002


def raise_on_return() -> bool:
    """Raise KeyboardInterrupt again once the function that has caught it has returned.

    False if that is not possible: something else handles the signal, or raised the exception.
    """
    is_pythons = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_pythons or threading.current_thread() is not threading.main_thread():
        return False
    thread = threading.Thread(target=_interrupt_after, args=(sys._getframe(1),), daemon=True)
    thread.start()
    return True


def _interrupt_after(frame: FrameType) -> None:
    main = threading.main_thread().ident
    if main is None:
        return
    # While this thread runs Python, the main thread waits at a point where it checks for signals.
    # At the next such point the caller has the result.
    while _is_inside(frame, main):
        time.sleep(_LOOK_SECONDS)
    # It may be about to enter a system call, which an earlier signal would not end.
    time.sleep(_LOOK_SECONDS)
    signal.pthread_kill(main, signal.SIGINT)


def _is_inside(function: FrameType, thread: int) -> bool:
    """Whether this call of a function runs in a thread."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if frame is function:
            return True
        frame = frame.f_back
    return False
