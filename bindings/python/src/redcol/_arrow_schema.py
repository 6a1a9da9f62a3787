# SPDX-License-Identifier: Apache-2.0
"""The columns of `read_arrow`: types of any Arrow library. Polars is not needed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from . import _arguments, _native
from . import schema as _schema
from ._typing import TYPE_CHECKING
from .errors import InvalidArgumentError, SchemaError

if TYPE_CHECKING:
    from typing import Any, Final

#: Python types as Arrow formats.
_FORMATS: Final[dict[object, str]] = {
    int: "l",
    float: "g",
    bool: "b",
    date: "tdD",
    datetime: "tsu:",
    time: "ttu",
    timedelta: "tDu",
}


#: Formats of str and bytes.
_LAYOUTS: Final = {"view": ("vu", "vz"), "large": ("U", "Z"), "string": ("u", "z")}


class ArrowColumns(_schema.Columns):
    """The columns that were asked for, as the library takes them."""

    def __init__(self, names: list[str], given: object, categories: dict[str, str]) -> None:
        # Only the names are used: there is no Polars schema here.
        asked: Any = dict.fromkeys(names)
        super().__init__(asked)
        self._given = given
        self._categories = categories

    def capsule(self) -> object:
        """The schema for the library."""
        return self._given

    def options(self) -> dict[str, str]:
        """The allowed values of Enum columns."""
        return self._categories


def parse(schema: object, string_layout: str) -> ArrowColumns | None:
    """The columns of a mapping of names to types, or of an object with `__arrow_c_schema__`.

    None of none, and of "infer", which comes later. `string_layout`: the layout of `str` and
    `bytes`; Arrow has three.
    """
    if schema is None or (isinstance(schema, str) and schema == "infer"):
        return None
    if not isinstance(schema, Mapping):
        given = _capsule(schema)
        if given is None:
            raise InvalidArgumentError(
                "schema must be an Arrow schema (an object with __arrow_c_schema__) or map column "
                f"names to types, not be a {type(schema).__name__}."
            )
        return of_capsule(given)
    columns: dict[str, Any] = {}
    categories: dict[str, str] = {}
    wrapped = set()
    for index, (name, dtype) in enumerate(schema.items()):
        _arguments.text("a column's name", name)
        column: Any = _FORMATS.get(dtype) if isinstance(dtype, type) else None
        if dtype in (str, bytes):
            column = _LAYOUTS[string_layout][dtype is bytes]
        if column is None and _is_polars(dtype):
            asked = _schema.parse({name: dtype})
            column = asked.capsule()
            wrapped.add(name)
            for place, words in asked.options().items():
                categories[place.replace(":0", f":{index}", 1)] = words
        if column is None:
            column = _capsule(dtype)
        if column is None:
            raise SchemaError(
                f"Column {name!r}: {dtype!r} is not an Arrow type. Give a type of pyarrow or "
                "Polars, or str, bytes, int, float, bool, date, datetime, time or timedelta.",
                field=name,
            )
        columns[name] = column
    return ArrowColumns(list(columns), _native.StructSchema(columns, wrapped), categories)


def of_capsule(given: object) -> ArrowColumns:
    """The columns of an "arrow_schema" capsule."""
    return ArrowColumns(_native.schema_names(given), given, {})


def _capsule(given: object) -> object:
    # A class has the method too, but it cannot be called.
    if isinstance(given, type) or not hasattr(given, "__arrow_c_schema__"):
        return None
    return given.__arrow_c_schema__()


def _is_polars(dtype: object) -> bool:
    # Without Polars in the process, nothing can be a dtype of it.
    polars = sys.modules.get("polars")
    if polars is None:
        return False
    kind = dtype if isinstance(dtype, type) else type(dtype)
    return issubclass(kind, polars.DataType)
