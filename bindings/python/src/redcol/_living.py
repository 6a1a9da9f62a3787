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
        #: Whether sums of iterators that have ended are wanted.
        self.keeps_sums = False
        self.forget()

    def forget(self) -> None:
        """Begin again: what a parent process has read is not its child's."""
        # Reentrant: the collection of garbage may end an iterator anywhere. New, since another
        # thread of the parent may have held it.
        self._lock = threading.RLock()
        self._handles: dict[int, tuple[_native.Handle, str, Reads]] = {}
        self._sums: dict[Reads, list[int]] = {}
        #: What `counts` has returned.
        self._largest: dict[Reads, list[int]] = {}

    def begin(self, handle: _native.Handle, server: str, reads: Reads) -> None:
        """An iterator begins. `server`: its address, without credentials."""
        with self._lock:
            self._handles[id(handle)] = (handle, server, reads)

    def end(self, handle: _native.Handle) -> None:
        """An iterator is gone."""
        with self._lock:
            known = self._handles.pop(id(handle), None)
            if known is not None and self.keeps_sums:
                self._add(self._sums, handle, known[2])

    def counts(self) -> dict[Reads, list[int]]:
        """The numbers in `COUNTS` of all iterators that read the same. They never fall.

        A batch that is put back lowers what its iterator counts, until it comes again.
        """
        with self._lock:
            totals = {reads: list(sums) for reads, sums in self._sums.items()}
            for handle, _, reads in self._handles.values():
                self._add(totals, handle, reads)
            for reads, sums in totals.items():
                before = self._largest.get(reads, sums)
                self._largest[reads] = [max(pair) for pair in zip(before, sums, strict=True)]
            return dict(self._largest)

    def members(self) -> list[Member]:
        """The iterators that are alive, not closed, and belong to a group."""
        with self._lock:
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
os.register_at_fork(after_in_child=LIVING.forget)
