# SPDX-License-Identifier: Apache-2.0
"""What is asked of the library: the arguments of the reading functions, checked, as its options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from . import _arguments
from . import schema as _schema
from ._typing import TYPE_CHECKING
from .errors import InvalidArgumentError, SchemaError

if TYPE_CHECKING:
    from typing import Any, Final


#: What may become of a value that does not fit its column.
ON_ERROR: Final = ("raise", "null", "skip", "dead_letter")
#: The default of an iterator's claim_idle_ms.
CLAIM_IDLE_MS: Final = 300_000


class Request:
    """A read, checked and ready for the library."""

    def __init__(
        self,
        streams: list[bytes],
        columns: _schema.Columns | None,
        options: dict[str, str],
    ) -> None:
        self.streams = streams
        self.columns = columns
        self.options = options
        #: For a read of the ranges of many streams: the pattern of their keys, or `streams`.
        self.ranges: bytes | list[bytes] | None = None

    def schema_capsule(self) -> object:
        """The schema for the library; None to discover the columns."""
        return None if self.columns is None else self.columns.capsule()


class RangesRequest:
    """A read of many streams."""

    def __init__(self, read: Request, key_column: str | None, row_index_column: str | None) -> None:
        self.read = read
        self.key_column = key_column
        self.row_index_column = row_index_column


def read_request(
    stream: str | bytes,
    *,
    block_ms: int | None = None,
    group: str | bytes | None = None,
    consumer: str | bytes | None = None,
    auto_ack: bool = False,
    create_group: bool = True,
    group_start_id: str | int | date = "0",
    claim_idle_ms: int | None = None,
    dead_letter: str | bytes | None = None,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    options: Mapping[str, str] | None = None,
    **columns: Any,
) -> Request:
    """Check `read_stream`'s arguments. `options`: the library's own, not for callers."""
    chosen = {"batch_rows": "0"}
    waits = block_ms is not None
    chosen |= _range_options(start_id, end_id, waits=waits)
    if waits:
        chosen["block_ms"] = _milliseconds("block_ms", block_ms)
    chosen |= _group_options(
        group,
        consumer,
        auto_ack=auto_ack,
        create_group=create_group,
        group_start_id=group_start_id,
        claim_idle_ms=claim_idle_ms,
    )
    if auto_ack:
        chosen["auto_ack"] = "true"
    chosen |= _dead_letter_options(group, dead_letter, None, columns.get("on_error"))
    several = "read_streams and scan_streams read several streams, and iter_stream follows them"
    key = _arguments.one_key("stream", stream, several)
    return _request([key], chosen | dict(options or {}), **columns)


def follow_request(
    stream: str | bytes | Sequence[str | bytes],
    *,
    batch_size: int,
    block_ms: int | None,
    group: str | bytes | None,
    consumer: str | bytes | None,
    auto_ack: bool,
    create_group: bool,
    group_start_id: str | int | date,
    claim_idle_ms: int | None,
    max_deliveries: int | None,
    dead_letter: str | bytes | None,
    start_id: str | int | date,
    end_id: str | int | date,
    stream_column: str | None,
    on_idle: str,
    reconnect_timeout_ms: int | None,
    **columns: Any,
) -> Request:
    """Check the arguments of an iterator."""
    chosen = {
        "follow": "true",
        "batch_rows": str(_arguments.integer("batch_size", batch_size, at_least=1)),
    }
    chosen["on_idle"] = _arguments.one_of("on_idle", on_idle, ("wait", "stop", "empty"))
    block = None if block_ms is None else _milliseconds("block_ms", block_ms)
    if block is not None and on_idle != "wait":
        chosen["block_ms"] = block
    if reconnect_timeout_ms is not None:
        chosen["reconnect_timeout_ms"] = _milliseconds("reconnect_timeout_ms", reconnect_timeout_ms)
    chosen |= _range_options(start_id, end_id, waits=True)
    chosen |= _group_options(
        group,
        consumer,
        auto_ack=auto_ack,
        create_group=create_group,
        group_start_id=group_start_id,
        claim_idle_ms=claim_idle_ms,
        claim_default=CLAIM_IDLE_MS,
    )
    chosen |= _dead_letter_options(group, dead_letter, max_deliveries, columns["on_error"])
    if isinstance(stream, (str, bytes)):
        streams = [_arguments.key("stream", stream)]
    else:
        if not isinstance(stream, Sequence) or not stream:
            raise InvalidArgumentError("stream must be a key, or a list of one or more keys.")
        streams = [_arguments.key(f"stream[{i}]", key) for i, key in enumerate(stream)]
        if len(set(streams)) != len(streams):
            raise InvalidArgumentError("stream names a key twice.")
        stream_column = "_stream" if stream_column is None else stream_column
    return _request(streams, chosen, stream_column=stream_column, **columns)


def ranges_request(
    pattern: str | bytes | Iterable[str | bytes],
    *,
    include_key: bool,
    key_column: str,
    include_row_index: bool | None,
    row_index_column: str,
    start_id: str | int | date,
    end_id: str | int | date,
    count_per_stream: int | None,
    batch_size: int | None,
    count_hint: int,
    schema: Mapping[str, Any] | None = None,
    options: Mapping[str, str] | None = None,
    **columns: Any,
) -> RangesRequest:
    """Check `read_streams`' arguments. `options`: the library's own, not for callers."""
    streams: list[bytes] = []
    chosen: bytes | list[bytes] = streams
    if isinstance(pattern, (str, bytes)):
        chosen = _arguments.key("pattern", pattern)
    elif isinstance(pattern, Iterable):
        streams += [_arguments.key(f"pattern[{i}]", key) for i, key in enumerate(pattern)]
        if len(set(streams)) != len(streams):
            raise InvalidArgumentError("The list of streams names a key twice.")
    else:
        raise InvalidArgumentError(
            f"pattern must be a pattern of keys, or a list of keys, not {_arguments.kind(pattern)}."
        )
    limits = {"batch_rows": "0"} | _range_options(start_id, end_id, waits=False)
    if count_per_stream is not None:
        number = _arguments.integer("count_per_stream", count_per_stream, at_least=0)
        limits["count_per_stream"] = str(number)
    if batch_size is not None:
        number = _arguments.integer("batch_size", batch_size, at_least=1)
        limits["streams_at_once"] = str(number)
    number = _arguments.integer("count_hint", count_hint, at_least=1, at_most=100_000)
    limits["scan_count"] = str(number)
    _arguments.flag("include_key", include_key)
    named: dict[str, tuple[bool | None, str]] = {
        "key_column": (include_key, _arguments.text("key_column", key_column)),
        "row_index_column": (
            include_row_index,
            _arguments.text("row_index_column", row_index_column),
        ),
    }
    asked = None if schema is None else _schema.parse(schema)
    row_index = None
    if _is_included("row_index_column", include_row_index, row_index_column, asked):
        row_index = row_index_column
        # The library knows nothing of this column.
        asked = asked and asked.without(row_index)
        limits["reserved"] = netstrings([row_index])
    every = limits | dict(options or {})
    request = _request(streams, every, schema=asked, named=named, **columns)
    request.ranges = chosen
    key = key_column if include_key else None
    if key is not None:
        request.options["stream_column"] = key
    return RangesRequest(request, key, row_index)


def netstrings(texts: Iterable[str]) -> str:
    """Texts as one option of the library."""
    return "".join(f"{len(text.encode())}:{text}," for text in texts)


def _range_options(start_id: object, end_id: object, *, waits: bool) -> dict[str, str]:
    return {
        "start_id": _arguments.range_end("start_id", start_id, new_too=waits),
        "end_id": _arguments.range_end("end_id", end_id),
    }


def _group_options(
    group: str | bytes | None,
    consumer: str | bytes | None,
    *,
    auto_ack: bool,
    create_group: bool,
    group_start_id: str | int | date,
    claim_idle_ms: int | None,
    claim_default: int | None = None,
) -> dict[str, str]:
    _arguments.flag("auto_ack", auto_ack)
    created = _arguments.flag("create_group", create_group)
    begin = _arguments.group_start("group_start_id", group_start_id)
    claim = None if claim_idle_ms is None else _milliseconds("claim_idle_ms", claim_idle_ms)
    if group is None:
        # A default that was given is no mistake: it says what is so in any case.
        others = {
            "consumer": consumer is not None,
            "auto_ack": auto_ack,
            "create_group": not create_group,
            "group_start_id": begin != "0",
            "claim_idle_ms": claim_idle_ms not in (None, claim_default),
        }
        for name, is_given in others.items():
            if is_given:
                raise InvalidArgumentError(f"{name} is about a consumer group: give group too.")
        return {}
    if consumer is None:
        raise InvalidArgumentError(
            "A group needs a consumer too: a name that this reader keeps over restarts, so that it "
            "finds its pending entries again."
        )
    options = {
        "group": _name("group", group),
        "consumer": _name("consumer", consumer),
        "create_group": created,
        "group_start_id": begin,
    }
    if claim is not None:
        options["claim_idle_ms"] = claim
    return options


def _dead_letter_options(
    group: str | bytes | None,
    dead_letter: str | bytes | None,
    max_deliveries: int | None,
    on_error: object,
) -> dict[str, str]:
    if max_deliveries is not None and group is None:
        raise InvalidArgumentError("max_deliveries counts deliveries in a group: give group.")
    if max_deliveries is not None and dead_letter is None:
        raise InvalidArgumentError(
            "max_deliveries needs dead_letter: an entry that was delivered too often is kept in "
            "that stream."
        )
    if dead_letter is None:
        return {}
    if group is None:
        raise InvalidArgumentError("dead_letter is about a consumer group: give group too.")
    if max_deliveries is None and on_error != "dead_letter":
        raise InvalidArgumentError(
            "dead_letter keeps entries that were delivered too often, or that cannot be read: give "
            'max_deliveries or on_error="dead_letter".'
        )
    chosen = {"dead_letter": _name("dead_letter", dead_letter)}
    if max_deliveries is not None:
        number = _arguments.integer("max_deliveries", max_deliveries, at_least=1, at_most=2**31 - 1)
        chosen["max_deliveries"] = str(number)
    return chosen


def _milliseconds(name: str, value: object) -> str:
    return str(_arguments.integer(name, value, at_least=0, at_most=2**31 - 1))


def _name(name: str, value: object) -> str:
    """A name that is passed as an option, which the library takes as UTF-8 text."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise InvalidArgumentError(f"{name} {value!r} is not UTF-8.") from None
    given = _arguments.text(name, value)
    if not given:
        raise InvalidArgumentError(f"{name} must not be empty.")
    return given


