"""libredcol through ctypes: finding it, its signatures, and one thin function for each of its own.

This is the only file that imports ctypes; redcol.h is the manual of what is called here. Functions
raise the exceptions of errors.py. The library is loaded when it is first needed, so that importing
redcol stays cheap, and through CDLL, so that other Python threads run while it waits.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_void_p
from typing import Any, Final

from . import errors

#: The interface that this file binds: major.minor of redcol.h. A test compares the two.
INTERFACE_VERSION: Final = "0.1"

OK: Final = 0
END: Final = 1
TIMEOUT: Final = 2

_Out = POINTER(c_void_p)
_Strings = POINTER(c_char_p)

#: Every function of redcol.h: what it returns and what it takes.
SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "redcol_version": (c_char_p, []),
    "redcol_open": (c_int32, [c_char_p, _Strings, _Out, _Out]),
    "redcol_read_stream": (
        c_int32,
        [c_void_p, c_char_p, c_int64, c_void_p, _Strings, _Out, _Out],
    ),
    "redcol_read_streams": (
        c_int32,
        [c_void_p, _Strings, POINTER(c_int64), c_int64, c_void_p, _Strings, _Out, _Out],
    ),
    "redcol_iter_next": (c_int32, [c_void_p, c_int64, c_void_p, c_void_p, _Out]),
    "redcol_iter_ack": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 2, POINTER(c_int64), _Out],
    ),
    "redcol_iter_unread": (c_int32, [c_void_p, _Out]),
    "redcol_iter_descriptor": (c_int32, [c_void_p]),
    "redcol_iter_statistic": (c_int64, [c_void_p, c_char_p]),
    "redcol_ack": (
        c_int32,
        [c_void_p, *[c_char_p, c_int64] * 3, POINTER(c_int64), _Out],
    ),
    "redcol_cancel": (c_int32, [c_void_p]),
    "redcol_close": (c_int32, [c_void_p]),
    "redcol_free": (None, [c_void_p]),
    "redcol_error_status": (c_int32, [c_void_p]),
    "redcol_error_message": (c_char_p, [c_void_p]),
    "redcol_error_detail": (c_char_p, [c_void_p, c_char_p]),
    "redcol_live_objects": (c_int64, []),
    "redcol_capsule_setup": (None, [c_void_p]),
    # Names are passed on to CPython as the pointers that they are: a capsule keeps the pointer.
    "redcol_capsule_schema_name": (c_void_p, []),
    "redcol_capsule_array_name": (c_void_p, []),
    "redcol_capsule_schema_new": (c_void_p, []),
    "redcol_capsule_array_new": (c_void_p, []),
    "redcol_capsule_schema_free": (None, [c_void_p]),
    "redcol_capsule_array_free": (None, [c_void_p]),
    "redcol_capsule_handle_name": (c_void_p, []),
    "redcol_capsule_handle_new": (c_void_p, []),
    "redcol_capsule_handle_free": (None, [c_void_p]),
}

# Prototypes of our own: setting argtypes on the shared ctypes.pythonapi functions would change them
# for every other user of ctypes in the process.
_capsule_new = ctypes.PYFUNCTYPE(ctypes.py_object, c_void_p, c_void_p, c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_capsule_pointer = ctypes.PYFUNCTYPE(c_void_p, ctypes.py_object, c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def _candidates() -> list[str]:
    """Where the library may be, in order. REDCOL_LIBRARY, if set, is the only place."""
    chosen = os.environ.get("REDCOL_LIBRARY")
    if chosen:
        return [chosen]
    beside = os.path.join(os.path.dirname(__file__), "libredcol.so")
    return [beside, "libredcol.so.0", "libredcol.so"]


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded library, with its signatures declared and its version checked."""
    tried = []
    for path in _candidates():
        try:
            lib = ctypes.CDLL(path)
        except OSError as error:
            tried.append(f"{path}: {error}")
        else:
            return _prepare(lib, path)
    raise ImportError(
        "redcol's library could not be loaded. Tried:\n  "
        + "\n  ".join(tried)
        + "\nInstall the redcol wheel, or set REDCOL_LIBRARY to the path of libredcol.so."
    )


def _prepare(lib: ctypes.CDLL, path: str) -> ctypes.CDLL:
    try:
        for name, (restype, argtypes) in SIGNATURES.items():
            function = getattr(lib, name)
            function.restype = restype
            function.argtypes = argtypes
    except AttributeError as error:
        raise ImportError(
            f"{path} is not a libredcol of version {INTERFACE_VERSION}: {error}"
        ) from None
    found = lib.redcol_version().decode()
    if found.split(".")[:2] != INTERFACE_VERSION.split("."):
        raise ImportError(
            f"{path} is version {found}, but this package needs {INTERFACE_VERSION}.x. "
            "Install a matching library, or unset REDCOL_LIBRARY."
        )
    lib.redcol_capsule_setup(ctypes.cast(ctypes.pythonapi.PyCapsule_GetPointer, c_void_p))
    return lib


