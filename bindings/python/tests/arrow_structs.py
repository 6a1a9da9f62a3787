# SPDX-License-Identifier: Apache-2.0
"""The structs of the Arrow C Data Interface, to look into capsules without taking them."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int64, c_void_p

import polars as pl


class ArrowSchema(ctypes.Structure):
    pass


class ArrowArray(ctypes.Structure):
    pass


class ArrowArrayStream(ctypes.Structure):
    pass


ArrowSchema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_void_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(ArrowSchema))),
    ("dictionary", POINTER(ArrowSchema)),
    ("release", c_void_p),
    ("private_data", c_void_p),
]
ArrowArray._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(ArrowArray))),
    ("dictionary", POINTER(ArrowArray)),
    ("release", ctypes.CFUNCTYPE(None, POINTER(ArrowArray))),
    ("private_data", c_void_p),
]
ArrowArrayStream._fields_ = [
    ("get_schema", c_void_p),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, c_void_p, POINTER(ArrowArray))),
    ("get_last_error", c_void_p),
    ("release", c_void_p),
    ("private_data", c_void_p),
]

_pointer = ctypes.PYFUNCTYPE(c_void_p, ctypes.py_object, c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def schema_in(capsule: object) -> ArrowSchema:
    return ArrowSchema.from_address(_pointer(capsule, b"arrow_schema"))


def array_in(capsule: object) -> ArrowArray:
    return ArrowArray.from_address(_pointer(capsule, b"arrow_array"))


def buffers(array: ArrowArray) -> list[list[int | None]]:
    """For each column the addresses of its buffers; of string views without the last, the sizes."""
    found = []
    for index in range(array.n_children):
        child = array.children[index].contents
        count = child.n_buffers - 1 if child.n_buffers > 2 else child.n_buffers
        found.append([child.buffers[place] for place in range(count)])
    return found


def chunks_of(frame: pl.DataFrame) -> list[list[list[int | None]]]:
    """The buffers that a frame stands on, for every chunk, as it exports them itself."""
    capsule = frame.__arrow_c_stream__()
    address = _pointer(capsule, b"arrow_array_stream")
    stream = ArrowArrayStream.from_address(address)
    chunks = []
    while True:
        array = ArrowArray()
        assert stream.get_next(address, array) == 0
        if not array.release:
            return chunks
        chunks.append(buffers(array))
        array.release(array)
