# SPDX-License-Identifier: Apache-2.0
"""Which streams there are, how far they reach, and into which tasks a read of them is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from pyspark.sql.datasource import InputPartition

from .. import _bounds, lists
from .._bounds import EntryID
from ..client import Client
from ..errors import UnsupportedError
from ..stream import read_stream
from ._options import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: The id before the first that an entry can have.
BEGINNING: Final[EntryID] = (0, 0)
#: How many tasks a stream becomes, at most, and how often its ranges are halved for that.
_TASKS_MAX: Final = 4_096
_ROUNDS_MAX: Final = 40


@dataclass(frozen=True)
class Place:
    """Up to where a stream is read: an entry, included."""

    id: EntryID
    #: How many entries were ever added up to there; None if that is not known.
    added: int | None
    #: How many tasks read up to there, if only a look at the stream could tell: a micro-batch that
    #: is read again is cut in the same way.
    parts: int | None = None


@dataclass(frozen=True)
class Range(InputPartition):
    """What one task reads: a stream's entries from one id to another, both included."""

    stream: str
    start: str
    end: str
    #: The first task of a stream in a micro-batch looks whether something is missing between these.
    after: Place | None = None
    until: Place | None = None


@dataclass(frozen=True)
class Extent:
    """How far a stream reaches now, and what the server has counted."""

    first: EntryID | None
    last: EntryID | None
    length: int
    #: How many entries were ever added; None before Redis 7.0.
    added: int | None

    @property
    def gone(self) -> int | None:
        """How many entries it no longer has; None if nobody counts them."""
        return None if self.added is None else self.added - self.length


def extents(client: Client, streams: str | Sequence[str]) -> dict[str, Extent]:
    """The streams that exist, of those that are named or match a pattern."""
    columns = ("stream", "first_id", "last_id", "length", "entries_added")
    found: pl.DataFrame = lists.list_streams(client, streams).select(columns)
    made = {}
    for stream, first, last, length, added in found.iter_rows():
        if isinstance(streams, str) and "\\x" in stream:
            raise UnsupportedError(
                f"The pattern {streams!r} finds the key {stream!r}, which is not UTF-8: Spark "
                "cannot name it. Choose a pattern that leaves it out.",
                stream=stream,
            )
        made[stream] = Extent(entry_id(first), entry_id(last), length, added)
    return made


def cut(
    client: Client, settings: Settings, streams: str | Sequence[str], bounds: _bounds.Bounds
) -> list[Range]:
    """The tasks that read the entries within these bounds of each stream, up to its last now."""
    tasks = []
    for name, extent in sorted(extents(client, streams).items()):
        if extent.first is None or extent.last is None:
            continue
        found = bounds & _bounds.Bounds(extent.first, extent.last)
        if not found.is_empty:
            ranges = halved(client, name, found, parts_of(settings, extent.length))
            tasks += [
                Range(name, _bounds.text(one.first), _bounds.text(one.last)) for one in ranges
            ]
    return tasks


def parts_of(settings: Settings, rows: int) -> int:
    """How many tasks so many entries should be."""
    return max(1, min(-(-rows // settings.rows_per_partition), _TASKS_MAX))


def halved(client: Client, name: str, whole: _bounds.Bounds, parts: int) -> list[_bounds.Bounds]:
    """A range of ids in about so many ranges, where there are entries.

    They are halved by time. A half without entries is left out, so a stream that came in bursts is
    cut within its bursts. Each probe asks for one entry.
    """
    ranges, rounds = [whole], 0
    if parts > 1 and (first := _first_at(client, name, whole)) is not None:
        ranges = [_bounds.Bounds(first, whole.last)]
    while len(ranges) < parts and rounds < _ROUNDS_MAX:
        ranges = [half for one in ranges for half in _halves(client, name, one)]
        rounds += 1
    return ranges


def _halves(client: Client, name: str, bounds: _bounds.Bounds) -> list[_bounds.Bounds]:
    low, high = (milliseconds << 64 | sequence for milliseconds, sequence in bounds)
    if low == high:
        return [bounds]
    middle = low + (high - low) // 2 + 1
    split = (middle >> 64, middle & (2**64 - 1))
    left = _bounds.Bounds(bounds.first, before(split))
    right = _first_at(client, name, _bounds.Bounds(split, bounds.last))
    return [left] if right is None else [left, _bounds.Bounds(right, bounds.last)]


def _first_at(client: Client, name: str, bounds: _bounds.Bounds) -> EntryID | None:
    """The first entry within bounds."""
    start, end = map(_bounds.text, bounds)
    ids = read_stream(client, name, schema={}, start_id=start, end_id=end, count=1)["_id"]
    return entry_id(ids[0]) if len(ids) else None


def entry_id(text: str | None) -> EntryID | None:
    """A whole id as its two numbers, if there is one."""
    return None if text is None else whole(text)


def whole(text: str) -> EntryID:
    """A whole id as its two numbers."""
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence)


def after(id_: EntryID) -> EntryID:
    """The smallest id that is larger."""
    milliseconds, sequence = id_
    return (milliseconds + 1, 0) if sequence == 2**64 - 1 else (milliseconds, sequence + 1)


def before(id_: EntryID) -> EntryID:
    """The largest id that is smaller; the beginning has none."""
    milliseconds, sequence = id_
    if sequence:
        return milliseconds, sequence - 1
    return (milliseconds - 1, 2**64 - 1) if milliseconds else BEGINNING