class Handle:
    """An object of the library: a client, an iterator or an error. Freed when this goes.

    It exists before the call that fills it, so that nothing is lost when a KeyboardInterrupt comes
    right after that call. A capsule frees it, and no `__del__`: Python swallows a KeyboardInterrupt
    that comes in there.
    """

    __slots__ = (
        *("__weakref__", "_capsule", "_close", "_free", "_lock"),
        *("error", "is_closed", "owner", "pointer"),
    )  # fmt: skip

    def __init__(self) -> None:
        lib = library()
        cell = lib.redcol_capsule_handle_new()
        self._capsule = _new_capsule(
            cell, lib.redcol_capsule_handle_name(), lib.redcol_capsule_handle_free
        )
        self.pointer = c_void_p.from_address(cell)
        #: For the errors of iter_next, one for all of them.
        self.error: Handle | None = None
        self.is_closed = False
        #: The client that closes this iterator with itself.
        self.owner: ClientHandle | None = None
        self._close = lib.redcol_close
        # Reentrant, since a signal handler or a finalizer may close what is being closed.
        self._lock = threading.RLock()
        self._free = lib.redcol_free

    def close(self) -> bool:
        """Close its connection. Any thread; twice is no error.

        False if another thread is inside a call on it, which then ends: close again.
        """
        self.is_closed = True
        # The thread that uses it may be about to free it.
        with self._lock:
            status = self._close(self.pointer)
        return bool(status != errors.BusyError.status)

    def free(self) -> None:
        """Free it now. Not while another thread is inside a call on it. Twice is no error."""
        with self._lock:
            address, self.pointer.value = self.pointer.value, None
            self._free(address)
        if self.owner is not None:
            # Now, since an interrupt would be swallowed in the weak reference's callback, too.
            self.owner.forget(self)


class ClientHandle(Handle):
    """A client, which closes its iterators with itself: the library lets them go on."""

    __slots__ = ("_iterators", "_iterators_lock")

    def __init__(self) -> None:
        super().__init__()
        self._iterators: weakref.WeakSet[Handle] = weakref.WeakSet()
        self._iterators_lock = threading.RLock()

    def add(self, iterator: Handle) -> None:
        """Let `close` end this iterator, too."""
        iterator.owner = self
        with self._iterators_lock:
            self._iterators.add(iterator)
        if self.is_closed:  # by another thread, which may not have seen the iterator
            iterator.close()

    def forget(self, iterator: Handle) -> None:
        """`close` need not end this iterator any more."""
        with self._iterators_lock:
            self._iterators.discard(iterator)

    def close(self) -> bool:
        """Close it and what reads through it. Any thread; twice is no error."""
        super().close()
        with self._iterators_lock:
            iterators = list(self._iterators)
        for iterator in iterators:
            iterator.close()
        return True


def _raise_if_error(status: int, error: Handle, asked: Handle | None = None) -> None:
    if status >= 0:
        return
    cancelled = errors.CancelledError.status
    if status == cancelled and asked is not None and asked.is_closed:
        # Closing what waits in another thread is done by cancelling it.
        raise errors.ClosedError("the client was closed during this call")
    lib = library()
    message = lib.redcol_error_message(error.pointer)
    details = {
        name: _text(lib.redcol_error_detail(error.pointer, name.encode()))
        for name in errors.DETAIL_NAMES
    }
    error.free()
    raise errors.from_status(status, _text(message) or f"libredcol: status {status}", details)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _options(options: Mapping[str, str]) -> Any:
    words = [word.encode() for pair in options.items() for word in pair]
    return (c_char_p * (len(words) + 1))(*words, None)


def version() -> str:
    """The library's version, "major.minor.patch"."""
    found: bytes = library().redcol_version()
    return found.decode()


def live_objects() -> int:
    """How many objects of the library are alive in this process."""
    return int(library().redcol_live_objects())


def open_client(url: str, options: Mapping[str, str]) -> ClientHandle | None:
    """Connect. None if a signal ended the call: look at it, and call again."""
    client, error = ClientHandle(), Handle()
    status = library().redcol_open(
        url.encode(), _options(options), ctypes.byref(client.pointer), ctypes.byref(error.pointer)
    )
    _raise_if_error(status, error)
    return client if status == OK else None


def read_streams(
    client: ClientHandle,
    streams: Sequence[bytes],
    schema_capsule: object,
    options: Mapping[str, str],
) -> Handle:
    """Start a read. `schema_capsule` is an "arrow_schema" capsule, read only, or None."""
    schema = None
    if schema_capsule is not None:
        schema = _capsule_pointer(schema_capsule, b"arrow_schema")
    count = len(streams)
    names = (c_char_p * count)(*streams)
    lengths = (c_int64 * count)(*map(len, streams))
    status = TIMEOUT
    while status == TIMEOUT:  # a signal came whose handler did not raise
        iterator, error = Handle(), Handle()
        status = library().redcol_read_streams(
            client.pointer,
            names,
            lengths,
            count,
            schema,
            _options(options),
            ctypes.byref(iterator.pointer),
            ctypes.byref(error.pointer),
        )
        _raise_if_error(status, error, client)
    client.add(iterator)
    return iterator


