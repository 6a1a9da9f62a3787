# SPDX-License-Identifier: Apache-2.0
"""Entries over time as a picture: ``plot``."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import datetime, timezone
from typing import Any

import click

from .._typing import TYPE_CHECKING, pl
from ..client import Client
from ..lists import list_groups
from ..scan import scan_stream
from .lists import known
from .session import Session, write
from .values import DURATION, POSITION, STREAM
from .verb import Verb

if TYPE_CHECKING:
    from altair import Chart

_ENDINGS = (".png", ".svg", ".html")
#: About so many points of time.
_POINTS = 80
#: More points of time are no picture, and would not fit into memory.
_POINTS_MAX = 100_000
#: Values of --by that have a line of their own.
_VALUES_MAX = 7
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_STEPS = [
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(each * _SECOND for each in (1, 2, 5, 10, 15, 30)),
    *(each * _MINUTE for each in (1, 2, 5, 10, 15, 30)),
    *(each * _HOUR for each in (1, 2, 3, 6, 12)),
    *(each * _DAY for each in (1, 2, 7, 14, 30, 90, 365)),
]


@click.command(
    cls=Verb,
    examples=[
        ("redcol plot events", "Entries over time, in the terminal."),
        ("redcol plot events --by action -o events.png", "A line for each value of a field."),
        ("redcol plot events --groups -o events.svg", "With the places where the groups are."),
    ],
)
@click.argument("stream", type=STREAM)
@click.option("--by", metavar="FIELD", help="A line for each of the most frequent values.")
@click.option(
    "-o", "--output", "path", type=click.Path(), help="A file that ends in .png, .svg or .html. "
    "Default: the terminal.",
)  # fmt: skip
@click.option(
    "--from", "start", type=POSITION, default="-", metavar="ID|TIME", help="The first entry."
)
@click.option("--to", "end", type=POSITION, default="+", metavar="ID|TIME", help="The last entry.")
@click.option("--every", type=DURATION, metavar="TIME", help="How much time each point covers.")
@click.option("--groups", "with_groups", is_flag=True, help="Mark where groups are, and their lag.")
@click.pass_obj
def plot(
    session: Session,
    /,
    stream: str,
    by: str | None,
    path: str | None,
    start: str,
    end: str,
    every: int | None,
    with_groups: bool,
) -> None:
    """Show how many entries a stream got over time."""
    if path is not None and os.path.splitext(path)[1].lower() not in _ENDINGS:
        raise click.UsageError(f"{path} does not end in {', '.join(_ENDINGS)}.")
    client = session.client()
    first_id, last_id = known(session, stream).select("first_id", "last_id").row(0)
    if first_id is None:
        raise click.ClickException(f"stream {stream!r} has no entries.")
    first = max(_milliseconds(first_id), 0 if start in ("-", "$", "+") else _milliseconds(start))
    last = _milliseconds(last_id)
    if end not in ("+", "$"):
        last = min(last, 0 if end == "-" else _milliseconds(end))
    if last < first:
        raise click.ClickException(f"stream {stream!r} has no entries there.")
    step = every or next((each for each in _STEPS if (last - first) / each <= _POINTS), _STEPS[-1])
    if (points := (last - first) // step) > _POINTS_MAX:
        raise click.UsageError(f"That is a picture of {points:,} points: say a longer --every.")
    counts = _counts(client, stream, by, first, last, step)
    marks = _positions(client, stream, first, last) if with_groups else []
    from .table import printable

    title = f"{printable(stream)}: entries in {_duration(step)}"
    if path is None:
        write(_in_terminal(session, counts, marks, title, step))
        return
    # A page is to work without the network.
    options = {"inline": True} if path.lower().endswith(".html") else {"ppi": 96}
    _picture(counts, marks, title, by).save(path, **options)


def _counts(
    client: Client, stream: str, by: str | None, first: int, last: int, step: int
) -> pl.DataFrame:
    """Columns time (milliseconds), series and count, with zeros where nothing came."""
    import polars

    schema = {} if by is None else {by: polars.String}
    lazy = scan_stream(client, stream, schema=schema, start_id=first, end_id=last)
    series = polars.lit("entries") if by is None else polars.col(by).fill_null("null")
    found = (
        lazy.select((polars.col("_ts") // step * step).alias("time"), series.alias("series"))
        .group_by("time", "series")
        .agg(polars.len().alias("count"))
        .collect(engine="streaming")
    )
    totals = found.group_by("series").agg(polars.col("count").sum())
    totals = totals.sort("count", "series", descending=[True, False])
    shown = totals["series"].head(_VALUES_MAX).to_list()
    if len(totals) > len(shown):
        is_shown = polars.col("series").is_in(shown)
        found = found.with_columns(
            polars.when(is_shown).then("series").otherwise(polars.lit("(others)")).alias("series")
        )
        shown.append("(others)")
    times = polars.int_range(first // step * step, last + 1, step, eager=True).alias("time")
    grid = times.to_frame().join(polars.DataFrame({"series": shown}), how="cross")
    sums = found.group_by("time", "series").agg(polars.col("count").sum().cast(polars.Int64))
    return grid.join(sums, on=["time", "series"], how="left").with_columns(
        polars.col("count").fill_null(0)
    )


def _positions(client: Client, stream: str, first: int, last: int) -> list[tuple[int, str]]:
    """The time up to which each group has got entries, and what to write there."""
    from .table import printable

    found = list_groups(client, [stream])
    return [
        (
            min(max(_milliseconds(position), first), last),
            f"{printable(group)}: lag {'unknown' if lag is None else f'{lag:,}'}",
        )
        for group, position, lag in found.select("group", "last_delivered_id", "lag").iter_rows()
    ]


def _in_terminal(
    session: Session, counts: pl.DataFrame, marks: list[tuple[int, str]], title: str, step: int
) -> str:
    import plotext  # type: ignore[import-untyped]

    from .table import printable

    size = shutil.get_terminal_size()
    plotext.clear_figure()
    plotext.plot_size(size.columns, max(min(size.lines - 2, 24), 10))
    plotext.title(title)
    for paint in (plotext.canvas_color, plotext.axes_color, plotext.ticks_color):
        paint("default")
    series = counts["series"].unique(maintain_order=True).to_list()
    for name in series:
        one = counts.filter(counts["series"] == name)
        label = None if series == ["entries"] else printable(name)
        plotext.plot(one["time"].to_list(), one["count"].to_list(), label=label, marker="braille")
    for time, text in marks:
        plotext.vline(time)
        plotext.text(text, time, counts["count"].max() or 1)
    times = counts["time"].unique().sort().to_list()
    ticks = times[:: max(len(times) // 5, 1)]
    plotext.xticks(ticks, [_clock(each, step) for each in ticks])
    plotext.ylim(0, None)
    made = str(plotext.build())
    return (
        made if session.has_color and sys.stdout.isatty() else str(plotext.uncolorize(made))
    ).rstrip("\n") + "\n"


def _picture(
    counts: pl.DataFrame, marks: list[tuple[int, str]], title: str, by: str | None
) -> Chart:
    import altair
    import polars

    frame = counts.with_columns(polars.col("time").cast(polars.Datetime("ms", "UTC")))
    time = altair.X("time:T", title="UTC", scale=altair.Scale(type="utc"))
    chart: Any = altair.Chart(frame).mark_line(interpolate="step-after")
    chart = chart.encode(x=time, y=altair.Y("count:Q", title="entries"))
    if by is not None:
        chart = chart.encode(color=altair.Color("series:N", title=by, sort=None))
    if marks:
        times, texts = zip(*marks, strict=True)
        where = polars.DataFrame({"time": times, "text": texts}).with_columns(
            polars.col("time").cast(polars.Datetime("ms", "UTC"))
        )
        rule = altair.Chart(where).mark_rule(strokeDash=[4, 4]).encode(x=time)
        text = altair.Chart(where).mark_text(align="right", dx=-4, y=8).encode(x=time, text="text")
        chart = chart + rule + text
    made: Chart = chart.properties(title=title, width=800, height=300)
    return made


def _milliseconds(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _duration(step: int) -> str:
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m"), (_SECOND, "s")):
        if step % unit == 0:
            return f"{step // unit}{name}"
    return f"{step}ms"


def _clock(milliseconds: int, step: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1_000, timezone.utc)
    if step >= _DAY:
        return moment.strftime("%Y-%m-%d")
    return moment.strftime("%m-%d %H:%M" if step >= _MINUTE else "%H:%M:%S")
