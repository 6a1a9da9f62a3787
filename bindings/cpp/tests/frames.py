# SPDX-License-Identifier: Apache-2.0
"""Frames made by hand: Arrow streams with callbacks in Python that count what is not released."""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE, POINTER, c_int, c_void_p
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python/tests"))

import arrow_structs

_GET_SCHEMA = CFUNCTYPE(c_int, c_void_p, POINTER(arrow_structs.ArrowSchema))
# The types of members of the structs have to be these very ones.
_GET_NEXT = CFUNCTYPE(c_int, c_void_p, POINTER(arrow_structs.ArrowArray))
_LAST_ERROR = CFUNCTYPE(c_void_p, c_void_p)
_RELEASE_SCHEMA = CFUNCTYPE(None, POINTER(arrow_structs.ArrowSchema))
_RELEASE_ARRAY = CFUNCTYPE(None, POINTER(arrow_structs.ArrowArray))
_RELEASE_STREAM = CFUNCTYPE(None, POINTER(arrow_structs.ArrowArrayStream))


class Frame:
    """Batches of a column "n" (int64) and one of strings, "_key", as a struct ArrowArrayStream.

    It must live as long as the stream does. `get_schema`, `get_next`: an errno that they give
    instead. `n_format`: said of the column "n". `key_name`: in place of "_key". `missing`: rows
    that the batches say they have, and have not. `meanwhile`: called in get_next.
    """

    def __init__(
        self,
        batches: Sequence[Sequence[tuple[int, str | None]]] = (((1, "k"),),),
        *,
        get_schema: int = 0,
        get_next: int = 0,
        n_format: bytes = b"l",
        key_name: bytes = b"_key",
        missing: int = 0,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        #: Structs that were given out and not released: the stream, schemas, arrays.
        self.unreleased = 1
        self._batches = list(batches)
        self._errors = get_schema, get_next
        self._n_format, self._missing, self._meanwhile = n_format, missing, meanwhile
        self._key_name = key_name
        self._kept: list[object] = []
        self._text = ctypes.create_string_buffer(b"the frame is broken")
        self._callbacks = (
            _GET_SCHEMA(self._get_schema),
            _GET_NEXT(self._get_next),
            _LAST_ERROR(lambda _: ctypes.addressof(self._text)),
            _RELEASE_STREAM(self._release),
        )
        self._release_schema = _RELEASE_SCHEMA(self._release)
        self._release_array = _RELEASE_ARRAY(self._release)
        self._no_array = _RELEASE_ARRAY()
        self.stream = arrow_structs.ArrowArrayStream(get_next=self._callbacks[1])
        self.stream.get_schema = ctypes.cast(self._callbacks[0], c_void_p)
        self.stream.get_last_error = ctypes.cast(self._callbacks[2], c_void_p)
        self.stream.release = ctypes.cast(self._callbacks[3], c_void_p)

    @property
    def is_moved(self) -> bool:
        """Whether the struct, as the caller has it, is released."""
        return not self.stream.release

    def _release(self, pointer: Any) -> None:
        given = pointer.contents
        self.unreleased -= 1
        is_array = isinstance(given, arrow_structs.ArrowArray)
        given.release = self._no_array if is_array else None

    def _get_schema(self, _: int, out: Any) -> int:
        if self._errors[0]:
            return self._errors[0]
        columns = [(b"n", self._n_format), (self._key_name, b"u")]
        children = [self._schema(name, text) for name, text in columns]
        pointers = (POINTER(arrow_structs.ArrowSchema) * 2)(*map(ctypes.pointer, children))
        out[0] = self._schema(b"", b"+s")
        out.contents.n_children, out.contents.children = 2, pointers
        self._kept += [children, pointers]
        self.unreleased += 1
        return 0

    def _schema(self, name: bytes, text: bytes) -> arrow_structs.ArrowSchema:
        schema = arrow_structs.ArrowSchema(format=text, name=name, flags=2)
        schema.release = ctypes.cast(self._release_schema, c_void_p)
        return schema

    def _get_next(self, _: int, out: Any) -> int:
        if self._meanwhile:
            self._meanwhile()
        if self._errors[1]:
            return self._errors[1]
        if not self._batches:
            out.contents.release = self._no_array
            return 0
        rows = self._batches.pop(0)
        numbers = struct.pack(f"{len(rows)}q", *(number for number, _ in rows))
        texts = [(text or "").encode() for _, text in rows]
        offsets = [sum(map(len, texts[:row])) for row in range(len(texts) + 1)]
        valid = sum(1 << row for row, (_, text) in enumerate(rows) if text is not None)
        children = [
            self._array(len(rows), None, numbers),
            self._array(
                len(rows),
                valid.to_bytes(len(rows) // 8 + 1, "little"),
                struct.pack(f"{len(offsets)}i", *offsets),
                b"".join(texts),
            ),
        ]
        pointers = (POINTER(arrow_structs.ArrowArray) * 2)(*map(ctypes.pointer, children))
        out[0] = self._array(len(rows) + self._missing, None)
        out.contents.n_children, out.contents.children = 2, pointers
        self._kept += [children, pointers]
        self.unreleased += 1
        return 0

    def _array(self, length: int, *buffers: bytes | None) -> arrow_structs.ArrowArray:
        kept = [ctypes.create_string_buffer(one, len(one) + 8) if one else None for one in buffers]
        pointers = (c_void_p * len(kept))(
            *(None if one is None else ctypes.addressof(one) for one in kept)
        )
        array = arrow_structs.ArrowArray(length=length, null_count=-1, n_buffers=len(kept))
        if len(kept) == 1:  # the struct of the columns
            array.null_count = 0
        array.buffers = ctypes.cast(pointers, POINTER(c_void_p))
        array.release = self._release_array
        self._kept += [kept, pointers]
        return array
