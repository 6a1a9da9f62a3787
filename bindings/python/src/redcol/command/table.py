# SPDX-License-Identifier: Apache-2.0
"""Frames as tables on a terminal, printed by rich. Rows may follow for as long as they come."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column
from rich.table import Table as RichTable
from rich.text import Text

from .._typing import pl
from .session import write

#: Between two columns.
_GAP = 2
#: A column is cut to this before columns are left out.
_WIDTH_LEAST = 8
#: Ids get longer while a stream is followed.
_ID_WIDTH = 17
#: How long times are: to milliseconds, to seconds, to minutes. Less says too little.
_TIME_WIDTHS = (23, 19, 16)


class Table:
    """One table: the columns' widths and the header come with the first rows."""

    def __init__(self, console: Console, *, counts: bool) -> None:
        self._console = console
        #: Whether large numbers are counts, which are easier to read as 1,234,567.
        self._counts = counts
        self._columns: list[str] = []
        self._widths: dict[str, int] = {}
        #: How many characters of the times in a column are shown, if not all.
        self._times: dict[str, int] = {}
        self._hidden: list[str] = []

    def write(self, frame: pl.DataFrame) -> None:
        """Print the rows of a frame."""
        cells = {name: self._cells(frame[name]) for name in frame.columns}
        times = {
            name for name, dtype in frame.schema.items() if _is_time(name) or dtype.is_temporal()
        }
        has_header = frame.columns != self._columns
        if has_header:
            if self._columns:
                write("\n")
            self._columns = frame.columns
            self._lay_out(cells, times)
        elif not len(frame):
            return
        table = RichTable(box=None, show_header=has_header, pad_edge=False, padding=(0, _GAP, 0, 0))
        for name, width in self._widths.items():
            is_right = frame.schema[name].is_numeric() and not _is_time(name)
            table.columns.append(
                Column(
                    header=Text(printable(name), "bold", no_wrap=True, overflow="ellipsis"),
                    justify="right" if is_right else "left",
                    width=width,
                    overflow="fold" if _is_whole(name) else "ellipsis",
                    no_wrap=not _is_whole(name),
                    _index=len(table.columns),
                )
            )
        for row in range(len(frame)):
            table.add_row(*(self._cut(name, cells[name][row]) for name in self._widths))
        with self._console.capture() as captured:
            self._console.print(table)
        lines = captured.get().splitlines()
        write("".join(f"{line.rstrip()}\n" for line in lines))

    def close(self) -> None:
        """Say what did not fit."""
        if self._hidden:
            names = ", ".join(map(printable, self._hidden))
            write(f"Too narrow for {names}: use --columns, or -f jsonl.\n")

    def _cut(self, name: str, cell: Text) -> Text:
        """A time without the parts that there is no room for."""
        width = self._times.get(name)
        return cell if width is None or len(cell) not in _TIME_WIDTHS else cell[:width]

    def _lay_out(self, cells: dict[str, list[Text]], times: set[str]) -> None:
        """The widths of all columns, and which of them do not fit."""
        widths = {
            name: max(cell_len(printable(name)), *(cell_len(cell.plain) for cell in column), 1)
            for name, column in cells.items()
        }
        widths |= {name: max(width, _ID_WIDTH) for name, width in widths.items() if name == "_id"}
        self._hidden, self._times = [], {}
        shorter = iter(_TIME_WIDTHS[1:])
        while True:
            spare = self._console.width - sum(widths.values()) - _GAP * (len(widths) - 1)
            cut = [name for name in widths if not _is_whole(name)]
            wide = [name for name in cut if widths[name] > _WIDTH_LEAST and name not in times]
            if spare >= 0 or not cut:
                break
            longest = max((widths[name] for name in wide), default=0)
            time_width = next(shorter, None) if longest <= _TIME_WIDTHS[-1] else None
            if time_width is not None:
                for name in times & widths.keys():
                    if all(len(cell) in (*_TIME_WIDTHS, len("null")) for cell in cells[name]):
                        self._times[name] = time_width
                        widths[name] = max(min(widths[name], time_width), len(printable(name)))
            elif wide:
                widths[max(wide, key=widths.__getitem__)] -= 1
            else:
                self._hidden.insert(0, cut[-1])
                del widths[cut[-1]]
        self._widths = widths

    def _cells(self, column: pl.Series) -> list[Text]:
        return [
            Text("null", "dim") if value is None else Text(self._text(column.name, value))
            for value in _values(column)
        ]

    def _text(self, name: str, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            if _is_time(name):
                return _moment(value)
            return f"{value:,}" if self._counts else str(value)
        if isinstance(value, float):
            return f"{value:,.1f}" if self._counts else repr(value)
        if isinstance(value, bytes):
            return printable(value.decode("utf-8", "backslashreplace"))
        if isinstance(value, datetime):
            return moment(value)
        if hasattr(value, "to_list"):
            value = value.to_list()
        if isinstance(value, (list, dict)):
            return printable(json.dumps(value, ensure_ascii=False, default=str))
        return printable(str(value))


def _values(column: pl.Series) -> list[Any]:
    """The values as Python's. Years that it has no dates for, such as 0, become text."""
    import polars

    try:
        return list(column)
    except (OverflowError, ValueError):
        return list(column.cast(polars.String))


def _is_whole(name: str) -> bool:
    """Whether a column is never cut: ids are there to be copied."""
    return name in ("_id", "first_id", "last_id", "last_delivered_id")


def _is_time(name: str) -> bool:
    return name == "_ts"


def _moment(milliseconds: int) -> str:
    try:
        return moment(datetime.fromtimestamp(milliseconds / 1_000, timezone.utc))
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)  # such as year 10,000


def moment(value: datetime) -> str:
    """A time to the millisecond."""
    return value.isoformat(" ", "milliseconds").removesuffix("+00:00")


def printable(text: str) -> str:
    r"""A text without characters that control a terminal: they are shown as \n or \x1b."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
