# SPDX-License-Identifier: Apache-2.0
"""What both iterators share: reading batch by batch, acknowledging, statistics, closing."""

from __future__ import annotations

import time
import weakref
from collections import namedtuple
from collections.abc import Iterable
from datetime import datetime, timezone

from . import _arguments, _native, _native_position, _reading, client
from ._capsule import Batch
from ._frames import Frames
from ._living import LIVING, Reads
from ._typing import TYPE_CHECKING, pl, requests, typing
from .errors import (
    BusyError,
    CancelledError,
    ClosedError,
    InvalidArgumentError,
    RedcolError,
    ValueConversionError,
)

if TYPE_CHECKING:
    from typing import Final

_CLOSE_SECONDS: Final = 5.0


class Stats(
    namedtuple(
        "Stats",
        "delivered acknowledged redelivered claimed deleted dead_lettered reconnects resets "
        "nulled skipped lost_entries gaps gap_ms bytes_received last_entry_id started_at",
    )
):
    """What an iterator has done so far: numbers of entries, connections, groups and values."""

    __slots__ = ()
    delivered: int
    """Rows handed over."""
    acknowledged: int
    """Entries that were pending and were acknowledged through it, as far as the server has said."""
    redelivered: int
    """Rows that had been delivered before, to this consumer or to another, as far as is known."""
    claimed: int
    """Redelivered rows that were taken over from another consumer."""
    deleted: int
    """Pending entries that were deleted from the stream: acknowledged, without a row."""
    dead_lettered: int
    """Entries moved to the dead letters: after `max_deliveries`, or because of their values."""
    reconnects: int
    """Connections that were lost."""
    resets: int
    """Groups that were created again, and streams that were deleted and started again."""
    nulled: int
    """Values that became null with ``on_error="null"``."""
    skipped: int
    """Entries that were left out with ``on_error="skip"``."""
    lost_entries: int
    """Entries that were gone before they were read, as far as that was noticed (`on_gap`)."""
    gaps: int
    """Times without a subscription, after it had begun (:func:`redcol.iter_pubsub`)."""
    gap_ms: int
    """How many milliseconds those took, as far as they are over."""
    bytes_received: int
    """Bytes that servers have sent to it."""
    last_entry_id: str | None
    """The last entry that was handed over, of whatever stream; None before the first."""
    started_at: datetime
    """When the iterator was made, by this machine's clock."""


#: The fields of `Stats` that the library counts.
_COUNTS: Final = Stats._fields[:-2]


