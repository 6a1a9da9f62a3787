# SPDX-License-Identifier: Apache-2.0
"""A stream into files: whole ones only, and after a failure it goes on where it was."""

from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Callable, Mapping
from datetime import date, timedelta

from . import _arguments, client
from ._typing import TYPE_CHECKING, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from typing import Final

ROWS_PER_FILE: Final = 1_000_000
BYTES_PER_FILE: Final = 64 << 20
#: With `follow`, how long a file collects entries if nothing is said.
EVERY_MS: Final = 300_000
#: The endings of files, and the one that files of a folder of this format have.
ENDINGS: Final = {
    ".parquet": ".parquet",
    ".pq": ".parquet",
    ".csv": ".csv",
    ".jsonl": ".jsonl",
    ".ndjson": ".jsonl",
    ".arrow": ".arrow",
    ".ipc": ".arrow",
    ".feather": ".arrow",
}
_FORMATS: Final = ("parquet", "csv", "jsonl", "arrow")
PARTITIONS: Final = {
    "year": "year=%Y",
    "month": "month=%Y-%m",
    "day": "day=%Y-%m-%d",
    "hour": "hour=%Y-%m-%dT%H",
}


class Exported(namedtuple("Exported", "rows files last_id")):
    """What an export has written."""

    __slots__ = ()
    rows: int
    """Rows."""
    files: int
    """Files."""
    last_id: str | None
    """The largest entry id in them; None if there were no entries."""


