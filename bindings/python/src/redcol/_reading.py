# SPDX-License-Identifier: Apache-2.0
"""Reads that end, batch by batch and as frames; what the reading functions and scans share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import _native, _native_pubsub, _progress, client
from ._capsule import Batch
from ._frames import Frames
from ._typing import TYPE_CHECKING
from .errors import ValueConversionError

if TYPE_CHECKING:
    from typing import Final

    from polars import DataFrame

    from ._request import Request

#: How long one call into the library waits before Python looks at signals. A signal that reaches
#: the waiting thread ends the wait at once; this is for those that reach another.
_WAIT_MS: Final = 100
_SILENT: Final = _progress.of(None)


def check(server: client.Server, request: Request, *, is_read_later: bool = False) -> None:
    """Let the library refuse arguments that do not go together, before anything is sent.

    The library checks them when a read is made. For a client that is the same read: it needs no
    check before that, unless the read comes later.
    """
    from dataclasses import replace

    if not request.may_be_refused or (server.client is not None and not is_read_later):
        return
    options = {**request.options, "connect": "later"}
    with client.unconnected(server) as handle, reading(handle, replace(request, options=options)):
        pass


def begin(
    handle: _native.ClientHandle, request: Request, options: Mapping[str, str]
) -> _native.Handle:
    """Start a read, with these options."""
    schema = request.schema_capsule()
    if request.patterns is not None:
        return _native_pubsub.subscribe(handle, request.streams, request.patterns, schema, options)
    if request.ranges is None:
        return _native.read_streams(handle, request.streams, schema, options)
    return _native.read_ranges(handle, request.ranges, schema, options)


class Reading:
    """A read and what makes its frames, in a ``with`` block, at whose end the read is freed."""

    __slots__ = ("_made", "_told", "iterator")

    def __init__(
        self, iterator: _native.Handle, request: Request, told: _progress.Progress = _SILENT
    ) -> None:
        self.iterator = iterator
        self._made = Frames(request)
        self._told = told

    def __enter__(self) -> tuple[_native.Handle, Frames]:
        return self.iterator, self._made

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        try:
            if isinstance(error, ValueConversionError):
                self._made.name_dtype(error)
        finally:
            self.iterator.free()
            self._told.close()


def reading(
    handle: _native.ClientHandle, request: Request, told: _progress.Progress = _SILENT
) -> Reading:
    """Begin a read."""
    return Reading(begin(handle, request, request.options), request, told)


def telling(
    handle: _native.ClientHandle,
    request: Request,
    told: _progress.Progress,
    *,
    is_whole: bool | None = None,
) -> Reading:
    """A read whose progress is told. `is_whole`: it reads whole streams; None: the options say."""
    if not told.is_wanted:
        return reading(handle, request)
    total = None
    if _is_whole(request) if is_whole is None else is_whole:
        streams = request.streams if request.ranges is None else request.ranges
        total = _progress.total_rows(handle, streams, request.options)
    begun = reading(handle, request, told)
    told.begin_read(begun.iterator, total)
    return begun


def _is_whole(request: Request) -> bool:
    options = request.options
    is_whole = options["start_id"] == "-" and options["end_id"] == "+"
    return is_whole and options.keys().isdisjoint(("group", "block_ms"))


def batches(iterator: _native.Handle, told: _progress.Progress = _SILENT) -> Iterator[Batch]:
    """The batches of a read that ends. Ctrl-C is seen while it waits."""
    return (batch for batch in _turns(iterator, told) if batch is not None)


def _turns(iterator: _native.Handle, told: _progress.Progress) -> Iterator[Batch | None]:
    """The batches of a read that ends, and None each time that one did not come soon."""
    while True:
        slot = _native.Slot()
        while (status := _native.iter_next(iterator, _WAIT_MS, slot)) == _native.TIMEOUT:
            told.tick()
            yield None  # between two bytecodes Python runs signal handlers
        if status == _native.END:
            return
        yield Batch(slot)
        told.tick()


def frames(
    handle: _native.ClientHandle, request: Request, told: _progress.Progress, *, is_whole: bool
) -> Iterator[DataFrame]:
    """The batches of a read that ends, as frames. Its connection is its own.

    While the server keeps it waiting, frames without rows come: the caller may be on a thread that
    sees no signals, and can stop then.
    """
    with telling(handle, request, told, is_whole=is_whole) as (iterator, made):
        for batch in _turns(iterator, told):
            yield made.empty() if batch is None else made.make(batch)
        told.end()


def discovered(handle: _native.ClientHandle, request: Request) -> tuple[DataFrame, dict[str, str]]:
    """What a read without a schema finds: a frame without rows, and its columns' fields.

    Only those that have other names than their columns.
    """
    with reading(handle, request) as (iterator, made):
        made.notes_fields = True
        found = made.empty()
        for batch in batches(iterator):
            found = made.make(batch).clear()
    return found, made.fields


def look_for(handle: _native.ClientHandle, stream: bytes, if_missing: str) -> None:
    """Let the library say what it says of a stream that is missing, although nothing is read."""
    from ._request import read_request
    from ._specs import ColumnSpec, EntrySpec, RangeSpec

    nothing = RangeSpec(count=0, if_missing=if_missing)
    request = read_request(stream, nothing, ColumnSpec(), EntrySpec())
    with reading(handle, request) as (iterator, _):
        for _ in batches(iterator):
            pass


def whole(iterator: _native.Handle, made: Frames, told: _progress.Progress = _SILENT) -> DataFrame:
    """All batches of a read that ends, as one frame."""
    import polars as pl

    frames = [made.make(batch) for batch in batches(iterator, told)]
    told.end()
    if len(frames) == 1:
        return frames[0]
    # A column of text may have become one of bytes.
    last = frames[-1].schema
    frames = [
        frame.cast(
            {name: last[name] for name, dtype in frame.schema.items() if dtype != last[name]}
        )
        for frame in frames
    ]
    return pl.concat(frames, how="diagonal")


def read(handle: _native.ClientHandle, request: Request, told: _progress.Progress) -> DataFrame:
    """All batches of a read as one frame."""
    with telling(handle, request, told) as (iterator, made):
        return whole(iterator, made, told)


def arranged(frame: DataFrame, request: Request, *, first_row: int = 0) -> DataFrame:
    """The frame with its key in front, and before it the rows' numbers, if they are wanted."""
    import polars as pl

    row_index, key = request.names.get("row_index"), request.names.get("key")
    if row_index is None and key is None:
        return frame  # which may have rows without columns
    # Not by name: Polars takes some names for patterns of names.
    columns = {column.name: column for column in frame.get_columns()}
    if row_index is not None:
        rows = pl.int_range(first_row, first_row + len(frame), dtype=pl.UInt64, eager=True)
        columns[row_index] = rows.alias(row_index)
    asked = () if request.columns is None else request.columns.asked
    front = [
        columns.pop(name) for name in (row_index, key) if name is not None and name not in asked
    ]
    named = [columns.pop(name) for name in asked]
    first, *others = [*front, *columns.values(), *named]
    # A frame made from a list of columns would rename one whose name is empty.
    return first.to_frame().hstack(others)