class Follower:
    """A read that goes on: the base of all iterators."""

    #: Whether a batch that an interrupt has kept from the caller can be read once more.
    _comes_again = True
    _made_from = "the URL, the stream and the group"
    #: Whether it connects only when somebody first asks for a batch.
    _connects_later = False

    def __init__(self, server: client.Server, request: requests.Request) -> None:
        self._request = request
        self._frames = Frames(request)
        options = dict(request.options)
        # Not a lock: an interrupt right after taking one could leave it taken.
        self._turn: dict[int, object] = {}
        self._is_closed = False
        self._is_over = False
        # What a KeyboardInterrupt can leave half done: a batch that was asked for, a batch that is
        # not yet a frame, and a frame that was not handed over.
        self._slot: _native.Slot | None = None
        self._is_taken = False
        self._ready: list[pl.DataFrame] = []
        if self._connects_later:
            options["connect"] = "later"
        else:
            _reading.check(server, request)
        self._client = client.lasting(server, connects_later=self._connects_later)
        self._handle = _reading.begin(self._client.handle, request, options)
        self._finalizer = weakref.finalize(self, _finish, self._handle, self._client)
        group = options.get("group")
        reads = Reads((*request.streams, *(request.patterns or ())), group)
        LIVING.begin(self._handle, server.shown(), reads)

    # -- Reading

    def _advance(self, wait_ms: int) -> bool:
        """Read for up to `wait_ms`; True when there is a frame, or the end has come."""
        if self._ready or self._is_over:
            return True
        if self._is_taken:
            if self._comes_again:
                _native.iter_unread(self._handle)
                self._slot = None
            elif self._slot is not None and not self._slot.has_array():
                self._slot = None  # Polars had it when the interrupt came
            self._is_taken = False
        slot = self._slot
        if slot is None:
            slot = self._slot = _native.Slot()
        if not slot.has_array():
            # Polars only reads the schema. If the columns are fixed, one schema serves all batches.
            has_schema = self._frames.is_fixed and slot.has_schema()
            try:
                status = _native.iter_next(self._handle, wait_ms, slot, wants_schema=not has_schema)
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
        if slot.rows() == 0:  # on_idle="empty": there is nothing in it to lose
            self._slot = None
            self._ready = [self._frames.empty()]
            return True
        # From here on the batch cannot be taken again, only put back.
        self._is_taken = True
        ready = [self._frames.make(Batch(slot))]
        if slot.has_array() or not self._frames.is_fixed:
            self._slot = None
        # Python looks at signals after a call, but not between two assignments.
        self._ready = ready
        self._is_taken = False
        return True

    def _require_open(self) -> None:
        if self._is_closed:
            raise ClosedError("This iterator was closed: make another one.")

    def _take_turn(self, token: object) -> None:
        if self._is_closed and not self._ready and not self._is_over:
            raise ClosedError("This iterator was closed.")
        if self._turn.setdefault(0, token) is not token:
            raise BusyError(
                "Another thread or task is inside a call on this iterator: one call at a time."
            )

    # -- What users call

    def _to_acknowledge(
        self, entries: Iterable[str] | pl.Series | pl.DataFrame | None
    ) -> list[tuple[bytes | None, bytes | None]]:
        """What `ack` acknowledges, per stream: ids, or None for all that was handed over."""
        if self._is_closed and self._client.is_ours:
            raise ClosedError(
                "This iterator was closed, and its connection with it: acknowledge before that, or "
                "with ack_entries."
            )
        if entries is not None:
            return [*self._split(entries)]
        self._put_back()
        return [(None, None)]

    def _put_back(self) -> None:
        """Put back a batch that an interrupt has kept from the caller."""
        # First without taking the turn, since that could stop another thread's next batch.
        if not self._is_kept():
            return
        token = object()
        try:
            if self._turn.setdefault(0, token) is not token or self._is_closed:
                return
            if self._is_kept():
                _native.iter_unread(self._handle)
                self._ready, self._slot, self._is_taken = [], None, False
        finally:
            # No call before it, so that no interrupt comes in between.
            if 0 in self._turn and self._turn[0] is token:
                del self._turn[0]

    def _is_kept(self) -> bool:
        """Whether there is a batch here that the caller has not received."""
        slot = self._slot
        return (
            self._is_taken
            or (slot is not None and slot.has_array())
            or any(len(frame) for frame in self._ready)
        )

    def _acknowledges_at_end(self, error: type[BaseException] | None) -> bool:
        """Whether the end of a ``with`` block acknowledges what was handed over: `auto_ack`.

        The library has acknowledged earlier batches, each when the next one was asked for.
        """
        return error is None and self._request.acknowledges and not self._is_closed

    def _split(self, entries: typing.Any) -> list[tuple[bytes, bytes]]:
        options = self._request.options
        stream_column = options.get("stream_column")
        if not hasattr(entries, "get_columns"):
            if len(self._request.streams) > 1:
                raise InvalidArgumentError(
                    "Of several streams, pass a frame with its stream column to ack()."
                )
            return [(self._request.streams[0], _arguments.entry_ids(_arguments.ids_in(entries)))]
        id_column = options["id_column"]
        wanted = [id_column] + ([stream_column] if stream_column else [])
        for column in wanted:
            if column not in entries.columns:
                raise InvalidArgumentError(
                    f"The frame has no column {column!r}, which names its entries; it has "
                    f"{entries.columns}."
                )
        if stream_column is None:
            return [(self._request.streams[0], _arguments.entry_ids(entries[id_column]))]
        return [
            (self._stream_named(part[stream_column][0]), _arguments.entry_ids(part[id_column]))
            for part in entries.partition_by(stream_column)
        ]

    def _stream_named(self, name: str) -> bytes:
        """The stream that the stream column shows as `name`."""
        found = [key for key in self._request.streams if self._frames.stream_name(key) == name]
        if not found:
            raise InvalidArgumentError(f"The frame is of stream {name!r}, which is not read here.")
        if len(found) > 1:
            raise InvalidArgumentError(
                f"{' and '.join(map(repr, found))} are both shown as {name!r}, so that the frame "
                "does not tell whose entries these are: acknowledge them with ack(), or with "
                "ack_entries and the stream's key."
            )
        return found[0]

    @property
    def _descriptor(self) -> int:
        return _native.iter_descriptor(self._handle)

    @property
    def is_connected(self) -> bool:
        """Whether it has its connection, as far as it has noticed; False after it is closed."""
        return not self._is_closed and _native.iter_statistic(self._handle, "connected") == 1

    @property
    def last_error(self) -> RedcolError | None:
        """Why it has no connection: the last error, after which it tries again; else None."""
        return _native.iter_last_error(self._handle)

    @property
    def stats(self) -> Stats:
        """What this iterator has done so far."""
        number = _native.iter_statistic
        counts = [number(self._handle, name) for name in _COUNTS]
        started = datetime.fromtimestamp(number(self._handle, "started_at") / 1000, timezone.utc)
        last = _native_position.position(self._handle, None)
        return Stats._make([*counts, last, started])

    def cancel(self) -> None:
        """End the wait of another thread with CancelledError. The iterator stays usable."""
        _native.cancel(self._handle)

    def close(self) -> None:
        """Close the connection. Nothing is acknowledged, so pending entries stay pending.

        A loop that waits in another thread ends. May be called from any thread, and twice.
        """
        self._is_closed = True
        deadline = time.monotonic() + _CLOSE_SECONDS
        while not self._handle.close() and time.monotonic() < deadline:
            time.sleep(0.001)
        self._client.close()

    def __reduce__(self) -> typing.NoReturn:
        raise TypeError(
            f"a redcol.{type(self).__name__} holds a connection and cannot be copied or pickled: "
            f"pass {self._made_from}, and make one there"
        )

    def __repr__(self) -> str:
        state = ", closed" if self._is_closed else ""
        keys = [*self._request.streams, *(self._request.patterns or ())]
        names = ", ".join(repr(self._frames.stream_name(name)) for name in keys)
        return f"<redcol.{type(self).__name__} of {names}{state}>"


class Placed(Follower):
    """A read that has a place in each of its streams."""

    def _by_name(self) -> list[tuple[str, bytes]]:
        return [(self._frames.stream_name(key), key) for key in self._request.streams]

    @property
    def position(self) -> dict[str, str | None]:
        """Where it is in each of its streams, by the stream's name.

        Without a group: the id after which it goes on. All entries up to it were handed over (or
        left out by `on_error`), so a new iterator with this id as `start_id` continues after them.
        Before the first entry, it is the id that the iterator begins after, or None at a stream's
        beginning. In a group: the largest id that this iterator has handed over or left out; None
        before the first.
        """
        return {name: _native_position.position(self._handle, key) for name, key in self._by_name()}


def _finish(handle: _native.Handle, owner: client.Lasting) -> None:
    """Close the connection of an iterator that was garbage collected."""
    LIVING.end(handle)
    handle.close()
    owner.close()
