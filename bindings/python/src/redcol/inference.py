# SPDX-License-Identifier: Apache-2.0
"""Finding out which dtypes the fields of a stream have, from a sample of its entries."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from . import _arguments, _log, _native, _native_inference, _reading, client
from ._schema_structs import schema_formats
from ._typing import TYPE_CHECKING, pl, requests, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from typing import Final

    from ._specs import ColumnSpec

#: How many entries `schema="infer"` looks at.
SAMPLE: Final = 1_000
_WAIT_MS: Final = 100
#: Options of reads that return entries which come after the sample.
_WAITING: Final = ("follow", "block_ms")


def infer_schema(
    url: str | os.PathLike[str] | Client,
    stream: str | bytes,
    *,
    sample: int = SAMPLE,
    from_: typing.Literal["start", "end"] = "end",
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.Schema:
    """Find out the dtypes of a stream's fields from a sample of its entries.

    A field gets the first of these dtypes that fits all its values in the sample: Int64, Float64,
    Boolean, Date, Datetime (in UTC if each value has an offset), Struct or List (JSON text),
    String, Binary. Each value has been read as a read with this schema reads it, so such a read
    cannot fail on the sample. A later value may not fit (see `on_error` of :func:`read_stream`).
    docs/dtypes.md says which texts each dtype takes. Numbers with a plus or with leading zeros stay
    String, and so do whole numbers beyond 64 bits and floats of more than 17 digits.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: the stream's key.
        sample: how many entries to look at.
        from_: ``"end"`` looks at the newest entries, ``"start"`` at the oldest.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        The fields in the order in which they first appear in the sample, without ``_id`` and
        ``_ts``. Empty if the stream is empty or missing.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        WrongTypeError, PermissionDeniedError, ConnectionFailedError, NameResolutionError,
            TimedOutError, AuthenticationError, ServerLoadingError, ServerError, ProtocolError: as
            in :func:`read_stream`.

    Example:
        >>> import redcol
        >>> dict(redcol.infer_schema("redis://localhost", "events"))
        {'user_id': String, 'action': String, 'value': Int64}
    """
    from ._specs import ColumnSpec

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    count = _arguments.integer("sample", sample, at_least=1)
    from_end = _arguments.one_of("from_", from_, ("start", "end")) == "end"
    key = _arguments.one_key("stream", stream, "look at one of them")
    return _of_table(*_sample(server, key, ColumnSpec(), count, from_end=from_end))


def request(
    server: client.Server,
    columns: ColumnSpec,
    overrides: Mapping[str, typing.Any] | None,
    ask: Callable[[ColumnSpec], requests.Request],
    *,
    is_read_later: bool = False,
) -> requests.Request:
    """What `ask` makes of these columns, with the schema that `schema="infer"` stands for."""
    from dataclasses import replace

    schema = columns.schema
    if isinstance(schema, str):
        if schema != "infer":
            raise InvalidArgumentError(
                f"schema must map column names to dtypes, or be 'infer', not {schema!r}."
            )
        # What cannot be right is refused before anything is sent.
        plain = ask(replace(columns, schema=None, missing_field="null"))
        _reading.check(server, plain)
        if len(plain.streams) != 1:
            raise InvalidArgumentError(
                "schema='infer' looks at one stream: pass the schema that infer_schema returns for "
                "one of them."
            )
        if_missing = plain.options.get("if_missing", "empty")
        schema = _of_table(
            *_sample(
                server, plain.streams[0], columns, SAMPLE, if_missing=if_missing, from_end=True
            )
        )
        if not schema and (is_read_later or not plain.options.keys().isdisjoint(_WAITING)):
            shown = plain.streams[0].decode(errors="backslashreplace")
            _log.warn(
                "schema",
                f"schema='infer' has found no entry in stream {shown!r}: entries that come later "
                "have no column for any of their fields",
            )
    if overrides is not None:
        if not isinstance(schema, Mapping) or not isinstance(overrides, Mapping):
            raise InvalidArgumentError(
                "schema_overrides maps names of columns to dtypes, and needs a schema: a mapping, "
                "or 'infer'."
            )
        schema = {**schema, **overrides}
    return ask(columns if schema is columns.schema else replace(columns, schema=schema))


def arrow_schema(
    server: client.Server,
    columns: ColumnSpec,
    ask: Callable[[ColumnSpec], requests.Request],
    layout: Mapping[str, str],
) -> object:
    """The schema of the sample as an "arrow_schema" capsule, metadata columns included.

    `layout`: the library's option for the layout of strings.
    """
    from dataclasses import replace

    plain = ask(replace(columns, missing_field="null"))
    _reading.check(server, plain)
    table, _ = _sample(server, plain.streams[0], columns, SAMPLE, layout, from_end=True)
    return _native_inference.infer_schema(table)


def _sample(
    server: client.Server,
    stream: bytes,
    columns: ColumnSpec,
    count: int,
    own: Mapping[str, str] | None = None,
    *,
    if_missing: str = "empty",
    from_end: bool,
) -> tuple[_native.Handle, set[str]]:
    """A table of the newest or oldest entries, and the names of its metadata columns."""
    from dataclasses import replace

    from ._request import read_request
    from ._specs import EntrySpec, RangeSpec

    range_ = RangeSpec(
        count=None if from_end else count, last=count if from_end else None, if_missing=if_missing
    )
    wanted = replace(columns, schema=None, missing_field="null", discover="binary")
    made = read_request(stream, range_, wanted, EntrySpec("null"), own=own)
    with client.using(server) as handle, _reading.reading(handle, made) as (iterator, _):
        table = None
        while table is None:  # between two bytecodes Python runs signal handlers
            table = _native.iter_collect(iterator, _WAIT_MS)
    return table, set(made.names.values())


def _of_table(table: _native.Handle, metadata: set[str]) -> pl.Schema:
    import polars

    formats = schema_formats(_native_inference.infer_schema(table))
    return polars.Schema(
        {name: _dtype(form, inside) for name, form, inside in formats if name not in metadata}
    )


def _dtype(form: str, children: list[typing.Any]) -> typing.Any:
    """The Polars dtype of an Arrow format, of those that are inferred."""
    import polars as pl

    if form == "+s":
        return pl.Struct({name: _dtype(inner, inside) for name, inner, inside in children})
    if form == "+L":
        return pl.List(_dtype(*children[0][1:]))
    if form.startswith("ts"):
        return pl.Datetime("us" if form[2] == "u" else "ns", form[4:] or None)
    return {
        "l": pl.Int64, "g": pl.Float64, "b": pl.Boolean, "tdD": pl.Date, "vz": pl.Binary
    }.get(form, pl.String)  # fmt: skip
