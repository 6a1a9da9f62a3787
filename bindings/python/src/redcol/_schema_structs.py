# SPDX-License-Identifier: Apache-2.0
"""Arrow schema structs (C Data Interface): reading them from capsules, and making them."""

from __future__ import annotations

import ctypes
from collections.abc import Container, Mapping
from ctypes import c_char_p, c_int64, c_void_p

from . import errors
from ._library import library
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# A prototype of our own: setting argtypes on the one of ctypes.pythonapi would change it for all.
capsule_pointer = ctypes.PYFUNCTYPE(c_void_p, ctypes.py_object, c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "backslashreplace")


class _Schema(ctypes.Structure):
    """struct ArrowSchema."""

    _fields_ = (
        *((name, c_char_p) for name in ("format", "name")),
        ("metadata", c_void_p),
        *((name, c_int64) for name in ("flags", "n_children")),
        *((name, c_void_p) for name in ("children", "dictionary", "release", "private_data")),
    )


class StructSchema:
    """A struct schema of named columns, for `read_streams`, which only reads it.

    Each column is an Arrow format, or an "arrow_schema" capsule: of its type, or, for those that
    are `wrapped`, of a struct whose first child it is.
    """

    def __init__(self, columns: Mapping[str, str | object], wrapped: Container[str] = ()) -> None:
        self._kept: list[object] = []  # what the structs point into
        # Not NULL means "not released". It is never called.
        self._release = ctypes.cast(library().redcol_capsule_schema_free, c_void_p).value
        children = (c_void_p * len(columns))()
        for index, (name, column) in enumerate(columns.items()):
            child = self._child(column, is_wrapped=name in wrapped)
            child.name = name.encode()
            child.release = self._release
            self._kept.append(child)
            children[index] = ctypes.addressof(child)
        whole = _Schema(format=b"+s", name=b"", n_children=len(columns), release=self._release)
        whole.children = ctypes.addressof(children)
        self._kept += [children, whole]
        #: Where the struct ArrowSchema is, as long as this object is.
        self.address = ctypes.addressof(whole)

    def _child(self, column: str | object, *, is_wrapped: bool) -> _Schema:
        if isinstance(column, str):
            return _Schema(format=column.encode())
        self._kept.append(column)
        given = _Schema.from_address(capsule_pointer(column, b"arrow_schema"))
        if is_wrapped and given.n_children:
            given = _Schema.from_address(c_void_p.from_address(given.children).value or 0)
        child = _Schema()
        ctypes.pointer(child)[0] = given
        return child


def schema_names(schema_capsule: object) -> list[str]:
    """The names of a struct schema's columns."""
    return [_text(child.name) for child in _children(schema_capsule)]


def schema_formats(schema_capsule: object) -> list[tuple[str, str, list[Any]]]:
    """Name, Arrow format and children of each of a struct schema's columns."""

    def described(child: _Schema) -> tuple[str, str, list[Any]]:
        return _text(child.name), _text(child.format), [described(one) for one in _inside(child)]

    return [described(child) for child in _children(schema_capsule)]


def schema_fields(schema_capsule: object) -> dict[str, str]:
    """The fields of those columns whose names differ, from the metadata of the library's schema."""
    found = {}
    for child in _children(schema_capsule):
        if child.metadata:
            field = _metadata(child.metadata).get(b"redcol.field")
            if field is not None:
                found[_text(child.name)] = field.decode()
    return found


def _metadata(address: int) -> dict[bytes, bytes]:
    """Arrow metadata: the number of pairs, then the length and the bytes of each key and value."""
    found = []

    def number() -> int:
        nonlocal address
        address += 4
        return ctypes.c_int32.from_address(address - 4).value

    for _ in range(2 * number()):
        length = number()
        found.append(ctypes.string_at(address, length))
        address += length
    return dict(zip(found[::2], found[1::2], strict=True))


def _children(schema_capsule: object) -> list[_Schema]:
    whole = _Schema.from_address(capsule_pointer(schema_capsule, b"arrow_schema"))
    if not whole.release or whole.format != b"+s":
        raise errors.SchemaError("The schema is not that of a table: a struct of columns.")
    return _inside(whole)


def _inside(schema: _Schema) -> list[_Schema]:
    """The children of a schema."""
    if not schema.n_children:
        return []
    children = (c_void_p * schema.n_children).from_address(schema.children)
    return [_Schema.from_address(child) for child in children]
