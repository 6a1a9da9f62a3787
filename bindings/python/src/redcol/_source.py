# SPDX-License-Identifier: Apache-2.0
"""A Polars source over a read in batches. It does what Polars pushes down to it.

https://docs.pola.rs/user-guide/plugins/io_plugins/
"""

from __future__ import annotations

import atexit
import contextlib
import io
import threading
import time
from collections.abc import Iterator

from ._typing import TYPE_CHECKING
from .errors import ClosedError

if TYPE_CHECKING:
    from typing import Final

    from polars import DataFrame, Expr, LazyFrame

    from ._lazy import LazyReads

#: If a filter keeps less than one row in this many, the rows are copied: else they would keep the
#: whole batch alive.
_KEPT_LEAST: Final = 4


def lazy_frame(reads: LazyReads) -> LazyFrame:
    """A LazyFrame that reads when it is collected."""
    from polars.io.plugins import register_io_source

    def source(
        with_columns: list[str] | None,
        predicate: Expr | None,
        n_rows: int | None,
        batch_size: int | None,
    ) -> Iterator[DataFrame]:
        return _run(reads, with_columns, predicate, n_rows)

    # Each place in a query reads by itself, and so has the bounds of its own predicate.
    return register_io_source(source, schema=reads.schema, is_pure=False)


def _run(
    reads: LazyReads, shown: list[str] | None, predicate: Expr | None, rows_max: int | None
) -> Iterator[DataFrame]:
    """One read. Polars applies neither the predicate nor the number of rows again.

    If there are both, the number counts first: `head(5).filter(…)`.
    """
    needed = shown
    if shown is not None and predicate is not None:
        needed = list(dict.fromkeys([*shown, *predicate.meta.root_names()]))
    token = object()
    _running.add(token)
    try:
        for frame in reads.frames(needed, predicate, rows_max):
            yield _finished(frame, shown, predicate)
            if _exit.is_set():
                raise ClosedError("the program ends while a query runs")
    finally:
        _running.discard(token)


#: A token for each read that Polars has begun and neither ended nor given up.
_running: Final[set[object]] = set()
_exit: Final = threading.Event()
_EXIT_SECONDS: Final = 1.0


@atexit.register
def _let_threads_leave() -> None:
    """Wait for reads of an interrupted query, since Polars does not wait for their threads.

    A thread that comes back to Python after Python has ended would end the process, from a read or
    from what Polars does between two of them.
    """
    _exit.set()
    deadline = time.monotonic() + _EXIT_SECONDS
    while _running and time.monotonic() < deadline:
        # Polars may leave Python the signal that interrupted the query to raise once more.
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(0.002)


def _finished(frame: DataFrame, shown: list[str] | None, predicate: Expr | None) -> DataFrame:
    import polars as pl

    kept = frame if predicate is None else frame.filter(predicate)
    if shown is not None and shown != frame.columns:
        # After `drop`, newer versions of Polars keep the rows of a frame without columns.
        kept = kept.select(shown) if shown else kept.drop(kept.columns)
    if kept.height == 0:
        return kept.clear()
    texts = (pl.String, pl.Binary, pl.List, pl.Array, pl.Struct)
    hidden = [dtype for name, dtype in frame.schema.items() if name not in kept.columns]
    # Any part of a batch keeps the whole batch alive.
    if kept.height * _KEPT_LEAST < frame.height or any(
        isinstance(dtype, texts) for dtype in hidden
    ):
        return _copied(kept)
    return kept


def _copied(frame: DataFrame) -> DataFrame:
    """The same rows in new memory, texts included: no operation on frames copies those."""
    import polars as pl

    if not frame.columns:
        return frame
    written = io.BytesIO()
    # The newest format writes the buffers of texts uncopied.
    frame.write_ipc_stream(written, compat_level=pl.CompatLevel.oldest())
    written.seek(0)
    return pl.read_ipc_stream(written)
