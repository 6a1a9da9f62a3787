# SPDX-License-Identifier: Apache-2.0
"""The functions of the library that change groups and streams; as _native.py, which they use."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import c_int64, c_uint64

from . import _native
from ._native import Handle
from ._schema_structs import capsule_pointer


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


def claim_entries(
    client: _native.ClientHandle,
    stream: bytes,
    entry_ids: bytes | None,
    schema_capsule: object,
    options: Mapping[str, str],
) -> Handle:
    """Start a claim of these entries; None: of all that are idle. As `_native.read_streams`."""
    schema = None
    if isinstance(schema_capsule, _native.StructSchema):
        schema = schema_capsule.address
    elif schema_capsule is not None:
        schema = capsule_pointer(schema_capsule, b"arrow_schema")
    iterator, error = Handle(), Handle()
    status = _native.library().redcol_claim_entries(
        client.pointer,
        stream,
        len(stream),
        entry_ids,
        0 if entry_ids is None else len(entry_ids),
        schema,
        _native.options_of(options),
        iterator.pointer_reference,
        error.pointer_reference,
    )
    _native.raise_if_error(status, error, client)
    client.add(iterator)
    return iterator


def _repeated(client: _native.ClientHandle, function: str, *arguments: object) -> None:
    call = getattr(_native.library(), function)
    status = _native.TIMEOUT
    with _native.Repeating(client):
        while status == _native.TIMEOUT:  # a signal came whose handler did not raise
            error = Handle()
            status = call(client.pointer, *arguments, error.pointer_reference)
            _native.raise_if_error(status, error, client)
