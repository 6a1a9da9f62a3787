# SPDX-License-Identifier: Apache-2.0
"""Reads as the library gives them, batch by batch, for tests that look below the frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from redcol import _native, _reading
from redcol._capsule import Batch
from redcol._request import Request, read_request
from redcol._specs import ColumnSpec, EntrySpec, GroupSpec, RangeSpec


def request(
    key: str | bytes,
    *,
    block_ms: int | None = None,
    options: dict[str, str] | None = None,
    **arguments: Any,
) -> Request:
    """What `read_stream` asks for with these arguments; `options` are the library's own."""

    def spec(kind: type[Any]) -> Any:
        names = [each.name for each in fields(kind) if each.name in arguments]
        return kind(**{name: arguments.pop(name) for name in names})

    range_, columns, entries = spec(RangeSpec), spec(ColumnSpec), spec(EntrySpec)
    group = spec(GroupSpec)
    assert arguments == {}
    return read_request(key, range_, columns, entries, block_ms=block_ms, group=group, own=options)


def batches(
    handle: _native.ClientHandle, key: str, *, options: dict[str, str] | None = None, **read: Any
) -> Iterator[Batch]:
    """The batches of a range read; `options` are the library's own."""
    made = request(key, options=options, **read)
    iterator = _native.read_streams(handle, made.streams, made.schema_capsule(), made.options)
    yield from _reading.batches(iterator)
