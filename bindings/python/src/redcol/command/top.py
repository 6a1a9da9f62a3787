# SPDX-License-Identifier: Apache-2.0
"""A live screen of streams and their groups: ``top``."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import click

from .._typing import TYPE_CHECKING
from ..client import Client
from ..errors import RedcolError
from ..lists import list_groups, list_streams
from .session import Session
from .verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

_BLOCKS = "▁▂▃▄▅▆▇█"
#: Rates that are remembered, and how wide they are shown.
_HISTORY = 120
_SPARKS = 24
_ORDERS = ("name", "length", "rate", "lag", "pending")
_HELP = "q: end  s: sort  r: reverse  g: groups  /: filter"
_ENTER, _ESCAPE, _ERASE = ("\n", "\r"), "\x1b", ("\x7f", "\b")


@click.command(
    cls=Verb,
    examples=[
        ("redcol top", "All streams, every two seconds. q ends it."),
        ("redcol top 'ev*' -i 0.5", "Those whose keys match, twice a second."),
    ],
)
@click.argument("pattern", default="*")
@click.option(
    "-i", "--interval", type=click.FloatRange(min=0.1), default=2.0, show_default=True,
    metavar="SECONDS", help="How often to look.",
)  # fmt: skip
@click.pass_obj
def top(session: Session, pattern: str, interval: float) -> None:
    """Show a live screen of streams, their rates, and how far their groups are behind.

    Keys: q ends it, s sorts by another column, r reverses the order, g hides the groups, and /
    filters by a part of the stream's name (Enter keeps the filter, Esc removes it).
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("top needs a terminal. In scripts, use ls and groups.")
    from rich.live import Live

    client = session.client()
    view = View()
    console = session.console()
    with (
        _keys() as keys,
        Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False) as live,
    ):
        while True:
            view.look(client, pattern)
            deadline = time.monotonic() + interval
            while True:
                live.update(view.render(console.width, console.height), refresh=True)
                pressed = keys.wait(deadline - time.monotonic())
                if pressed is None:
                    break
                if not all(view.press(key) for key in pressed):
                    return


