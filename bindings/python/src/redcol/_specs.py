# SPDX-License-Identifier: Apache-2.0
"""The arguments of the public functions in groups, each of which becomes options of the library.

A public function puts its arguments into specs; `_request` makes one request of them. Each argument
is checked here by itself: its type, and that it can be written as an option. Whether arguments go
together is checked in the library.

The public functions import this module when they are called: importing `dataclasses` takes longer
than importing the rest of redcol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from . import _arguments
from . import schema as _schema
from ._typing import TYPE_CHECKING
from .errors import InvalidArgumentError, SchemaError

if TYPE_CHECKING:
    from typing import Any, Final

#: What can happen to an entry with a value that does not fit its column.
ON_ERROR: Final = ("raise", "null", "skip")
_INT32_MAX: Final = 2**31 - 1
#: Each metadata column but that of an iterator's streams: its two arguments, whether the first may
#: be None, and whether both are options of the library's, too.
_METADATA: Final = tuple(
    (
        *(part, f"include_{part}", f"{part}_column"),
        *(part in ("sequence", "row_index"), part in ("id", "timestamp", "sequence")),
    )
    for part in _schema.PARTS
    if part != "stream"
)


@dataclass(frozen=True)
class RangeSpec:
    """Which entries to read: a range of entry ids, and how many rows at most.

    And what happens if there is no such stream.
    """

    start_id: str | int | date | timedelta = "-"
    end_id: str | int | date | timedelta = "+"
    count: int | None = None
    last: int | None = None
    if_missing: str = "empty"
    transfer: str = "entries"
    dump_entries_max: int | None = None
    #: Whether its ends may be times before now.
    is_relative: bool = True

    def options(self, *, waits: bool = False) -> dict[str, str]:
        """The library's options. `waits`: the read waits for entries, so `start_id` can be "$"."""
        relative = self.is_relative
        found = {
            "start_id": _arguments.range_end(
                "start_id", self.start_id, new_too=waits, relative_too=relative
            ),
            "end_id": _arguments.range_end("end_id", self.end_id, relative_too=relative),
        }
        for name in ("count", "last"):
            if (number := getattr(self, name)) is not None:
                found[name] = str(_arguments.integer(name, number, at_least=0))
        if _arguments.one_of("if_missing", self.if_missing, ("empty", "raise")) != "empty":
            found["if_missing"] = self.if_missing
        if _arguments.one_of("transfer", self.transfer, ("entries", "dump")) != "entries":
            found["transfer"] = self.transfer
        if (most := self.dump_entries_max) is not None:
            number = _arguments.integer("dump_entries_max", most, at_least=0)
            found["dump_entries_max"] = str(number)
        return found


@dataclass(frozen=True)
class GroupSpec:
    """Reading as a member of a consumer group."""

    group: str | bytes | None = None
    consumer: str | bytes | None = None
    auto_ack: bool = False
    create_group: bool = True
    group_start_id: str | int | date = "0"
    claim_idle_ms: int | None = None
    after_ack: str = "keep"
    heartbeat_ms: int | None = None
    max_deliveries: int | None = None
    dead_letter: str | bytes | None = None
    #: The default of `claim_idle_ms` in the function that was called.
    usual_claim_idle_ms: int | None = None

    def options(self) -> dict[str, str]:
        """The library's options: those that say something other than the default.

        Without a group the library refuses every one of them, and a default that the caller spells
        out is no mistake.
        """
        found: dict[str, str] = {}
        if self.group is not None:
            found["group"] = _option_name("group", self.group)
        if self.consumer is not None:
            found["consumer"] = _option_name("consumer", self.consumer)
        if _arguments.flag("auto_ack", self.auto_ack) == "true":
            found["auto_ack"] = "true"
        if _arguments.flag("create_group", self.create_group) == "false":
            found["create_group"] = "false"
        after = _arguments.one_of("after_ack", self.after_ack, ("keep", "delete"))
        if after != "keep":
            found["after_ack"] = after
        start = _arguments.group_start("group_start_id", self.group_start_id)
        if start != "0":
            found["group_start_id"] = start
        if self.claim_idle_ms is not None:
            claim = _milliseconds("claim_idle_ms", self.claim_idle_ms)
            if self.group is not None or self.claim_idle_ms != self.usual_claim_idle_ms:
                found["claim_idle_ms"] = claim
        if self.heartbeat_ms is not None:
            found["heartbeat_ms"] = _limit("heartbeat_ms", self.heartbeat_ms)
        if self.max_deliveries is not None:
            found["max_deliveries"] = _limit("max_deliveries", self.max_deliveries)
        if self.dead_letter is not None:
            found["dead_letter"] = _option_name("dead_letter", self.dead_letter)
        return found


