# SPDX-License-Identifier: Apache-2.0
"""libredcol's function for Pub/Sub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import _native


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
