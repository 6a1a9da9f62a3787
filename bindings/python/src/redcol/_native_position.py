# SPDX-License-Identifier: Apache-2.0
"""Where an iterator is, and how far it is behind; as _native.py, which it uses."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_uint64

from . import _native
from ._native import ClientHandle, Handle


def position(iterator: Handle, stream: bytes | None) -> str | None:
    """The id after which an iterator goes on in a stream, if that is known.

    `stream` None: the last entry that was handed over, of whatever stream.
    """
    milliseconds, sequence, error = c_uint64(), c_uint64(), Handle()
    status = _native.library().redcol_iter_position(
        iterator.pointer,
        stream,
        -1 if stream is None else len(stream),
        ctypes.byref(milliseconds),
        ctypes.byref(sequence),
        error.pointer_reference,
    )
    _native.raise_if_error(status, error)
    return None if status == _native.END else f"{milliseconds.value}-{sequence.value}"


def server_ms(client: ClientHandle, stream: bytes) -> int:
    """The clock of the server that has this stream, in milliseconds since 1970.

    The library asks for it (TIME) for a read that follows from now on, whose position tells it.
    """
    iterator = _native.read_streams(client, [stream], None, {"follow": "true", "start_id": "-0ms"})
    try:
        now = position(iterator, stream)
    finally:
        iterator.free()
    return 0 if now is None else int(now.partition("-")[0])


def lag(iterator: Handle, stream: bytes) -> int | None:
    """How many entries of a stream are still to come. None if the group is missing."""
    count = c_int64()
    status = _native.TIMEOUT
    with _native.Repeating(iterator.owner):
        while status == _native.TIMEOUT:  # a signal came whose handler did not raise
            error = Handle()
            status = _native.library().redcol_iter_lag(
                iterator.pointer,
                stream,
                len(stream),
                ctypes.byref(count),
                error.pointer_reference,
            )
            _native.raise_if_error(status, error)
    return None if status == _native.END else count.value
