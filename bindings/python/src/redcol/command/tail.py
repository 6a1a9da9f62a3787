# SPDX-License-Identifier: Apache-2.0
"""The newest entries, and then what comes: ``tail``."""

from __future__ import annotations

from typing import Any

import click

from .._parts import before
from ..iterator import iter_stream
from .entries import OnError, chosen, columns_option, schema_options
from .lists import has_times, known
from .output import Output, format_option
from .sample import Numbers, discovering
from .session import Session
from .values import POSITION, STREAM
from .verb import Verb

#: A batch comes at once, however few entries it has.
_BATCH = 1_000
_BLOCK_MS = 1_000


@click.command(
    cls=Verb,
    examples=[
        ("redcol tail events", "The last ten entries, and then new ones until Ctrl-C."),
        ("redcol tail events -n 0 -f jsonl | jq .action", "Only new ones, for another program."),
        ("redcol tail events -o -10m -e", "The entries of the last ten minutes, and no more."),
    ],
)
@click.argument("streams", nargs=-1, type=STREAM, required=True, metavar="STREAM...")
@click.option(
    "-n", "--count", type=click.IntRange(min=0), default=10, show_default=True,
    help="Begin with this many of the newest entries of each stream.",
)  # fmt: skip
@click.option(
    "-o", "--from", "start", type=POSITION, metavar="ID|TIME", help="Begin here, and ignore -n."
)
@click.option("-e", "--end", "ends", is_flag=True, help="End when there are no more.")
@click.option("--where", metavar="EXPR", help="Only rows that this SQL condition is true for.")
@schema_options
@columns_option
@format_option
@click.pass_obj
def tail(
    session: Session,
    /,
    streams: tuple[str, ...],
    count: int,
    start: str | None,
    ends: bool,
    where: str | None,
    schema: Any,
    on_error: OnError,
    columns: str | None,
    format_: str | None,
) -> None:
    """Show the last entries of streams, and then those that are added."""
    client = session.client()
    output = Output(session, format_)
    several = len(streams) > 1
    # Each that has none is named.
    timed = [has_times(session, known(session, stream)) for stream in streams]
    numbers = None if several else Numbers(client, streams[0], output, schema)
    where_from: dict[str, Any] = {"start_last": count} if count else {"start_id": "$"}
    if start is not None:
        where_from = {"start_id": before(start)}
    with iter_stream(
        client,
        list(streams) if several else streams[0],
        batch_size=_BATCH,
        block_ms=None if ends else _BLOCK_MS,
        on_idle="stop" if ends else "wait",
        schema=schema,
        include_timestamp=all(timed),
        on_error=on_error,
        discover=discovering(schema),
        **where_from,
    ) as batches:
        for frame in batches:
            shown = frame if numbers is None else numbers.of(frame)
            output.write(chosen(shown, where, columns))
    output.close()
