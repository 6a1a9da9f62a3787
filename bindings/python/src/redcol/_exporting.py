# SPDX-License-Identifier: Apache-2.0
"""How an export runs: batches of a stream in, files out, cut where a new one must begin.

The rows of a file of a folder are kept in memory until the file ends, which bounds the memory, and
lets Ctrl-C come at any moment but one: while Polars runs a query, it takes signals for itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from . import _arguments, _parts
from .client import Client
from .errors import InvalidArgumentError, RedcolError
from .export import Exported
from .iterator import StreamIterator, iter_stream
from .lists import list_streams
from .scan import scan_stream

Progress = Callable[[int, int, int | None], object]
_LOG: Final = logging.getLogger("redcol")
_BATCH: Final = 65_536
_IDLE_MS: Final = 1_000
#: The last millisecond of the year 9999: later times have no folders.
_CALENDAR_END: Final = 253_402_300_799_999
#: How Polars writes files with these endings: a frame, and a query.
_WRITERS: Final = {
    ".parquet": ("write_parquet", "sink_parquet"),
    ".csv": ("write_csv", "sink_csv"),
    ".jsonl": ("write_ndjson", "sink_ndjson"),
    ".arrow": ("write_ipc", "sink_ipc"),
}


@dataclass(frozen=True)
class Cuts:
    """Where a file of a folder ends."""

    rows: int
    size: int
    every_ms: int
    #: The format of a folder for a time; None without partitions.
    partition: str | None
    follows: bool

    @property
    def idle_ms(self) -> int:
        """How often to look at the time."""
        return min(self.every_ms, _IDLE_MS)


def into_folder(
    client: Client,
    stream: bytes,
    path: str,
    ending: str,
    resume: bool,
    cuts: Cuts,
    read: dict[str, Any],
    progress: Progress | None,
) -> Exported:
    """Export into the files of a folder."""
    with _parts.Folder(path, stream, ending) as folder:
        last = folder.last
        if last is not None and not resume:
            raise InvalidArgumentError(
                f"{path} has files of this stream up to entry {_parts.entry_id(last)}. Resume the "
                "export to go on after them (resume=True), or export into another folder."
            )
        if "group" not in read:
            start = _parts.before(_arguments.range_end("start_id", read["start_id"]))
            read = {**read, "start_id": start if last is None else _later(start, last)}
            if not cuts.follows:
                end = _end(client, stream, read)
                if end is None:
                    return Exported(0, 0, None)
                read = {**read, "end_id": end}
            if last is not None:
                _warn_of_an_earlier_end(client, stream, last)
        total = None if cuts.follows or "group" in read else _total(client, stream, read)
        with iter_stream(
            client,
            stream,
            batch_size=min(_BATCH, cuts.rows),
            block_ms=cuts.idle_ms if cuts.follows else None,
            on_idle="empty" if cuts.follows else "stop",
            **read,
        ) as batches:
            export = _Export(folder, cuts, batches if "group" in read else None, ending)
            return export.run(batches, progress, total)


def into_file(
    client: Client,
    stream: bytes,
    path: str,
    ending: str,
    overwrite: bool,
    read: dict[str, Any],
    progress: Progress | None,
) -> Exported:
    """Export into one file, which appears when all of it is written."""
    if not overwrite and os.path.exists(path):
        raise InvalidArgumentError(f"There is a file {path} already: add overwrite=True.")
    end = _end(client, stream, read)
    folder, name = os.path.split(path)
    os.makedirs(folder or ".", exist_ok=True)
    _parts.remove_leftovers(folder or ".", f"{name}-")
    written = _parts.temporary(folder, name)
    rows, last_id = 0, None
    total = None if end is None else _total(client, stream, {**read, "end_id": end})

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        nonlocal rows, last_id
        if len(frame):
            rows, last_id = rows + len(frame), str(frame["_id"][-1])
            if progress is not None:
                progress(rows, 0, total)
        return frame

    nothing = {} if end is not None else {"count": 0}
    lazy = scan_stream(client, stream, **{**read, "end_id": end or "+", **nothing})
    schema = lazy.collect_schema()
    _check_texts(schema, ending)
    lazy = lazy.map_batches(count, streamable=True, schema=schema)
    try:
        getattr(lazy, _WRITERS[ending][1])(written)
        _parts.publish(written, path, replace=overwrite)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(written)
        raise
    return Exported(rows, 1, last_id)


@dataclass
class _Part:
    """What goes into the next file."""

    partition: str | None
    schema: pl.Schema
    deadline: float
    first: str = "~"  # after all keys
    last: str = ""
    rows: int = 0
    size: int = 0
    frames: list[pl.DataFrame] = field(default_factory=list)


class _Export:
    """One run of an export into a folder."""

    def __init__(
        self, folder: _parts.Folder, cuts: Cuts, group: StreamIterator | None, ending: str
    ) -> None:
        self._folder = folder
        self._cuts = cuts
        self._group = group
        self._ending = ending
        self._part: _Part | None = None
        self._rows = self._size = self._files = 0
        self._last = ""
        self._newest = folder.last or ""

    def run(
        self, batches: Iterator[pl.DataFrame], progress: Progress | None, total: int | None
    ) -> Exported:
        """Write everything that comes. What has come before an error is written, too.

        Ctrl-C can come at any moment. If it comes while a batch is taken apart, what was kept for
        the next file is given up: the next run reads it again.
        """
        is_whole = True
        try:
            for frame in batches:
                part = self._part
                is_late = part is not None and time.monotonic() >= part.deadline
                if len(frame) or is_late:
                    is_whole = False
                    self._add(frame)
                    if is_late and self._part is part:
                        self._seal()
                    is_whole = True
                if len(frame) and progress is not None:
                    progress(self._rows, self._size, total)
        except (KeyboardInterrupt, RedcolError):
            if is_whole:
                self._seal()
            raise
        self._seal()
        last_id = _parts.entry_id(self._last) if self._last else None
        return Exported(self._rows, self._files, last_id)

    def _add(self, frame: pl.DataFrame) -> None:
        if not len(frame):
            return
        first, last = _ends(frame["_id"], in_order=self._group is None)
        if first <= self._newest:
            if self._group is None:
                self._seal()
                raise RedcolError(
                    f"The stream began again: entry {_parts.entry_id(first)} comes after entry "
                    f"{_parts.entry_id(self._newest)} was exported. Export into another folder."
                )
            frame = self._unwritten(frame, first, last)
        for partition, run in self._partitions(frame):
            rest = run
            while len(rest):
                part = self._part
                if part is not None and (part.partition != partition or part.schema != rest.schema):
                    self._seal()
                part = self._part or self._begin(partition, rest.schema)
                taken = rest.head(self._room(part, rest))
                rest = rest.slice(len(taken))
                self._keep(part, taken)
                if part.rows >= self._cuts.rows or part.size >= self._cuts.size:
                    self._seal()

    def _begin(self, partition: str | None, schema: pl.Schema) -> _Part:
        wait = self._cuts.every_ms / 1_000 if self._cuts.follows else float("inf")
        self._part = _Part(partition, schema, time.monotonic() + wait)
        return self._part

    def _room(self, part: _Part, frame: pl.DataFrame) -> int:
        """How many rows of a frame go into this file."""
        each = max(int(frame.estimated_size()) // len(frame), 1)
        by_size = max((self._cuts.size - part.size) // each, 1)
        return min(self._cuts.rows - part.rows, by_size)

    def _keep(self, part: _Part, frame: pl.DataFrame) -> None:
        first, last = _ends(frame["_id"], in_order=self._group is None)
        part.first, part.last = min(part.first, first), max(part.last, last)
        self._newest = max(self._newest, last)
        size = int(frame.estimated_size())
        part.rows, part.size = part.rows + len(frame), part.size + size
        self._rows, self._size = self._rows + len(frame), self._size + size
        part.frames.append(frame)

    def _seal(self) -> None:
        """End the file, and give it its name. Only then its entries are acknowledged."""
        part = self._part
        if part is None:
            return
        _check_texts(part.schema, self._ending)
        frame = pl.concat(part.frames, rechunk=False)
        written = self._folder.temporary()
        try:
            getattr(frame, _WRITERS[self._ending][0])(written)
            self._folder.add(written, part.partition, part.first, part.last)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(written)
            raise
        self._part = None
        self._files += 1
        self._last = max(self._last, part.last)
        if self._group is not None:
            self._group.ack(frame["_id"])

    def _unwritten(self, frame: pl.DataFrame, first: str, last: str) -> pl.DataFrame:
        """The rows that are in no file. The others are acknowledged: their files have names."""
        if self._group is None:
            return frame
        known = _parts.known_ids(self._folder.covering(first, last), frame["_id"])
        is_known = frame["_id"].is_in(known.implode())
        if is_known.any():
            self._group.ack(frame["_id"].filter(is_known))
        fresh = frame.filter(~is_known)
        if self._part is not None and len(fresh):
            kept = pl.concat([each["_id"] for each in self._part.frames])
            fresh = fresh.filter(~fresh["_id"].is_in(kept.implode()))
        return fresh

    def _partitions(self, frame: pl.DataFrame) -> Iterator[tuple[str | None, pl.DataFrame]]:
        """Runs of rows that belong into the same folder."""
        if self._cuts.partition is None or not len(frame):
            yield None, frame
            return
        numbers = frame["_id"].str.split("-").list.first()
        milliseconds = numbers.cast(pl.Int64, strict=False)
        if (is_late := milliseconds.fill_null(_CALENDAR_END + 1) > _CALENDAR_END).any():
            raise InvalidArgumentError(
                f"Entry {frame['_id'].filter(is_late)[0]} is after the year 9999, and belongs in "
                "no folder of a time: export without partition_by."
            )
        folders = milliseconds.cast(pl.Datetime("ms")).dt.strftime(self._cuts.partition)
        start = 0
        for length, folder in folders.rle().struct.unnest().iter_rows():
            yield folder, frame.slice(start, length)
            start += length


def _ends(ids: pl.Series, *, in_order: bool) -> tuple[str, str]:
    """The keys of the smallest and the largest of some entry ids."""
    if in_order:
        return _parts.key(ids[0]), _parts.key(ids[-1])
    parts = ids.str.split_exact("-", 1).struct.unnest()
    milliseconds, sequence = (column.str.zfill(20) for column in parts.get_columns())
    keys = milliseconds + "-" + sequence
    return str(keys.min()), str(keys.max())


def _end(client: Client, stream: bytes, read: dict[str, Any]) -> Any:
    """Where an export that does not follow ends; None if there is nothing to export."""
    found = list_streams(client, [stream])
    last_id = found["last_id"].item() if len(found) else None
    return read["end_id"] if read["end_id"] != "+" and last_id is not None else last_id


def _warn_of_an_earlier_end(client: Client, stream: bytes, last: str) -> None:
    """A stream that began again is silent until it has passed what was exported."""
    found = list_streams(client, [stream])
    last_id = found["last_id"].item() if len(found) else None
    if last_id is not None and _parts.key(last_id) < last:
        _LOG.warning(
            "stream %s ends with entry %s, and entry %s is in a file: if it began again, "
            "export it into another folder",
            _parts.file_name(stream),
            last_id,
            _parts.entry_id(last),
        )


def _check_texts(columns: Mapping[str, Any], ending: str) -> None:
    """Formats of text have no bytes, and Polars panics when it meets some in JSON lines."""
    if ending not in (".csv", ".jsonl"):
        return
    for name, dtype in columns.items():
        if dtype == pl.Binary:
            raise InvalidArgumentError(
                f"Column {name!r} is Binary, and {ending} files have no bytes: export to .parquet "
                "or .arrow, or leave the column out of the schema."
            )


def _later(start: str, last: str) -> str:
    """Where to begin after the last entry that is in a file, too."""
    is_after = start != "-" and _parts.key(start if "-" in start else f"{start}-0") > last
    return start if is_after else _parts.entry_id(last)


def _total(client: Client, stream: bytes, read: dict[str, Any]) -> int | None:
    """About how many rows there are: the stream's length, or the part of it by the ids' times."""
    found = list_streams(client, [stream])
    if not len(found) or read["end_id"] is None:
        return None
    length: int
    length, first_id, last_id = found.select("length", "first_id", "last_id").row(0)
    if first_id is None:
        return 0
    first, last = (int(each.partition("-")[0]) for each in (first_id, last_id))
    start, end = (_milliseconds(read["start_id"], first), _milliseconds(read["end_id"], last))
    if start is None or end is None or last <= first:
        return int(length) if start == first else None
    share = (min(end, last) - max(start, first)) / (last - first)
    return max(round(length * share), 0)


def _milliseconds(position: object, default: int) -> int | None:
    """The time of a position; the default for ``-`` and ``+``; None if it is not an id."""
    if position in ("-", "+"):
        return default
    number = str(position).partition("-")[0]
    return int(number) if number.isdigit() else None
