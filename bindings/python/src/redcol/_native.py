# SPDX-License-Identifier: Apache-2.0
"""libredcol's functions for Python: one thin function for each, and the handles they return.

Functions raise the exceptions of errors.py. Only this file, _native_steering.py, _library.py,
_schema_structs.py and _credentials.py import ctypes. redcol.h is the manual of the functions that
are called here.
"""

from __future__ import annotations

import ctypes
import functools
import threading
import weakref
from collections.abc import Mapping, Sequence
from ctypes import c_char_p, c_int64, c_uint64, c_void_p

from . import _credentials, _log, errors
from ._library import INTERFACE_VERSION as INTERFACE_VERSION
from ._library import SIGNATURES as SIGNATURES
from ._library import is_interrupted
from ._library import library as library
from ._schema_structs import StructSchema as StructSchema
from ._schema_structs import capsule_pointer
from ._schema_structs import schema_fields as schema_fields
from ._schema_structs import schema_names as schema_names
from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Final

    from ._credentials import Credentials
    from .client import Server

OK: Final = 0
END: Final = 1
TIMEOUT: Final = 2

#: Where `release` is in the structs of the Arrow C Data Interface.
_ARRAY_RELEASE: Final = 64
_SCHEMA_RELEASE: Final = 56

# Prototypes of our own: setting argtypes on the shared ctypes.pythonapi functions would change them
# for every other user of ctypes in the process.
_capsule_new = ctypes.PYFUNCTYPE(ctypes.py_object, c_void_p, c_void_p, c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)


class Handle:
    """An object of the library (a client, an iterator, a writer or an error), freed with this one.

    It exists before the call that fills it, so that a KeyboardInterrupt right after that call loses
    nothing. A capsule frees it, not `__del__`: Python swallows a KeyboardInterrupt in `__del__`.
    """

    __slots__ = (
        *("__weakref__", "_capsule", "_close", "_free", "_lock"),
        *("error", "is_closed", "owner", "pointer", "pointer_reference"),
    )  # fmt: skip

    def __init__(self) -> None:
        lib = library()
        cell = lib.redcol_capsule_handle_new()
        self._capsule = _new_capsule(cell, *_capsule_kinds().handle)
        self.pointer = c_void_p.from_address(cell)
        #: Where the library may write it.
        self.pointer_reference = ctypes.byref(self.pointer)
        #: For the errors of iter_next: one object for all of them.
        self.error: Handle | None = None
        self.is_closed = False
        #: The client that closes this iterator with itself.
        self.owner: ClientHandle | None = None
        self._close = lib.redcol_close
        # Reentrant, since a signal handler or a finalizer may close it during a close.
        self._lock = threading.RLock()
        self._free = lib.redcol_free

    def close(self) -> bool:
        """Close its connection. May be called from any thread, and twice.

        Returns False if another thread is inside a call on it. That call then ends: close again.
        """
        self.is_closed = True
        # The thread that uses it may be about to free it.
        with self._lock:
            status = self._close(self.pointer)
        return bool(status != errors.BusyError.status)

    def free(self) -> None:
        """Free it now, but not while another thread is inside a call on it. May be called twice."""
        with self._lock:
            address, self.pointer.value = self.pointer.value, None
            self._free(address)
        if self.owner is not None:
            # Now, since Python swallows an interrupt in a weak reference's callback too.
            self.owner.forget(self)


class ClientHandle(Handle):
    """A client. It closes its iterators too, which the library would let live on."""

    __slots__ = ("_iterators", "_iterators_lock", "credentials")

    def __init__(self) -> None:
        super().__init__()
        #: What it was opened with, as long as it is there.
        self.credentials: Handle | None = None
        self._iterators: weakref.WeakSet[Handle] = weakref.WeakSet()
        self._iterators_lock = threading.RLock()

    def add(self, iterator: Handle) -> None:
        """Let `close` close this iterator too."""
        iterator.owner = self
        with self._iterators_lock:
            self._iterators.add(iterator)
        if self.is_closed:  # by another thread, which may not have seen the iterator
            iterator.close()

    def forget(self, iterator: Handle) -> None:
        """Let `close` no longer close this iterator."""
        with self._iterators_lock:
            self._iterators.discard(iterator)

    def close(self) -> bool:
        """Close it and its iterators. May be called from any thread, and twice."""
        super().close()
        with self._iterators_lock:
            iterators = list(self._iterators)
        for iterator in iterators:
            iterator.close()
        return True


