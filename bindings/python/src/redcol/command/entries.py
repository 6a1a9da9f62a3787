# SPDX-License-Identifier: Apache-2.0
"""Entries to the output: ``peek`` and ``read``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import click

from .._parts import before
from .._typing import pl
from .lists import has_times, known
from .output import Output, format_option
from .sample import Numbers, discovering
from .session import Session
from .values import POSITION, SCHEMA, STREAM
from .verb import Verb

OnError = Literal["raise", "null", "skip"]
#: Rows that are written at once.
_BATCH = 10_000


def schema_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the options of how values are read."""
    schema = click.option(
        "--schema",
        type=SCHEMA,
        metavar="COLUMNS",
        help="The columns and their dtypes, such as user:str,value:i64,at:datetime[ms]; or infer, "
        "which finds the dtypes from the newest entries. Default: every field as text.",
    )
    on_error = click.option(
        "--on-error",
        type=click.Choice(["raise", "null", "skip"]),
        default="raise",
        help="A value that does not fit its column: raise an error, make it null, or skip its "
        "entry.",
    )
    return schema(on_error(function))


columns_option = click.option(
    "--columns", metavar="NAMES", help="Only these columns, such as _id,user,value."
)


@click.command(
    cls=Verb,
    examples=[
        ("redcol peek events", "The first ten entries."),
        ("redcol peek events -n 2 --last", "The two newest ones."),
        ("redcol peek events --schema user_id:str,value:i64 -f json", "With dtypes, as JSON."),
    ],
)
@click.argument("stream", type=STREAM)
@click.option(
    "-n", "--count", type=click.IntRange(min=0), default=10, show_default=True,
    help="How many entries.",
)  # fmt: skip
@click.option("--last", is_flag=True, help="Show the newest entries instead of the first.")
@schema_options
@columns_option
@format_option
@click.pass_obj
def peek(
    session: Session,
    stream: str,
    count: int,
    last: bool,
    schema: Any,
    on_error: OnError,
    columns: str | None,
    format_: str | None,
) -> None:
    """Show the first entries of a stream, or the last ones."""
    from ..stream import read_stream

    client = session.client()
    output = Output(session, format_)
    with_times = has_times(session, known(session, stream))
    frame = read_stream(
        client,
        stream,
        schema=schema,
        include_timestamp=with_times,
        count=None if last else count,
        last=count if last else None,
        on_error=on_error,
        discover=discovering(schema),
    )
    numbers = Numbers(client, stream, output, schema)
    output.write(chosen(numbers.of(frame), None, columns))
    output.close()


@click.command(
    cls=Verb,
    examples=[
        ("redcol read events --from 2024-01-01 --to 2024-01-02", "All entries between two times."),
        ("redcol read events --from -10m", "Those of the last ten minutes."),
        ("redcol read events --schema action:str,value:i64 --where \"action = 'click'\"",
         "Those that a condition in SQL is true for."),
        ("redcol read events -f parquet > events.parquet", "All entries, as a file."),
    ],
)  # fmt: skip
@click.argument("stream", type=STREAM)
@click.option(
    "--from", "start", type=POSITION, default="-", metavar="ID|TIME", help="The first entry: an "
    "id, a time (UTC) such as 2024-01-31T12:00, or how long ago, such as -10m.",
)  # fmt: skip
@click.option("--to", "end", type=POSITION, default="+", metavar="ID|TIME", help="The last entry.")
@click.option("--where", metavar="EXPR", help="Only rows that this SQL condition is true for.")
@click.option("-n", "--count", type=click.IntRange(min=0), help="Read at most this many entries.")
@schema_options
@columns_option
@format_option
@click.pass_obj
def read(
    session: Session,
    stream: str,
    start: str,
    end: str,
    where: str | None,
    count: int | None,
    schema: Any,
    on_error: OnError,
    columns: str | None,
    format_: str | None,
) -> None:
    """Write the entries of a range to the output, oldest first.

    It ends with the entry that is the last when it begins.
    """
    from ..iterator import iter_stream

    client = session.client()
    output = Output(session, format_)
    found = known(session, stream)
    last_id, with_times = found["last_id"].item(), has_times(session, found)
    numbers = Numbers(client, stream, output, schema)
    wrote = False
    if last_id is not None and count != 0:
        with iter_stream(
            client,
            stream,
            batch_size=_BATCH,
            block_ms=None,
            on_idle="stop",
            schema=schema,
            include_timestamp=with_times,
            on_error=on_error,
            discover=discovering(schema),
            start_id=before(start),
            end_id=last_id if end in ("+", "$") else _earlier(end, last_id),
            count=count,
        ) as batches:
            for frame in batches:
                output.write(chosen(numbers.of(frame), where, columns))
                wrote = True
    if not wrote:
        from ..stream import read_stream

        nothing = read_stream(client, stream, schema=schema, count=0, include_timestamp=with_times)
        output.write(chosen(nothing, where, columns))
    output.close()


def chosen(frame: pl.DataFrame, where: str | None, columns: str | None) -> pl.DataFrame:
    """The rows and columns of a frame that were asked for.

    Without a schema, a field that no entry had so far is a column of nulls.
    """
    import polars

    wanted = None if columns is None else columns.split(",")
    condition = None if where is None else polars.sql_expr(where)
    named = [*(wanted or ()), *(() if condition is None else condition.meta.root_names())]
    missing = [name for name in dict.fromkeys(named) if name not in frame.columns]
    shown = frame
    if missing:
        nulls = [polars.lit(None, polars.String).alias(name) for name in missing]
        shown = shown.with_columns(nulls)
    if condition is not None:
        shown = shown.filter(condition)
    return shown.select(frame.columns if wanted is None else wanted)


def _earlier(one: str, other: str) -> str:
    """The earlier of two entry ids; the first may lack its sequence number."""

    def parts(text: str) -> tuple[int, float]:
        first, _, second = text.partition("-")
        return int(first), int(second) if second else float("inf")

    if one == "-":
        return "0-0"
    return one if parts(one) < parts(other) else other
