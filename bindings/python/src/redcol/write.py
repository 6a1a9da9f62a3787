# SPDX-License-Identifier: Apache-2.0
"""Writing a frame's rows as entries of streams, or as hashes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta

from . import _arguments, _native, _progress, client
from ._capsule import Batch
from ._prepare import prepared
from ._typing import TYPE_CHECKING, pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import OutOfMemoryError, RedcolError

if TYPE_CHECKING:
    from typing import Final, Protocol
else:
    Protocol = object


class Frame(Protocol):
    """A frame of any Arrow library: Polars, pandas, pyarrow, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The frame as an "arrow_array_stream" capsule."""


#: How long one call into the library takes, at most, before Python checks for signals.
_WAIT_MS: Final = 100
#: How long an interrupted write waits for the answers to what it has sent.
_LAST_ANSWERS_MS: Final = 100


def write_stream(
    url: str | Client,
    df: pl.DataFrame | Frame,
    stream: str | bytes | None = None,
    *,
    id_column: str | None = None,
    maxlen: int | None = None,
    min_id: str | int | None = None,
    approximate: bool = True,
    stream_column: str | None = None,
    metadata: typing.Literal["check", "omit", "write"] = "check",
    progress: bool | Callable[[int, int, int | None], object] = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> pl.Series:
    """Append a frame's rows to a stream, or to many: one entry per row, in the frame's order.

    Each column becomes the field of its name, as text: what ``write_csv`` would write, without
    quotes. Binary is written as it is, Duration as ISO 8601 (``PT1.5S``), List, Array and Struct as
    JSON. Nulls are not written. ``read_stream`` with the frame's schema returns the same values.

    A frame that was read can be written: under new ids, or with ``id_column="_id"`` under its own.
    Metadata columns, which readers add, are not fields and are not written as fields; see
    `metadata`. docs/writing.md says more about this.

    Entries are not written as one transaction. If something goes wrong, the exception says what
    happened to each row: ``error.ids`` has the ids of the rows that are written, and null for the
    others. ``error.unknown_rows`` are the rows that were sent and whose answer is missing: each of
    them may be written or not. No row after them was sent. An entry is never sent twice.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        df: a Polars DataFrame, or any frame with ``__arrow_c_stream__`` (pandas, pyarrow, …). Times
            with a time zone are written in their zone if it is a Polars frame, else in UTC.
        stream: the stream's key. It is created if it is missing.
        id_column: the column of the entries' ids: String (``"5-1"``, ``"5"``, ``"5-*"``) or
            integers (milliseconds). The server chooses the id of a row with null, and the ids of
            all rows without an ``id_column``. Ids must increase: the server refuses others.
        maxlen: trim the stream to this many entries.
        min_id: trim entries with smaller ids: an id, or its milliseconds as str or int.
        approximate: trim only where that costs little (``~``); False trims exactly.
        stream_column: the column with each row's stream, in place of ``stream``. It is not written
            as a field.
        metadata: what happens to metadata columns: ``_id`` (String), ``_ts`` (Int64 or Datetime),
            ``_seq`` (UInt64), ``_stream`` and ``_key`` (String) and ``_index`` (UInt64).
            ``"check"`` leaves the first three out if each row shows that nothing is lost: ``_id``
            is a whole entry id, and the others are its milliseconds and its sequence number
            (``_id`` is the frame's column, else `id_column`), each null or not. Otherwise they are
            an error. The last three are an error too (except as `stream_column`), because you may
            want them written. ``"omit"`` leaves all six out. ``"write"`` writes all six as fields.
        progress: True shows a bar of tqdm, in a terminal or a notebook (``pip install
            "redcol[progress]"``). A function is called with the number of leading rows whose
            outcome is known, the bytes sent so far, and the total number of rows (None if the
            frame does not say it): at most about ten times a second, and at the end. An exception
            of the function ends the write, as any other exception does.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        The entries' ids (String), one per row. A row with nothing but nulls is not written, because
        an entry must have a field; its id is null.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a column that cannot be written, or one for which `metadata` must say whether
            to write it; nothing was sent.
        ValueConversionError: text that is not an id, a null stream, a value that no text can hold,
            such as NaN in a List, or one that does not match the row's id (see `metadata`). The
            error names row and field.
        ServerError: the server refused a row: no memory, a read-only replica, an id that is not
            larger than the last one, ….
        WrongTypeError: the key holds something that is not a stream.
        PermissionDeniedError: the user may not write it (needed: ``+xadd`` and ``%W~key``).
        ConnectionFailedError, NameResolutionError, TimedOutError, AuthenticationError,
            UnsupportedError, ProtocolError: as their names say.

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> df = pl.DataFrame({"sensor": ["a", "b"], "value": [20.5, None]})
        >>> len(redcol.write_stream("redis://localhost", df, "readings", maxlen=100_000))
        2
        >>> redcol.read_stream("redis://localhost", "readings", schema=df.schema).drop("_id", "_ts")
        shape: (2, 2)
        ┌────────┬───────┐
        │ sensor ┆ value │
        │ ---    ┆ ---   │
        │ str    ┆ f64   │
        ╞════════╪═══════╡
        │ a      ┆ 20.5  │
        │ b      ┆ null  │
        └────────┴───────┘
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    options = {
        "metadata": _arguments.one_of("metadata", metadata, ("check", "omit", "write")),
    }
    key = None if stream is None else _arguments.key("stream", stream)
    how = _arguments.flag("approximate", approximate)
    # Where nothing is trimmed, the library refuses it, and a default is no mistake.
    if maxlen is not None or min_id is not None or not approximate:
        options["approximate"] = how
    if maxlen is not None:
        options["maxlen"] = str(_arguments.integer("maxlen", maxlen, at_least=0))
    if min_id is not None:
        options["min_id"] = _arguments.entry_id("min_id", min_id)
    for name, column in (("id_column", id_column), ("stream_column", stream_column)):
        if column is not None:
            options[name] = _arguments.text(name, column)
    return append(server, key, df, options, _progress.of(progress))


def append(
    server: client.Server,
    key: bytes | None,
    df: pl.DataFrame | Frame,
    options: dict[str, str],
    told: _progress.Progress,
) -> pl.Series:
    """Append a frame's rows, with the options of the library. Returns the entries' ids."""
    stream_column, id_column = options.get("stream_column"), options.get("id_column")
    kept = () if options["metadata"] == "write" else ("_ts",)
    frame, height = prepared(df, kept, stream_column=stream_column, id_column=id_column)
    _check(server, key, frame, options)
    with client.using(server) as handle:
        writer = _native.write_stream(handle, key, frame.__arrow_c_stream__(), options)
        try:
            run(writer, frame, told, height)
        except BaseException as error:
            tell(error, writer, height, has_ids=True)
            raise
        else:
            try:
                return _ids(writer, height)
            except OutOfMemoryError as error:
                tell(error, writer, height, has_ids=False)
                raise
        finally:
            writer.free()


def write_hashes(
    url: str | Client,
    df: pl.DataFrame | Frame,
    *,
    key_column: str = "_key",
    key_prefix: str = "",
    ttl: int | timedelta | None = None,
    if_exists: typing.Literal["replace", "append", "fail"] = "replace",
    progress: bool | Callable[[int, int, int | None], object] = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> int:
    """Write a frame's rows as hashes: one key per row, with a field for each value.

    Values are written as in :func:`redcol.write_stream`; nulls are not written. Each key is written
    as a whole or not at all, but the keys of a frame are not one transaction. Rows are written in
    order: of rows with the same key, the last one counts. If the connection is lost, redcol sends
    rows again where that does no harm (``"replace"``, ``"append"``); so it is safe to call this
    again after an exception. With ``"fail"`` nothing is sent twice. An exception says which rows
    are not written: ``error.refused_rows``, and ``error.unknown_rows``, each of which may be
    written or not. Rows after these were not sent.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        df: a Polars DataFrame, or any frame with ``__arrow_c_stream__`` (pandas, pyarrow, …). Times
            with a time zone are written in their zone if it is a Polars frame, else in UTC.
        key_column: the column of the keys, of any dtype that is not nested. It is not written as a
            field. A null key is an error; in a Polars frame it is found before anything is sent.
        key_prefix: text before each key.
        ttl: how long the keys live: seconds, or a timedelta of at least a millisecond. None keeps
            them forever, but a hash that is appended to keeps the time that it has.
        if_exists: what happens to a key that exists. ``"replace"``: after that it has the row's
            fields and no others, whatever it held before, also a value of another type; a row with
            nothing but nulls deletes it. ``"append"``: the row's fields are set, others stay.
            ``"fail"``: KeyExistsError, and the key stays as it is; rows before it stay written, and
            so do later rows that had been sent: see ``error.refused_rows``. A row with nothing but
            nulls does nothing with the last two.
        progress: as in :func:`redcol.write_stream`.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        How many keys were written. A key that is in the frame twice counts twice, and a row with
        nothing but nulls does not count.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a column that cannot be written; nothing was sent.
        ValueConversionError: a null key, or a value that no text can hold. The error names the row.
        KeyExistsError: a key exists, with ``if_exists="fail"``.
        WrongTypeError: with ``"append"``, a key that holds something that is not a hash.
        PermissionDeniedError: the user may not do it. ``"replace"`` needs ``+multi +exec +del
            +hset``, ``"append"`` ``+hset``, ``"fail"`` ``+eval +exists +hset``, a `ttl`
            ``+pexpire`` (with ``"append"`` ``+eval`` too), and all ``~key``.
        ServerError, ConnectionFailedError, NameResolutionError, TimedOutError,
            AuthenticationError, UnsupportedError, ProtocolError: as their names say. Each names
            row and key (``error.row``, ``error.key``) where one is at fault, and says how many
            were written (``error.written``).

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> stats = pl.DataFrame({"sensor": ["a", "b"], "avg": [20.5, 21.0], "count": [4, 2]})
        >>> redcol.write_hashes(
        ...     "redis://localhost", stats, key_column="sensor", key_prefix="stats:", ttl=3600
        ... )
        2
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    options = {
        "key_column": _arguments.text("key_column", key_column),
        "key_prefix": _arguments.text("key_prefix", key_prefix),
        "if_exists": _arguments.one_of("if_exists", if_exists, ("replace", "append", "fail")),
    }
    if ttl is not None:
        options["ttl_ms"] = str(_arguments.ttl_milliseconds("ttl", ttl))
    frame, height = prepared(df, key_column=key_column)
    told = _progress.of(progress)
    with client.using(server) as handle:
        writer = _native.write_hashes(handle, frame.__arrow_c_stream__(), options)
        try:
            run(writer, frame, told, height)
            return _native.writer_statistic(writer, "written")
        except BaseException as error:
            tell(error, writer, height, has_ids=False)
            raise
        finally:
            writer.free()


def _check(
    server: client.Server, key: bytes | None, frame: typing.Any, options: dict[str, str]
) -> None:
    """Let the library refuse arguments that do not go together, before it connects.

    It does so when a writer is made. Only a frame of Polars can be asked twice for its columns.
    """
    import polars

    others = ("stream_column", "maxlen", "min_id", "approximate")
    is_simple = key is not None and options.keys().isdisjoint(others)
    if is_simple or server.client is not None or not isinstance(frame, polars.DataFrame):
        return
    with client.unconnected(server) as handle:
        columns = frame.clear().__arrow_c_stream__()
        _native.write_stream(handle, key, columns, options).free()


def run(
    writer: _native.Handle, frame: object, told: _progress.Progress, height: int | None
) -> None:
    """Write everything. Ctrl-C works meanwhile. `frame` stays alive until the end."""
    with told:
        told.begin_write(writer, height)
        while _native.writer_run(writer, _WAIT_MS) == _native.TIMEOUT:
            told.tick()  # between two bytecodes Python runs signal handlers
        told.end()


def _ids(writer: _native.Handle, height: int | None) -> pl.Series:
    """The ids of all rows that are known; null for later rows."""
    import polars as pl

    slot = _native.Slot()
    _native.writer_ids(writer, slot)
    ids = pl.DataFrame(Batch(slot))["_id"]
    if height is not None and len(ids) < height:
        ids = ids.extend_constant(None, height - len(ids))
    return ids


def tell(
    error: BaseException, writer: _native.Handle, height: int | None, *, has_ids: bool
) -> None:
    """Put into an exception (also a KeyboardInterrupt) how far the write has come."""
    refused: list[int] | None = None
    scattered: typing.Sequence[int] | None = None
    if isinstance(error, RedcolError):
        refused, scattered = error.refused_rows, error.unknown_rows
    else:
        try:
            _native.writer_stop(writer, _LAST_ANSWERS_MS)
        except RedcolError as other:  # the counts below are right without it
            refused, scattered = other.refused_rows, other.unknown_rows
    known = _native.writer_statistic(writer, "known")
    unknown = _native.writer_statistic(writer, "unknown")
    told: typing.Any = error
    told.written = _native.writer_statistic(writer, "written")
    told.refused_rows = refused or []
    told.unknown_rows = range(known, known + unknown) if scattered is None else scattered
    if has_ids:
        with contextlib.suppress(OutOfMemoryError):  # keep the first error
            told.ids = _ids(writer, height)
