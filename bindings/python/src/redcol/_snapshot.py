# SPDX-License-Identifier: Apache-2.0
"""Which reads belong to one query, so that all of them see the same snapshot.

Polars does not tell a source when a query begins, nor which reads belong to which query: two places
of a query are two calls, on any threads. But a source can see

- where the thread that wants the result stands: inside Polars, in one call of the program, for as
  long as the query runs;
- how often that call asks for the schema: once for each place, before any of them is read. Polars 1
  does not ask if `collect_schema` has planned the frame before; then that call has shown how many
  places there are.

A read that fits neither begins a new query. One case stays unclear: a call of the program that is
repeated, on a frame with several places that was planned elsewhere. There the time decides.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, TypeAlias

    from ._bounds import Bounds, EntryID

    #: What is read of a stream, and where it ended; None for an empty one.
    Snapshot: TypeAlias = tuple[Bounds, EntryID | None]

#: Where a thread stands: a hash of the code and the instruction of each function that it is in.
_Place = int

_NOWHERE: Final = 0
#: How long after a query's last read its next one may begin, and if it was not seen to be planned.
_IDLE_SECONDS: Final = 60.0
_IDLE_SECONDS_UNPLANNED: Final = 1.0
#: Polars asks for the schemas of one query within this time.
_PLANNING_SECONDS: Final = 1.0


class Snapshots:
    """The snapshots of one source, one for each query. For any thread."""

    def __init__(self) -> None:
        # Reentrant: the collection of garbage may end a read anywhere.
        self._lock = threading.RLock()
        #: The last planning: where it was done, how many reads it announced, and when.
        self._planned_in: _Place = _NOWHERE
        self._places = 0
        self._planned_at = 0.0
        #: The most reads that one planning has announced.
        self._places_most = 1
        #: The snapshot, if there is one, and where threads stood when it was taken.
        self._taken: list[Snapshot] = []
        self._taken_in: set[_Place] = set()
        self._begun = 0
        self._running = 0
        self._used_at = 0.0

    def planned(self) -> None:
        """Polars asks for the schema, in the thread that plans."""
        place = _here()
        with self._lock:
            if self._begun > 0 and place in self._taken_in:
                self._taken.clear()  # the same line of the program runs once more
                self._begun = 0
                self._places = 0
            is_late = time.monotonic() - self._planned_at > _PLANNING_SECONDS
            self._places = 1 if is_late or place != self._planned_in else self._places + 1
            self._planned_in = place
            self._places_most = max(self._places_most, self._places)
            self._planned_at = time.monotonic()

    def planning(self, take: Callable[[], Snapshot]) -> Snapshot:
        """The snapshot of the query that is being planned here. Called after `planned`."""
        with self._lock:
            snapshot = self._take(take, {self._planned_in})
            self._planned_at = time.monotonic()
            return snapshot

    def begin(self, take: Callable[[], Snapshot]) -> Snapshot:
        """A read begins: its query's snapshot. One `end` follows, unless `take` raises."""
        with self._lock:
            places = _places()
            if not self._is_same_query(places):
                self._take(take, places)
            self._begun += 1
            self._running += 1
            return self._taken[0]

    def end(self) -> None:
        """A read has ended."""
        with self._lock:
            self._running -= 1
            self._used_at = time.monotonic()

    def _is_same_query(self, places: set[_Place]) -> bool:
        if not self._taken or self._taken_in.isdisjoint(places):
            return False
        is_planned = self._planned_in in places
        if self._begun >= (self._places if is_planned else self._places_most):
            return False
        allowed = _IDLE_SECONDS if is_planned else _IDLE_SECONDS_UNPLANNED
        return self._running > 0 or time.monotonic() - self._used_at <= allowed

    def _take(self, take: Callable[[], Snapshot], places: set[_Place]) -> Snapshot:
        self._taken.clear()
        self._taken.append(take())
        self._taken_in = places
        self._begun = 0
        self._used_at = time.monotonic()
        return self._taken[0]


def _here() -> _Place:
    """Where this thread stands in Polars, which called redcol."""
    return next(iter(_places_of(sys._getframe())), _NOWHERE)


def _places() -> set[_Place]:
    """Where all threads that are inside Polars stand."""
    places: set[_Place] = set()
    for frame in sys._current_frames().values():
        places.update(_places_of(frame))
    return places or {_NOWHERE}


def _places_of(innermost: FrameType) -> list[_Place]:
    """A thread's place in each function of Polars on its stack, the innermost first.

    There can be several: Polars may have called the program, or redcol, on this thread.
    """
    frames = []
    frame: FrameType | None = innermost
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    found = []
    place = _NOWHERE
    for frame in reversed(frames):
        place = hash((place, frame.f_code, frame.f_lasti))
        if str(frame.f_globals.get("__name__")).startswith("polars."):
            found.append(place)
    return found[::-1]
