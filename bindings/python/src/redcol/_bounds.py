# SPDX-License-Identifier: Apache-2.0
"""Which entry ids can satisfy a Polars predicate, so that a scan asks for no others.

A predicate is read in the JSON form that Polars writes. Only some forms become a bound: comparisons
and ``is_between`` of the timestamp column with a constant, equality of the id column with a text,
and AND and OR of those. The rest gets no bound. The predicate is applied to the rows in any case,
so a bound may be too wide, but never too narrow.
"""

from __future__ import annotations

import io
from collections import namedtuple
from math import ceil, floor, isfinite

from . import _log
from ._arguments import milliseconds_back
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Final

    from polars import Expr, Series

EntryID = tuple[int, int]

_PART_MAX: Final = 2**64 - 1
_INT64_MAX: Final = 2**63 - 1
#: Up to here Float64 holds every whole number, so that rounding changes no comparison.
_EXACT_MAX: Final = 2**53
#: A number next to the plain column is most likely a datetime, which Polars has turned into its
#: microseconds or nanoseconds, if it is between 1990 and 2100 as such.
_DATETIMES: Final = [
    (631_152_000_000 * factor, 4_102_444_800_000 * factor) for factor in (1_000, 1_000_000)
]
#: The JSON of a longer predicate (an `is_in` of very many values) is not looked at.
_JSON_MAX: Final = 1_000_000

_SMALLEST: Final = (0, 0)
_LARGEST: Final = (_PART_MAX, _PART_MAX)

_MIRRORED: Final = {"Lt": "Gt", "LtEq": "GtEq", "Gt": "Lt", "GtEq": "LtEq"}
_EQUAL: Final = ("Eq", "EqValidity")
#: What a cast of a Datetime in milliseconds makes of one of them.
_PER_MILLISECOND: Final = {
    "Milliseconds": 1,
    "Microseconds": 1_000,
    "Nanoseconds": 1_000_000,
    "integer": 1,
}
_BETWEEN: Final = {
    "Both": ("GtEq", "LtEq"),
    "Left": ("GtEq", "Lt"),
    "Right": ("Gt", "LtEq"),
    "None": ("Gt", "Lt"),
}


