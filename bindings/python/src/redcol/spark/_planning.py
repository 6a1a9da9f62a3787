# SPDX-License-Identifier: Apache-2.0
"""Which streams there are, how far they reach, and into which tasks a read of them is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from pyspark.sql.datasource import InputPartition

from .. import _bounds, _shown_keys, lists, partitioning
from .._bounds import EntryID
from ..client import Client, Server
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
    chosen = streams.encode() if isinstance(streams, str) else [key.encode() for key in streams]
    made = {}
    for asked in _shown_keys.asked_apart(chosen):
        found: pl.DataFrame = lists.list_streams(client, asked).select(columns)
        for shown, first, last, length, added in found.iter_rows():
            # The keys that Spark names are texts.
            stream = str(_shown_keys.of_row(shown, asked))
            made[stream] = Extent(entry_id(first), entry_id(last), length, added)
    return made


def cut(
    client: Client, settings: Settings, found: Mapping[str, Extent], bounds: _bounds.Bounds
) -> list[Range]:
    """The tasks that read the entries within these bounds of each stream, up to its last now."""
    if bounds.is_empty:
        return []
    alike: dict[int, list[str]] = {}
    for name, extent in found.items():
        alike.setdefault(rows_of(settings, extent.length), []).append(name)
    tasks: list[Range] = []
    for rows, names in alike.items():
        tasks += _ranges(client, names, bounds, rows)
    return sorted(tasks, key=lambda task: task.stream.encode())


def ranges(
    client: Client, settings: Settings, name: str, bounds: _bounds.Bounds, *, entries: int | None
) -> list[Range]:
    """The tasks of one stream, which are the same if it is cut again.

    `entries`: how many there are within the bounds; None if nobody knows.
    """
    rows = rows_of(settings, entries or 0)
    return _ranges(client, [name], bounds, rows, entries=entries or 0)


def rows_of(settings: Settings, entries: int) -> int:
    """About how many entries each task reads, if there are so many."""
    return max(settings.rows_per_partition, -(-entries // _TASKS_MAX))


def _ranges(
    client: Client, names: Sequence[str], bounds: _bounds.Bounds, rows: int, **options: int
) -> list[Range]:
    start, end = map(_bounds.text, bounds)
    chosen = [name.encode() for name in names]
    parts = partitioning.cut(
        Server(client), chosen, rows=rows, start_id=start, end_id=end, **options
    )
    return [Range(str(name), first, last) for name, first, last, _ in parts]


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
