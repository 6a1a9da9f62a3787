# SPDX-License-Identifier: Apache-2.0
"""How far a read or a write has come, told to a function of the caller's or shown by tqdm."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from . import _arguments, _native, _native_lists
from ._typing import TYPE_CHECKING
from .errors import InvalidArgumentError, PermissionDeniedError, ServerError, WrongTypeError

if TYPE_CHECKING:
    from typing import Any, Final

#: How long after the beginning, or one call of the function, the next call comes, at least.
_LEAST_SECONDS: Final = 0.09


class Progress:
    """Tells a function how many rows and bytes of a read or a write are done.

    Everything that the function raises ends the read or the write.
    """

    def __init__(self, tell: Callable[[int, int, int | None], object] | None) -> None:
        self._tell = tell
        self._total: int | None = None
        self._statistic: Callable[[str], int] = lambda name: 0
        self._names = ("", "")
        self._next_time = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether anybody is told."""
        return self._tell is not None

    def begin_read(self, iterator: _native.Handle, total: int | None) -> None:
        """A read begins, of `total` rows if that is known."""
        self._begin(lambda name: _native.iter_statistic(iterator, name), total)
        self._names = ("rows_read", "bytes_received")

    def begin_write(self, writer: _native.Handle, total: int | None) -> None:
        """A write begins, of `total` rows if that is known."""
        self._begin(lambda name: _native.writer_statistic(writer, name), total)
        self._names = ("known", "bytes_sent")

    def _begin(self, statistic: Callable[[str], int], total: int | None) -> None:
        self._statistic, self._total = statistic, total
        self._next_time = time.monotonic() + _LEAST_SECONDS
        if isinstance(self._tell, _Bar):
            self._tell.begin(total)

    def tick(self) -> None:
        """Tell it, unless it was told a moment ago."""
        if self._tell is not None and time.monotonic() >= self._next_time:
            self.end()
            self._next_time = time.monotonic() + _LEAST_SECONDS

    def end(self) -> None:
        """Tell it that everything is done."""
        if self._tell is not None:
            rows, size = (self._statistic(name) for name in self._names)
            self._tell(rows, size, self._total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away, if there is one."""
        if isinstance(self._tell, _Bar):
            self._tell.close()


class _Bar:
    """A bar of tqdm, in a terminal or a notebook."""

    def __init__(self) -> None:
        from importlib import import_module

        try:
            self._new_bar = import_module("tqdm.auto").tqdm
        except ModuleNotFoundError:
            raise ImportError(
                "progress=True shows a bar of tqdm, which is not installed: pip install "
                '"redcol[progress]", or pass a function of (rows, bytes, total).',
                name="tqdm",
            ) from None
        self._bar: Any = None

    def begin(self, total: int | None) -> None:
        self._bar = self._new_bar(total=total, unit=" rows", unit_scale=True)

    def __call__(self, rows: int, size: int, total: int | None) -> None:
        if total is not None and rows > total:  # added since it was looked up
            self._bar.total = rows
        self._bar.set_postfix_str(f"{size / 1e6:,.1f} MB", refresh=False)
        self._bar.update(rows - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def of(progress: object) -> Progress:
    """What the argument `progress` asks for."""
    if progress is None or progress is False:
        return Progress(None)
    if progress is True:
        return Progress(_Bar())
    if not callable(progress):
        raise InvalidArgumentError(
            "progress must be True, False or a function of (rows, bytes, total), not "
            f"{_arguments.kind(progress)}."
        )
    return Progress(progress)


def total_rows(
    handle: _native.ClientHandle,
    streams: bytes | Sequence[bytes],
    options: Mapping[str, str],
) -> int | None:
    """How many entries whole streams have, up to the limits of the options; None if unknown.

    `streams`: a pattern of keys, or keys.
    """
    import polars as pl

    from .arrow import ArrowTable

    try:
        table = ArrowTable(_native_lists.list_streams(handle, streams))
    except (PermissionDeniedError, WrongTypeError, ServerError):
        # The read itself may need less, or says what is wrong.
        return None
    lengths: list[int] = pl.DataFrame(table)["length"].to_list()
    if "count_per_stream" in options:
        lengths = [min(length, int(options["count_per_stream"])) for length in lengths]
    limits = [int(options[name]) for name in ("count", "last") if name in options]
    return min([sum(lengths), *limits])
