# SPDX-License-Identifier: Apache-2.0
"""What redcol should make of a stream, said again: slowly, in Python, from redis-py's reply."""

from __future__ import annotations

import itertools
import math
import re
import struct
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import redis

Entry = tuple[bytes, list[bytes]]
INTEGER_BITS = {pl.Int8: 8, pl.Int16: 16, pl.Int32: 32, pl.Int64: 64}
UNSIGNED_BITS = {pl.UInt8: 8, pl.UInt16: 16, pl.UInt32: 32, pl.UInt64: 64}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}
FLOAT = rb"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan)"
CLOCK = r"(?P<h>[01]\d|2[0-3]):(?P<m>[0-5]\d)(:(?P<s>[0-5]\d)(\.(?P<f>\d{1,9}))?)?"


def raw_entries(db: redis.Redis, *command: str | int) -> list[Entry]:
    """The reply of XRANGE as it is: redis-py's own parsing would merge fields of the same name."""
    connection = db.connection_pool.get_connection()
    try:
        connection.send_command("XRANGE", *command)
        return connection.read_response()
    finally:
        db.connection_pool.release(connection)


def column_name(field: bytes) -> str:
    return field.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def discovered_names(rows: list[list[bytes]], reserved: tuple[str, ...]) -> dict[bytes, str]:
    """The columns of fields, in the order of their first appearance."""
    names: dict[bytes, str] = {}
    numbers: dict[str, int] = {}

    def number(name: str, base: str) -> int:
        match = re.fullmatch(re.escape(base) + r"_field([1-9][0-9]{0,8})?", name)
        return 0 if match is None or match[1] == "1" else int(match[1] or 1)

    for field in (field for row in rows for field in row[::2]):
        if field in names:
            continue
        name = base = column_name(field)
        suffixes = ("_field" if n == 1 else f"_field{n}" for n in itertools.count(1))
        if name in reserved:
            numbers[name] = 1 + max([number(other, name) for other in names.values()], default=0)
            name += "_field" if numbers[name] == 1 else f"_field{numbers[name]}"
        while name in names.values() or any(number(name, of) > n for of, n in numbers.items()):
            name = base + next(suffixes)
        names[field] = name
    return names


def expected(
    entries: list[Entry], schema: dict[str, Any] | None, reserved: tuple[str, ...]
) -> dict[str, list[Any]]:
    """Columns of the entries' fields. A value that does not fit is null."""
    rows = [dict(zip(fields[::2], fields[1::2], strict=True)) for _, fields in entries]
    if schema is None:
        names = discovered_names([fields for _, fields in entries], reserved)
        shown = {name: (field, pl.String) for field, name in names.items()}
    else:
        shown = {name: (name.encode(), dtype) for name, dtype in schema.items()}
    return {
        name: [None if field not in row else convert(row[field], dtype) for row in rows]
        for name, (field, dtype) in shown.items()
    }


def ids(entries: list[Entry]) -> tuple[list[str], list[int], list[int]]:
    texts = [entry_id.decode() for entry_id, _ in entries]
    parts = [text.split("-") for text in texts]
    return texts, [int(ms) for ms, _ in parts], [int(sequence) for _, sequence in parts]


def convert(value: bytes, dtype: Any) -> Any:
    """The value in the column's physical form, or None if it does not fit."""
    base = dtype if isinstance(dtype, type) else type(dtype)
    if base is pl.Binary:
        return value
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    if base in (pl.String, pl.Categorical):
        return text
    if base is pl.Enum:
        return text if text in dtype.categories else None
    if base is pl.Boolean:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if not value.isascii():
        return None
    if base in INTEGER_BITS or base in UNSIGNED_BITS:
        return convert_integer(text, base)
    if base in (pl.Float32, pl.Float64):
        return convert_float(value, base)
    if base is pl.Decimal:
        return convert_decimal(text, dtype.precision, dtype.scale)
    if base is pl.Date:
        return convert_date(text)
    if base is pl.Time:
        match = re.fullmatch(CLOCK, text)
        return clock_nanoseconds(match) if match else None
    zone = dtype.time_zone if base is pl.Datetime else None
    return convert_span(text, base, PER_SECOND[dtype.time_unit], zone)


def convert_integer(text: str, base: Any) -> int | None:
    bits = INTEGER_BITS.get(base) or UNSIGNED_BITS[base]
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if base in INTEGER_BITS else (0, 2**bits)
    pattern = r"[+-]?[0-9]+" if base in INTEGER_BITS else r"\+?[0-9]+"
    if not re.fullmatch(pattern, text) or len(text) > 400 or not low <= int(text) < high:
        return None
    return int(text)