class Bounds(namedtuple("Bounds", ("first", "last"), defaults=(_SMALLEST, _LARGEST))):
    """The ids from `first` to `last`, both included; none if `first` is the larger."""

    __slots__ = ()
    first: EntryID
    last: EntryID

    def __and__(self, other: Bounds) -> Bounds:
        return Bounds(max(self.first, other.first), min(self.last, other.last))

    def __or__(self, other: Bounds) -> Bounds:
        """The smallest bounds around both."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        return Bounds(min(self.first, other.first), max(self.last, other.last))

    @property
    def is_empty(self) -> bool:
        return self.first > self.last


ALL: Final = Bounds()
#: No id.
NOTHING: Final = Bounds(_LARGEST, _SMALLEST)


def of_range(start_id: str, end_id: str, now_ms: int = 0) -> Bounds:
    """The bounds of a checked `start_id` and `end_id`, as Redis understands them.

    `now_ms`: the server's clock, for times before it.
    """
    return Bounds(_range_end(start_id, 0, now_ms), _LARGEST) & Bounds(
        _SMALLEST, _range_end(end_id, _PART_MAX, now_ms)
    )


def _range_end(text: str, sequence_if_missing: int, now_ms: int) -> EntryID:
    if (back := milliseconds_back(text)) is not None:
        return (max(0, now_ms - back), sequence_if_missing)
    if text == "-":
        return _SMALLEST
    if text == "+":
        return _LARGEST
    milliseconds, _, sequence = text.removeprefix("(").partition("-")
    number = int(milliseconds) << 64 | (int(sequence) if sequence else sequence_if_missing)
    if text.startswith("("):
        number += 1 if sequence_if_missing == 0 else -1
    if number < 0:
        return (-1, 0)
    return (number >> 64, number & _PART_MAX)


def text(entry_id: EntryID) -> str:
    """An id as Redis writes it."""
    return f"{entry_id[0]}-{entry_id[1]}"


def entry_id(text: str) -> EntryID:
    """A whole id, as Redis writes it, as its two numbers."""
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence)


def find(
    predicate: Expr | None,
    *,
    timestamp_column: str | None,
    id_column: str | None,
    largest_ms: int = _PART_MAX,
    is_datetime: bool = False,
) -> Bounds:
    """Bounds that hold all ids whose rows can satisfy `predicate`.

    Args:
        predicate: what Polars hands to a source; None for all rows.
        timestamp_column: the column of the ids' milliseconds, or None.
        id_column: the column of the ids (String), or None.
        largest_ms: no id has more milliseconds. Where a predicate multiplies them, this shows that
            nothing overflows.
        is_datetime: whether the column is a Datetime in milliseconds, and not Int64.
    """
    import json  # here, so that importing redcol stays light

    import polars as pl

    if predicate is None:
        return ALL
    search = _Search(timestamp_column, id_column, largest_ms, is_datetime=is_datetime)
    try:
        if not {timestamp_column, id_column} & set(predicate.meta.root_names()):
            return ALL
        written = predicate.meta.serialize(format="json")
        return ALL if len(written) > _JSON_MAX else search.bounds(json.loads(written))
    except (Exception, pl.exceptions.PanicException):
        # A form that this version of Polars writes otherwise, or cannot write at all.
        return ALL


class _Side:
    """The timestamp column as it is compared: its values times `scale`, as `kind`."""

    def __init__(self, scale: int, kind: str) -> None:
        self.scale = scale
        self.kind = kind


class _Search:
    def __init__(
        self,
        timestamp_column: str | None,
        id_column: str | None,
        largest_ms: int,
        *,
        is_datetime: bool,
    ) -> None:
        self.kind = "Milliseconds" if is_datetime else "integer"
        self.timestamp_column = timestamp_column
        self.id_column = id_column
        self.largest_ms = largest_ms
        self.has_warned = False

    def bounds(self, node: Any) -> Bounds:
        match node:
            case {"BinaryExpr": {"left": left, "op": "And" | "LogicalAnd", "right": right}}:
                return self.bounds(left) & self.bounds(right)
            case {"BinaryExpr": {"left": left, "op": "Or" | "LogicalOr", "right": right}}:
                return self.bounds(left) | self.bounds(right)
            case {"BinaryExpr": {"left": left, "op": str(op), "right": right}}:
                return self._compared(left, op, right) & self._compared(
                    right, _MIRRORED.get(op, op), left
                )
            case {
                "Function": {
                    "input": [value, low, high],
                    "function": {"Boolean": {"IsBetween": {"closed": str(closed)}}},
                }
            } if closed in _BETWEEN:
                above, below = _BETWEEN[closed]
                return self._compared(value, above, low) & self._compared(value, below, high)
        return ALL

    def _compared(self, left: Any, op: str, right: Any) -> Bounds:
        """The bounds if `left` is one of our columns and `right` a constant."""
        if op not in _MIRRORED and op not in _EQUAL:
            return ALL
        if left == {"Column": self.id_column} and op in _EQUAL:
            return _id_equals(_constant(right))
        side = self._side(left)
        if side is None:
            return ALL
        value = _number(_constant(right), side.kind)
        if value is None:
            return ALL
        if side.scale == 1 and side.kind == "integer":
            self._warn_of_datetime(value)
        return self._timestamp(side.scale, op, value)

    def _warn_of_datetime(self, value: float) -> None:
        if self.has_warned or not any(least <= value < most for least, most in _DATETIMES):
            return
        self.has_warned = True
        _log.warn(
            "value",
            f"a query compares {self.timestamp_column!r}, which is in milliseconds, with {value}: "
            "if that was a datetime, pass timestamp_dtype=pl.Datetime('ms', 'UTC')",
        )

    def _side(self, node: Any) -> _Side | None:
        match node:
            case {"Column": name} if name == self.timestamp_column:
                return _Side(1, self.kind)
            case {"Cast": {"expr": inner, "dtype": dtype}}:
                side, kind = self._side(inner), _kind(dtype)
                if side is None or kind is None:
                    return None
                if side.kind == "integer":
                    return _Side(side.scale, kind)
                # A Datetime in another unit, or as its number.
                factor = _PER_MILLISECOND.get(kind)
                return (
                    None
                    if side.kind != "Milliseconds" or factor is None
                    else _Side(side.scale * factor, kind)
                )
            case {"BinaryExpr": {"left": {"Column": name}, "op": "Multiply", "right": factor}} | {
                "BinaryExpr": {"left": factor, "op": "Multiply", "right": {"Column": name}}
            } if name == self.timestamp_column and self.kind == "integer":
                scale = _number(_constant(factor), "integer")
                if isinstance(scale, int) and 0 < scale <= _INT64_MAX:
                    return _Side(scale, "integer")
        return None

    def _timestamp(self, scale: int, op: str, value: int | float) -> Bounds:
        from fractions import Fraction  # here, so that importing redcol stays light

        limit = Fraction(value) / scale
        first, last = 0, _PART_MAX
        if op in ("Gt", "GtEq", *_EQUAL):
            first = floor(limit) + 1 if op == "Gt" else ceil(limit)
        # A product that overflows Int64 wraps to its smallest value, which is below any limit.
        is_ordered = scale == 1 or self.largest_ms <= _INT64_MAX // scale
        if op in ("Lt", "LtEq", *_EQUAL) and is_ordered:
            last = ceil(limit) - 1 if op == "Lt" else floor(limit)
        if first > _PART_MAX or last < 0:
            return NOTHING
        return Bounds((max(first, 0), 0), (min(last, _PART_MAX), _PART_MAX))


def _kind(dtype: Any) -> str | None:
    """What a cast of Int64 makes of numbers; None where it does not keep their order."""
    match dtype:
        case {"Literal": inner}:
            return _kind(inner)
        case "Int64" | "Int128" | {"Unknown": {"Int": _}}:
            return "integer"
        case "Float64" | {"Unknown": "Float"}:
            return "float"
        case {"Datetime": ["Milliseconds" | "Microseconds" | "Nanoseconds" as unit, _]}:
            return str(unit)
    return None


def _constant(node: Any) -> Series | None:
    """The one value of an expression that names no column; None if it is none, or null."""
    import json

    import polars as pl

    if not _is_constant(node):
        return None
    expression = pl.Expr.deserialize(io.StringIO(json.dumps(node)), format="json")
    values = pl.select(expression).to_series()
    return values if len(values) == 1 and values[0] is not None else None


def _is_constant(node: Any) -> bool:
    """Whether nothing but literals, casts, arithmetic and functions of time are in it."""
    match node:
        case {"Literal": _}:
            return True
        case {"Cast": {"expr": inner}}:
            return _is_constant(inner)
        case {"BinaryExpr": {"left": left, "right": right}}:
            return _is_constant(left) and _is_constant(right)
        case {"Function": {"input": [*inputs], "function": {"TemporalExpr": _}}}:
            return all(_is_constant(inner) for inner in inputs)
    return False


def _number(constant: Series | None, kind: str) -> int | float | None:
    """A constant as the number that a side of that kind is compared with; None if it is none."""
    import polars as pl

    if constant is None:
        return None
    dtype = constant.dtype
    if isinstance(dtype, pl.Datetime):
        units = {"ms": "Milliseconds", "us": "Microseconds", "ns": "Nanoseconds"}
        return int(constant.to_physical()[0]) if units[dtype.time_unit] == kind else None
    value = constant[0]
    if dtype.is_integer() and kind == "integer" and dtype != pl.UInt64:
        return int(value)
    if dtype.is_numeric() and not dtype.is_decimal() and kind in ("integer", "float"):
        # One of the two sides is rounded to Float64.
        number = int(value) if dtype.is_integer() else float(value)
        return number if isfinite(number) and abs(number) < _EXACT_MAX else None
    return None


def _id_equals(constant: Series | None) -> Bounds:
    import polars as pl

    if constant is None or constant.dtype != pl.String:
        return ALL
    parts = constant[0].split("-")
    if len(parts) != 2 or not all(map(_is_canonical, parts)):
        return ALL
    entry_id = (int(parts[0]), int(parts[1]))
    return Bounds(entry_id, entry_id)


def of_id(text: str) -> Bounds:
    """The bounds of the one row whose id is written so; of none if no id is."""
    parts = text.split("-")
    if len(parts) != 2 or not all(map(_is_canonical, parts)):
        return NOTHING
    entry_id = (int(parts[0]), int(parts[1]))
    return Bounds(entry_id, entry_id)


def of_timestamp(op: str, value: int, per_millisecond: int) -> Bounds:
    """The bounds of a comparison ("Gt", "GtEq", "Lt", "LtEq", "Eq") of ids' times with a number.

    `per_millisecond`: how many of its units a millisecond has. No time overflows in them.
    """
    return _Search(None, None, 0, is_datetime=False)._timestamp(per_millisecond, op, value)


def _is_canonical(part: str) -> bool:
    """Whether a server writes a part of an entry id so."""
    if not (part.isascii() and part.isdigit() and len(part) <= 20):
        return False
    return (part == "0" or part[0] != "0") and int(part) <= _PART_MAX
