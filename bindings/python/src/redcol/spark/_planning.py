# SPDX-License-Identifier: Apache-2.0
"""Which streams there are, how far they reach, and into which tasks a read of them is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from pyspark.sql.datasource import InputPartition

from .. import _bounds, _ranges, lists
from .._bounds import EntryID
from ..client import Client
from ..errors import UnsupportedError
from ._options import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

#: The id before the first that an entry can have.
BEGINNING: Final[EntryID] = (0, 0)
#: A stream that would become more tasks has larger ones.
_TASKS_MAX: Final = 4_096


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
    client: Client, settings: Settings, found: Mapping[str, Extent], bounds: _bounds.Bounds
) -> list[Range]:
    """The tasks that read the entries within these bounds of each stream, up to its last now."""
    tasks = []
    for name, extent in sorted(found.items()):
        if extent.first is None or extent.last is None:
            continue
        reach = _bounds.Bounds(extent.first, extent.last)
        if not (within := bounds & reach).is_empty:
            is_whole = within == reach
            tasks += ranges(client, settings, name, within, extent.length, is_whole=is_whole)
    return tasks


def ranges(
    client: Client,
    settings: Settings,
    name: str,
    bounds: _bounds.Bounds,
    length: int,
    *,
    is_whole: bool,
) -> list[Range]:
    """The tasks of one stream. `length`, `is_whole`: as `_ranges.cut` takes them."""
    rows = max(settings.rows_per_partition, -(-length // _TASKS_MAX))
    parts = _ranges.cut(client, name, bounds, rows, length, is_whole=is_whole)
    return [Range(name, *map(_bounds.text, part)) for part, _ in parts]


def parts_of(settings: Settings, rows: int) -> int:
    """How many tasks so many entries should be."""
    return max(1, min(-(-rows // settings.rows_per_partition), _TASKS_MAX))


def entry_id(text: str | None) -> EntryID | None:
    """A whole id as its two numbers, if there is one."""
    return None if text is None else _bounds.entry_id(text)


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
