# SPDX-License-Identifier: Apache-2.0
"""Where to cut a stream into parts of about the same size.

Redis cannot say which entry is the thousandth. But a few entries at both ends of a range of ids
say how dense it is there, and so about how many entries the range has. Ranges that seem to have
too many are halved, the largest first. The sum is compared with the length of the stream.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    #: Asks for the ids from one to another: at most so many, the first ones or the last ones.
    Probe = Callable[[int, int, int, bool], list[int]]

#: How many entries are looked at, at each end of a range.
_SAMPLE_MAX: Final = 64
#: How often ranges are halved, at most: for each part that is wanted, and besides.
_HALVINGS_PER_PART: Final = 8
_HALVINGS_BESIDES: Final = 64
#: How far the length may be from what was estimated before ranges are halved for that alone.
_HIDDEN: Final = 1.25


class _Cell:
    """A range of ids with entries at both ends. An id is one number of 128 bits."""

    __slots__ = ("head", "is_known", "rows", "tail")

    def __init__(self, head: list[int], tail: list[int]) -> None:
        self.head = head
        self.tail = tail
        #: Whether all its ids are in `head`.
        self.is_known = tail[0] <= head[-1]
        if self.is_known:
            self.head = sorted({*head, *tail})
            self.rows = float(len(self.head))
        else:
            self.rows = _estimate(head, tail)


def cuts(
    first: int, last: int, rows: int, length: int, probe: Probe, *, is_whole: bool
) -> list[tuple[int, float]]:
    """The first id of each part, and about how many entries the part has.

    Args:
        first: the first id of the range.
        last: the last one.
        rows: how many entries a part should have.
        length: how many entries the stream has.
        probe: asks the server.
        is_whole: whether the range is the whole stream, whose length is known.
    """
    if is_whole and length <= rows:
        return [(first, float(length))]
    sample = max(1, min(_SAMPLE_MAX, rows // 8))
    head, tail = probe(first, last, sample, False), probe(first, last, sample, True)
    if not head or not tail:
        return []
    cells = _halved(_Cell(head, tail), rows, length if is_whole else None, length, sample, probe)
    pieces = [piece for cell in cells for piece in _pieces(cell, max(1, rows // 2))]
    scale = _scale(
        sum(cell.rows for cell in cells if not cell.is_known),
        sum(cell.rows for cell in cells if cell.is_known),
        length if is_whole else None,
    )
    return _together([(id_, n if known else n * scale) for id_, n, known in pieces], rows)


def _halved(
    whole: _Cell, rows: int, length: int | None, most: int, sample: int, probe: Probe
) -> list[_Cell]:
    """The range in cells that have at most half as many entries as a part, if they can be found."""
    done: list[_Cell] = []
    heap: list[tuple[float, int, _Cell]] = []
    guessed = known = 0.0

    def add(cell: _Cell) -> None:
        nonlocal guessed, known
        if cell.is_known:
            done.append(cell)
            known += cell.rows
        else:
            heapq.heappush(heap, (-cell.rows, cell.head[0], cell))
            guessed += cell.rows

    add(whole)
    halvings = _HALVINGS_PER_PART * -(-most // rows) + _HALVINGS_BESIDES
    while heap and halvings:
        scale = _scale(guessed, known, length)
        # Entries that nothing explains are between the samples of some cell.
        if heap[0][2].rows * scale <= rows / 2 and scale <= _HIDDEN:
            break
        cell = heapq.heappop(heap)[2]
        guessed -= cell.rows
        halvings -= 1
        for half in _halves(cell, sample, probe):
            add(half)
    return sorted([*done, *(cell for _, _, cell in heap)], key=lambda cell: cell.head[0])


def _halves(cell: _Cell, sample: int, probe: Probe) -> list[_Cell]:
    """Both halves, in the middle of what the samples leave open; those that have entries."""
    low, high = cell.head[-1], cell.tail[0]
    middle = low + (high - low) // 2 + 1
    before = probe(cell.head[0], middle - 1, sample, True)
    after = probe(middle, cell.tail[-1], sample, False)
    found = []
    if before:
        found.append(_Cell([one for one in cell.head if one < middle] or before, before))
    if after:
        found.append(_Cell(after, [one for one in cell.tail if one >= middle] or after))
    return found


def _estimate(head: Sequence[int], tail: Sequence[int]) -> float:
    """How many entries there are from the first of `head` to the last of `tail`."""
    # Milliseconds, unless all have the same: then their sequence numbers.
    shift = 64 if head[0] >> 64 != tail[-1] >> 64 else 0

    def density(ids: Sequence[int]) -> float:
        span = (ids[-1] >> shift) - (ids[0] >> shift)
        # One entry says nothing about how far the next one is.
        return max(1, len(ids) - 1) / max(1, span)

    width = (tail[0] >> shift) - (head[-1] >> shift)
    return len(head) + len(tail) + width * (density(head) + density(tail)) / 2


def _scale(guessed: float, known: float, length: int | None) -> float:
    """What estimates are multiplied by to make the length of the stream."""
    if length is None or guessed <= 0:
        return 1.0
    return max(0.0, length - known) / guessed


def _pieces(cell: _Cell, rows: int) -> list[tuple[int, float, bool]]:
    """The cell, or pieces of at most so many entries if its ids are known."""
    if not cell.is_known:
        return [(cell.head[0], cell.rows, False)]
    ids = cell.head
    return [(ids[at], float(min(rows, len(ids) - at)), True) for at in range(0, len(ids), rows)]


def _together(pieces: Sequence[tuple[int, float]], rows: int) -> list[tuple[int, float]]:
    """Neighbors together, as long as they are no more than a part should have."""
    parts: list[tuple[int, float]] = []
    for id_, number in pieces:
        if parts and parts[-1][1] + number <= rows * 1.01:
            parts[-1] = (parts[-1][0], parts[-1][1] + number)
        else:
            parts.append((id_, number))
    return parts
