# SPDX-License-Identifier: Apache-2.0
"""Every test ends with as many of the library's objects alive as it began with."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest

from redcol import _native

#: A thread of Polars may still be about to drop what a test has let go.
SECONDS_MAX = 5.0


def live_objects_at_most(wanted: int) -> int:
    """The number alive; cycles are collected and other threads waited for only if it is higher."""
    deadline = time.monotonic() + SECONDS_MAX
    while (alive := _native.live_objects()) > wanted and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    return alive


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fails a test after which more of the library's objects are alive than before.

    Fewer are none of its doing: the traceback of a test that failed before has kept them.
    """
    before = _native.live_objects()
    yield
    assert live_objects_at_most(before) <= before, "the library's objects that are alive"
