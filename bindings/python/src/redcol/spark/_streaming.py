# SPDX-License-Identifier: Apache-2.0
"""``spark.readStream.format("redcol")``: what is added to streams, in micro-batches.

An offset says of each stream up to which entry it is read, and how many entries had been added by
then. A micro-batch is what lies between two offsets, so it can be read again with the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition
from pyspark.sql.streaming.datasource import (
    ReadAllAvailable,
    ReadLimit,
    ReadMaxRows,
    SupportsTriggerAvailableNow,
)
from pyspark.sql.types import StructType

from .. import _bounds, _log
from .._bounds import Bounds
from ..client import Client
from ..errors import GapError
from . import _columns, _planning
from ._options import Settings, starting_moment
from ._planning import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final


_NOWHERE: Final = Place(_planning.BEGINNING, None)


class StreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Plans micro-batches on the driver, and reads their ranges of ids on the executors."""

    def __init__(self, settings: Settings, schema: StructType) -> None:
        self._settings = settings
        self._schema = schema
        #: Where a query ends that reads what is available now.
        self._target: dict[str, Place] | None = None

    def initialOffset(self) -> dict[str, Any]:  # noqa: N802  Spark's names, here and below
        """Where a query begins that has no checkpoint."""
        settings = self._settings
        streams = settings.keys_or_pattern()
        with settings.connect() as client:
            _columns.check(client, settings, self._schema)
            found = _planning.extents(client, streams)
        names = found if isinstance(streams, str) else streams
        start = starting_moment(settings.starting_offsets)
        return _written({name: _first_place(start, found.get(name)) for name in names})

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802
        """How much a micro-batch may have."""
        rows = self._settings.max_entries_per_trigger
        return ReadAllAvailable() if rows is None else ReadMaxRows(rows)

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Read nothing that is added after this."""
        with self._settings.connect() as client:
            self._target = self._reach(client)

    def latestOffset(self, start: dict[str, Any], limit: ReadLimit) -> dict[str, Any]:  # noqa: N802
        """Where the next micro-batch ends."""
        places = _read(start)
        with self._settings.connect() as client:
            reach = self._reach(client) if self._target is None else self._target
            ahead = {
                name: place
                for name, place in reach.items()
                if place.id > places.get(name, _NOWHERE).id
            }
            if isinstance(limit, ReadMaxRows):
                ahead = _limited(client, places, ahead, limit.max_rows)
        for name, place in ahead.items():
            if _between(places.get(name, _NOWHERE), place) is not None:
                ahead[name] = replace(place, parts=None)
        return _written({**places, **ahead})

    def reportLatestOffset(self) -> dict[str, Any]:  # noqa: N802
        """How far the streams reach, for the query's progress."""
        with self._settings.connect() as client:
            return _written(self._reach(client))

    def _reach(self, client: Client) -> dict[str, Place]:
        found = _planning.extents(client, self._settings.keys_or_pattern())
        return {
            name: Place(extent.last, extent.added, self._parts(extent.length))
            for name, extent in found.items()
            if extent.last is not None
        }

    def _parts(self, rows: int) -> int | None:
        parts = _planning.parts_of(self._settings, rows)
        return parts if parts > 1 else None

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[InputPartition]:
        """The tasks of a micro-batch."""
        before, tasks = _read(start), []
        wanted = {
            name: (before.get(name, _NOWHERE), place)
            for name, place in _read(end).items()
            if place.id > before.get(name, _NOWHERE).id
        }
        if not wanted:
            return []
        with self._settings.connect() as client:
            found = _planning.extents(client, list(wanted))
            for name, (first, last) in wanted.items():
                self._note(_gap(name, first, last, found.get(name)))
                tasks += self._tasks(client, name, first, last)
        return tasks

    def _tasks(self, client: Client, name: str, first: Place, last: Place) -> list[_planning.Range]:
        bounds, settings = Bounds(_planning.after(first.id), last.id), self._settings
        tasks = []
        count = _between(first, last)
        if count is None and last.parts is not None:
            tasks = _planning.ranges(client, settings, name, bounds, entries=None)
        elif count is not None and count > settings.rows_per_partition:
            tasks = _planning.ranges(client, settings, name, bounds, entries=count)
        # A task looks for what is missing, also if everything is.
        tasks = tasks or [_planning.Range(name, *map(_bounds.text, bounds))]
        return [replace(tasks[0], after=first, until=last), *tasks[1:]]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The entries of one task."""
        if not isinstance(partition, _planning.Range):
            return
        settings, name = self._settings, partition.stream
        with settings.connect() as client:
            if partition.after is not None and partition.until is not None:
                extent = _planning.extents(client, [name]).get(name)
                self._note(_gap(name, partition.after, partition.until, extent))
            yield from _columns.read(
                client, settings, name, partition.start, partition.end, self._schema
            )

    def _note(self, gap: GapError | None) -> None:
        if gap is None:
            return
        if self._settings.fail_on_data_loss:
            gap.args = (
                f"{gap}; to go on with what is there, restart the query with failOnDataLoss=false",
            )
            raise gap
        _log.warn("gap", str(gap))


def _first_place(start: str, extent: _planning.Extent | None) -> Place:
    """Where a new query begins. `start`: as `starting_moment` returns it."""
    if extent is None:
        return Place(_planning.BEGINNING, 0)
    if start == "latest":
        return Place(extent.last or _planning.BEGINNING, extent.added)
    if start == "earliest":
        return Place(_planning.BEGINNING, extent.gone)
    first = _bounds.of_range(start, "+").first
    return Place(_planning.before(first), None)


def _limited(
    client: Client, places: Mapping[str, Place], ahead: Mapping[str, Place], rows: int
) -> dict[str, Place]:
    """How far to read if a micro-batch has so many rows at most: each stream gets its share.

    Streams that are furthest behind come first.
    """
    reached: dict[str, Place] = {}
    at = {name: places.get(name, _NOWHERE) for name in ahead}
    waiting = sorted(ahead, key=lambda name: at[name].id)
    while waiting and rows > 0:
        share, others = max(1, rows // len(waiting)), []
        for name in waiting:
            if rows == 0:
                break
            place, count = _further(client, name, at[name], ahead[name], min(share, rows))
            rows -= count
            if place.id > at[name].id:
                reached[name] = at[name] = place
            if place.id < ahead[name].id:
                others.append(name)
        waiting = others
    return reached


def _further(client: Client, name: str, start: Place, end: Place, rows: int) -> tuple[Place, int]:
    """The place of the last of so many entries after `start`, and how many there are."""
    between = _between(start, end)
    if between is not None and 0 <= between <= rows:
        return end, between
    first = _bounds.text(_planning.after(start.id))
    last, count = _columns.last_id(client, name, first, _bounds.text(end.id), rows)
    if last is None or count < rows or (reached := _bounds.entry_id(last)) == end.id:
        return end, count
    return Place(reached, None if start.added is None else start.added + count), count


def _between(start: Place, end: Place) -> int | None:
    """How many entries were added from one place to another."""
    return None if start.added is None or end.added is None else end.added - start.added


def _gap(name: str, first: Place, last: Place, extent: _planning.Extent | None) -> GapError | None:
    """What is lost of the entries after one place and up to another; None if nothing is known."""
    lost: int | None = None
    counted = max(first.added or 0, last.added or 0)
    if extent is None:
        text = "it is gone, with entries that were not read yet"
    elif extent.added is not None and extent.added < counted:
        text = "it was deleted and begun again, and entries of it were not read"
    elif extent.first is not None and extent.first <= first.id:
        return None
    elif first.added is not None and extent.gone is not None:
        lost = extent.gone - first.added
        if lost <= 0:
            return None
        text = (
            f"lost {lost} entries after {_bounds.text(first.id)}: they were trimmed or deleted "
            "before they were read"
        )
    elif extent.first is None or extent.first > last.id:
        text = f"lost all entries after {_bounds.text(first.id)} and up to {_bounds.text(last.id)}"
    else:
        return None
    before = None if extent is None or extent.first is None else _bounds.text(extent.first)
    return GapError(
        f'stream "{name}": {text}',
        stream=name,
        after_id=_bounds.text(first.id),
        before_id=before,
        lost_entries=lost,
    )


def _written(places: Mapping[str, Place]) -> dict[str, Any]:
    """An offset as Spark keeps it. The order of the streams is always the same."""
    written: dict[str, Any] = {}
    for name in sorted(places):
        place = places[name]
        written[name] = {"id": _bounds.text(place.id)}
        for key in ("added", "parts"):
            if (number := getattr(place, key)) is not None:
                written[name][key] = number
    return written


def _read(offset: Mapping[str, Any]) -> dict[str, Place]:
    return {
        name: Place(_bounds.entry_id(one["id"]), one.get("added"), one.get("parts"))
        for name, one in offset.items()
    }
