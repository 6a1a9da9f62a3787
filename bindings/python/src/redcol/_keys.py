# SPDX-License-Identifier: Apache-2.0
"""Which streams can satisfy a Polars predicate, so that a scan of many asks for no others.

As in _bounds.py, the predicate is read in its JSON form, and only some forms are used: ``==`` and
``is_in`` of the key column with constants, and AND and OR of those. The predicate is applied to the
rows in any case.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from ._frames import Frames
from ._typing import pl, typing


def find(predicate: pl.Expr | None, key_column: str | None) -> frozenset[str] | None:
    """The keys, as their column shows them, whose rows can satisfy `predicate`; None: any key."""
    import json  # here, so that importing redcol stays light

    import polars

    if predicate is None or key_column is None:
        return None
    try:
        if key_column not in predicate.meta.root_names():
            return None
        return _find(json.loads(predicate.meta.serialize(format="json")), {"Column": key_column})
    except (Exception, polars.exceptions.PanicException):
        # This version of Polars writes another form, or cannot write it.
        return None


def _find(node: typing.Any, key: typing.Any) -> frozenset[str] | None:
    match node:
        case {"BinaryExpr": {"left": left, "op": "And" | "LogicalAnd", "right": right}}:
            one, other = _find(left, key), _find(right, key)
            if one is None or other is None:
                return other if one is None else one
            return one & other
        case {"BinaryExpr": {"left": left, "op": "Or" | "LogicalOr", "right": right}}:
            one, other = _find(left, key), _find(right, key)
            return None if one is None or other is None else one | other
        case {"BinaryExpr": {"left": left, "op": "Eq" | "EqValidity", "right": right}}:
            if key not in (left, right):
                return None
            return _texts(right if left == key else left)
        case {"Function": {"input": [value, texts], "function": {"Boolean": {"IsIn": _}}}} if (
            value == key
        ):
            return _texts(texts)
    return None


def _texts(node: typing.Any) -> frozenset[str] | None:
    """The texts of a literal; None for any other node."""
    import json

    import polars

    if "Literal" not in node:
        return None
    expression = polars.Expr.deserialize(io.StringIO(json.dumps(node)), format="json")
    values = polars.select(expression).to_series()
    if isinstance(values.dtype, polars.List) and len(values) == 1:
        values = values.explode()
    if values.dtype != polars.String:
        return None
    return frozenset(values.drop_nulls())


def among(
    pattern: str | bytes | Iterable[str | bytes], keys: frozenset[str]
) -> list[str | bytes] | None:
    """The streams of a pattern or a list whose key is one of `keys`, in the order of a read.

    None if that cannot be told without asking the server.
    """
    if not isinstance(pattern, (str, bytes)):
        return [key for key in pattern if Frames.stream_name(_bytes(key)) in keys]
    # Bytes that are not UTF-8 are shown so, and a backslash as itself.
    if any("\\x" in key for key in keys):
        return None
    matches = _expression(_bytes(pattern))
    if matches is None:
        return None
    import re

    found = sorted(key.encode() for key in keys)
    return [key for key in found if re.fullmatch(matches, key, re.DOTALL)]


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else bytes(key)


def _expression(pattern: bytes) -> bytes | None:
    """A pattern of keys as a regular expression; None for one that ends within brackets."""
    made = b""
    rest = pattern
    while rest:
        first, rest = rest[:1], rest[1:]
        if first == b"*":
            made += b".*"
        elif first == b"?":
            made += b"."
        elif first == b"[":
            found = _brackets(rest)
            if found is None:
                return None
            expression, rest = found
            made += expression
        else:
            if first == b"\\" and rest:
                first, rest = rest[:1], rest[1:]
            made += _hex(first)
    return made


def _brackets(rest: bytes) -> tuple[bytes, bytes] | None:
    """The expression for the bytes in brackets, and the rest after them."""
    is_inverted = rest[:1] == b"^"
    rest = rest[is_inverted:]
    members = b""
    while rest:
        first, rest = rest[:1], rest[1:]
        if first == b"]":
            if not members:
                return (b"." if is_inverted else b"(?!)"), rest
            return b"[" + (b"^" if is_inverted else b"") + members + b"]", rest
        if first == b"\\" and rest:
            first, rest = rest[:1], rest[1:]
            members += _hex(first)
        elif rest[:1] == b"-" and len(rest) > 1:
            low, high = sorted((first, rest[1:2]))
            members += _hex(low) + b"-" + _hex(high)
            rest = rest[2:]
        else:
            members += _hex(first)
    return None


def _hex(byte: bytes) -> bytes:
    return b"\\x%02x" % byte[0]