class View:
    """What was seen so far, and how it is shown."""

    def __init__(self) -> None:
        self._streams: list[dict[str, Any]] = []
        self._groups: dict[str, list[dict[str, Any]]] = {}
        self._rates: dict[str, deque[float]] = {}
        self._counts: dict[str, int] = {}
        self._time = 0.0
        self._order = "name"
        self._is_reversed = False
        self._shows_groups = True
        self._filter = ""
        self._is_typing = False
        self._error = ""

    def look(self, client: Client, pattern: str) -> None:
        """Ask the server. An error is shown, and the next look may work."""
        try:
            # An id may be a time that Python has no date for.
            streams = list_streams(client, pattern).drop("first_ts", "last_ts").to_dicts()
            groups = list_groups(client, pattern).to_dicts()
        except RedcolError as error:
            self._error = str(error)
            return
        now = time.monotonic()
        self._error = ""
        self._groups = {}
        for group in groups:
            self._groups.setdefault(group["stream"], []).append(group)
        for stream in streams:
            name, added = stream["stream"], stream["entries_added"]
            count = stream["length"] if added is None else added
            history = self._rates.setdefault(name, deque(maxlen=_HISTORY))
            if name in self._counts:
                history.append(max(count - self._counts[name], 0) / max(now - self._time, 1e-3))
            self._counts[name] = count
            own = self._groups.get(name, [])
            stream["rate"] = history[-1] if history else None
            stream["lag"] = _sum(own, "lag")
            stream["pending"] = _sum(own, "pending")
        self._streams, self._time = streams, now
        for name in self._rates.keys() - {stream["stream"] for stream in streams}:
            del self._rates[name], self._counts[name]

    def press(self, key: str) -> bool:
        """Take a key. False ends the screen."""
        if self._is_typing:
            self._type(key)
        elif key in ("q", "\x03"):
            return False
        elif key == "s":
            self._order = _ORDERS[(_ORDERS.index(self._order) + 1) % len(_ORDERS)]
        elif key == "r":
            self._is_reversed = not self._is_reversed
        elif key == "g":
            self._shows_groups = not self._shows_groups
        elif key == "/":
            self._is_typing, self._filter = True, ""
        elif key == _ESCAPE:
            self._filter = ""
        return True

    def _type(self, key: str) -> None:
        if key in _ENTER:
            self._is_typing = False
        elif key == _ESCAPE:
            self._is_typing, self._filter = False, ""
        elif key in _ERASE:
            self._filter = self._filter[:-1]
        elif key.isprintable():
            self._filter += key

    def render(self, width: int, height: int) -> RenderableType:
        """The screen."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
        table.add_column("stream / group", no_wrap=True, overflow="ellipsis", ratio=1)
        for name in ("length", "rate/s", "lag", "pending", "consumers"):
            table.add_column(name, justify="right", no_wrap=True)
        if width >= 100:
            table.add_column("last minutes", no_wrap=True)
        rows = list(self._rows(width >= 100))
        room = max(height - 4, 1)
        for cells in rows[:room]:
            table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells))
        hidden = f", {len(rows) - room} more lines" if len(rows) > room else ""
        order = f"{self._order}{' reversed' if self._is_reversed else ''}"
        state = f"{len(self._streams)} streams, by {order}{hidden}"
        if self._filter or self._is_typing:
            state += f", filter: {self._filter}{'_' if self._is_typing else ''}"
        title = Text(state, "bold", no_wrap=True, overflow="ellipsis")
        status = Text(self._error or _HELP, "red" if self._error else "dim", no_wrap=True)
        return Group(title, status, Text(), table)

    def _rows(self, has_sparks: bool) -> Iterator[list[str]]:
        from .table import printable

        for stream in self._sorted():
            name = stream["stream"]
            own = self._groups.get(name, [])
            consumers = sum(group["consumers"] for group in own)
            sparks = [_sparkline(self._rates.get(name, ()))] if has_sparks else []
            yield [
                printable(name),
                _number(stream["length"]),
                "" if stream["rate"] is None else f"{stream['rate']:,.1f}",
                _number(stream["lag"]) if own else "",
                _number(stream["pending"]) if own else "",
                _number(consumers) if own else "",
                *sparks,
            ]
            for group in own if self._shows_groups else ():
                yield [
                    f"  {printable(group['group'])}",
                    *("", ""),
                    _number(group["lag"]),
                    _number(group["pending"]),
                    _number(group["consumers"]),
                    *([""] if has_sparks else []),
                ]

    def _sorted(self) -> list[dict[str, Any]]:
        shown = [each for each in self._streams if self._filter in each["stream"]]
        if self._order == "name":
            return sorted(shown, key=lambda each: str(each["stream"]), reverse=self._is_reversed)
        # The largest first; what is not known comes last.
        return sorted(shown, key=lambda each: each[self._order] or 0, reverse=not self._is_reversed)


def _sum(groups: list[dict[str, Any]], name: str) -> int | None:
    """The sum of what is known; None if nothing is."""
    known = [group[name] for group in groups if group[name] is not None]
    return sum(known) if known else None


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _sparkline(rates: Any) -> str:
    """The last rates as blocks: the largest of them is the full height."""
    shown = list(rates)[-_SPARKS:]
    largest = max(shown, default=0) or 1
    return "".join(_BLOCKS[round(rate / largest * (len(_BLOCKS) - 1))] for rate in shown)


class _Keys:
    """The keys that are pressed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def wait(self, seconds: float) -> str | None:
        """The keys that are pressed within this time; None if none is."""
        ready, _, _ = select.select([self._descriptor], [], [], max(seconds, 0))
        if not ready:
            return None
        pressed = os.read(self._descriptor, 64).decode("utf-8", "replace")
        return pressed or "q"  # the terminal is gone


@contextlib.contextmanager
def _keys() -> Iterator[_Keys]:
    """Keys come one by one, and are not shown."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    former = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield _Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, former)
