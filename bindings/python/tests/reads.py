# SPDX-License-Identifier: Apache-2.0
"""Reads as the library gives them, batch by batch, for tests that look below the frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redcol import _native, stream
from redcol._capsule import Batch
from redcol._request import read_request


def batches(
    handle: _native.ClientHandle, key: str, *, options: dict[str, str] | None = None, **read: Any
) -> Iterator[Batch]:
    """The batches of a range read; `options` are the library's own."""
    request = read_request(key, options=options, **read)
    iterator = _native.read_streams(
        handle, request.streams, request.schema_capsule(), request.options
    )
    yield from stream._batches(iterator)