@dataclass(frozen=True)
class FollowSpec:
    """Following streams: the size of a batch, and what to do when there is nothing to read."""

    batch_size: int
    block_ms: int | None
    on_idle: str
    reconnect_timeout_ms: int | None
    on_gap: str
    start_last: int | None
    until: str | None

    def options(self) -> dict[str, str]:
        """The library's options."""
        found = {
            "follow": "true",
            "batch_rows": str(_arguments.integer("batch_size", self.batch_size, at_least=1)),
            "on_idle": _arguments.one_of("on_idle", self.on_idle, ("wait", "stop", "empty")),
            "on_gap": _arguments.one_of("on_gap", self.on_gap, ("log", "raise")),
        }
        if self.block_ms is not None:
            block = _milliseconds("block_ms", self.block_ms)
            # A read that keeps waiting asks the server at the library's own pace.
            if self.on_idle != "wait":
                found["block_ms"] = block
        if self.reconnect_timeout_ms is not None:
            found["reconnect_timeout_ms"] = _milliseconds(
                "reconnect_timeout_ms", self.reconnect_timeout_ms
            )
        if self.start_last is not None:
            start = _arguments.integer("start_last", self.start_last, at_least=0)
            found["start_last"] = str(start)
        if self.until is not None:
            found["until"] = _arguments.one_of("until", self.until, ("now",))
        return found


@dataclass(frozen=True)
class PendingSpec:
    """Which pending entries to list."""

    consumer: str | bytes | None
    min_idle_ms: int
    start_id: str | int | date
    end_id: str | int | date
    count: int | None

    def options(self) -> dict[str, str]:
        """The library's options."""
        found = RangeSpec(self.start_id, self.end_id, self.count, is_relative=False).options()
        idle = _arguments.integer("min_idle_ms", self.min_idle_ms, at_least=0)
        found["min_idle_ms"] = str(idle)
        if self.consumer is not None:
            found["consumer"] = _option_name("consumer", self.consumer)
        return found


@dataclass(frozen=True)
class EntrySpec:
    """What happens to entries with a value that does not fit, and how large an entry may be."""

    on_error: str = "raise"
    entry_bytes_max: int | None = None
    entry_fields_max: int | None = None

    def options(self, *, in_group: bool = False) -> dict[str, str]:
        """The library's options. `in_group`: the function can read as a member of a group."""
        words = (*ON_ERROR, "dead_letter") if in_group else ON_ERROR
        found = {"on_error": _arguments.one_of("on_error", self.on_error, words)}
        if self.entry_bytes_max is not None:
            found["entry_bytes_max"] = _limit("entry_bytes_max", self.entry_bytes_max)
        if self.entry_fields_max is not None:
            found["entry_fields_max"] = _limit("entry_fields_max", self.entry_fields_max)
        return found


@dataclass(frozen=True)
class ManySpec:
    """Reading the ranges of many streams: how many entries of each, and how to ask for them."""

    count_per_stream: int | None
    batch_size: int | None
    count_hint: int

    def options(self) -> dict[str, str]:
        """The library's options."""
        hint = _arguments.integer("count_hint", self.count_hint, at_least=1, at_most=100_000)
        found = {"scan_count": str(hint)}
        if self.count_per_stream is not None:
            number = _arguments.integer("count_per_stream", self.count_per_stream, at_least=0)
            found["count_per_stream"] = str(number)
        if self.batch_size is not None:
            number = _arguments.integer("batch_size", self.batch_size, at_least=1)
            found["streams_at_once"] = str(number)
        return found


