"""What the iterators share: an unending read, batch by batch, with acknowledging and statistics."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import _arguments, _native, client
from ._capsule import Batch
from ._frames import Frames
from ._request import Request
from .client import Client
from .errors import (
    BusyError,
    CancelledError,
    ClosedError,
    InvalidArgumentError,
    ValueConversionError,
)

if TYPE_CHECKING:
    from polars import DataFrame, Series

_CLOSE_SECONDS: Final = 5.0


class Stats(NamedTuple):
    """What an iterator has done so far; numbers of entries, but for `reconnects` and `resets`."""

    delivered: int
    """Rows handed over."""
    acknowledged: int
    """Entries that were pending and were acknowledged through this iterator."""
    redelivered: int
    """Rows that had been delivered before, to this consumer or to another."""
    claimed: int
    """Those of them that were taken over from another consumer."""
    deleted: int
    """Pending entries that had been deleted from the stream: acknowledged, and no row."""
    dead_lettered: int
    """Entries put away after `max_deliveries`."""
    reconnects: int
    """Connections that were lost."""
    resets: int
    """Groups made again, and streams that were deleted and begun anew."""


class Follower:
    """A read that follows streams; not for users, but for the iterators made of it."""

    def __init__(
        self,
        url: str | Client,
        request: Request,
        *,
        auto_ack: bool,
        block_ms: int | None,
        on_idle: str,
        timeouts: tuple[int, int],
    ) -> None:
        self._request = request
        self._frames = Frames(request)
        self._block_ms = block_ms
        self._on_idle = on_idle
        self._auto_ack = auto_ack
        # A value that cannot be decoded here is found when the library has handed its batch over:
        # then only we know that the caller has not had it.
        self._acks_here = auto_ack and self._frames.decodes
        options = dict(request.options)
        if auto_ack and not self._acks_here:
            options["auto_ack"] = "true"
        self._turn = threading.Lock()
        self._is_closed = False
        self._is_over = False
        # What a KeyboardInterrupt may leave half done: an asked batch, and a frame not handed over.
        self._capsules: tuple[object, object] | None = None
        self._frame: DataFrame | None = None
        self._client = client.lasting(url, *timeouts)
        self._handle = _native.read_streams(
            self._client.handle, request.streams, request.schema_capsule(), options
        )
        self._finalizer = weakref.finalize(self, _finish, self._handle, self._client)

    # -- Reading

    def _advance(self, wait_ms: int) -> bool:
        """Go on for up to `wait_ms`; True when there is a frame or the end."""
        if self._frame is not None or self._is_over:
            return True
        if self._capsules is None:
            if self._acks_here:
                _native.iter_ack(self._handle, None, None)
            self._capsules = _native.new_schema_capsule(), _native.new_array_capsule()
        schema, array = self._capsules
        if not _native.is_filled(array):
            try:
                status = _native.iter_next(self._handle, wait_ms, schema, array)
            except ValueConversionError as error:
                self._frames.name_dtype(error)
                raise
            except (CancelledError, ClosedError):
                if self._is_closed:  # by another thread, while this one waited
                    self._is_over = True
                    return True
                raise
            if status == _native.TIMEOUT:
                return False
            if status == _native.END:
                self._is_over = True
                return True
        self._capsules = None  # taken from here on: it cannot be read a second time
        self._frame = self._frames.make(Batch(schema, array))
        return True

    def _idle(self) -> bool:
        """`block_ms` have passed with nothing to read; True when that is to be told."""
        if self._on_idle == "empty":
            self._frame = self._frames.empty()
            return True
        if self._on_idle == "stop":
            if self._acks_here or self._auto_ack:
                self.ack()
            self._is_over = True
            return True
        return False

    def _idle_at(self) -> float | None:
        """When the wait that begins now counts as idle; None for never."""
        if self._block_ms == 0:
            return None
        return time.monotonic() + (self._block_ms or 0) / 1000

    def _take_turn(self) -> None:
        if self._is_closed and self._frame is None and not self._is_over:
            raise ClosedError("This iterator was closed.")
        if not self._turn.acquire(blocking=False):
            raise BusyError("Another thread is inside a call on this iterator; one at a time.")

    # -- What users call

    def ack(self, entries: Iterable[str] | Series | DataFrame | None = None) -> int:
        """Acknowledge entries of the group: those given, or all handed over and not acknowledged.

        Args:
            entries: a frame of this iterator (with its ``_id`` and, of several streams, ``_stream``
                column), or entry ids of its only stream. None: everything it has handed over.

        Returns:
            How many entries were pending and are no longer.
        """
        total = 0
        for stream, ids in self._split(entries):
            total += _native.iter_ack(self._handle, stream, ids)
        return total

    def _split(self, entries: Any) -> list[tuple[bytes | None, bytes | None]]:
        if entries is None:
            return [(None, None)]
        names = self._request.options
        stream_column = names.get("stream_column")
        if not hasattr(entries, "get_columns"):
            if len(self._request.streams) > 1:
                raise InvalidArgumentError(
                    "Of several streams, pass a frame with its stream column to ack()."
                )
            return [(self._request.streams[0], _arguments.entry_ids(_arguments.ids_in(entries)))]
        id_column = names["id_column"]
        wanted = [id_column] + ([stream_column] if stream_column else [])
        for column in wanted:
            if column not in entries.columns:
                raise InvalidArgumentError(
                    f"The frame has no column {column!r}, which names its entries; it has "
                    f"{entries.columns}."
                )
        if stream_column is None:
            return [(self._request.streams[0], _arguments.entry_ids(entries[id_column]))]
        by_name = {self._frames.stream_name(name): name for name in self._request.streams}
        return [
            (by_name[part[stream_column][0]], _arguments.entry_ids(part[id_column]))
            for part in entries.partition_by(stream_column)
        ]

    @property
    def _descriptor(self) -> int:
        return _native.iter_descriptor(self._handle)

    @property
    def stats(self) -> Stats:
        """What this iterator has done so far."""
        return Stats(*(_native.iter_statistic(self._handle, name) for name in Stats._fields))

    def cancel(self) -> None:
        """End the wait of another thread with CancelledError; the iterator can go on being used."""
        _native.cancel(self._handle)

    def close(self) -> None:
        """Close the connection. Nothing is acknowledged: what is pending stays so. Any thread.

        A loop that waits in another thread ends. Twice is no error.
        """
        self._is_closed = True
        deadline = time.monotonic() + _CLOSE_SECONDS
        while not self._handle.close() and time.monotonic() < deadline:
            time.sleep(0.001)
        self._client.close()

    def _leave(self, kind: type[BaseException] | None) -> None:
        try:
            if kind is None and self._auto_ack and not self._is_closed:
                self.ack()
        finally:
            self.close()

    def __repr__(self) -> str:
        state = ", closed" if self._is_closed else ""
        names = ", ".join(repr(self._frames.stream_name(name)) for name in self._request.streams)
        return f"<redcol.{type(self).__name__} of {names}{state}>"


def _finish(handle: _native.Handle, owner: client.Lasting) -> None:
    """Close what a forgotten iterator has left; the memory goes with the objects themselves."""
    handle.close()
    owner.close()
