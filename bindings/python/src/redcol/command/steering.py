# SPDX-License-Identifier: Apache-2.0
"""Putting groups and streams right: ``group``, ``ack``, ``claim``, ``release`` and ``trim``."""

from __future__ import annotations

import sys
from typing import Any

import click

from .._parts import before
from ..ack import ack_entries
from ..steering import create_group, delete_group, seek_group, trim_stream
from ..steering import release as release_entries
from .entries import OnError, chosen, columns_option, schema_options
from .lists import has_times, known
from .output import Output, format_option
from .sample import discovering
from .session import Session
from .values import DURATION, POSITION, STREAM
from .verb import Family, Verb

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
ids_argument = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@click.group(cls=Family)
def group() -> None:
    """Create, delete or set back a consumer group."""


@group.command(
    examples=[
        ("redcol group create events reports", "A group that gets all entries."),
        ("redcol group create events alerts --at '$'", "One that gets what is added from now on."),
    ]
)
@click.argument("stream", type=STREAM)
@click.argument("name", metavar="GROUP")
@click.option(
    "--at", "start", type=POSITION, default="0", show_default=True, metavar="ID|TIME",
    help="Begin after this entry or at this time: 0, $, an id, a time, or how long ago.",
)  # fmt: skip
@click.option("--create-stream", is_flag=True, help="Create the stream if it is missing.")
@format_option
@click.pass_obj
def create(
    session: Session,
    stream: str,
    name: str,
    start: str,
    create_stream: bool,
    format_: str | None,
) -> None:
    """Create a group. A group that is there stays as it is."""
    client = session.client()
    is_new = create_group(client, stream, name, start_id=_start(start), create_stream=create_stream)
    text = f"Created group {name!r}." if is_new else f"There is a group {name!r} already."
    _tell(session, format_, text, created=is_new)


@group.command(
    examples=[("redcol group delete events reports --yes", "Without a question, for scripts.")]
)
@click.argument("stream", type=STREAM)
@click.argument("name", metavar="GROUP")
@yes_option
@format_option
@click.pass_obj
def delete(session: Session, stream: str, name: str, yes: bool, format_: str | None) -> None:
    """Delete a group, its consumers, and the list of what they have pending."""
    question = f"Delete group {name!r} of {stream!r}, and what it knows of pending entries?"
    session.confirm(question, is_sure=yes)
    is_deleted = delete_group(session.client(), stream, name)
    text = f"Deleted group {name!r}." if is_deleted else f"There was no group {name!r}."
    _tell(session, format_, text, deleted=is_deleted)


@group.command(
    examples=[
        ("redcol group seek events analytics 0", "Deliver everything again."),
        ("redcol group seek events analytics 2024-01-01T12:00", "All entries since a time."),
        ("redcol group seek events analytics '$'", "Only what is added from now on."),
    ]
)
@click.argument("stream", type=STREAM)
@click.argument("name", metavar="GROUP")
@click.argument("to", type=POSITION, metavar="ID|TIME")
@format_option
@click.pass_obj
def seek(session: Session, stream: str, name: str, to: str, format_: str | None) -> None:
    """Set where a group reads on: after an id, or at a time.

    Entries that are pending stay pending. Those after the new position are also delivered again.
    How long ago needs "--" before it: redcol group seek -- events analytics -10m.
    """
    position = seek_group(session.client(), stream, name, _start(to))
    _tell(session, format_, f"Group {name!r} reads on after {position}.", position=position)


@click.command(
    cls=Verb,
    examples=[
        ("redcol ack events analytics 1704067200000-0", "One entry."),
        ("redcol pending events analytics -f csv | tail -n +2 | cut -d, -f1 | "
         "redcol ack events analytics -", "Everything that is pending."),
    ],
)  # fmt: skip
@click.argument("stream", type=STREAM)
@click.argument("group_name", metavar="GROUP")
@ids_argument
@format_option
@click.pass_obj
def ack(
    session: Session, stream: str, group_name: str, ids: tuple[str, ...], format_: str | None
) -> None:
    """Acknowledge entries. "-" reads their ids from standard input, one per line."""
    count = ack_entries(session.client(), stream, group_name, _ids(ids))
    _tell(session, format_, f"Acknowledged {count:,} entries.", acknowledged=count)


