# SPDX-License-Identifier: Apache-2.0
"""Finding and loading libredcol, and the signatures of its functions for ctypes.

redcol.h is the manual of these functions. The library is loaded when it is first needed, so that
importing redcol stays cheap; and with CDLL, so that other Python threads run while it waits.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import sys
import threading
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint64, c_void_p

from . import _log
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

#: The version of redcol.h that this file declares, major.minor. A test compares the two.
INTERFACE_VERSION: Final = "0.1"

#: REDCOL_LOG_DEBUG: all lines. Python's logging decides which to drop.
_DEBUG: Final = 4
_Logger = ctypes.CFUNCTYPE(c_int32, c_int32, c_char_p, c_char_p, c_void_p)


def _write_log(level: int, topic: bytes, message: bytes, finished: int) -> int:
    result = _log.write(level, topic, message)
    c_int32.from_address(finished).value = 1
    return result


class _PythonLogger(ctypes.Structure):
    """What redcol_capsule_logger gets.

    Python runs signal handlers before the first line of a function: what they raise there ends
    `_write_log`, and nothing in Python can catch it.
    """

    _fields_ = (("callback", _Logger), ("unfinished", c_int64))


_logger: Final = _PythonLogger(_Logger(_write_log), 0)


def _report_others(report: Callable[[Any], object]) -> Callable[[Any], object]:
    """Report what no code can catch, except for an interrupt of `_write_log`.

    That one is raised when the library's call has returned.
    """
    shown = repr(_write_log)

    def report_others(unraisable: Any) -> None:
        # Python 3.13 names the function in the message alone.
        is_ours = unraisable.object is _write_log or shown in (unraisable.err_msg or "")
        if not is_ours or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            report(unraisable)

    return report_others


_Out = POINTER(c_void_p)
_Strings = POINTER(c_char_p)
#: A client, and a pattern of keys or a list of keys.
_Chosen = (c_void_p, c_char_p, c_int64, _Strings, POINTER(c_int64), c_int64)

#: Every function of redcol.h: what it returns and what it takes.
SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "redcol_version": (c_char_p, []),
    "redcol_version_number": (c_int32, []),
    "redcol_feature": (ctypes.c_int, [c_char_p]),
    "redcol_status_name": (c_char_p, [c_int32]),
    "redcol_schema_new": (c_int32, [c_char_p, c_void_p, _Out]),
    "redcol_open": (c_int32, [c_char_p, _Strings, _Out, _Out]),
    "redcol_open_with_credentials": (c_int32, [c_char_p, _Strings, c_void_p, _Out, _Out]),
    # Callbacks as pointers: each is another function of this list, or one of Python's.
    "redcol_credentials_new": (c_int32, [c_void_p, c_void_p, c_void_p, _Out, _Out]),
    "redcol_credentials_set": (c_int32, [c_void_p, *[c_char_p, c_int64] * 2, _Out]),
    "redcol_read_stream": (
        c_int32,
        [c_void_p, c_char_p, c_int64, c_void_p, _Strings, _Out, _Out],
    ),
    "redcol_read_streams": (
        c_int32,
        [c_void_p, _Strings, POINTER(c_int64), c_int64, c_void_p, _Strings, _Out, _Out],
    ),
    "redcol_read_ranges": (
        c_int32,
        [
            *[c_void_p, c_char_p, c_int64],
            *[_Strings, POINTER(c_int64), c_int64, c_void_p, _Strings, _Out, _Out],
        ],
    ),
    "redcol_subscribe": (
        c_int32,
        [
            *[c_void_p, *[_Strings, POINTER(c_int64), c_int64] * 2],
            *[c_void_p, _Strings, _Out, _Out],
        ],
    ),
    "redcol_iter_connect": (c_int32, [c_void_p, c_int64, _Out]),
    "redcol_iter_next": (c_int32, [c_void_p, c_int64, c_void_p, c_void_p, _Out]),
    "redcol_iter_ack": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 2, POINTER(c_int64), _Out],
    ),
    "redcol_iter_ack_start": (c_int32, [c_void_p, *[c_char_p, c_int64] * 2, _Out]),
    "redcol_iter_stream": (c_int32, [c_void_p, c_void_p, _Out]),
    "redcol_iter_collect": (c_int32, [c_void_p, c_int64, _Out, _Out]),
    "redcol_table_stream": (c_int32, [c_void_p, c_void_p, c_void_p, _Out]),
    "redcol_table_schema": (c_int32, [c_void_p, c_void_p, c_void_p, _Out]),
    "redcol_table_rows": (c_int64, [c_void_p]),
    "redcol_infer_schema": (c_int32, [c_void_p, c_void_p, _Out]),
    "redcol_iter_unread": (c_int32, [c_void_p, _Out]),
    "redcol_iter_descriptor": (c_int32, [c_void_p]),
    "redcol_iter_last_error": (c_void_p, [c_void_p]),
    "redcol_iter_statistic": (c_int64, [c_void_p, c_char_p]),
    "redcol_iter_position": (
        c_int32,
        [c_void_p, c_char_p, c_int64, *[POINTER(c_uint64)] * 2, _Out],
    ),
    "redcol_iter_lag": (c_int32, [c_void_p, c_char_p, c_int64, POINTER(c_int64), _Out]),
    "redcol_ack": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 3, POINTER(c_int64), _Out],
    ),
    "redcol_last_id": (
        c_int32,
        [c_void_p, c_char_p, c_int64, *[POINTER(c_uint64)] * 2, _Out],
    ),
    "redcol_create_group": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 2, c_char_p, c_int32, POINTER(c_int64), _Out],
    ),
    "redcol_delete_group": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 2, POINTER(c_int64), _Out],
    ),
    "redcol_seek_group": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 2, c_char_p, *[POINTER(c_uint64)] * 2, _Out],
    ),
    "redcol_delete_consumer": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 3, c_int32, POINTER(c_int64), _Out],
    ),
    "redcol_release_entries": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 4, POINTER(c_int64), _Out],
    ),
    "redcol_claim_entries": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 2, c_void_p, _Strings, _Out, _Out],
    ),
    "redcol_trim_stream": (
        c_int32,
        [*[c_void_p, c_char_p, c_int64], c_int64, c_char_p, c_int32, POINTER(c_int64), _Out],
    ),
    "redcol_delete_entries": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 2, POINTER(c_int64), _Out],
    ),
    "redcol_list_streams": (c_int32, [*_Chosen, _Out, _Out]),
    "redcol_list_groups": (c_int32, [*_Chosen, _Strings, _Out, _Out]),
    "redcol_partitions": (c_int32, [*_Chosen, _Strings, _Out, _Out]),
    "redcol_list_consumers": (c_int32, [*_Chosen, c_char_p, c_int64, _Out, _Out]),
    "redcol_list_pending": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 2, _Strings, _Out, _Out],
    ),
    "redcol_write_stream": (
        c_int32,
        [c_void_p, c_char_p, c_int64, c_void_p, _Strings, _Out, _Out],
    ),
    "redcol_write_hashes": (c_int32, [c_void_p, c_void_p, _Strings, _Out, _Out]),
    "redcol_write_messages": (
        c_int32,
        [c_void_p, c_char_p, c_int64, c_void_p, _Strings, _Out, _Out],
    ),
    "redcol_writer_run": (c_int32, [c_void_p, c_int64, _Out]),
    "redcol_writer_stop": (c_int32, [c_void_p, c_int64, _Out]),
    "redcol_writer_descriptor": (ctypes.c_int, [c_void_p]),
    "redcol_writer_ids": (c_int32, [c_void_p, c_void_p, c_void_p, _Out]),
    "redcol_writer_statistic": (c_int64, [c_void_p, c_char_p]),
    "redcol_cancel": (c_int32, [c_void_p]),
    "redcol_close": (c_int32, [c_void_p]),
    "redcol_forget": (None, [c_void_p]),
    "redcol_free": (None, [c_void_p]),
    "redcol_error_status": (c_int32, [c_void_p]),
    "redcol_error_message": (c_char_p, [c_void_p]),
    "redcol_error_detail": (c_char_p, [c_void_p, c_char_p]),
    "redcol_live_objects": (c_int64, []),
    # The callback as a pointer: it is the next function, or NULL.
    "redcol_set_logger": (None, [c_int32, c_void_p, c_void_p]),
    "redcol_capsule_logger": (c_int32, [c_int32, c_char_p, c_char_p, c_void_p]),
    "redcol_capsule_credentials": (c_int32, [c_void_p, c_void_p]),
    "redcol_capsule_credentials_setup": (None, [c_void_p]),
    "redcol_capsule_credentials_entered": (None, []),
    "redcol_capsule_setup": (None, [c_void_p]),
    # Names go to CPython as pointers, since a capsule keeps the pointer.
    "redcol_capsule_schema_name": (c_void_p, []),
    "redcol_capsule_array_name": (c_void_p, []),
    "redcol_capsule_schema_new": (c_void_p, []),
    "redcol_capsule_array_new": (c_void_p, []),
    "redcol_capsule_schema_free": (None, [c_void_p]),
    "redcol_capsule_array_free": (None, [c_void_p]),
    "redcol_capsule_stream_name": (c_void_p, []),
    "redcol_capsule_stream_new": (c_void_p, []),
    "redcol_capsule_stream_free": (None, [c_void_p]),
    "redcol_capsule_schema_copy": (ctypes.c_int, [c_void_p, c_void_p]),
    "redcol_capsule_handle_name": (c_void_p, []),
    "redcol_capsule_handle_new": (c_void_p, []),
    "redcol_capsule_handle_free": (None, [c_void_p]),
}


def _candidates() -> list[str]:
    """Where the library may be, in order. If REDCOL_LIBRARY is set, it is the only place.

    Python with -I or -E ignores the environment.
    """
    chosen = os.environ.get("REDCOL_LIBRARY")
    if chosen and not sys.flags.ignore_environment:
        return [chosen]
    beside = os.path.join(os.path.dirname(__file__), "libredcol.so")
    return [beside, "libredcol.so.0", "libredcol.so"]


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded library, with its signatures declared and its version checked."""
    tried = []
    for path in _candidates():
        try:
            lib = ctypes.CDLL(path)
        except OSError as error:
            tried.append(f"{path}: {error}")
        else:
            return _prepare(lib, path)
    raise ImportError(
        "redcol's library could not be loaded. Tried:\n  "
        + "\n  ".join(tried)
        + "\nInstall the redcol wheel, or set REDCOL_LIBRARY to the path of libredcol.so"
        + (" (python -I and -E ignore it)." if sys.flags.ignore_environment else ".")
    )


