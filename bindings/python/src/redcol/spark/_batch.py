# SPDX-License-Identifier: Apache-2.0
"""``spark.read.format("redcol")``: what is in streams now, cut into tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone

import pyarrow as pa
from pyspark.sql import datasource
from pyspark.sql.types import LongType, StringType, StructType, TimestampNTZType, TimestampType

from .. import _bounds
from .._bounds import Bounds
from ..errors import NoStreamError, RedcolError
from . import _columns, _planning
from ._options import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_COMPARED: Final = {
    datasource.GreaterThan: "Gt",
    datasource.GreaterThanOrEqual: "GtEq",
    datasource.LessThan: "Lt",
    datasource.LessThanOrEqual: "LtEq",
    datasource.EqualTo: "Eq",
}
#: The metadata columns that filters can be about, in the types that make them such.
_METADATA: Final = {
    _columns.ID: (StringType,),
    _columns.KEY: (StringType,),
    _columns.TIMESTAMP: (LongType, TimestampType, TimestampNTZType),
}


class _PushFilters:
    """The method `pushFilters` of a reader.

    Spark refuses a reader that has one of its own when spark.sql.python.filterPushdown.enabled is
    not set, which is the default. It looks at `__func__`: this one says that it is the inherited
    method, so that it is called if it is wanted, and nothing is refused.
    """

    __func__ = staticmethod(datasource.DataSourceReader.pushFilters)

    def __init__(self, reader: BatchReader) -> None:
        self._reader = reader

    def __call__(self, filters: list[datasource.Filter]) -> Iterable[datasource.Filter]:
        return [one for one in filters if not self._reader.take(one)]


class BatchReader(datasource.DataSourceReader):
    """Reads each stream up to the entry that is its last when the read is planned."""

    def __init__(self, settings: Settings, schema: StructType) -> None:
        self._settings = settings
        self._schema = schema
        self._bounds = _bounds.of_range(settings.start(), settings.end())
        self._keys: frozenset[str] | None = None

    @property
    def pushFilters(self) -> _PushFilters:  # noqa: N802  Spark's name
        return _PushFilters(self)

    def take(self, filter_: datasource.Filter) -> bool:
        """Use a filter to read fewer entries. Returns whether no row is left that it refuses."""
        attribute: Sequence[str] = getattr(filter_, "attribute", ())
        if len(attribute) != 1 or attribute[0] not in _METADATA:
            return False
        name = attribute[0]
        value: Any = getattr(filter_, "value", None)
        column = self._schema[name].dataType
        if not isinstance(column, _METADATA[name]):
            return False
        if isinstance(filter_, datasource.IsNotNull):
            return True  # metadata columns have no nulls
        if name == _columns.TIMESTAMP and type(filter_) in _COMPARED:
            bounds = _timestamps(_COMPARED[type(filter_)], value, column)
            if bounds is None:
                return False
            self._bounds &= bounds
            return True
        values = value if isinstance(filter_, datasource.In) else (value,)
        is_equality = isinstance(filter_, (datasource.EqualTo, datasource.In))
        if not is_equality or not all(isinstance(one, str) for one in values):
            return False
        if name == _columns.KEY:
            chosen = frozenset(values)
            self._keys = chosen if self._keys is None else self._keys & chosen
            return True
        if name == _columns.ID:
            bounds = _bounds.NOTHING
            for one in values:
                bounds |= _bounds.of_id(one)
            self._bounds &= bounds
            return len(values) == 1
        return False

    def partitions(self) -> Sequence[datasource.InputPartition]:
        """The tasks."""
        try:
            return self._tasks()
        except NotImplementedError as error:
            # Spark takes it for a method that is missing, and would read nothing.
            raise RedcolError(str(error)) from None

    def _tasks(self) -> Sequence[datasource.InputPartition]:
        settings = self._settings
        streams = settings.keys_or_pattern()
        with settings.connect() as client:
            _columns.check(client, settings, self._schema)
            if self._bounds.is_empty and settings.if_missing != "raise":
                return []
            found = _planning.extents(client, streams)
            if settings.if_missing == "raise":
                self._look_for(found, streams)
            chosen = {
                name: extent
                for name, extent in found.items()
                if self._keys is None or name in self._keys
            }
            return _planning.cut(client, settings, chosen, self._bounds)

    @staticmethod
    def _look_for(found: Iterable[str], streams: str | Sequence[str]) -> None:
        names = set(found)
        if isinstance(streams, str):
            if not names:
                raise NoStreamError(f"no stream matches the pattern {streams!r}")
            return
        for stream in streams:
            if stream not in names:
                raise NoStreamError(f'stream "{stream}": there is no such stream', stream=stream)

    def read(self, partition: datasource.InputPartition) -> Iterator[pa.RecordBatch]:
        """The entries of one task."""
        if not isinstance(partition, _planning.Range):
            return  # Spark makes a task of its own where there would be none
        with self._settings.connect() as client:
            yield from _columns.read(
                client,
                self._settings,
                partition.stream,
                partition.start,
                partition.end,
                self._schema,
            )


def _timestamps(op: str, value: Any, column: object) -> Bounds | None:
    """The bounds of a comparison of the column of times; None if it cannot be one."""
    if isinstance(column, LongType) and isinstance(value, int):
        return _bounds.of_timestamp(op, value, 1)
    if isinstance(column, (TimestampType, TimestampNTZType)) and isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
        epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
        return _bounds.of_timestamp(op, (aware - epoch) // timedelta(microseconds=1), 1_000)
    return None
