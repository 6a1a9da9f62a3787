# SPDX-License-Identifier: Apache-2.0
"""Streams cut into ranges of ids, which threads, processes or an engine read side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from . import _arguments, _native_lists, _shown_keys, client
from ._typing import pl, typing
from .arrow import ArrowTable, read_arrow
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import InvalidArgumentError
from .stream import read_stream


class Partition:
    """A range of a stream's entries, made by :func:`partitions`. It is small and can be pickled.

    Reading it again returns the same rows, as long as nobody trims or deletes them. Two partitions
    are equal if they are the same range of the same key, whatever else they know.

    Attributes:
        stream: the stream's key; bytes if it is not UTF-8.
        start_id: the first id, inclusive.
        end_id: the last id, inclusive.
        rows: about how many entries there are.
    """

    __slots__ = ("_url", "end_id", "rows", "start_id", "stream")

    def __init__(
        self,
        stream: str | bytes,
        start_id: str,
        end_id: str,
        rows: int,
        url: str | None = None,
    ) -> None:
        self.stream = stream
        self.start_id = start_id
        self.end_id = end_id
        self.rows = rows
        self._url = url

    def read(
        self,
        url: str | Client | None = None,
        *,
        schema: Mapping[str, typing.Any] | None = None,
        include_id: bool = True,
        id_column: str = "_id",
        include_timestamp: bool = True,
        timestamp_column: str = "_ts",
        timestamp_dtype: typing.Any = None,
        include_sequence: bool | None = None,
        sequence_column: str = "_seq",
        missing_field: typing.Literal["null", "raise"] = "null",
        on_error: typing.Literal["raise", "null", "skip"] = "raise",
        discover: typing.Literal["string", "binary", "auto"] = "string",
        connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
        timeout_ms: int = DEFAULT_TIMEOUT_MS,
        answer_timeout_ms: int | None = None,
    ) -> pl.DataFrame:
        """Read its entries as :func:`read_stream` does, whose parameters these are.

        Without `url`, the one that :func:`partitions` was told to include. Give a schema: without
        one, each partition has the columns that its own entries have.
        """
        return read_stream(
            self._server(url),
            self.stream,
            start_id=self.start_id,
            end_id=self.end_id,
            schema=schema,
            include_id=include_id,
            id_column=id_column,
            include_timestamp=include_timestamp,
            timestamp_column=timestamp_column,
            timestamp_dtype=timestamp_dtype,
            include_sequence=include_sequence,
            sequence_column=sequence_column,
            missing_field=missing_field,
            on_error=on_error,
            discover=discover,
            connect_timeout_ms=connect_timeout_ms,
            timeout_ms=timeout_ms,
            answer_timeout_ms=answer_timeout_ms,
        )

    def read_arrow(
        self,
        url: str | Client | None = None,
        *,
        schema: Mapping[str, typing.Any] | typing.Any | None = None,
        batch_size: int = 65_536,
        include_id: bool = True,
        id_column: str = "_id",
        include_timestamp: bool = True,
        timestamp_column: str = "_ts",
        timestamp_dtype: typing.Any = None,
        include_sequence: bool | None = None,
        sequence_column: str = "_seq",
        missing_field: typing.Literal["null", "raise"] = "null",
        on_error: typing.Literal["raise", "null", "skip"] = "raise",
        discover: typing.Literal["string", "binary", "auto"] = "string",
        string_layout: typing.Literal["view", "large", "string"] | None = None,
        connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
        timeout_ms: int = DEFAULT_TIMEOUT_MS,
        answer_timeout_ms: int | None = None,
    ) -> ArrowTable:
        """Read its entries as :func:`redcol.read_arrow` does, whose parameters these are."""
        return read_arrow(
            self._server(url),
            self.stream,
            start_id=self.start_id,
            end_id=self.end_id,
            schema=schema,
            batch_size=batch_size,
            include_id=include_id,
            id_column=id_column,
            include_timestamp=include_timestamp,
            timestamp_column=timestamp_column,
            timestamp_dtype=timestamp_dtype,
            include_sequence=include_sequence,
            sequence_column=sequence_column,
            missing_field=missing_field,
            on_error=on_error,
            discover=discover,
            string_layout=string_layout,
            connect_timeout_ms=connect_timeout_ms,
            timeout_ms=timeout_ms,
            answer_timeout_ms=answer_timeout_ms,
        )

    def _server(self, url: str | Client | None) -> str | Client:
        if url is not None:
            return url
        if self._url is None:
            raise InvalidArgumentError(
                "This partition does not know its server: give its url, or call partitions with "
                "include_url=True."
            )
        return self._url

    def _range(self) -> tuple[str | bytes, str, str]:
        return (self.stream, self.start_id, self.end_id)

    def __eq__(self, other: object) -> bool:
        return self._range() == other._range() if isinstance(other, Partition) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._range())

    def __reduce__(self) -> tuple[type[Partition], tuple[object, ...]]:
        return (Partition, (*self._range(), self.rows, self._url))

    def __repr__(self) -> str:
        return (
            f"<redcol.Partition {self.stream!r} from {self.start_id} to {self.end_id}, about "
            f"{self.rows:,} {'row' if self.rows == 1 else 'rows'}>"
        )


def partitions(
    url: str | Client,
    stream: str | bytes | Iterable[str | bytes],
    *,
    rows: int = 1_000_000,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    include_url: bool = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> list[Partition]:
    """Cut streams into ranges of ids that can be read side by side, without reading them.

    The last entry of each stream is looked up first, and nothing that is added later is in a
    partition. Together they have each entry up to there once. A stream is cut by looking at a few
    entries at several places: about 8 times for each partition, and at most 16 times (and 128 times
    for each stream besides). All streams are looked at side by side, with many questions under way
    at once. The sizes are estimates. They are good where entries come steadily and
    where they come in bursts with nothing between them; a burst that is hidden between steady
    entries can make a partition that is much too large.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: which streams: a pattern of keys as in :func:`redcol.read_streams`, a key, or a
            list of keys.
        rows: about how many entries a partition has at most.
        start_id: where to begin, inclusive: an entry id, its milliseconds as str or int, ``"-"``,
            or a datetime or date (without a time zone: UTC). ``"("`` excludes the id.
        end_id: where to end, inclusive, written in the same ways; ``"+"`` is the last one.
        include_url: whether the partitions keep the URL, with its password, so that
            ``partition.read()`` needs none. It is pickled with them.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        The partitions of each stream in the order of their ids, sorted by key. A missing stream has
        none, nor does one without entries in the range.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        UnsupportedError: a pattern finds a key that is not UTF-8. Give such keys in a list.
        WrongTypeError: a key that is named holds something other than a stream.
        PermissionDeniedError: the user may not do this (needed: ``+xinfo``, ``+xrange`` and
            ``+xrevrange`` to cut a stream, and ``+scan`` for a pattern).
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            ServerLoadingError, ServerError, ProtocolError: as their names say.

    Example:
        >>> import redcol
        >>> parts = redcol.partitions("redis://localhost", "events", rows=1)
        >>> [len(part.read("redis://localhost")) for part in parts]
        [1, 1]
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    includes_url = _arguments.flag("include_url", include_url) == "true"
    if includes_url and server.client is not None:
        raise InvalidArgumentError(
            "include_url needs a URL: a client does not say which one it has."
        )
    chosen = _arguments.pattern_or_keys("stream", stream)
    wanted = _arguments.integer("rows", rows, at_least=1)
    start = _arguments.range_end("start_id", start_id)
    end = _arguments.range_end("end_id", end_id)
    found = cut(server, chosen, rows=wanted, start_id=start, end_id=end)
    known = server.encoded_url().decode() if includes_url else None
    return [Partition(*part, known) for part in found]


def cut(
    server: client.Server, chosen: bytes | list[bytes], **options: str | int
) -> list[tuple[str | bytes, str, str, int]]:
    """Ranges: their stream, first and last id, and about how many entries. Sorted by key and id.

    `options`: those of ``redcol_partitions``.
    """
    # Before anything is asked, so that Ctrl-C during this import costs nothing.
    import polars as pl

    given = {name: str(value) for name, value in options.items()}
    found: list[tuple[str | bytes, str, str, int]] = []
    with client.using(server) as handle:
        for asked in _shown_keys.asked_apart(chosen):
            table = ArrowTable(_native_lists.partitions(handle, asked, given))
            for stream, *part in pl.DataFrame(table).iter_rows():
                found.append((_shown_keys.of_row(stream, asked), *part))
    return sorted(found, key=lambda part: _shown_keys.in_order(part[0]))
