# SPDX-License-Identifier: Apache-2.0
"""Where a server's stream is cut: `_cuts` says where to look, the server what is there."""

from __future__ import annotations

from . import _bounds, _cuts
from ._bounds import Bounds, EntryID
from ._typing import TYPE_CHECKING
from .client import Client
from .stream import read_stream

if TYPE_CHECKING:
    from typing import Final

_PART_MAX: Final = 2**64 - 1


def cut(
    server: Client,
    stream: str | bytes,
    bounds: Bounds,
    rows: int,
    length: int,
    *,
    is_whole: bool,
) -> list[tuple[Bounds, int]]:
    """Ranges that have each id within the bounds once, and about how many entries each has.

    There are none if there is no entry.

    Args:
        server: where the stream is.
        stream: its key.
        bounds: what is cut.
        rows: how many entries a range should have.
        length: how many entries the bounds have, or the stream, if only that is known.
        is_whole: whether `length` is what the bounds have.
    """

    def probe(low: int, high: int, most: int, is_last: bool) -> list[int]:
        ids = read_stream(
            server,
            stream,
            schema={},
            include_timestamp=False,
            start_id=_bounds.text(_split(low)),
            end_id=_bounds.text(_split(high)),
            count=None if is_last else most,
            last=most if is_last else None,
        )["_id"]
        return [_join(_bounds.entry_id(one)) for one in ids.to_list()]

    first, last = map(_join, bounds)
    parts = _cuts.cuts(first, last, rows, length, probe, is_whole=is_whole)
    if not parts:
        return []
    # The first begins where the bounds do, although the first entry may be gone meanwhile.
    starts = [first, *(start for start, _ in parts[1:])]
    ends = [*(start - 1 for start in starts[1:]), last]
    return [
        (Bounds(_split(start), _split(end)), max(1, round(number)))
        for start, end, (_, number) in zip(starts, ends, parts, strict=True)
    ]


def _join(id_: EntryID) -> int:
    return id_[0] << 64 | id_[1]


def _split(id_: int) -> EntryID:
    return id_ >> 64, id_ & _PART_MAX
