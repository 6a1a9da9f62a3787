# SPDX-License-Identifier: Apache-2.0
"""What to ask the library for: specs put together into one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import _arguments
from . import schema as _schema
from ._specs import ColumnSpec, EntrySpec, FollowSpec, GroupSpec, ManySpec, RangeSpec
from ._typing import TYPE_CHECKING, pl
from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from typing import Final

#: Options that go together only with some others: those of a consumer group, and of discovering.
_WITH_OTHERS: Final = {
    *("group", "consumer", "auto_ack", "create_group", "group_start_id", "claim_idle_ms"),
    *("after_ack", "heartbeat_ms", "max_deliveries", "dead_letter", "discover", "last"),
    *("start_last", "until", "missing_field", "transfer", "dump_entries_max"),
}


@dataclass(frozen=True)
class Request:
    """A read, ready for the library."""

    streams: Sequence[bytes]
    #: The columns of the schema; None to discover them.
    columns: _schema.Columns | None
    options: Mapping[str, str]
    #: The names of the metadata columns that there are: those of `schema.PARTS`.
    names: Mapping[str, str]
    #: For a read of the ranges of many streams: the pattern of their keys, or `streams`.
    ranges: bytes | Sequence[bytes] | None = None
    #: For a subscription: patterns of channels' names. Its `streams` are channels.
    patterns: Sequence[bytes] | None = None
    #: The columns of every frame, if they are known without `columns`.
    dtypes: Mapping[str, pl.DataType] | None = None

    def schema_capsule(self) -> object:
        """The schema for the library; None to discover the columns."""
        return None if self.columns is None else self.columns.capsule()

    @property
    def acknowledges(self) -> bool:
        """Whether entries are acknowledged without a call of the user's: `auto_ack`."""
        return "auto_ack" in self.options

    @property
    def may_be_refused(self) -> bool:
        """Whether it has options that go together only with some others."""
        if self.patterns is not None:
            return True
        has_letters = self.options["on_error"] == "dead_letter"
        return has_letters or not _WITH_OTHERS.isdisjoint(self.options)


def read_request(
    stream: str | bytes,
    range_: RangeSpec,
    columns: ColumnSpec,
    entries: EntrySpec,
    *,
    block_ms: int | None = None,
    group: GroupSpec | None = None,
    own: Mapping[str, str] | None = None,
) -> Request:
    """One read of one stream. `own`: options of the library that are not a caller's."""
    several = "read_streams and scan_streams read several streams, and iter_stream follows them"
    key = _arguments.one_key("stream", stream, several)
    options = {"batch_rows": "0", **range_.options(waits=block_ms is not None)}
    if block_ms is not None:
        number = _arguments.integer("block_ms", block_ms, at_least=0, at_most=2**31 - 1)
        options["block_ms"] = str(number)
    options |= entries.options(in_group=group is not None)
    options |= {} if group is None else group.options()
    return _request([key], columns, options, own)


def follow_request(
    stream: str | bytes | Sequence[str | bytes],
    follow: FollowSpec,
    range_: RangeSpec,
    columns: ColumnSpec,
    entries: EntrySpec,
    group: GroupSpec,
) -> Request:
    """A read that follows one or more streams."""
    options = follow.options() | range_.options(waits=True)
    options |= entries.options(in_group=True) | group.options()
    if isinstance(stream, (str, bytes)):
        return _request([_arguments.key("stream", stream)], columns, options)
    if not isinstance(stream, Sequence) or not stream:
        raise InvalidArgumentError("stream must be a key, or a list of one or more keys.")
    if columns.stream_column is None:
        columns = replace(columns, stream_column="_stream")
    return _request(_arguments.distinct_keys("stream", stream), columns, options)


def ranges_request(
    pattern: str | bytes | Iterable[str | bytes],
    many: ManySpec,
    range_: RangeSpec,
    columns: ColumnSpec,
    entries: EntrySpec,
    own: Mapping[str, str] | None = None,
) -> Request:
    """One read of the same range of many streams. `own`: as in `read_request`."""
    options = {"batch_rows": "0", **range_.options(), **many.options(), **entries.options()}
    chosen = _arguments.pattern_or_keys("pattern", pattern)
    streams = [] if isinstance(chosen, bytes) else chosen
    return replace(_request(streams, columns, options, own), ranges=chosen)


def _request(
    streams: Sequence[bytes],
    columns: ColumnSpec,
    options: Mapping[str, str],
    own: Mapping[str, str] | None = None,
) -> Request:
    asked = None if columns.schema is None else _schema.parse(columns.schema)
    named, names = columns.options(asked)
    if asked is not None and "row_index" in names:
        asked = asked.without(names["row_index"])
    categories = {} if asked is None else asked.options()
    return Request(streams, asked, {**options, **named, **categories, **(own or {})}, names)