@dataclass(frozen=True)
class ColumnSpec:
    """Which columns the frames have: those of a schema, or of every field; and metadata columns.

    `include_…` None: the metadata column is there if the schema has it.
    """

    #: A text stands for the schema that `inference` puts in its place.
    schema: Mapping[str, Any] | _schema.Columns | str | None = None
    discover: str = "string"
    include_id: bool = True
    id_column: str = "_id"
    include_timestamp: bool = True
    timestamp_column: str = "_ts"
    timestamp_dtype: Any = None
    include_sequence: bool | None = None
    sequence_column: str = "_seq"
    include_key: bool = False
    key_column: str = "_key"
    include_row_index: bool | None = False
    row_index_column: str = "_index"
    #: The column of the stream's key in the frames of an iterator; None for no such column.
    stream_column: str | None = None
    missing_field: str = "null"

    def options(self, columns: _schema.Columns | None) -> tuple[dict[str, str], dict[str, str]]:
        """The library's options, and the names of the metadata columns that there are.

        `columns`: those of the schema.
        """
        found: dict[str, str] = {}
        parts: dict[str, str] = {}  # by the names that are taken
        for part, include, column, may_be_none, goes_along in _METADATA:
            wanted: bool | None = getattr(self, include)
            if wanted is not None or not may_be_none:
                _arguments.flag(include, wanted)
            name = _arguments.text(column, getattr(self, column))
            included = _is_included(part, wanted, name, columns)
            if goes_along:
                found[column] = name
                if included is not None:  # else the library finds out
                    found[include] = "true" if included else "false"
            if included:
                _take(parts, name, part)
        if self.stream_column is not None:
            name = _arguments.text("stream_column", self.stream_column)
            if _is_included("stream", True, name, columns):
                _take(parts, name, "stream")
        names = {part: name for name, part in parts.items()}
        if (stream := names.get("key", names.get("stream"))) is not None:
            found["stream_column"] = stream
        if "row_index" in names:  # a column that the library knows nothing about
            found["reserved"] = netstrings([names["row_index"]])
        if self.timestamp_dtype is not None:
            found["timestamp_format"] = _schema.timestamp_format(self.timestamp_dtype)
        if _arguments.one_of("missing_field", self.missing_field, ("null", "raise")) != "null":
            found["missing_field"] = self.missing_field
        _arguments.one_of("discover", self.discover, ("string", "binary", "auto"))
        if self.discover != "string":
            found["discover"] = self.discover
        return found, names


def _take(parts: dict[str, str], name: str, part: str) -> None:
    """Note that a metadata column has this name, which no other may have."""
    other = parts.setdefault(name, part)
    if other != part:
        raise InvalidArgumentError(
            f"Two columns would be named {name!r}: choose another {other}_column or "
            f"{part}_column, or leave one out with include_{other}=False."
        )


def _is_included(
    part: str, wanted: bool | None, name: str, columns: _schema.Columns | None
) -> bool | None:
    """Whether there is a metadata column; None if the library finds that out.

    A column of the schema that has its name and dtype is that column, unless it is not wanted.
    """
    if columns is None or name not in columns.asked:
        return bool(wanted)
    dtype = columns.asked[name]
    if wanted is False or dtype is None:  # the library knows more about types that are not Polars'
        return wanted
    what, fits = _schema.PARTS[part]
    if fits(dtype):
        return True
    if wanted:
        raise SchemaError(
            f"Column {name!r} of the schema is {dtype}, but that is the name of the column of "
            f"{what}. To read a field of this name, choose another {part}_column, or leave that "
            f"column out with include_{part}=False.",
            field=name,
            dtype=str(dtype),
        )
    return False


def netstrings(texts: Iterable[str]) -> str:
    """Texts as one option of the library."""
    return "".join(f"{len(text.encode())}:{text}," for text in texts)


def _milliseconds(name: str, value: object) -> str:
    return str(_arguments.integer(name, value, at_least=0, at_most=_INT32_MAX))


def _limit(name: str, value: object) -> str:
    return str(_arguments.integer(name, value, at_least=1, at_most=_INT32_MAX))


def _option_name(name: str, value: object) -> str:
    """The name of a group, a consumer or a stream as an option, which is UTF-8 text."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise InvalidArgumentError(f"{name} {value!r} is not UTF-8.") from None
    return _arguments.text(name, value)
