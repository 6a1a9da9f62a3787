# SPDX-License-Identifier: Apache-2.0
"""``df.write.format("redcol")`` and ``writeStream``: rows become entries.

At least once, or exactly once with a fence: a hash on the server says which row of each partition
was the last that was written, and a task that is tried again skips what was written before.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import polars as pl
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql.datasource import (
    DataSourceArrowWriter,
    DataSourceStreamArrowWriter,
    WriterCommitMessage,
)

from .. import _progress, client
from ..errors import UnsupportedError
from ..write import append, write_hashes
from . import _options
from ._options import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What Spark tells a task of the query and the micro-batch that it belongs to.
_QUERY, _MICRO_BATCH = "sql.streaming.queryId", "streaming.sql.batchId"
#: How long the fence of a batch stands after its end, against attempts that are late.
_KEPT = timedelta(days=1)


@dataclass
class Written(WriterCommitMessage):
    """How many rows a task has written, or found to be written."""

    rows: int


def _write(settings: Settings, batches: Iterator[pa.RecordBatch], fence: dict[str, str]) -> Written:
    """Append the rows of one task, batch by batch."""
    options, rows = {**settings.entry_options(), **fence}, 0
    key = None if settings.stream is None else settings.stream.encode()
    with settings.connect() as connected:
        server = client.Server(connected)
        for batch in batches:
            if fence:
                options["fence_row"] = str(rows)
            append(server, key, pa.Table.from_batches([batch]), options, _progress.of(None))
            rows += batch.num_rows
    return Written(rows)


def _fence(settings: Settings, writer: str, epoch: str) -> dict[str, str]:
    if not settings.idempotent or settings.stream is None:
        return {}
    return {
        "fence_key": _options.fence_key(settings.stream, writer),
        "fence_field": str(_task().partitionId()),
        "fence_epoch": epoch,
    }


def _task() -> Any:
    task = TaskContext.get()
    if task is None:
        raise UnsupportedError("option idempotent: this is no task of Spark")
    return task


class BatchWriter(DataSourceArrowWriter):
    """``df.write``. A fence is of one write, and goes some time after it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._id = str(uuid.uuid4())

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """Write the rows of a task."""
        return _write(self._settings, iterator, _fence(self._settings, self._id, "0"))

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """All tasks have written."""
        self._close(len(messages))

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """A task has failed too often. What was written stays."""
        self._close(len(messages))

    def _close(self, partitions: int) -> None:
        """Begin the next epoch: a second attempt that Spark has not stopped yet writes no more."""
        settings = self._settings
        if settings.idempotent and settings.stream is not None and partitions:
            fence = {"_key": _options.fence_key(settings.stream, self._id)}
            fence |= {str(number): "1:-1" for number in range(partitions)}
            with settings.connect() as connected:
                write_hashes(connected, pl.DataFrame([fence]), ttl=_KEPT)


class StreamWriter(DataSourceStreamArrowWriter):
    """``df.writeStream``. A fence is of one query, and stays with its checkpoint."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """Write the rows of a task."""
        fence = {}
        if self._settings.idempotent:
            query, epoch = map(_task().getLocalProperty, (_QUERY, _MICRO_BATCH))
            if query is None or epoch is None:
                raise UnsupportedError(
                    "option idempotent: this version of Spark does not say which query and "
                    "micro-batch a task belongs to"
                )
            fence = _fence(self._settings, query, epoch)
        return _write(self._settings, iterator, fence)
