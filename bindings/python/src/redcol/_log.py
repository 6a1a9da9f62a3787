# SPDX-License-Identifier: Apache-2.0
"""The library's log as Python's: lines go to the logger "redcol".

The library calls `write` inside its own calls, where an exception cannot pass through it. What a
handler of the program raises there, a KeyboardInterrupt above all, is kept, and raised when the
library's call has returned.
"""

from __future__ import annotations

import sys
from threading import get_ident

#: Levels of the library (REDCOL_LOG_…) as those of logging.
_LEVELS = {1: 40, 2: 30, 3: 20, 4: 10}
_WARNING = 2

#: Threads whose handlers have raised something, and what.
raised: dict[int, BaseException] = {}


def write(level: int, topic: bytes, message: bytes, _: object) -> int:
    """Log one line. Not 0 if the library's call should end, since something was raised."""
    try:
        _write(level, topic.decode(), message.decode("utf-8", "backslashreplace"))
    except BaseException as error:
        raised[get_ident()] = error
        return 1
    return 0


def _write(level: int, topic: str, message: str) -> None:
    # Until a program loads logging it cannot have said where lines go: warnings go to stderr then,
    # and logging is worth its import.
    if level > _WARNING and "logging" not in sys.modules:
        return
    import logging

    logger = logging.getLogger("redcol")
    number = _LEVELS.get(level, 10)
    if logger.isEnabledFor(number):
        logger.log(number, "%s", message, extra={"topic": topic})


def warn(topic: str, message: str) -> None:
    """Log a warning of the package's own."""
    _write(_WARNING, topic, message)


def raise_what_was_raised() -> None:
    """Raise what a handler has raised in this thread while the library called it."""
    if raised:
        error = raised.pop(get_ident(), None)
        if error is not None:
            raise error