def convert_float(value: bytes, base: Any) -> float | None:
    if not re.fullmatch(FLOAT, value, re.IGNORECASE):
        return None
    number = float(value)
    if math.isinf(number) and b"i" not in value.lower():
        return None
    if base is pl.Float32 and math.isfinite(number):
        try:
            number = struct.unpack("f", struct.pack("f", number))[0]
        except OverflowError:
            return None
    return number


def convert_decimal(text: str, precision: int, scale: int) -> Decimal | None:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", text):
        return None
    scaled = int_exactly(Decimal(text), scale)
    return None if scaled is None or abs(scaled) >= 10**precision else Decimal(text)


def int_exactly(number: Decimal, scale: int) -> int | None:
    sign, digits, exponent = number.as_tuple()
    value = int("".join(map(str, digits))) * (-1 if sign else 1)
    shift = int(exponent) + scale
    if shift >= 0:
        return value * 10**shift
    quotient, rest = divmod(value, 10**-shift)
    return None if rest else quotient


def convert_date(text: str) -> int | None:
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text, re.ASCII)
    return days(*map(int, match.groups())) if match else None


def days(year: int, month: int, day: int) -> int | None:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if not 1 <= month <= 12 or not 1 <= day <= lengths[month - 1]:
        return None
    before = year - 1
    leap_days = before // 4 - before // 100 + before // 400
    return before * 365 + leap_days + sum(lengths[: month - 1]) + day - 1 - 719_162


def clock_nanoseconds(match: re.Match[str]) -> int:
    seconds = int(match["h"]) * 3600 + int(match["m"]) * 60 + int(match["s"] or 0)
    return seconds * 10**9 + int((match["f"] or "0").ljust(9, "0"))


def local_second(day: int, second_of_day: int, zone: str) -> int | None:
    """The moment of a local time; None if there is none, or two."""
    local = datetime(1970, 1, 1) + timedelta(days=day, seconds=second_of_day)
    if local.year >= 2100 and zone != "UTC":
        return None
    known = ZoneInfo(zone)
    moments = set()
    for fold in (0, 1):
        there = local.replace(tzinfo=known, fold=fold)
        try:
            moment = there.astimezone(timezone.utc)
        except OverflowError:  # In the year 0, which Python's dates do not have.
            return (local - datetime(1970, 1, 1) - known.utcoffset(there)) // timedelta(seconds=1)
        if moment.astimezone(known).replace(tzinfo=None) == local:
            moments.add((moment - EPOCH) // timedelta(seconds=1))
    return moments.pop() if len(moments) == 1 else None


def convert_span(text: str, base: Any, per_second: int, zone: str | None) -> int | None:
    """Ticks of a Datetime or a Duration."""
    if re.fullmatch(r"[+-]?[0-9]+", text):
        ticks = int(text)
    elif base is pl.Datetime:
        pattern = rf"(?P<d>\d{{4}}-\d\d-\d\d)([Tt ]{CLOCK})?(?P<z>[Zz]|[+-][01]\d(:?[0-5]\d)?)?"
        match = re.fullmatch(pattern, text, re.ASCII)
        day = convert_date(match["d"]) if match else None
        if match is None or day is None:
            return None
        nanoseconds = clock_nanoseconds(match) if match["h"] else 0
        if zone is None and match["z"]:
            return None
        if match["z"] or zone is None:
            shown = (match["z"] or "").upper().replace("Z", "").replace(":", "").ljust(5, "0")
            offset = (int(shown[1:3]) * 60 + int(shown[3:5])) * (-60 if shown[0] == "-" else 60)
            second = day * 86_400 + nanoseconds // 10**9 - offset
        else:
            found = local_second(day, nanoseconds // 10**9, zone)
            if found is None:
                return None
            second = found
        ticks = second * per_second + nanoseconds % 10**9 // (10**9 // per_second)
    else:
        parts = r"(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(?:\.\d{1,9})?S)?)?"
        match = re.fullmatch(rf"(-)?P(?=[\dT]){parts}", text, re.ASCII)
        if match is None:
            return None
        whole, _, fraction = (match[7] or "0S")[:-1].partition(".")
        lengths = ((2, 604_800), (3, 86_400), (5, 3_600), (6, 60))
        seconds = sum(int((match[i] or "0X")[:-1]) * n for i, n in lengths) + int(whole)
        ticks = seconds * per_second + int(fraction.ljust(9, "0") or 0) // (10**9 // per_second)
        ticks = -ticks if match[1] else ticks
    return ticks if -(2**63) <= ticks < 2**63 else None


def physical(column: pl.Series) -> list[Any]:
    """A column's values in the form that `convert` gives."""
    return column.to_physical().to_list() if column.dtype.is_temporal() else column.to_list()


def same(left: Any, right: Any) -> bool:
    """Equality where NaN equals NaN, and 0.0 is not -0.0."""
    if isinstance(left, float) and isinstance(right, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    return type(left) is type(right) and left == right
