# SPDX-License-Identifier: Apache-2.0
"""Streams into files: ``export``."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import click

from ..export import BYTES_PER_FILE, ENDINGS, PARTITIONS, ROWS_PER_FILE, Exported, export_stream
from ..lists import list_streams
from .entries import OnError, schema_options
from .lists import has_times
from .output import Output
from .session import Session, TerminatedError
from .values import DURATION, POSITION, SIZE, STREAM
from .verb import Verb

Tell = Callable[[int, int, "int | None"], None]


@click.command(
    cls=Verb,
    examples=[
        ("redcol export events -o events.parquet", "A stream as one file."),
        ("redcol export events -o archive/ --resume --partition-by day",
         "What is new since the last time, into folders of days."),
        ("redcol export events -o archive/ --resume --follow --every 5m",
         "Until it is stopped: a file appears five minutes after its first entry, or when full."),
        ("redcol export events -o archive/ --resume --group archive",
         "What a group has not got yet. Entries are acknowledged when they are on the disk."),
    ],
)  # fmt: skip
@click.argument("streams", nargs=-1, type=STREAM, required=True, metavar="STREAM...")
@click.option(
    "-o", "--output", "path", required=True, type=click.Path(), help="A file that ends in "
    ".parquet, .csv, .jsonl or .arrow, or a folder.",
)  # fmt: skip
@click.option(
    "-f", "--format", "format_", type=click.Choice(["parquet", "csv", "jsonl", "arrow"]),
    help="The format of the files of a folder. Default: parquet.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on after what the folder's files have.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option(
    "--from", "start", type=POSITION, default="-", metavar="ID|TIME", help="The first entry."
)
@click.option("--to", "end", type=POSITION, default="+", metavar="ID|TIME", help="The last entry.")
@click.option(
    "--rows-per-file", type=click.IntRange(min=1), default=ROWS_PER_FILE, show_default=True,
    metavar="N", help="A file of a folder has at most this many rows.",
)  # fmt: skip
@click.option(
    "--bytes-per-file", type=SIZE, default=f"{BYTES_PER_FILE >> 20}M", show_default=True,
    metavar="SIZE", help="A file of a folder has about this many bytes before compression.",
)  # fmt: skip
@click.option(
    "--partition-by", type=click.Choice(list(PARTITIONS)), help="Folders such as day=2024-01-31."
)
@click.option("--follow", is_flag=True, help="Do not end, but wait for more entries.")
@click.option(
    "--every", type=DURATION, metavar="TIME", help="With --follow, end a file this long after its "
    "first entry has come. Default: 5m.",
)  # fmt: skip
@click.option("--group", help="Read as a member of this group, and acknowledge what is written.")
@click.option("--consumer", default="export", show_default=True, help="The member's name.")
@schema_options
@click.pass_obj
def export(
    session: Session,
    /,
    streams: tuple[str, ...],
    path: str,
    start: str,
    end: str,
    every: int | None,
    format_: Any,
    schema: Any,
    on_error: OnError,
    follow: bool,
    **settings: Any,
) -> None:
    """Write streams into files. Each file is complete or not there.

    A folder's files have their first and last id in their names. After a failure, the same command
    with --resume goes on with the next entry.
    """
    from datetime import timedelta

    if every is not None and not follow:
        raise click.UsageError("--every is for exports that follow: add --follow.")
    if len(streams) > 1 and follow:
        raise click.UsageError("--follow is for one stream: start an export for each.")
    if len(streams) > 1 and os.path.splitext(path)[1].lower() in ENDINGS:
        raise click.UsageError(f"Several streams need a folder, and {path} would be a file.")
    client = session.client()
    output = Output(session, None)
    found = {stream: list_streams(client, [stream]) for stream in streams}
    if schema is None:
        settings["discover"] = "auto"
    done = []
    with _terminates():
        for stream in streams:
            with _progress(session, stream) as tell:
                exported = export_stream(
                    client,
                    stream,
                    path,
                    format=format_,
                    schema=schema,
                    include_timestamp=not len(found[stream]) or has_times(session, found[stream]),
                    on_error=on_error,
                    start_id=start,
                    end_id=end if end != "$" else "+",
                    follow=follow,
                    every=None if every is None else timedelta(milliseconds=every),
                    progress=tell,
                    **settings,
                )
            done.append((stream, exported))
    _show(output, done)


def _show(output: Output, done: list[tuple[str, Exported]]) -> None:
    if output.is_table:
        for stream, exported in done:
            rows, files = f"{exported.rows:,} rows", f"{exported.files:,} files"
            click.echo(f"{stream}: {rows} into {files}, up to entry {exported.last_id}.")
        return
    import polars

    output.write(polars.DataFrame([{"stream": stream, **each._asdict()} for stream, each in done]))
    output.close()


@contextlib.contextmanager
def _progress(session: Session, stream: str) -> Iterator[Tell | None]:
    """A bar on standard error, if a person looks at it."""
    if not session.shows_progress():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=session.console(is_error=True), transient=True) as bar:
        task = bar.add_task(stream, total=None)

        def tell(rows: int, _: int, total: int | None) -> None:
            # The number is an estimate.
            bar.update(task, completed=rows, total=None if total is None else max(rows, total))

        yield tell


@contextlib.contextmanager
def _terminates() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does: what has come is written first."""

    def terminate(_: int, __: FrameType | None) -> None:
        raise TerminatedError

    former = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
