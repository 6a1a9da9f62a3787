# SPDX-License-Identifier: Apache-2.0
"""libredcol's lists for Python: what is there, and into which parts streams can be cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import _native
from ._native import ClientHandle, Handle
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def list_streams(client: ClientHandle, chosen: bytes | Sequence[bytes]) -> Handle:
    """A table of streams: of those that match a pattern, or of these."""
    return _table("redcol_list_streams", client, *_native.chosen(chosen))


def list_groups(
    client: ClientHandle, chosen: bytes | Sequence[bytes], options: Mapping[str, str]
) -> Handle:
    """A table of the groups of streams."""
    return _table(
        "redcol_list_groups", client, *_native.chosen(chosen), _native.options_of(options)
    )


def list_consumers(
    client: ClientHandle, chosen: bytes | Sequence[bytes], group: bytes | None
) -> Handle:
    """A table of the consumers of a group, or of all groups."""
    length = 0 if group is None else len(group)
    return _table("redcol_list_consumers", client, *_native.chosen(chosen), group, length)


def list_pending(
    client: ClientHandle, stream: bytes, group: bytes, options: Mapping[str, str]
) -> Handle:
    """A table of the pending entries of a group."""
    names = (stream, len(stream), group, len(group))
    return _table("redcol_list_pending", client, *names, _native.options_of(options))


def partitions(
    client: ClientHandle, chosen: bytes | Sequence[bytes], options: Mapping[str, str]
) -> Handle:
    """A table of ranges of ids, into which streams are cut."""
    return _table("redcol_partitions", client, *_native.chosen(chosen), _native.options_of(options))


def _table(function: str, client: ClientHandle, *arguments: Any) -> Handle:
    call = getattr(_native.library(), function)
    status = _native.TIMEOUT
    with _native.Repeating(client):
        while status == _native.TIMEOUT:  # a signal came whose handler did not raise
            table, error = Handle(), Handle()
            status = call(
                client.pointer, *arguments, table.pointer_reference, error.pointer_reference
            )
            _native.raise_if_error(status, error, client)
    return table
