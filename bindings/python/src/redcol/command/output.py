# SPDX-License-Identifier: Apache-2.0
"""Frames to standard output, in the format that was asked for."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import click

from .._typing import pl
from .session import Session, write

#: The milliseconds of the years 0 to 9999.
_CALENDAR = (-62_167_219_200_000, 253_402_300_799_999)
FORMATS = ("table", "jsonl", "csv", "json", "arrow", "parquet")


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a verb the option ``-f``."""
    return click.option(
        "-f",
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        help="The output's format. Default: table on a terminal, jsonl in a pipe.",
    )(function)


class Output:
    """Where a verb writes its frames. Frames may follow one another; `close` ends them."""

    def __init__(self, session: Session, format_: str | None, *, counts: bool = False) -> None:
        self._format = format_ or ("table" if sys.stdout.isatty() else "jsonl")
        if self._format in ("arrow", "parquet") and sys.stdout.isatty():
            raise click.UsageError(
                f"{self._format} is not for a terminal: write it into a file or a pipe."
            )
        self._frames: list[pl.DataFrame] = []
        self._columns: list[str] | None = None
        if self.is_table:
            from .table import Table

            self._table = Table(session.console(), counts=counts)

    @property
    def is_table(self) -> bool:
        """Whether a person reads it."""
        return self._format == "table"

    def write(self, frame: pl.DataFrame) -> None:
        """Write the rows of a frame."""
        if self._format not in ("arrow", "parquet"):
            frame = within_calendar(frame)
        getattr(self, f"_write_{self._format}")(frame)

    def close(self) -> None:
        """End the output."""
        if self._format in ("arrow", "parquet"):
            self._write_whole()
        elif self._format == "json":
            write("]\n" if self._columns else "[]\n")
        elif self.is_table:
            self._table.close()

    def _write_table(self, frame: pl.DataFrame) -> None:
        self._table.write(frame)

    def _write_jsonl(self, frame: pl.DataFrame) -> None:
        if len(frame):
            write(_lines(frame))

    def _write_json(self, frame: pl.DataFrame) -> None:
        if len(frame):
            lines = _lines(frame).rstrip(b"\n").replace(b"\n", b",\n")
            write((b",\n" if self._columns else b"[") + lines)
            self._columns = frame.columns

    def _write_csv(self, frame: pl.DataFrame) -> None:
        new = [name for name in frame.columns if self._columns and name not in self._columns]
        if new:
            raise click.ClickException(
                f"the field {new[0]!r} is first in an entry after the header: give a --schema."
            )
        made = io.BytesIO()
        shown = _as_text(frame) if self._columns is None else _as_text(frame.select(self._columns))
        shown.write_csv(made, include_header=self._columns is None)
        if self._columns is None and frame.columns:
            self._columns = frame.columns
        write(made.getvalue())

    def _write_arrow(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)

    _write_parquet = _write_arrow

    def _write_whole(self) -> None:
        import polars

        made = io.BytesIO()
        whole = polars.concat(self._frames, how="diagonal_relaxed") if self._frames else None
        if whole is not None:
            if self._format == "arrow":
                whole.write_ipc_stream(made, compat_level=polars.CompatLevel.oldest())
            else:
                whole.write_parquet(made)
        write(made.getvalue())


def within_calendar(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns of times as text, if they have years that nobody can write.

    An id may be any number. Where it is no time up to the year 9999, its milliseconds are shown.
    """
    import polars

    for name, dtype in frame.schema.items():
        if not isinstance(dtype, polars.Datetime) or dtype.time_unit != "ms":
            continue
        number = polars.col(name).cast(polars.Int64)
        is_date = number.is_between(*_CALENDAR)
        if frame.select(is_date.all()).item():
            continue
        text = (
            polars.when(is_date)
            .then(polars.col(name))
            .dt.strftime("%Y-%m-%dT%H:%M:%S%.3f" + ("%:z" if dtype.time_zone else ""))
        )
        frame = frame.with_columns(text.fill_null(number.cast(polars.String)).alias(name))
    return frame


def _lines(frame: pl.DataFrame) -> bytes:
    made = io.BytesIO()
    _as_text(frame).write_ndjson(made)
    return made.getvalue()


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    r"""Bytes as text, those that are not UTF-8 as \xNN: CSV and JSON have no bytes."""
    import polars

    found = [name for name, dtype in frame.schema.items() if dtype == polars.Binary]
    for name in found:
        values = [None if value is None else shown(value) for value in frame[name]]
        column = polars.Series(name, values, dtype=polars.String)
        frame = frame.with_columns(column)
    return frame


def shown(value: bytes) -> str:
    r"""Bytes as text, those that are not UTF-8 as \xNN."""
    return value.decode("utf-8", "backslashreplace")
