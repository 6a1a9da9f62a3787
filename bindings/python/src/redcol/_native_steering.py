# SPDX-License-Identifier: Apache-2.0
"""The functions of the library that change groups and streams; as _native.py, which they use."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_uint64

from . import _native


def counted(client: _native.ClientHandle, function: str, *arguments: bytes | int | None) -> int:
    """Call a function that writes a count. Goes on after signals whose handlers do not raise."""
    count = c_int64()
    _repeated(client, function, *arguments, ctypes.byref(count))
    return count.value


def seek_group(client: _native.ClientHandle, *arguments: bytes | int) -> tuple[int, int]:
    """Set a group's position. Returns the two parts of its id."""
    milliseconds, sequence = c_uint64(), c_uint64()
    outs = ctypes.byref(milliseconds), ctypes.byref(sequence)
    _repeated(client, "redcol_seek_group", *arguments, *outs)
    return milliseconds.value, sequence.value


def _repeated(client: _native.ClientHandle, function: str, *arguments: object) -> None:
    call = getattr(_native.library(), function)
    status = _native.TIMEOUT
    with _native.repeating(client):
        while status == _native.TIMEOUT:  # a signal came whose handler did not raise
            error = _native.Handle()
            status = call(client.pointer, *arguments, error.pointer_reference)
            _native.raise_if_error(status, error, client)
