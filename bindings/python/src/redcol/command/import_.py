# SPDX-License-Identifier: Apache-2.0
"""A file's rows as entries of a stream: ``import``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import click

from .. import _arguments
from .._parts import before, entry_id, key
from .._typing import pl
from ..client import Client
from ..errors import InvalidArgumentError, RedcolError
from ..export import ENDINGS
from ..iterator import iter_stream
from ..lists import list_streams
from ..write import write_stream
from .output import Output
from .session import Session
from .values import STREAM
from .verb import Verb

_BATCH = 10_000
#: How much of a pipe is read at once.
PIECE_BYTES = 8 << 20
#: Rows that a message names.
_NAMED_MAX = 20


@click.command(
    "import",
    cls=Verb,
    examples=[
        ("redcol import events.parquet copy", "The rows of a file, under new ids."),
        ("redcol import events.parquet copy --id-column _id --resume",
         "Under their own ids; after a failure, the rows that are missing."),
        ("redcol read events | redcol import - copy --format jsonl --maxlen 1000", "From a pipe."),
    ],
)  # fmt: skip
@click.argument("file", type=click.Path())
@click.argument("stream", type=STREAM)
@click.option(
    "-f", "--format", "format_", type=click.Choice(["parquet", "csv", "jsonl", "arrow"]),
    help="The file's format. Default: by its ending.",
)  # fmt: skip
@click.option("--id-column", metavar="NAME", help="The column of the entries' ids.")
@click.option(
    "--maxlen",
    type=click.IntRange(min=0),
    metavar="N",
    help="Trim the stream to about this many entries.",
)
@click.option(
    "--skip", type=click.IntRange(min=0), default=0, metavar="N", help="Skip this many rows first."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Begin after the row that is the stream's last entry. Needs --id-column.",
)
@click.pass_obj
def import_(
    session: Session,
    /,
    file: str,
    stream: str,
    format_: str | None,
    id_column: str | None,
    maxlen: int | None,
    skip: int,
    resume: bool,
) -> None:
    """Add the rows of FILE to a stream: an entry for each, with a field for each value.

    "-" reads standard input. If the import fails, it says which rows are written.
    """
    import polars

    if resume and id_column is None:
        raise click.UsageError("--resume finds the place by the ids: add --id-column.")
    client = session.client()
    last: str | None = None
    if resume:
        found = list_streams(client, [stream])
        last = found["last_id"].item() if len(found) else None
    ids: list[str | None] = []
    row, written, passed = 0, 0, 0
    missing: list[int] = []
    frames = _batches(file, format_)
    while True:
        try:
            frame = next(frames, None)
        except polars.exceptions.PolarsError:
            if row:  # a pipe, or a large file, in whose middle something is wrong
                session.say(f"redcol: {_written_before(row)} To go on: --skip {row}.")
            raise
        if frame is None:
            break
        begin, row = row, row + len(frame)
        rest = frame.slice(max(skip - begin, 0))
        if last is not None and id_column is not None and len(rest):
            keys = _keys(rest[id_column], row - len(rest))
            later = rest.filter(polars.Series([each > key(last) for each in keys]))
            passed += len(rest) - len(later)
            missing += _missing(client, stream, keys, last, row - len(rest))
            rest = later
        if not len(rest):
            continue
        first = row - len(rest)
        try:
            made = write_stream(client, rest, stream, id_column=id_column, maxlen=maxlen)
        except (RedcolError, KeyboardInterrupt) as error:
            session.say(f"redcol: {_told(error, first)}")
            raise
        written += len(made) - made.null_count()
        ids += [made[0], made[-1]]
    if passed:
        session.say(
            f"redcol: passed over {passed:,} rows that are not after {last}, "
            "the stream's last entry."
        )
    if missing:
        named = ", ".join(f"{each:,}" for each in missing[:_NAMED_MAX])
        more = f" and {len(missing) - _NAMED_MAX:,} more" if len(missing) > _NAMED_MAX else ""
        session.say(
            f"redcol: these rows are not in the stream: {named}{more}. They were refused, trimmed "
            "or deleted, and the server takes no ids before its last entry."
        )
    output = Output(session, None)
    if output.is_table:
        click.echo(f"Wrote {written:,} entries to {stream!r}.")
        return
    result = {"stream": [stream], "written": [written], "last_id": [ids[-1] if ids else None]}
    output.write(polars.DataFrame(result, schema_overrides={"last_id": polars.String}))
    output.close()


def _keys(ids: pl.Series, first: int) -> list[str]:
    """The ids of rows in a form that sorts as they do. `first`: the rows before them."""
    keys = []
    for place, value in enumerate(ids, 1):
        try:
            keys.append(key(_arguments.entry_id("the id", value)))
        except InvalidArgumentError:
            raise click.ClickException(
                f"row {first + place:,} has the id {value!r}, but --resume compares ids: each row "
                "needs a whole one, such as 1704067200000-0, or its milliseconds."
            ) from None
    return keys


def _missing(client: Client, stream: str, keys: list[str], last: str, first: int) -> Iterator[int]:
    """The rows, counted from 1, whose ids the stream has passed and does not have."""
    passed = {each: first + place for place, each in enumerate(keys, 1) if each <= key(last)}
    if not passed:
        return
    with iter_stream(
        client,
        stream,
        schema={},
        include_timestamp=False,
        batch_size=_BATCH,
        block_ms=None,
        on_idle="stop",
        start_id=before(entry_id(min(passed))),
        end_id=entry_id(max(passed)),
    ) as batches:
        for frame in batches:
            for value in frame["_id"]:
                passed.pop(key(value), None)
    yield from passed.values()


def _told(error: BaseException, first: int) -> str:
    """Which rows of the file are written after a failure, counted from 1."""
    told: Any = error
    if told.written is None:
        return _written_before(first)
    unknown, refused = told.unknown_rows or [], told.refused_rows or []
    sure = unknown[0] if unknown else told.written + len(refused)
    if refused:
        rows = ", ".join(f"{first + each + 1:,}" for each in refused)
        text = (
            f"Of the first {first + sure:,} rows the server refused {rows}; the others are written"
        )
    else:
        text = f"The first {first + sure:,} rows are written"
    if unknown:
        text += (
            f"; rows {first + unknown[0] + 1:,} to {first + unknown[-1] + 1:,} were sent, and may "
            "be written or not"
        )
    return f"{text}; no other is. To go on: --skip {first + sure}."


def _written_before(row: int) -> str:
    return f"The first {row:,} rows are written, and no other."


def _batches(file: str, format_: str | None) -> Iterator[pl.DataFrame]:
    """The rows of a file. Text stays as it is."""
    ending = f".{format_}" if format_ else ENDINGS.get(os.path.splitext(file)[1].lower())
    if ending is None:
        raise click.UsageError(f"The ending of {file} does not say what it is: add --format.")
    if file != "-" and not os.path.isfile(file):
        raise click.ClickException(f"there is no file {file}.")
    if file != "-":
        sources: Iterator[str | bytes] = iter([file])
    elif ending in (".csv", ".jsonl"):
        sources = pieces(sys.stdin.buffer, is_csv=ending == ".csv")
    else:  # what is where is said at their ends
        sources = iter([sys.stdin.buffer.read()])
    for source in sources:
        yield from _frames(source, ending)


def _frames(source: str | bytes, ending: str) -> Iterator[pl.DataFrame]:
    """The rows of a file, or of what was in one."""
    import polars

    readers: dict[str, Any] = {
        ".parquet": polars.scan_parquet,
        ".csv": lambda source: polars.scan_csv(source, infer_schema=False),
        # A field may be in the last line only, or be a number in all lines but one.
        ".jsonl": lambda source: polars.scan_ndjson(source, infer_schema_length=None),
        ".arrow": polars.scan_ipc,
    }
    lazy = readers[ending](source)
    if ending == ".csv" and {"_id", "_ts"} <= set(lazy.collect_schema()):
        lazy = lazy.with_columns(polars.col("_ts").cast(polars.Int64))
    if hasattr(lazy, "collect_batches"):
        for batch in lazy.collect_batches(chunk_size=_BATCH, maintain_order=True):
            yield from batch.iter_slices(_BATCH)
    else:
        yield from lazy.collect().iter_slices(_BATCH)


def pieces(pipe: BinaryIO, *, is_csv: bool, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """The lines of a pipe in pieces of about `size` bytes.

    `is_csv`: each piece begins with the first row, and a line break between quotes ends no row.
    Otherwise there is no piece of blank lines alone, in which Polars finds no columns.
    """
    header, rest = b"", b""
    is_first, is_last = True, False
    while not is_last:
        more = pipe.read(size)
        rest += more
        is_last = len(more) < size
        end = len(rest) if is_last else _end_of_rows(rest, is_csv=is_csv)
        piece, rest = rest[:end], rest[end:]
        if (piece if is_csv else piece.strip()) or (is_first and is_last):
            yield header + piece
            if is_csv and is_first:
                header = piece[: _end_of_first_row(piece)]
            is_first = False


def _end_of_rows(text: bytes, *, is_csv: bool) -> int:
    """Where the last whole row ends; 0 if there is none."""
    end = text.rfind(b"\n")
    if not is_csv:
        return end + 1
    quotes, place = text.count(b'"'), len(text)
    while end >= 0:
        quotes -= text.count(b'"', end, place)
        if quotes % 2 == 0:  # a quote inside quotes is doubled
            return end + 1
        place, end = end, text.rfind(b"\n", 0, end)
    return 0


def _end_of_first_row(text: bytes) -> int:
    """Where the first row of CSV ends, which is whole."""
    quotes, place = 0, 0
    while (end := text.find(b"\n", place)) >= 0:
        quotes += text.count(b'"', place, end)
        place = end + 1
        if quotes % 2 == 0:
            break
    return place
