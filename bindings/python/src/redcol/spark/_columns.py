# SPDX-License-Identifier: Apache-2.0
"""Spark's columns as Arrow's, and batches of entries in exactly those."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_type, to_arrow_schema
from pyspark.sql.types import StructType

from .. import _arrow_schema, _native, _reading
from .._capsule import Batch
from .._request import read_request
from .._specs import ColumnSpec, EntrySpec, RangeSpec
from ..client import Client
from ..errors import SchemaError, ValueConversionError
from ._options import Settings

KEY, ID, TIMESTAMP, SEQUENCE = "_key", "_id", "_ts", "_seq"


def arrow_schema(schema: StructType) -> pa.Schema:
    """The schema in which Spark wants the batches of a read."""
    return to_arrow_schema(schema, timezone="UTC")


def _asked(schema: pa.Schema) -> pa.Schema:
    """The columns that the library reads, in the types that it has for them."""
    fields = []
    for field in schema:
        type_ = field.type
        if field.name == KEY and pa.types.is_string(type_):
            continue  # the same in all rows: the library does not know it
        if field.name == TIMESTAMP and pa.types.is_timestamp(type_):
            type_ = pa.timestamp("ms", type_.tz)
        elif field.name == SEQUENCE and (pa.types.is_int64(type_) or pa.types.is_decimal(type_)):
            type_ = pa.uint64()
        fields.append(pa.field(field.name, type_))
    return pa.schema(fields)


def read(
    client: Client, settings: Settings, key: str, start: str, end: str, schema: StructType
) -> Iterator[pa.RecordBatch]:
    """The entries of a range of ids, in batches of Spark's columns."""
    target = arrow_schema(schema)
    iterator = _reader(client, settings, key, start, end, _asked(target))
    try:
        for batch in _reading.batches(iterator):
            yield _arranged(batch, key, target)
    finally:
        iterator.free()


def last_id(client: Client, key: str, start: str, end: str, rows: int) -> tuple[str | None, int]:
    """The last id of so many entries of a range, and how many there are. Keeps one batch."""
    no_fields = _arrow_schema.of_capsule(pa.schema([]).__arrow_c_schema__())
    columns = ColumnSpec(schema=no_fields, include_timestamp=False)
    own = {"batch_rows": "65536", "string_layout": "string"}
    request = read_request(key, RangeSpec(start, end, rows), columns, EntrySpec(), own=own)
    iterator = _native.read_streams(
        client._handle, request.streams, request.schema_capsule(), request.options
    )
    last, count = None, 0
    try:
        for batch in _reading.batches(iterator):
            ids = pa.record_batch(batch).column(ID)
            count += len(ids)
            last = ids[len(ids) - 1].as_py() if len(ids) else last
    finally:
        iterator.free()
    return last, count


def check(client: Client, settings: Settings, schema: StructType) -> None:
    """Let the library refuse a schema that it cannot read. Nothing is sent."""
    names = [name.lower() for name in schema.fieldNames()]
    if len(set(names)) != len(names):
        raise SchemaError("Two columns have the same name; Spark does not tell case apart.")
    _reader(client, settings, "", "-", "+", _asked(arrow_schema(schema))).free()


def _reader(
    client: Client, settings: Settings, key: str, start: str, end: str, asked: pa.Schema
) -> _native.Handle:
    columns = ColumnSpec(
        schema=_arrow_schema.of_capsule(asked.__arrow_c_schema__()),
        include_id=ID in asked.names,
        include_timestamp=TIMESTAMP in asked.names,
        missing_field=settings.missing_field,
    )
    own = {"batch_rows": str(settings.batch_size), "string_layout": "string"}
    entries = EntrySpec(settings.on_error)
    request = read_request(key, RangeSpec(start, end), columns, entries, own=own)
    return _native.read_streams(
        client._handle, request.streams, request.schema_capsule(), request.options
    )


def _arranged(batch: Batch, key: str, target: pa.Schema) -> pa.RecordBatch:
    rows = len(batch)
    found = pa.record_batch(batch)
    columns = []
    for field in target:
        if field.name == KEY and pa.types.is_string(field.type):
            column = pa.repeat(pa.scalar(key, field.type), rows)
        else:
            column = found.column(field.name)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except pa.ArrowInvalid as error:
                raise ValueConversionError(
                    f"Column {field.name!r} of stream {key!r} has a value that does not fit "
                    f"{from_arrow_type(field.type).simpleString()}: {error}",
                    stream=key,
                    field=field.name,
                ) from None
        if column.null_count and not field.nullable:
            raise ValueConversionError(
                f"Column {field.name!r} is NOT NULL, but an entry of stream {key!r} has no such "
                "field.",
                stream=key,
                field=field.name,
            )
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=target)


def inferred(found: pa.Schema, *, has_key: bool) -> StructType:
    """Spark's schema of a stream, of which the library found these fields."""
    schema = StructType()
    if has_key:
        schema.add(KEY, "string")
    schema.add(ID, "string").add(TIMESTAMP, "long")
    for field in found:
        schema.add(field.name, from_arrow_type(_in_spark(field.type)))
    return schema


def _in_spark(type_: pa.DataType) -> pa.DataType:
    """A type that Spark has, for one that it lacks."""
    if pa.types.is_string_view(type_) or pa.types.is_large_string(type_):
        return pa.string()
    if pa.types.is_binary_view(type_) or pa.types.is_large_binary(type_):
        return pa.binary()
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", None if type_.tz is None else "UTC")
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(f.name, _in_spark(f.type)) for f in type_])
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return pa.list_(_in_spark(type_.value_type))
    return type_