def export_stream(
    url: str | os.PathLike[str] | Client,
    stream: str | bytes,
    path: str | os.PathLike[str],
    *,
    format: typing.Literal["parquet", "csv", "jsonl", "arrow"] | None = None,  # noqa: A002
    schema: Mapping[str, typing.Any] | None = None,
    start_id: str | int | date = "-",
    end_id: str | int | date = "+",
    resume: bool = False,
    overwrite: bool = False,
    rows_per_file: int = ROWS_PER_FILE,
    bytes_per_file: int = BYTES_PER_FILE,
    partition_by: typing.Literal["year", "month", "day", "hour"] | None = None,
    follow: bool = False,
    every: int | timedelta | None = None,
    group: str | bytes | None = None,
    consumer: str | bytes = "export",
    claim_idle_ms: int | None = None,
    include_timestamp: bool = True,
    on_error: typing.Literal["raise", "null", "skip"] = "raise",
    discover: typing.Literal["string", "binary", "auto"] = "string",
    progress: Callable[[int, int, int | None], object] | None = None,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> Exported:
    """Write a stream's entries into a file, or into the files of a folder, in bounded memory.

    A file appears when all of it is on the disk: it is written under a temporary name, synced and
    renamed. A file in a folder has the ids of its first and its last entry in its name. So a killed
    export goes on where it was with ``resume=True``: no entry is missing, and none is there twice.
    It reads up to the entry that is the last when it begins, or follows the stream.

    In a group, entries are acknowledged after their file has its name. If the export is killed in
    between, they come again and are not written twice: redcol looks into the files whose names say
    that they may have them. docs/exporting.md says more about this.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        stream: the stream's key.
        path: a file that ends in ``.parquet``, ``.csv``, ``.jsonl`` or ``.arrow``, or a folder,
            which is created.
        format: of the files of a folder: ``"parquet"`` if None, ``"csv"``, ``"jsonl"`` or
            ``"arrow"``.
        schema: column names to dtypes, as in :func:`read_stream`. Without a schema every field is a
            String column. In a folder, a new file then begins before the first batch with a new
            field; for a single file, redcol first reads the stream once to find the fields.
            ``"infer"`` is as in :func:`read_stream`.
        start_id: where to begin, inclusive, as in :func:`read_stream`, but not a time before now.
            Not with `group`.
        end_id: where to end, inclusive, likewise. Not with `group`.
        resume: go on after the entries that the folder's files have. Without it, a folder with
            files of this stream is an error.
        overwrite: replace a file that is there, if `path` is a file.
        rows_per_file: the largest number of rows of a file in a folder.
        bytes_per_file: a file in a folder ends after about this many bytes of columns, before they
            are compressed. They are kept in memory until then.
        partition_by: put files into folders such as ``day=2024-01-31``, by the times in the
            entries' ids (UTC).
        follow: do not end, but wait for more entries.
        every: with `follow`, end a file this long after its first row has come: whole seconds, or a
            timedelta; five minutes if None.
        group: read as a member of this group, which is created if it is missing.
        consumer: the member's name. Keep it over restarts.
        claim_idle_ms: take over entries that another member has held for this long, in
            milliseconds. It must be more than `every`. None never does.
        include_timestamp: whether there is a column of the ids' milliseconds (Int64). Leave it out
            where ids are beyond Int64.
        on_error: what happens to a value that does not fit its column: ``"raise"``, ``"null"`` or
            ``"skip"``, as in :func:`read_stream`.
        discover: the dtype of columns without a schema: ``"string"``, ``"binary"`` or ``"auto"``,
            as in :func:`read_stream`.
        progress: a function that is called after each batch with the number of rows, the bytes of
            their columns (0 for a single file), and the total number of rows (an estimate; None if
            nobody knows). What it raises ends the export.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        How many rows and files were written, and the last entry's id. If an export into a folder is
        interrupted or fails while it reads, what has come is written first.

    Raises:
        InvalidArgumentError: an argument that cannot be right, a file that is there, or a folder
            with files without `resume`.
        BusyError: another export writes into this folder.
        RedcolError: the stream was deleted and began again with smaller ids.
        OSError, polars.exceptions.PolarsError: a file cannot be written. The temporary file is
            removed.
        ValueConversionError and others: what :func:`iter_stream` raises.

    Example:
        >>> import tempfile
        >>> import polars as pl
        >>> import redcol
        >>> folder = tempfile.mkdtemp()
        >>> redcol.export_stream("redis://localhost", "events", folder, schema={"value": int})
        Exported(rows=2, files=1, last_id='1704067200001-0')
        >>> redcol.export_stream(
        ...     "redis://localhost", "events", folder, schema={"value": int}, resume=True
        ... )
        Exported(rows=0, files=0, last_id=None)
        >>> pl.read_parquet(f"{folder}/*.parquet")["value"].sum()
        30
    """
    from ._exporting import Cuts, into_file, into_folder

    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    key = _arguments.filled_key("stream", stream)
    target, ending, is_folder = _target(path, format)
    for name, value in (
        ("resume", resume),
        ("overwrite", overwrite),
        ("follow", follow),
        ("include_timestamp", include_timestamp),
    ):
        _arguments.flag(name, value)
    if partition_by is not None:
        _arguments.one_of("partition_by", partition_by, tuple(PARTITIONS))
    if every is not None and not follow:
        raise InvalidArgumentError("every is for exports that follow: add follow=True.")
    if group is not None and (start_id != "-" or end_id != "+"):
        raise InvalidArgumentError("A group has its own position: leave out start_id and end_id.")
    # A single file and a folder take the same times.
    _arguments.range_end("start_id", start_id)
    _arguments.range_end("end_id", end_id)
    if progress is not None and not callable(progress):
        raise InvalidArgumentError("progress must be a function of rows, bytes and total.")
    cuts = Cuts(
        rows=_arguments.integer("rows_per_file", rows_per_file, at_least=1),
        size=_arguments.integer("bytes_per_file", bytes_per_file, at_least=1),
        every_ms=EVERY_MS if every is None else _arguments.ttl_milliseconds("every", every),
        partition=None if partition_by is None else PARTITIONS[partition_by],
        follows=follow,
    )
    read: dict[str, typing.Any] = {"schema": schema, "on_error": on_error}
    read["include_timestamp"] = include_timestamp
    if schema is None:
        read["discover"] = discover
    if group is None:
        read |= {"start_id": start_id, "end_id": end_id}
    else:
        read |= {"group": group, "consumer": consumer, "claim_idle_ms": claim_idle_ms}
    if is_folder and overwrite:
        raise InvalidArgumentError("overwrite is for a path that is a file, not a folder.")
    if not is_folder and (resume or follow or group is not None or partition_by is not None):
        raise InvalidArgumentError(
            "resume, follow, group and partition_by are for folders: they need several files. "
            f"{target} would be one file."
        )
    # One connection for everything.
    connection = server.client or Client(server.open(), server.shown())
    try:
        if is_folder:
            return into_folder(connection, key, target, ending, resume, cuts, read, progress)
        return into_file(connection, key, target, ending, overwrite, read, progress)
    finally:
        if server.client is None:
            connection.close()


def _target(path: str | os.PathLike[str], format_: str | None) -> tuple[str, str, bool]:
    """The path, the ending of its files, and whether it is a folder."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidArgumentError(f"path must be a path, not {_arguments.kind(path)}.")
    target = os.fspath(path)
    if not isinstance(target, str) or not target or "\0" in target:
        raise InvalidArgumentError("path must be the path of a file or a folder.")
    if "://" in target:
        raise InvalidArgumentError(
            f"{target} is not a path: redcol exports into files. scan_stream(…).sink_parquet "
            "writes to where Polars can write."
        )
    ending = ENDINGS.get(os.path.splitext(target)[1].lower())
    if ending is None or os.path.isdir(target) or target.endswith("/"):
        chosen = "parquet" if format_ is None else _arguments.one_of("format", format_, _FORMATS)
        return target, f".{chosen}", True
    if format_ is not None and f".{format_}" != ending:
        raise InvalidArgumentError(f"{target} does not end like a file of format {format_!r}.")
    return target, ending, False
