# SPDX-License-Identifier: Apache-2.0
"""libredcol's inference for Python: which types the values of a table have."""

from __future__ import annotations

from . import _native
from ._library import library
from ._schema_structs import capsule_pointer, schema_fields, schema_formats
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def infer_schema(table: _native.Handle) -> object:
    """The columns with the types that their values have, as a new "arrow_schema" capsule."""
    capsule, error = _native.new_schema_capsule(), _native.Handle()
    filled = capsule_pointer(capsule, b"arrow_schema")
    status = library().redcol_infer_schema(table.pointer, filled, error.pointer_reference)
    _native.raise_if_error(status, error)
    return capsule


def inferred_formats(
    table: _native.Handle,
) -> tuple[list[tuple[str, str, list[Any]]], dict[str, str]]:
    """Name, Arrow format and children of each of these columns; the fields of renamed ones."""
    schema = infer_schema(table)
    return schema_formats(schema), schema_fields(schema)