def raise_if_error(status: int, error: Handle, asked: Handle | None = None) -> None:
    """Raise the exception of a negative status, and what a callback of Python's has raised."""
    if _log.raised:
        _log.raise_what_was_raised()
    if is_interrupted():
        raise KeyboardInterrupt
    if status >= 0:
        return
    if status == errors.CancelledError.status and asked is not None and asked.is_closed:
        # Closing a handle cancels a call that waits in another thread.
        raise errors.ClosedError("the client was closed during this call")
    raise _exception(status, error)


def _exception(status: int, error: Handle) -> errors.RedcolError:
    """The exception for an error. Frees the error."""
    lib = library()
    message = lib.redcol_error_message(error.pointer)
    details = {
        name: _text(lib.redcol_error_detail(error.pointer, name.encode()))
        for name in errors.DETAIL_NAMES
    }
    code = _text(lib.redcol_error_detail(error.pointer, b"provider_code"))
    error.free()
    text = _text(message) or f"libredcol: status {status}"
    exception = errors.from_status(status, text, details)
    exception.__cause__ = _credentials.raised(code)
    return exception


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def options_of(options: Mapping[str, str]) -> Any:
    """Options as the library takes them."""
    words = [word.encode() for pair in options.items() for word in pair]
    return (c_char_p * (len(words) + 1))(*words, None)


class Repeating:
    """Around a call that is made again after each signal; `client` None: of open_client.

    If a signal's handler raises, it is not made again, and a later call must not continue it.
    """

    __slots__ = ("_client",)

    def __init__(self, client: Handle | None) -> None:
        self._client = client

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            library().redcol_forget(None if self._client is None else self._client.pointer)


def version() -> str:
    """The library's version, "major.minor.patch"."""
    found: bytes = library().redcol_version()
    return found.decode()


def feature(name: str) -> bool:
    """Whether the library has a feature on this machine."""
    return bool(library().redcol_feature(name.encode()))


def live_objects() -> int:
    """How many objects of the library are alive in this process."""
    return int(library().redcol_live_objects())


def open_client(
    server: Server, options: Mapping[str, str], credentials: Handle | None = None
) -> ClientHandle | None:
    """Connect. None if a signal ended the call: let Python handle it, and call again.

    Call it inside `Repeating(None)`.
    """
    client, error = ClientHandle(), Handle()
    words = options_of({**options, **server.private_options()})
    out = (client.pointer_reference, error.pointer_reference)
    # The URL is in no variable: see Server.
    if credentials is None:
        status = library().redcol_open(server.encoded_url(), words, *out)
    else:
        status = library().redcol_open_with_credentials(
            server.encoded_url(), words, credentials.pointer, *out
        )
    raise_if_error(status, error)
    if status != OK:
        return None
    client.credentials = credentials
    return client


def new_credentials(function: Credentials) -> Handle:
    """Credentials that `function` returns, for as long as the handle is there."""
    credentials = Handle()
    if _credentials.new_credentials(function, credentials) != OK:
        raise errors.OutOfMemoryError("No memory for credentials.")
    return credentials


def read_streams(
    client: ClientHandle,
    streams: Sequence[bytes],
    schema_capsule: object,
    options: Mapping[str, str],
) -> Handle:
    """Start a read. `schema_capsule`: an "arrow_schema" capsule, a StructSchema, or None."""
    function = library().redcol_read_streams
    return begin_read(client, function, names_as_taken(streams), schema_capsule, options)


def names_as_taken(names: Sequence[bytes]) -> tuple[Any, ...]:
    """Names as functions take them."""
    count = len(names)
    return ((c_char_p * count)(*names), (c_int64 * count)(*map(len, names)), count)


