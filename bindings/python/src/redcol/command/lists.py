# SPDX-License-Identifier: Apache-2.0
"""What there is: ``ls``, ``info``, ``groups``, ``consumers`` and ``pending``."""

from __future__ import annotations

import click

from .._typing import pl
from ..errors import NoGroupError
from ..lists import list_consumers, list_groups, list_pending, list_streams
from .output import Output, format_option, within_calendar
from .session import Session
from .values import DURATION, STREAM
from .verb import Verb

_SHORT = ("stream", "length", "first_ts", "last_ts", "groups")
#: The entries that `info` looks at.
_SAMPLE = 1_000
_TIME_MAX = (1 << 63) - 1


@click.command(
    cls=Verb,
    examples=[
        ("redcol ls", "All streams of the database."),
        ("redcol ls 'ev*' -l", "Those whose keys match, with ids and the memory that they take."),
    ],
)
@click.argument("pattern", default="*")
@click.option("-l", "--long", "is_long", is_flag=True, help="All columns: ids, bytes and more.")
@format_option
@click.pass_obj
def ls(session: Session, pattern: str, is_long: bool, format_: str | None) -> None:
    """List streams whose keys match PATTERN, with their length, times and groups."""
    frame = list_streams(session.client(), pattern)
    _show(session, frame if is_long else frame.select(_SHORT), format_)


@click.command(
    cls=Verb,
    examples=[("redcol groups", "The groups of all streams, and how far behind each is.")],
)
@click.argument("pattern", default="*")
@click.option(
    "--exact", is_flag=True, help="Count what a group has not got yet. This transfers it all."
)
@format_option
@click.pass_obj
def groups(session: Session, pattern: str, exact: bool, format_: str | None) -> None:
    """List the groups of streams whose keys match PATTERN, and how far each is behind."""
    frame = list_groups(session.client(), pattern, exact=exact)
    _show(session, frame if exact else frame.drop("lag_exact"), format_)


@click.command(
    cls=Verb,
    examples=[("redcol consumers events analytics", "The consumers of one group.")],
)
@click.argument("stream", type=STREAM)
@click.argument("group", required=False)
@format_option
@click.pass_obj
def consumers(session: Session, stream: str, group: str | None, format_: str | None) -> None:
    """List the consumers of a stream's groups, or of one group."""
    _show(session, list_consumers(session.client(), [stream], group), format_)


@click.command(
    cls=Verb,
    examples=[
        ("redcol pending events analytics --idle 10m", "What was delivered 10 minutes ago or "
         "earlier, and is not acknowledged."),
    ],
)  # fmt: skip
@click.argument("stream", type=STREAM)
@click.argument("group")
@click.option(
    "--idle",
    type=DURATION,
    default=0,
    metavar="TIME",
    help="Only entries idle for this long or longer.",
)
@click.option("--consumer", help="Only entries of this consumer.")
@click.option("-n", "--count", type=click.IntRange(min=0), help="At most this many.")
@format_option
@click.pass_obj
def pending(
    session: Session,
    stream: str,
    group: str,
    idle: int,
    consumer: str | None,
    count: int | None,
    format_: str | None,
) -> None:
    """List entries that a group has delivered and that are not acknowledged."""
    frame = list_pending(
        session.client(), stream, group, min_idle_ms=idle, consumer=consumer, count=count
    )
    _show(session, frame, format_)


@click.command(
    cls=Verb,
    examples=[
        ("redcol info events", "Length, rate, fields, groups and consumers of one stream."),
        ("redcol info events -f json", "The same for a program."),
    ],
)
@click.argument("stream", type=STREAM)
@format_option
@click.pass_obj
def info(session: Session, stream: str, format_: str | None) -> None:
    """Show everything about a stream: size, rate, fields, groups and consumers."""
    import polars

    from ..inference import infer_schema
    from ..stream import read_stream
    from .sample import fields_of, rate_of

    client = session.client()
    found = known(session, stream)
    # Fields of text and bytes fit. A null is a time that is beyond Int64.
    sample = read_stream(client, stream, last=_SAMPLE, discover="auto", on_error="null")
    its_groups = list_groups(client, [stream]).drop("stream", "lag_exact")
    try:
        its_consumers = list_consumers(client, [stream]).drop("stream")
    except NoGroupError:  # it was deleted meanwhile
        its_consumers = polars.DataFrame()
    fields = fields_of(sample, infer_schema(client, stream, sample=_SAMPLE))
    summary = found.with_columns(per_second_last_minute=rate_of(sample))
    output = Output(session, format_, counts=True)
    if output.is_table:
        for part in (_upright(summary), fields, its_groups, its_consumers):
            if len(part):
                output.write(part)
        output.close()
        return
    nested = {"fields": fields, "group_list": its_groups, "consumers": its_consumers}
    columns = [
        polars.Series(name, [part.to_struct(name)], dtype=polars.List(polars.Struct(part.schema)))
        for name, part in nested.items()
    ]
    output.write(summary.with_columns(columns))
    output.close()


def known(session: Session, stream: str) -> pl.DataFrame:
    """The row of a stream in the list of streams. An error if there is no such stream."""
    found = list_streams(session.client(), [stream])
    if not len(found):
        raise click.ClickException(f"there is no stream {stream!r}.")
    return found


def has_times(session: Session, found: pl.DataFrame) -> bool:
    """Whether all ids of a stream have times that fit Int64, as the column ``_ts`` has them."""
    last_id = found["last_id"].item()
    if last_id is None or int(last_id.partition("-")[0]) <= _TIME_MAX:
        return True
    session.say(
        f"redcol: stream {found['stream'].item()!r} has ids beyond Int64: there is no column _ts."
    )
    return False


def _upright(summary: pl.DataFrame) -> pl.DataFrame:
    """A single row as a column of names and one of values."""
    from datetime import datetime

    import polars

    from .table import moment

    def text(value: object) -> str:
        if isinstance(value, int):
            return f"{value:,}"
        if isinstance(value, float):
            return f"{value:,.1f}"
        if isinstance(value, datetime):
            return moment(value)
        return "null" if value is None else str(value)

    values = [text(value) for value in within_calendar(summary).row(0)]
    return polars.DataFrame({"property": summary.columns, "value": values})


def _show(session: Session, frame: pl.DataFrame, format_: str | None) -> None:
    output = Output(session, format_, counts=True)
    output.write(frame)
    output.close()