def iter_next(iterator: Handle, wait_ms: int, schema_capsule: object, array_capsule: object) -> int:
    """Take the next batch into the two empty capsules: OK, END or TIMEOUT."""
    error = iterator.error
    if error is None:
        error = iterator.error = Handle()
    elif error.pointer:  # left there by an interrupt
        error.free()
    status: int = library().redcol_iter_next(
        iterator.pointer,
        wait_ms,
        _capsule_pointer(schema_capsule, b"arrow_schema"),
        _capsule_pointer(array_capsule, b"arrow_array"),
        ctypes.byref(error.pointer),
    )
    _raise_if_error(status, error, iterator)
    return status


def iter_ack(iterator: Handle, stream: bytes | None, entry_ids: bytes | None) -> int:
    """Acknowledge entries that an iterator has handed over: those, or all if None."""
    total = 0
    status = TIMEOUT
    while status == TIMEOUT:  # a signal came whose handler did not raise
        acknowledged, error = c_int64(), Handle()
        status = library().redcol_iter_ack(
            iterator.pointer,
            stream,
            0 if stream is None else len(stream),
            entry_ids,
            0 if entry_ids is None else len(entry_ids),
            ctypes.byref(acknowledged),
            ctypes.byref(error.pointer),
        )
        _raise_if_error(status, error)
        total += acknowledged.value
    return total


def iter_unread(iterator: Handle) -> None:
    """Take back the batch that was handed over last: it comes again."""
    error = Handle()
    status = library().redcol_iter_unread(iterator.pointer, ctypes.byref(error.pointer))
    _raise_if_error(status, error)


def iter_descriptor(iterator: Handle) -> int:
    """The file descriptor that is readable when iter_next is worth calling again."""
    return int(library().redcol_iter_descriptor(iterator.pointer))


def iter_statistic(iterator: Handle, name: str) -> int:
    """One number of what an iterator has done so far."""
    return int(library().redcol_iter_statistic(iterator.pointer, name.encode()))


def ack(client: ClientHandle, stream: bytes, group: bytes, entry_ids: bytes) -> tuple[int, bool]:
    """Acknowledge entries: how many were pending, and whether a signal ended the call too early."""
    acknowledged, error = c_int64(), Handle()
    status = library().redcol_ack(
        client.pointer,
        stream,
        len(stream),
        group,
        len(group),
        entry_ids,
        len(entry_ids),
        ctypes.byref(acknowledged),
        ctypes.byref(error.pointer),
    )
    _raise_if_error(status, error, client)
    return acknowledged.value, status == TIMEOUT


def cancel(handle: Handle) -> None:
    """End the call that waits on a client or an iterator in another thread."""
    library().redcol_cancel(handle.pointer)


def new_schema_capsule() -> object:
    """A capsule with an empty ArrowSchema, to be filled by iter_next."""
    lib = library()
    return _new_capsule(
        lib.redcol_capsule_schema_new(),
        lib.redcol_capsule_schema_name(),
        lib.redcol_capsule_schema_free,
    )


def new_array_capsule() -> object:
    """A capsule with an empty ArrowArray, to be filled by iter_next."""
    lib = library()
    return _new_capsule(
        lib.redcol_capsule_array_new(),
        lib.redcol_capsule_array_name(),
        lib.redcol_capsule_array_free,
    )


def _new_capsule(memory: int | None, name: int, destructor: Any) -> object:
    # NULL would make CPython raise ValueError: say what it means.
    if not memory:
        raise errors.OutOfMemoryError("No memory for an Arrow struct.")
    return _capsule_new(memory, name, ctypes.cast(destructor, c_void_p))


def is_filled(array_capsule: object) -> bool:
    """Whether iter_next has put an array into this capsule."""
    return bool(_Array.from_address(_capsule_pointer(array_capsule, b"arrow_array")).release)


class _Array(ctypes.Structure):
    """struct ArrowArray, to see whether it is released."""

    _fields_ = (
        *((name, c_int64) for name in ("length", "null_count", "offset")),
        *((name, c_int64) for name in ("n_buffers", "n_children")),
        *((name, c_void_p) for name in ("buffers", "children", "dictionary")),
        ("release", c_void_p),
        ("private_data", c_void_p),
    )


def array_length(array_capsule: object) -> int:
    """How many rows the ArrowArray in a capsule has: `length` is the struct's first member."""
    address = _capsule_pointer(array_capsule, b"arrow_array")
    return c_int64.from_address(address).value
