# SPDX-License-Identifier: Apache-2.0
"""``df.write.format("redcol")`` and ``writeStream``: rows become entries, at least once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.datasource import (
    DataSourceArrowWriter,
    DataSourceStreamArrowWriter,
    WriterCommitMessage,
)

from ..write import write_stream
from ._options import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass
class Written(WriterCommitMessage):
    """How many rows a task has written."""

    rows: int


class _Writer:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        """Append the rows of one task, batch by batch."""
        settings, rows = self._settings, 0
        names = ("stream", "stream_column", "id_column", "maxlen", "min_id", "metadata")
        given: dict[str, Any] = {name: getattr(settings, name) for name in names}
        if settings.maxlen is not None or settings.min_id is not None:
            given["approximate"] = settings.approximate
        with settings.connect() as client:
            for batch in iterator:
                write_stream(client, pa.Table.from_batches([batch]), **given)
                rows += batch.num_rows
        return Written(rows)


class BatchWriter(_Writer, DataSourceArrowWriter):
    """``df.write``."""


class StreamWriter(_Writer, DataSourceStreamArrowWriter):
    """``df.writeStream``."""
