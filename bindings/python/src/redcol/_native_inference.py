# SPDX-License-Identifier: Apache-2.0
"""libredcol's inference for Python: which types the values of a table have."""

from __future__ import annotations

from . import _native
from ._library import library
from ._schema_structs import capsule_pointer


def infer_schema(table: _native.Handle) -> object:
    """The columns with the types that their values have, as a new "arrow_schema" capsule."""
    capsule, error = _native.new_schema_capsule(), _native.Handle()
    filled = capsule_pointer(capsule, b"arrow_schema")
    status = library().redcol_infer_schema(table.pointer, filled, error.pointer_reference)
    _native.raise_if_error(status, error)
    return capsule
