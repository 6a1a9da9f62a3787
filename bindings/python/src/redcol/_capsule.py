# SPDX-License-Identifier: Apache-2.0
"""A batch of columns from the library, in the capsules of the Arrow PyCapsule interface."""

from __future__ import annotations

from . import _native
from .errors import ClosedError


class Batch:
    """One struct array and its schema. The array can be taken once; its memory moves to the taker.

    https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
    """

    __slots__ = ("_array", "_length", "_schema")

    def __init__(self, slot: _native.Slot) -> None:
        self._schema: object | None = slot.schema
        self._array: object | None = slot.array
        self._length = slot.rows()

    def __len__(self) -> int:
        """Number of rows; still known after the batch was taken."""
        return self._length

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """The two capsules. `requested_schema` is ignored, which the protocol allows."""
        schema, array = self._schema, self._array
        if schema is None or array is None:
            raise ClosedError("This batch was taken before; a batch can be taken once.")
        self._schema = self._array = None
        return schema, array

    def fields(self) -> dict[str, str]:
        """The fields of columns that have other names, as long as the batch was not taken."""
        return {} if self._schema is None else _native.schema_fields(self._schema)

    def __arrow_c_schema__(self) -> object:
        """A copy of the schema, as long as the batch was not taken."""
        if self._schema is None:
            raise ClosedError("This batch was taken before, and its schema with it.")
        return _native.copy_schema(self._schema)