@click.command(
    cls=Verb,
    examples=[
        (
            "redcol claim events analytics worker-2 --idle 10m",
            "What others have had for 10 minutes.",
        ),
        ("redcol claim events analytics worker-2 1704067200001-0", "One entry."),
    ],
)
@click.argument("stream", type=STREAM)
@click.argument("group_name", metavar="GROUP")
@click.argument("consumer")
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option(
    "--idle", type=DURATION, metavar="TIME", help="Only entries idle for this long or longer."
)
@click.option("-n", "--count", type=click.IntRange(min=1), help="At most this many.")
@schema_options
@columns_option
@format_option
@click.pass_obj
def claim(
    session: Session,
    stream: str,
    group_name: str,
    consumer: str,
    ids: tuple[str, ...],
    idle: int | None,
    count: int | None,
    schema: Any,
    on_error: OnError,
    columns: str | None,
    format_: str | None,
) -> None:
    """Make pending entries those of CONSUMER, and show them. Give ids, or --idle, or both."""
    from ..claiming import claim as claim_entries

    if not ids and idle is None:
        raise click.UsageError("Say which entries: their ids, or --idle, or both.")
    if schema == "infer":
        raise click.UsageError("Say the columns with --schema: claim does not find them out.")
    output = Output(session, format_)
    frame = claim_entries(
        session.client(),
        stream,
        group_name,
        consumer,
        _ids(ids) if ids else None,
        min_idle_ms=idle,
        count=count,
        schema=schema,
        include_timestamp=has_times(session, known(session, stream)),
        on_error=on_error,
        discover=discovering(schema),
    )
    output.write(chosen(frame, None, columns))
    output.close()


@click.command(
    cls=Verb,
    examples=[("redcol release events analytics worker-1 1704067200001-0", "Give one back.")],
)
@click.argument("stream", type=STREAM)
@click.argument("group_name", metavar="GROUP")
@click.argument("consumer")
@ids_argument
@format_option
@click.pass_obj
def release(
    session: Session,
    stream: str,
    group_name: str,
    consumer: str,
    ids: tuple[str, ...],
    format_: str | None,
) -> None:
    """Give pending entries of CONSUMER back: others may claim them at once.

    "-" reads their ids from standard input, one per line.
    """
    count = release_entries(session.client(), stream, group_name, consumer, _ids(ids))
    _tell(session, format_, f"Released {count:,} entries.", released=count)


@click.command(
    cls=Verb,
    examples=[
        ("redcol trim events --maxlen 1000000 --yes", "Keep about the newest million."),
        (
            "redcol trim events --before 2024-01-01 --exact -y",
            "Delete what is older.",
        ),
    ],
)
@click.argument("stream", type=STREAM)
@click.option("--maxlen", type=click.IntRange(min=0), metavar="N", help="Keep this many entries.")
@click.option(
    "--before", "min_id", type=POSITION, metavar="ID|TIME", help="Delete the entries before this."
)
@click.option(
    "--exact",
    is_flag=True,
    help="Delete all of them. Without it, a few more may stay, which costs the server less.",
)
@yes_option
@format_option
@click.pass_obj
def trim(
    session: Session,
    stream: str,
    maxlen: int | None,
    min_id: str | None,
    exact: bool,
    yes: bool,
    format_: str | None,
) -> None:
    """Delete the oldest entries of a stream, even those that a group has not read."""
    if (maxlen is None) == (min_id is None):
        raise click.UsageError("Say --maxlen or --before, one of the two.")
    kept = f"but the newest {maxlen:,}" if maxlen is not None else f"before {min_id}"
    session.confirm(f"Delete the entries of {stream!r} {kept}?", is_sure=yes)
    count = trim_stream(
        session.client(), stream, maxlen=maxlen, min_id=min_id, approximate=not exact
    )
    _tell(session, format_, f"Deleted {count:,} entries.", deleted=count)


def _start(position: str) -> str:
    """A position for a group, which begins after it: a time is before its first entry."""
    if position == "0" or "-" in position or position == "$":
        return "0" if position == "-" else position
    return "0" if (start := before(position)) == "-" else start


def _ids(given: tuple[str, ...]) -> list[str]:
    if given != ("-",):
        return list(given)
    return [word for line in sys.stdin for word in line.split()]


def _tell(session: Session, format_: str | None, text: str, **result: Any) -> None:
    """What was done: a sentence for people, a row for programs."""
    output = Output(session, format_)
    if output.is_table:
        click.echo(text)
        return
    import polars

    output.write(polars.DataFrame({name: [value] for name, value in result.items()}))
    output.close()
