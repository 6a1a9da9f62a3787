# SPDX-License-Identifier: Apache-2.0
"""libredcol's functions for Pub/Sub."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

from . import _native
from ._schema_structs import capsule_pointer


def subscribe(
    client: _native.ClientHandle,
    channels: Sequence[bytes],
    patterns: Sequence[bytes],
    schema_capsule: object,
    options: Mapping[str, str],
) -> _native.Handle:
    """Listen to channels. `schema_capsule`: as in `_native.read_streams`."""
    names = (*_native.names_as_taken(channels), *_native.names_as_taken(patterns))
    return _native.begin_read(
        client, _native.library().redcol_subscribe, names, schema_capsule, options
    )


def write_messages(
    client: _native.ClientHandle,
    channel: bytes | None,
    frame_capsule: object,
    options: Mapping[str, str],
) -> _native.Handle:
    """Start publishing. Takes `frame_capsule`, an "arrow_array_stream" capsule."""
    writer, error = _native.Handle(), _native.Handle()
    status = _native.library().redcol_write_messages(
        client.pointer,
        channel,
        0 if channel is None else len(channel),
        capsule_pointer(frame_capsule, b"arrow_array_stream"),
        _native.options_of(options),
        ctypes.byref(writer.pointer),
        error.pointer_reference,
    )
    _native.raise_if_error(status, error, client)
    client.add(writer)
    return writer