def begin_read(
    client: ClientHandle,
    function: Any,
    names: tuple[Any, ...],
    schema_capsule: object,
    options: Mapping[str, str],
) -> Handle:
    """Start a read by a function that may connect."""
    schema = None
    if isinstance(schema_capsule, StructSchema):
        schema = schema_capsule.address
    elif schema_capsule is not None:
        schema = capsule_pointer(schema_capsule, b"arrow_schema")
    status = TIMEOUT
    with Repeating(client):
        while status == TIMEOUT:  # a signal came whose handler did not raise
            iterator, error = Handle(), Handle()
            status = function(
                client.pointer,
                *names,
                schema,
                options_of(options),
                iterator.pointer_reference,
                error.pointer_reference,
            )
            raise_if_error(status, error, client)
    client.add(iterator)
    return iterator


def chosen(streams: bytes | Sequence[bytes]) -> tuple[Any, ...]:
    """A pattern of keys or a list of keys, as functions take them."""
    if isinstance(streams, bytes):
        return (streams, len(streams), None, None, 0)
    return (None, 0, *names_as_taken(streams))


def read_ranges(
    client: ClientHandle,
    streams: bytes | Sequence[bytes],
    schema_capsule: object,
    options: Mapping[str, str],
) -> Handle:
    """Start a read of many ranges: of the keys in a list, or of those that match a pattern."""
    function = library().redcol_read_ranges
    return begin_read(client, function, chosen(streams), schema_capsule, options)


def last_id(client: ClientHandle, stream: bytes) -> tuple[int, int] | None:
    """The milliseconds and the sequence number of a stream's last entry; None if it has none."""
    status = TIMEOUT
    with Repeating(client):
        while status == TIMEOUT:  # a signal came whose handler did not raise
            milliseconds, sequence, error = c_uint64(), c_uint64(), Handle()
            status = library().redcol_last_id(
                client.pointer,
                stream,
                len(stream),
                ctypes.byref(milliseconds),
                ctypes.byref(sequence),
                error.pointer_reference,
            )
            raise_if_error(status, error, client)
    return None if status == END else (milliseconds.value, sequence.value)


def iter_connect(iterator: Handle, wait_ms: int) -> bool:
    """Do what comes before the first batch. False after `wait_ms` or a signal: call again."""
    error = Handle()
    status = library().redcol_iter_connect(iterator.pointer, wait_ms, error.pointer_reference)
    raise_if_error(status, error, iterator)
    return bool(status == OK)


def iter_next(iterator: Handle, wait_ms: int, slot: Slot, *, wants_schema: bool = True) -> int:
    """Take the next batch into a slot that has no array. Returns OK, END or TIMEOUT.

    `wants_schema`: take its schema too, into a slot that has none; else the slot keeps its schema.
    """
    error = iterator.error
    if error is None:
        error = iterator.error = Handle()
    elif error.pointer:  # an interrupt has left it there
        error.free()
    status: int = library().redcol_iter_next(
        iterator.pointer,
        wait_ms,
        slot.schema_address if wants_schema else None,
        slot.array_address,
        error.pointer_reference,
    )
    if status < 0 or status == TIMEOUT or _log.raised:
        raise_if_error(status, error, iterator)
    return status


def iter_ack(iterator: Handle, stream: bytes | None, entry_ids: bytes | None) -> int:
    """Acknowledge entries that an iterator has handed over: these, or all if None."""
    total = 0
    status = TIMEOUT
    with Repeating(iterator.owner):
        while status == TIMEOUT:  # a signal came whose handler did not raise
            acknowledged, error = c_int64(), Handle()
            status = library().redcol_iter_ack(
                iterator.pointer,
                stream,
                0 if stream is None else len(stream),
                entry_ids,
                0 if entry_ids is None else len(entry_ids),
                ctypes.byref(acknowledged),
                error.pointer_reference,
            )
            raise_if_error(status, error)
            total += acknowledged.value
    return total


