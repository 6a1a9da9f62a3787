# SPDX-License-Identifier: Apache-2.0
"""The iterators of this process, and what those that are gone have counted: for metrics."""

from __future__ import annotations

import os
import threading
from collections import namedtuple

from . import _native
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

#: What is counted, by the library's names.
COUNTS: Final = ("delivered", "acknowledged", "reconnects")

#: An iterator's streams and its group (None without one).
Reads = namedtuple("Reads", "streams group")
#: A member of a group that is alive: its client, the server's address as people write it, `Reads`.
Member = namedtuple("Member", "client server reads")


class Living:
    """Handles of iterators that are alive, and sums of the others. For any thread."""

    def __init__(self) -> None:
        # Reentrant: the collection of garbage may end an iterator anywhere.
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._handles: dict[int, tuple[_native.Handle, str, Reads]] = {}
        #: Whether sums of iterators that have ended are wanted.
        self.keeps_sums = False
        self._sums: dict[Reads, list[int]] = {}

    def begin(self, handle: _native.Handle, server: str, reads: Reads) -> None:
        """An iterator begins. `server`: its address, without credentials."""
        with self._lock:
            if self._process != os.getpid():  # what a parent process has read is not ours
                self._process, self._handles, self._sums = os.getpid(), {}, {}
            self._handles[id(handle)] = (handle, server, reads)

    def end(self, handle: _native.Handle) -> None:
        """An iterator is gone."""
        with self._lock:
            known = self._handles.pop(id(handle), None)
            if known is not None and self.keeps_sums:
                self._add(self._sums, handle, known[2])

    def counts(self) -> dict[Reads, list[int]]:
        """The numbers in `COUNTS` of all iterators that read the same."""
        with self._lock:
            if self._process != os.getpid():
                return {}
            totals = {reads: list(sums) for reads, sums in self._sums.items()}
            for handle, _, reads in self._handles.values():
                self._add(totals, handle, reads)
            return totals

    def members(self) -> list[Member]:
        """The iterators that are alive, not closed, and belong to a group."""
        with self._lock:
            if self._process != os.getpid():
                return []
            return [
                Member(handle.owner, server, reads)
                for handle, server, reads in self._handles.values()
                if reads.group is not None
                and handle.owner is not None
                and not (handle.is_closed or handle.owner.is_closed)
            ]

    @staticmethod
    def _add(totals: dict[Reads, list[int]], handle: _native.Handle, reads: Reads) -> None:
        sums = totals.setdefault(reads, [0] * len(COUNTS))
        for place, name in enumerate(COUNTS):
            sums[place] += max(0, _native.iter_statistic(handle, name))


LIVING: Final = Living()
