# SPDX-License-Identifier: Apache-2.0
"""Following streams in a for loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import TracebackType

from . import _native, client
from ._follow import Follower
from ._typing import TYPE_CHECKING, pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client

if TYPE_CHECKING:
    from typing import Final

#: How long one call into the library waits before Python looks at signals. A signal that reaches
#: the waiting thread ends the wait at once; this is for those that come just before it.
_WAIT_MS: Final = 100
#: Defaults of arguments of `iter_stream` and `stream_batches`.
BLOCK_MS: Final = 1_000
CLAIM_IDLE_MS: Final = 300_000


class StreamIterator(Follower):
    """Batches of a stream as frames, made by :func:`iter_stream`.

    Made, it has connected, created the group and looked up "$": what is added afterwards is not
    missed. One thread at a time may ask for batches; :meth:`ack`, :meth:`cancel` and :meth:`close`
    may come from any.
    """

    def __iter__(self) -> StreamIterator:
        return self

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

    def ack(self, entries: Iterable[str] | pl.Series | pl.DataFrame | None = None) -> int:
        """Acknowledge entries of the group: those given, or all handed over and not acknowledged.

        Args:
            entries: a frame of this iterator (with its ``_id`` and, of several streams, ``_stream``
                column), or entry ids of its only stream. None: everything it has handed over.

        Returns:
            How many entries were pending and are no longer.
        """
        return sum(
            _native.iter_ack(self._handle, stream, ids)
            for stream, ids in self._to_acknowledge(entries)
        )

    def __enter__(self) -> StreamIterator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._acknowledges_at_end(kind):
                with self._group_may_be_gone():
                    self.ack()
        finally:
            self.close()


def iter_stream(
    url: str | Client,
    stream: str | bytes | Sequence[str | bytes],
    *,
    batch_size: int = 100,
    block_ms: int | None = BLOCK_MS,
    schema: Mapping[str, typing.Any] | None = None,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    count: int | None = None,
    group: str | bytes | None = None,
    consumer: str | bytes | None = None,
    auto_ack: bool = False,
    create_group: bool = True,
    include_id: bool = True,
    id_column: str = "_id",
    include_timestamp: bool = True,
    timestamp_column: str = "_ts",
    include_sequence: bool | None = None,
    sequence_column: str = "_seq",
    stream_column: str | None = None,
    on_error: typing.Literal["raise", "null", "skip", "dead_letter"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    on_idle: typing.Literal["wait", "stop", "empty"] = "wait",
    reconnect_timeout_ms: int | None = None,
    group_start_id: str | int | date = "0",
    claim_idle_ms: int | None = CLAIM_IDLE_MS,
    max_deliveries: int | None = None,
    dead_letter: str | bytes | None = None,
    entry_bytes_max: int | None = None,
    entry_fields_max: int | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> StreamIterator:
    """Follow one or more streams: what is there, then what is added, as frames of whole batches.

    Without a group the iterator itself remembers where it is, and asks for small batches that are
    there already, of one stream up to eight together, while the caller has those before. As a
    member of a group, entries are delivered to this consumer and stay pending until they are
    acknowledged: first come its own pending entries, then those that others have held for
    ``claim_idle_ms``, then new ones. A lost connection is made again, and what was under way comes
    back. A server that refuses for now (it is starting, has become a replica, runs a script, cannot
    save, has too many clients) is asked again.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then hold.
        stream: the stream's key, or a list of keys; then there is a ``_stream`` column.
        batch_size: how many rows a frame has at the most.
        block_ms: how long to wait for entries before ``on_idle`` says what happens, in
            milliseconds; 0 for ever. None does not wait in the server: it is asked once
            with ``on_idle="stop"`` or ``"empty"``, and about once a second with ``"wait"``.
        schema: as in :func:`read_stream`; every frame has exactly these columns. Without it a
            column that was seen once stays.
        start_id: without a group, read the entries after this one; ``"-"`` all, ``"$"`` those added
            from now on.
        end_id: without a group, end after this one, or before the first entry behind it: until one
            of them has come, the iterator waits as `on_idle` says.
        count: end after so many entries.
        group: the group to read in.
        consumer: this member's name in the group. Keep it over restarts: the member's pending
            entries are found by it.
        auto_ack: acknowledge each batch when the next is asked for, and the last when a ``with``
            block around the iterator ends without an exception.
        create_group: make the group (and the stream) if it is missing, now or later. One that
            vanishes is made again behind what this iterator knows to be handled; entries before
            that which other consumers had pending are not given again.
        include_id: as in :func:`read_stream`.
        id_column: likewise.
        include_timestamp: likewise.
        timestamp_column: likewise.
        include_sequence: likewise.
        sequence_column: likewise.
        on_error: likewise. An entry that was skipped is acknowledged with its batch, or once
            :meth:`~StreamIterator.ack` was given a later one.
        discover: likewise. A column that has become Binary stays so; frames before have it as
            String.
        stream_column: the name of a column for the stream's key; ``_stream`` for a list of streams.
        on_idle: what happens when the server has nothing to read for ``block_ms``. ``"wait"``: keep
            waiting. ``"empty"``: give a frame without rows. ``"stop"``: end, ``block_ms`` after the
            iterator has caught up (the server had fewer entries than were asked for). What is added
            within that time is given too, but does not make it longer: a slow writer does not keep
            the loop going. A server that does not answer is not idle.
        reconnect_timeout_ms: when the server has not answered for so long, in milliseconds, raise
            the last error; the iterator can be asked again. 0 for ever. None: for ever with
            ``on_idle="wait"``, else 10,000. A silent connection is first given up after
            ``timeout_ms``.
        group_start_id: where a group that is made begins: ``"0"``, ``"$"``, or after an id or a
            time.
        claim_idle_ms: take over entries that another consumer has held unacknowledged for this
            long, in milliseconds; None never.
        max_deliveries: an entry that was delivered so often is not delivered again, but put away.
            Deliveries that this iterator asked for and never handed over, since their answers were
            lost, do not count.
        dead_letter: the stream to which it is then copied and acknowledged, both or neither. It has
            the entry's fields, and ``dead_id``, ``dead_stream``, ``dead_group``, ``dead_consumer``
            and ``dead_deliveries``, with ``on_error="dead_letter"`` also ``dead_field`` and
            ``dead_reason``. A field of the entry's own with one of these names is kept as
            ``dead_id_field``, or ``dead_id_field2``, ….
        entry_bytes_max: as in :func:`read_stream`.
        entry_fields_max: likewise.
        connect_timeout_ms: likewise.
        timeout_ms: likewise.
        answer_timeout_ms: likewise.

    Returns:
        An iterator of frames, also a context manager, with ``ack``, ``close``, ``cancel``,
        ``stats``, ``is_connected`` and ``last_error``.

    Raises:
        InvalidArgumentError, SchemaError: nothing was sent.
        ValueConversionError: from the loop; the entry stays pending, and the iterator goes on
            behind it.
        NoGroupError: the group is missing and ``create_group`` is False.
        EntryTooLargeError: from the loop. Without a group the iterator goes on behind the entry;
            in a group it is pending, and is raised again until it is acknowledged.
        ConnectionFailedError, TimedOutError and their like: when the iterator is made, and from the
            loop after ``reconnect_timeout_ms``.
        WrongTypeError, PermissionDeniedError, AuthenticationError, ServerError: as they are named.

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
        include_sequence=include_sequence,
        sequence_column=sequence_column,
        stream_column=stream_column,
    )
    member = GroupSpec(
        group=group,
        consumer=consumer,
        auto_ack=auto_ack,
        create_group=create_group,
        group_start_id=group_start_id,
        claim_idle_ms=claim_idle_ms,
        max_deliveries=max_deliveries,
        dead_letter=dead_letter,
        usual_claim_idle_ms=CLAIM_IDLE_MS,
    )
    request = follow_request(
        stream,
        FollowSpec(batch_size, block_ms, on_idle, reconnect_timeout_ms),
        RangeSpec(start_id, end_id, count),
        columns,
        EntrySpec(on_error, entry_bytes_max, entry_fields_max),
        member,
    )
    return StreamIterator(server, request)