def iter_collect(iterator: Handle, wait_ms: int) -> Handle | None:
    """Read to the end. None after `wait_ms` or a signal: call again."""
    table, error = Handle(), Handle()
    status = library().redcol_iter_collect(
        iterator.pointer, wait_ms, table.pointer_reference, error.pointer_reference
    )
    raise_if_error(status, error, iterator)
    return table if status == OK else None


def table_rows(table: Handle) -> int:
    """How many rows a table has."""
    return int(library().redcol_table_rows(table.pointer))


def table_stream(table: Handle, requested_schema: object) -> object:
    """A table as a new "arrow_array_stream" capsule."""
    lib = library()
    capsule = _new_capsule(lib.redcol_capsule_stream_new(), *_capsule_kinds().stream)
    filled = capsule_pointer(capsule, b"arrow_array_stream")
    _fill_from_table(lib.redcol_table_stream, table, requested_schema, filled)
    return capsule


def table_schema(table: Handle, requested_schema: object) -> object:
    """The schema of a table as a new "arrow_schema" capsule."""
    capsule = new_schema_capsule()
    filled = capsule_pointer(capsule, b"arrow_schema")
    _fill_from_table(library().redcol_table_schema, table, requested_schema, filled)
    return capsule


def _fill_from_table(fill: Any, table: Handle, requested_schema: object, address: int) -> None:
    requested = None
    if requested_schema is not None:
        requested = capsule_pointer(requested_schema, b"arrow_schema")
    error = Handle()
    status = fill(table.pointer, requested, address, error.pointer_reference)
    raise_if_error(status, error)


def iter_unread(iterator: Handle) -> None:
    """Put back the batch that was handed over last: it comes again."""
    error = Handle()
    status = library().redcol_iter_unread(iterator.pointer, error.pointer_reference)
    raise_if_error(status, error)


def iter_descriptor(iterator: Handle) -> int:
    """The file descriptor that is readable when iter_next is worth calling again."""
    return int(library().redcol_iter_descriptor(iterator.pointer))


def iter_statistic(iterator: Handle, name: str) -> int:
    """One of an iterator's statistics."""
    return int(library().redcol_iter_statistic(iterator.pointer, name.encode()))


def iter_last_error(iterator: Handle) -> errors.RedcolError | None:
    """Why an iterator has no connection; None if it has one, or never lost one."""
    error, lib = Handle(), library()
    error.pointer.value = lib.redcol_iter_last_error(iterator.pointer)
    status = lib.redcol_error_status(error.pointer)
    return _exception(status, error) if status else None


def ack(client: ClientHandle, stream: bytes, group: bytes, entry_ids: bytes) -> tuple[int, bool]:
    """Acknowledge entries. Returns how many were pending, and whether a signal ended the call.

    Call it inside `Repeating(client)`.
    """
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
        error.pointer_reference,
    )
    raise_if_error(status, error, client)
    return acknowledged.value, status == TIMEOUT


def write_stream(
    client: ClientHandle, stream: bytes | None, frame_capsule: object, options: Mapping[str, str]
) -> Handle:
    """Start writing entries. Takes `frame_capsule`, an "arrow_array_stream" capsule."""
    writer, error = Handle(), Handle()
    status = library().redcol_write_stream(
        client.pointer,
        stream,
        0 if stream is None else len(stream),
        capsule_pointer(frame_capsule, b"arrow_array_stream"),
        options_of(options),
        ctypes.byref(writer.pointer),
        error.pointer_reference,
    )
    raise_if_error(status, error, client)
    client.add(writer)
    return writer


def write_hashes(client: ClientHandle, frame_capsule: object, options: Mapping[str, str]) -> Handle:
    """Start writing hashes. Takes `frame_capsule`, an "arrow_array_stream" capsule."""
    writer, error = Handle(), Handle()
    status = library().redcol_write_hashes(
        client.pointer,
        capsule_pointer(frame_capsule, b"arrow_array_stream"),
        options_of(options),
        ctypes.byref(writer.pointer),
        error.pointer_reference,
    )
    raise_if_error(status, error, client)
    client.add(writer)
    return writer


