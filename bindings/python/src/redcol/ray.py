# SPDX-License-Identifier: Apache-2.0
"""Streams as datasets of Ray Data, for ``pip install "redcol[ray]"``: docs/ray.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
from ray.data import Datasink, Datasource, ReadTask, read_datasource
from ray.data.block import BlockMetadata

from . import _arguments
from .arrow import read_arrow
from .client import connect
from .errors import InvalidArgumentError
from .lists import list_streams
from .partitioning import Partition, partitions
from .write import write_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date
    from typing import Any, Final, Literal

    from ray.data import Dataset

__all__ = ["read_redcol", "write_redcol"]

#: How many entries a task reads, at most, if nobody says how many tasks there shall be.
_ROWS: Final = 250_000
#: How many rows a block has, at most.
_BLOCK_ROWS: Final = 65_536


def read_redcol(
    url: str,
    stream: str | bytes | Iterable[str | bytes],
    *,
    schema: Mapping[str, Any] | Any,
    parallelism: int = -1,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    key_column: str | None = None,
    include_id: bool = True,
    include_timestamp: bool = True,
    missing_field: Literal["null", "raise"] = "null",
    on_error: Literal["raise", "null", "skip"] = "raise",
) -> Dataset:
    """Streams as a dataset of Ray. Each task reads one partition of :func:`redcol.partitions`.

    The last entry of each stream is looked up in this call, and nothing that is added later is
    read. A task that is repeated returns the same rows, as long as nobody trims or deletes them.

    Args:
        url: the server's URL. It travels to the workers with each task, with its password.
        stream: which streams: a pattern of keys, a key, or a list of keys.
        schema: column names to types, or an Arrow schema, as in :func:`redcol.read_arrow`. Strings
            come as large strings, which more of Arrow's functions take.
        parallelism: about how many tasks; -1 makes one for each 250,000 entries.
        start_id: as in :func:`redcol.partitions`.
        end_id: as in :func:`redcol.partitions`.
        key_column: the name of a column with the stream's key; None for no such column.
        include_id: as in :func:`redcol.read_stream`.
        include_timestamp: as in :func:`redcol.read_stream`.
        missing_field: as in :func:`redcol.read_stream`.
        on_error: as in :func:`redcol.read_stream`.

    Returns:
        A dataset of Arrow blocks. It reads when Ray runs it, and again each time.
    """
    if not isinstance(url, str):
        raise InvalidArgumentError("url must be a str: a client cannot travel to Ray's workers.")
    if schema is None:
        raise InvalidArgumentError("schema must not be None: all tasks need the same columns.")
    if parallelism != -1:
        _arguments.integer("parallelism", parallelism, at_least=1)
    if key_column is not None:
        _arguments.text("key_column", key_column)
    if isinstance(stream, Iterable) and not isinstance(stream, (str, bytes)):
        stream = list(stream)
    columns = {
        "schema": schema,
        "include_id": include_id,
        "include_timestamp": include_timestamp,
        "missing_field": missing_field,
        "on_error": on_error,
    }
    # A read of no entry. It refuses wrong arguments here, and not in each task.
    nothing = _Read(url, None, columns, key_column)
    names = next(nothing()).column_names
    if key_column is not None and names.count(key_column) > 1:
        raise InvalidArgumentError(
            f"key_column {key_column!r} is the name of another column: choose another name."
        )
    rows = _ROWS
    if parallelism != -1:
        total = int(list_streams(url, stream)["length"].sum())
        rows = max(1, -(-total // parallelism))
    parts = partitions(url, stream, rows=rows, start_id=start_id, end_id=end_id)
    # Without partitions, Ray gets the columns from a read of no entry.
    reads = [_Read(url, part, columns, key_column) for part in parts] or [nothing]
    # Or else Ray would split what is read into many small blocks.
    return read_datasource(RedcolDatasource(reads), override_num_blocks=len(reads))


def write_redcol(
    ds: Dataset,
    url: str,
    stream: str | bytes | None = None,
    *,
    stream_column: str | None = None,
    id_column: str | None = None,
    maxlen: int | None = None,
    metadata: Literal["check", "omit", "write"] = "check",
) -> None:
    """Append the rows of a dataset to a stream, as :func:`redcol.write_stream` does.

    Tasks write side by side; the rows of each block keep their order. Each row is written at least
    once: what a task had written when it failed is there twice if Ray repeats it. With `id_column`
    the server refuses ids that are not larger than its last, so it needs a dataset in the order of
    its ids, and one task.

    Args:
        ds: the dataset.
        url: the server's URL. It travels to the workers with each task, with its password.
        stream: as in :func:`redcol.write_stream`.
        stream_column: as in :func:`redcol.write_stream`.
        id_column: as in :func:`redcol.write_stream`.
        maxlen: as in :func:`redcol.write_stream`.
        metadata: as in :func:`redcol.write_stream`.
    """
    if not isinstance(url, str):
        raise InvalidArgumentError("url must be a str: a client cannot travel to Ray's workers.")
    arguments = {
        "stream": stream,
        "stream_column": stream_column,
        "id_column": id_column,
        "maxlen": maxlen,
        "metadata": metadata,
    }
    ds.write_datasink(RedcolDatasink(url, arguments))


class _Read:
    """What one task does. It hides the URL."""

    def __init__(
        self,
        url: str,
        part: Partition | None,
        columns: Mapping[str, Any],
        key_column: str | None,
    ) -> None:
        self._url = url
        self._part = part
        self._columns = columns
        self._key_column = key_column

    def __repr__(self) -> str:
        return f"<read of {self._part!r}>"

    def __call__(self) -> Iterator[pa.Table]:
        part = self._part
        how = {**self._columns, "string_layout": "large"}
        if part is None:
            read = read_arrow(self._url, "none", count=0, **how)
        else:
            read = part.read_arrow(self._url, batch_size=_BLOCK_ROWS, **how)
        table = pa.table(read)
        for place, field in enumerate(table.schema):
            if (plain := _PLAIN.get(field.type)) is not None:
                table = table.set_column(place, field.name, table.column(place).cast(plain))
        if self._key_column is not None:
            key = "" if part is None else part.stream
            keys = pa.repeat(pa.scalar(key, pa.large_string()), len(table))
            table = table.append_column(self._key_column, keys)
        if not len(table):
            yield table
        for start in range(0, len(table), _BLOCK_ROWS):
            yield table.slice(start, _BLOCK_ROWS)


#: What views become.
_PLAIN: Final = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}


class RedcolDatasource(Datasource):
    """The partitions of streams, as Ray's tasks."""

    def __init__(self, reads: Sequence[Callable[[], Iterable[pa.Table]]]) -> None:
        super().__init__()
        self._reads = reads

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown: Redis does not say how large the columns are that are read."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """The tasks, which were planned before."""
        # Without a number of rows: Ray would take an estimate for the truth.
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(read, unknown) for read in self._reads]


class RedcolDatasink(Datasink):
    """Appends blocks to streams."""

    def __init__(self, url: str, arguments: Mapping[str, Any]) -> None:
        self._url = url
        self._arguments = arguments

    def write(self, blocks: Iterable[Any], ctx: Any) -> int:
        """Write the blocks of one task. Returns how many rows they have."""
        rows = 0
        with connect(self._url) as client:
            for block in blocks:
                table = block if isinstance(block, pa.Table) else pa.Table.from_pandas(block)
                write_stream(client, table, **self._arguments)
                rows += len(table)
        return rows