def _request(
    streams: list[bytes],
    options: dict[str, str],
    *,
    schema: Mapping[str, Any] | _schema.Columns | None = None,
    count: int | None = None,
    include_id: bool = True,
    id_column: str = "_id",
    include_timestamp: bool = True,
    timestamp_column: str = "_ts",
    include_sequence: bool | None = None,
    sequence_column: str = "_seq",
    stream_column: str | None = None,
    on_error: str = "raise",
    discover: str = "string",
    entry_bytes_max: int | None = None,
    entry_fields_max: int | None = None,
    named: Mapping[str, tuple[bool | None, str]] | None = None,
) -> Request:
    """The part that all reads share: which columns, and how many rows.

    `named`: arguments that name more columns, whether there are these, and their names.
    """
    if on_error == "dead_letter" and "dead_letter" not in options:
        raise InvalidArgumentError(
            'on_error="dead_letter" moves entries of a consumer group to another stream: '
            "read_stream, iter_stream and stream_batches do, with group, consumer and dead_letter, "
            "the key of that stream."
        )
    columns = None if schema is None else _schema.parse(schema)
    _arguments.one_of("discover", discover, ("string", "binary", "auto"))
    if columns is not None and discover != "string":
        raise InvalidArgumentError(
            "discover says what columns are that are found without a schema: leave one of the two "
            "out."
        )
    parts: dict[str, tuple[bool | None, str]] = {
        "id_column": (include_id, id_column),
        "timestamp_column": (include_timestamp, timestamp_column),
        "sequence_column": (include_sequence, sequence_column),
    }
    _arguments.flag("include_id", include_id)
    _arguments.flag("include_timestamp", include_timestamp)
    chosen = {
        **{name: _arguments.text(name, value) for name, (_, value) in parts.items()},
        "on_error": _arguments.one_of("on_error", on_error, ON_ERROR),
    }
    if discover != "string":
        chosen["discover"] = discover
    if stream_column is not None:
        chosen["stream_column"] = _arguments.text("stream_column", stream_column)
        parts["stream_column"] = (True, stream_column)
    parts |= named or {}
    limits = {"entry_bytes_max": entry_bytes_max, "entry_fields_max": entry_fields_max}
    for name, limit in limits.items():
        if limit is not None:
            number = _arguments.integer(name, limit, at_least=1, at_most=2**31 - 1)
            chosen[name] = str(number)
    if count is not None:
        chosen["count"] = str(_arguments.integer("count", count, at_least=0))

    taken: dict[str, str] = {}
    for argument, (wanted, name) in parts.items():
        if wanted is not None:
            _arguments.flag(_including(argument), wanted)
        included = _is_included(argument, wanted, name, columns)
        if argument in chosen and argument != "stream_column" and included is not None:
            chosen[_including(argument)] = _arguments.flag(argument, included)
        if included and name in taken:
            raise InvalidArgumentError(
                f"Two columns would be named {name!r}: choose another {taken[name]} or {argument}, "
                f"or leave one out with {_including(taken[name])}=False."
            )
        if included:
            taken[name] = argument

    if columns is not None:
        chosen |= columns.options()
    return Request(streams, columns, chosen | options)


def _including(argument: str) -> str:
    """The argument that says whether there is the column that `argument` names."""
    return f"include_{argument.removesuffix('_column')}"


def _is_included(
    argument: str, wanted: bool | None, name: str, columns: _schema.Columns | None
) -> bool | None:
    """Whether there is a column that is not a field's; None if the library finds that out.

    A column of the schema that has its name and dtype is that column, unless it is not wanted.
    """
    if columns is None or name not in columns.asked:
        return bool(wanted)
    dtype = columns.asked[name]
    if wanted is False or dtype is None:  # of other types than Polars' the library knows more
        return wanted
    what, fits = _schema.PARTS[argument]
    if fits(dtype):
        return True
    if wanted:
        raise SchemaError(
            f"Column {name!r} of the schema is {dtype}, but that is the name of the column of "
            f"{what}. To read a field of this name, choose another {argument}, or leave that "
            f"column out with {_including(argument)}=False.",
            field=name,
            dtype=str(dtype),
        )
    return False