def writer_run(writer: Handle, wait_ms: int) -> int:
    """Write for up to `wait_ms`. Returns OK when everything is written, else TIMEOUT."""
    error = Handle()
    status: int = library().redcol_writer_run(writer.pointer, wait_ms, error.pointer_reference)
    raise_if_error(status, error, writer)
    return status


def writer_stop(writer: Handle, wait_ms: int) -> None:
    """Send no more rows, and wait up to `wait_ms` for the missing answers."""
    error = Handle()
    status = library().redcol_writer_stop(writer.pointer, wait_ms, error.pointer_reference)
    raise_if_error(status, error, writer)


def writer_ids(writer: Handle, slot: Slot) -> None:
    """Take the ids of the written rows into an empty slot."""
    error = Handle()
    status = library().redcol_writer_ids(
        writer.pointer, slot.schema_address, slot.array_address, error.pointer_reference
    )
    raise_if_error(status, error)


def writer_statistic(writer: Handle, name: str) -> int:
    """One of a writer's statistics."""
    return int(library().redcol_writer_statistic(writer.pointer, name.encode()))


def cancel(handle: Handle) -> None:
    """End the call that waits on a client or an iterator in another thread."""
    library().redcol_cancel(handle.pointer)


class Slot:
    """An ArrowSchema and an ArrowArray that iter_next fills, for one batch at a time.

    Capsules own both. Their addresses are kept here too, since asking the capsules a few times
    takes as long as a small batch.
    """

    __slots__ = ("array", "array_address", "schema", "schema_address")

    def __init__(self) -> None:
        lib = library()
        kinds = _capsule_kinds()
        self.schema_address = lib.redcol_capsule_schema_new()
        self.schema = _new_capsule(self.schema_address, *kinds.schema)
        self.array_address = lib.redcol_capsule_array_new()
        self.array = _new_capsule(self.array_address, *kinds.array)

    def has_array(self) -> bool:
        """Whether it holds an array that nobody has moved out."""
        return c_void_p.from_address(self.array_address + _ARRAY_RELEASE).value is not None

    def has_schema(self) -> bool:
        """Whether it holds a schema that nobody has moved out."""
        return c_void_p.from_address(self.schema_address + _SCHEMA_RELEASE).value is not None

    def rows(self) -> int:
        """How many rows the array has: `length` is the struct's first member."""
        return c_int64.from_address(self.array_address).value


class _CapsuleKinds:
    """Names and destructors of capsules, as pointers for CPython."""

    def __init__(self) -> None:
        lib = library()

        def kind(name: int, destructor: Any) -> tuple[int, int]:
            return name, ctypes.cast(destructor, c_void_p).value or 0

        self.schema = kind(lib.redcol_capsule_schema_name(), lib.redcol_capsule_schema_free)
        self.array = kind(lib.redcol_capsule_array_name(), lib.redcol_capsule_array_free)
        self.stream = kind(lib.redcol_capsule_stream_name(), lib.redcol_capsule_stream_free)
        self.handle = kind(lib.redcol_capsule_handle_name(), lib.redcol_capsule_handle_free)


@functools.cache
def _capsule_kinds() -> _CapsuleKinds:
    return _CapsuleKinds()


def _new_capsule(memory: int | None, name: int, destructor: int) -> object:
    # For NULL CPython would raise ValueError, which does not say what is wrong.
    if not memory:
        raise errors.OutOfMemoryError("No memory for an Arrow struct.")
    return _capsule_new(memory, name, destructor)


def new_schema_capsule() -> object:
    return _new_capsule(library().redcol_capsule_schema_new(), *_capsule_kinds().schema)


def copy_schema(schema_capsule: object) -> object:
    """A copy of a schema from iter_next, as a new "arrow_schema" capsule."""
    capsule = new_schema_capsule()
    given = capsule_pointer(schema_capsule, b"arrow_schema")
    status = library().redcol_capsule_schema_copy(given, capsule_pointer(capsule, b"arrow_schema"))
    if status != 0:
        raise errors.OutOfMemoryError("No memory for a schema.")
    return capsule