def is_interrupted() -> bool:
    """Whether a signal's handler raised before `_write_log` could catch it. Says so once.

    Python prints that exception and drops it. Handlers run in the main thread alone.
    """
    if not _logger.unfinished or threading.current_thread() is not threading.main_thread():
        return False
    _logger.unfinished = 0
    return True


def _prepare(lib: ctypes.CDLL, path: str) -> ctypes.CDLL:
    try:
        for name, (restype, argtypes) in SIGNATURES.items():
            function = getattr(lib, name)
            function.restype = restype
            function.argtypes = argtypes
    except AttributeError as error:
        raise ImportError(
            f"{path} is not a libredcol of version {INTERFACE_VERSION}: {error}"
        ) from None
    found = lib.redcol_version().decode()
    if found.split(".")[:2] != INTERFACE_VERSION.split("."):
        raise ImportError(
            f"{path} is version {found}, but this package needs {INTERFACE_VERSION}.x. "
            "Install a matching library, or unset REDCOL_LIBRARY."
        )
    logger = ctypes.cast(lib.redcol_capsule_logger, c_void_p)
    sys.unraisablehook = _report_others(sys.unraisablehook)
    lib.redcol_set_logger(_DEBUG, logger, ctypes.addressof(_logger))
    # A thread that is still inside the library must not call a Python that is shutting down.
    atexit.register(lib.redcol_set_logger, 0, None, None)
    lib.redcol_capsule_setup(ctypes.cast(ctypes.pythonapi.PyCapsule_GetPointer, c_void_p))
    return lib
