# SPDX-License-Identifier: Apache-2.0
"""Following streams in a for loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from types import TracebackType

from . import _native, _native_position, client, inference
from ._follow import Follower, Placed
from ._typing import TYPE_CHECKING, pl, requests, typing
from .client import DEFAULT_TIMEOUT_MS, Client

if TYPE_CHECKING:
    from typing import Final

#: How long one call into the library waits before Python looks at signals. A signal that reaches
#: the waiting thread ends the wait at once; this is for those that come just before it.
_WAIT_MS: Final = 100
#: Defaults of arguments of `iter_stream` and `stream_batches`.
BLOCK_MS: Final = 1_000
CLAIM_IDLE_MS: Final = 300_000


class Batches(Follower):
    """What a for loop needs."""

    def __next__(self) -> pl.DataFrame:
        self._fill()
        if not self._ready:
            raise StopIteration
        # Nothing here lets a signal handler run: a frame is either still ours or the caller's.
        frame = self._ready[0]
        del self._ready[0]
        return frame

    def _fill(self) -> None:
        token = object()
        try:
            self._take_turn(token)
            while not self._advance(_WAIT_MS):
                pass  # between two bytecodes Python runs signal handlers
        finally:
            # No call before it, so that no interrupt comes in between.
            if 0 in self._turn and self._turn[0] is token:
                del self._turn[0]


class StreamIterator(Batches, Placed):
    """Batches of a stream as frames, made by :func:`iter_stream`.

    When it is made, it has connected, created the group and looked up "$": entries that are added
    after that are not missed. One thread at a time may ask for batches. :meth:`ack`, :meth:`cancel`
    and :meth:`close` may be called from any thread.
    """

    def __iter__(self) -> StreamIterator:
        return self

    def ack(self, entries: Iterable[str] | pl.Series | pl.DataFrame | None = None) -> int:
        """Acknowledge entries of the group.

        With ``on_error="skip"``, entries that were left out of these entries' batches are
        acknowledged too, and so are those of batches without a row.

        Args:
            entries: a frame of this iterator (with its ``_id`` column and, if it reads several
                streams, its ``_stream`` column), or entry ids of its only stream. None: all entries
                that it has handed over and that are not acknowledged.

        Returns:
            How many entries were pending and are no longer: 0, with a warning in the log, if the
            group is gone and this iterator creates it again (`create_group`).
        """
        return sum(
            _native.iter_ack(self._handle, stream, ids)
            for stream, ids in self._to_acknowledge(entries)
        )

    def lag(self) -> dict[str, int | None]:
        """Ask how many entries of each stream are still to come.

        In a group, these are the entries that it has delivered to no member; None if there is no
        such group. Otherwise they are those after :attr:`position`. The question uses another
        connection, so a thread that waits for the next batch is not disturbed. Where the server
        does not keep the number (a group before Redis 7.0 or after entries were deleted; an
        iterator without a group in the middle of its stream), the entries are counted, which
        transfers them.

        Servers before Redis 8 and Valkey 9 go on counting entries that were trimmed before the
        group had them. There, if anything was ever removed from the stream, up to 10,000 entries
        are counted. If there are more, it is the server's number, which may be too large; None if
        that is larger than the stream.
        """
        return {name: _native_position.lag(self._handle, key) for name, key in self._by_name()}

    def __enter__(self) -> StreamIterator:
        self._require_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._acknowledges_at_end(kind):
                self.ack()
        finally:
            self.close()


def iter_stream(
    url: str | Client,
    stream: str | bytes | Sequence[str | bytes],
    *,
    batch_size: int = 100,
    block_ms: int | None = BLOCK_MS,
    schema: Mapping[str, typing.Any] | typing.Literal["infer"] | None = None,
    schema_overrides: Mapping[str, typing.Any] | None = None,
    start_id: str | int | date | timedelta = "-",
    end_id: str | int | date | timedelta = "+",
    start_last: int | None = None,
    until: typing.Literal["now"] | None = None,
    count: int | None = None,
    if_missing: typing.Literal["empty", "raise"] = "empty",
    group: str | bytes | None = None,
    consumer: str | bytes | None = None,
    auto_ack: bool = False,
    create_group: bool = True,
    include_id: bool = True,
    id_column: str = "_id",
    include_timestamp: bool = True,
    timestamp_column: str = "_ts",
    timestamp_dtype: typing.Any = None,
    include_sequence: bool | None = None,
    sequence_column: str = "_seq",
    stream_column: str | None = None,
    missing_field: typing.Literal["null", "raise"] = "null",
    on_error: typing.Literal["raise", "null", "skip", "dead_letter"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    on_idle: typing.Literal["wait", "stop", "empty"] = "wait",
    on_gap: typing.Literal["log", "raise"] = "log",
    reconnect_timeout_ms: int | None = None,
    group_start_id: str | int | date = "0",
    after_ack: typing.Literal["keep", "delete"] = "keep",
    claim_idle_ms: int | None = CLAIM_IDLE_MS,
    heartbeat_ms: int | None = None,
    max_deliveries: int | None = None,
    dead_letter: str | bytes | None = None,
    entry_bytes_max: int | None = None,
    entry_fields_max: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> StreamIterator:
    """Follow one or more streams: frames of the entries that are there, then of new ones.

    Without a group the iterator itself remembers where it is, and redcol prefetches the backlog:
    while the caller works on a batch, it already asks for the next entries, of one stream up to
    eight small batches at once. As a member of a group, entries are delivered to this consumer and
    stay pending until they are acknowledged. The iterator reads its own pending entries first, then
    those that other members have held for ``claim_idle_ms``, then new ones. If the connection is
    lost, it connects again, and what was on its way is delivered again. If the server refuses for
    now (it is starting, has become a replica, runs a script, cannot save, has too many clients), it
    asks again.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: the stream's key, or a list of keys; with a list there is a ``_stream`` column.
        batch_size: the largest number of rows of a frame.
        block_ms: how long there is nothing to read before ``on_idle`` says what happens, in
            milliseconds; 0 waits forever. None does not wait in the server: redcol asks it once
            with ``on_idle="stop"`` or ``"empty"``, and about once a second with ``"wait"``.
        schema: as in :func:`read_stream`; every frame has exactly these columns. Without a schema,
            a column that was seen once stays. ``"infer"`` is for one stream. It looks at what is
            there when the iterator is made: if that is nothing, later entries have no column for
            any of their fields, and the log has a warning.
        schema_overrides: as in :func:`read_stream`.
        start_id: without a group, read the entries after this one; ``"-"`` reads all, ``"$"`` those
            that are added from now on. Times, also those before now, as in :func:`read_stream`.
        end_id: without a group, end after this entry, or before the first entry after it. Until one
            of them has come, the iterator waits as `on_idle` says.
        start_last: without a group, begin with this many of the newest entries of each stream, and
            go on with what is added. To find them, redcol asks for them once more.
        until: without a group, ``"now"`` ends with the entries that are there when the iterator is
            made, or when an asynchronous one connects. It does not wait for others.
        count: end after so many rows.
        if_missing: ``"empty"`` waits for a stream that is missing, and a group's member creates it
            (`create_group`). ``"raise"`` is a NoStreamError from this call (from an asynchronous
            iterator when it connects). A stream that is deleted later is no error.
        group: the consumer group to read in.
        consumer: this member's name in the group. Keep it over restarts: the server finds the
            member's pending entries by this name.
        auto_ack: acknowledge each batch when the next one is asked for, and the last one when a
            ``with`` block around the iterator ends without an exception.
        create_group: create the group (and the stream) if it is missing, now or later. A group that
            vanishes is created again after the entries that this iterator knows to be handled;
            earlier entries that were pending for other members are not delivered again.
        include_id: as in :func:`read_stream`.
        id_column: as in :func:`read_stream`.
        include_timestamp: as in :func:`read_stream`.
        timestamp_column: as in :func:`read_stream`.
        timestamp_dtype: as in :func:`read_stream`.
        include_sequence: as in :func:`read_stream`.
        sequence_column: as in :func:`read_stream`.
        stream_column: the name of a column of the stream's key; ``_stream`` for a list of streams.
        missing_field: as in :func:`read_stream`.
        on_error: as in :func:`read_stream`. A skipped entry is acknowledged with the first row of
            its batch that is, or if the batch has none, with the next acknowledgement or at the
            end. In a group, ``"skip"`` and ``"dead_letter"`` also pass an entry that is too large.
        discover: as in :func:`read_stream`. A column that has become Binary stays so; in frames
            before that it is String.
        on_idle: what happens when the server has had nothing to read for ``block_ms``. ``"wait"``
            keeps waiting. ``"empty"`` yields a frame without rows. ``"stop"`` ends the loop,
            ``block_ms`` after the iterator has caught up (the server had fewer entries than it was
            asked for). Entries that are added in that time are still read, but do not extend it: a
            slow writer does not keep the loop running. A server that does not answer is not idle.
        on_gap: what happens when entries were gone before this iterator, or its group, had them:
            they were trimmed or deleted, or the stream was deleted and begun again. They are
            counted in ``stats.lost_entries``, and ``"log"`` writes a warning to the log.
            ``"raise"`` also raises GapError; after that the iterator goes on. redcol looks after
            each reconnect and every 5 seconds; in a group after each connect, every 30 seconds, and
            each second while there is a backlog. The numbers are exact since Redis 7.0;
            docs/servers.md has the limits.
        reconnect_timeout_ms: when the server has not answered for this long, in milliseconds, raise
            the last error; the iterator can be used again after that. 0 never raises. None: never
            with ``on_idle="wait"``, else 10,000. A silent connection is first given up after
            ``timeout_ms``.
        group_start_id: where a group that the iterator creates begins: ``"0"``, ``"$"``, or after
            an id or a time.
        after_ack: ``"delete"`` deletes entries from the stream when they are acknowledged through
            this iterator, unless another group has them pending or still to come. Readers without
            a group may miss them. A script does it (XACKDEL since Redis 8.2), and the user needs
            more rights: see docs/rights.md. ``"keep"`` leaves them there.
        claim_idle_ms: take over entries that another member has held for this long without
            acknowledging them, in milliseconds; None never does.
        heartbeat_ms: how often, in milliseconds, to set back the idle time of entries that were
            handed over and are not acknowledged, so that no other member claims what is being
            worked on, however long that takes. A third of the members' `claim_idle_ms` is a good
            choice. A thread of the library does it, on a connection of its own, until the iterator
            is closed. It does not count as a delivery, and what another member has claimed stays
            there. None never does.
        max_deliveries: do not deliver an entry again that was delivered this often, but move it to
            `dead_letter`. Deliveries to this iterator that it never handed over, because the
            server's answer was lost, do not count.
        dead_letter: the stream that such an entry is copied to. Copying and acknowledging are one
            step: both happen, or neither. In a cluster, if this stream is in another slot, the copy
            is made first; a lost connection can then lead to second copies with the same
            ``dead_id``. The copy has the entry's fields, and ``dead_id``, ``dead_stream``,
            ``dead_group``, ``dead_consumer`` and ``dead_deliveries``; with
            ``on_error="dead_letter"`` also ``dead_field`` and ``dead_reason``. If the entry has a
            field with one of these names, that field becomes ``dead_id_field``, or
            ``dead_id_field2``, ….
        entry_bytes_max: as in :func:`read_stream`.
        entry_fields_max: as in :func:`read_stream`.
        connect_timeout_ms: as in :func:`read_stream`.
        timeout_ms: as in :func:`read_stream`.
        answer_timeout_ms: as in :func:`read_stream`.

    Returns:
        An iterator of frames. It is also a context manager, and has ``ack``, ``close``, ``cancel``,
        ``stats``, ``position``, ``lag``, ``is_connected`` and ``last_error``.

    Raises:
        InvalidArgumentError, SchemaError: nothing was sent.
        ValueConversionError: from the loop. The entry stays pending, and the iterator continues
            after it.
        GapError: from the loop, with ``on_gap="raise"``. The iterator goes on after the gap.
        NoStreamError: a stream is missing, and ``if_missing`` is ``"raise"``.
        NoGroupError: the group is missing and ``create_group`` is False.
        EntryTooLargeError: from the loop. Without a group the iterator continues after the entry.
            In a group the entry is pending, and the error comes again until it is acknowledged;
            `on_error` can pass it.
        ConnectionFailedError, TimedOutError and the like: from this call, and from the loop after
            ``reconnect_timeout_ms``.
        WrongTypeError, PermissionDeniedError, AuthenticationError, ServerError: as their names say.

    Example:
        >>> import redcol
        >>> with redcol.iter_stream(
        ...     "redis://localhost", "events", group="sums", consumer="worker-1", auto_ack=True,
        ...     on_idle="stop",
        ... ) as batches:
        ...     for batch in batches:
        ...         print(batch["value"].to_list())
        ['10', '20']
    """
    from ._request import follow_request
    from ._specs import ColumnSpec, EntrySpec, FollowSpec, GroupSpec, RangeSpec

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    columns = ColumnSpec(
        schema=schema,
        discover=discover,
        include_id=include_id,
        id_column=id_column,
        include_timestamp=include_timestamp,
        timestamp_column=timestamp_column,
        timestamp_dtype=timestamp_dtype,
        include_sequence=include_sequence,
        sequence_column=sequence_column,
        stream_column=stream_column,
        missing_field=missing_field,
    )
    member = GroupSpec(
        group=group,
        consumer=consumer,
        auto_ack=auto_ack,
        after_ack=after_ack,
        create_group=create_group,
        group_start_id=group_start_id,
        claim_idle_ms=claim_idle_ms,
        heartbeat_ms=heartbeat_ms,
        max_deliveries=max_deliveries,
        dead_letter=dead_letter,
        usual_claim_idle_ms=CLAIM_IDLE_MS,
    )
    follow = FollowSpec(
        batch_size, block_ms, on_idle, reconnect_timeout_ms, on_gap, start_last, until
    )
    range_ = RangeSpec(start_id, end_id, count, if_missing=if_missing)
    entries = EntrySpec(on_error, entry_bytes_max, entry_fields_max)

    def ask(columns: ColumnSpec) -> requests.Request:
        return follow_request(stream, follow, range_, columns, entries, member)

    return StreamIterator(server, inference.request(server, columns, schema_overrides, ask))
