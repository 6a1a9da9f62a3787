# SPDX-License-Identifier: Apache-2.0
"""The library's log as Python's: lines go to the logger "redcol".

The library calls `write` from inside its own calls, and no exception can pass through them. If a
handler of the program raises there (KeyboardInterrupt above all), the exception is kept, and raised
when the library's call has returned.
"""

from __future__ import annotations

import sys
from threading import get_ident

#: Levels of the library (REDCOL_LOG_…) as those of logging.
_LEVELS = {1: 40, 2: 30, 3: 20, 4: 10}
_WARNING = 2

#: Threads whose handlers have raised something, and what.
raised: dict[int, BaseException] = {}


def write(level: int, topic: bytes, message: bytes) -> int:
    """Log one line. Returns 1 if the library's call should end, because a handler raised."""
    try:
        _write(level, topic.decode(), message.decode("utf-8", "backslashreplace"))
    except BaseException as error:
        raised[get_ident()] = error
        return 1
    return 0


def _write(level: int, topic: str, message: str) -> None:
    # A program that has not imported logging has configured no handlers: warnings then go to
    # stderr, and only they are worth the import.
    if level > _WARNING and "logging" not in sys.modules:
        return
    import logging

    logger = logging.getLogger("redcol")
    number = _LEVELS.get(level, 10)
    if logger.isEnabledFor(number):
        logger.log(number, "%s", message, extra={"topic": topic})


def warn(topic: str, message: str) -> None:
    """Log a warning of the Python package."""
    _write(_WARNING, topic, message)


def raise_what_was_raised() -> None:
    """Raise the exception of a handler that the library called in this thread."""
    error = raised.pop(get_ident(), None)
    if error is not None:
        raise error
