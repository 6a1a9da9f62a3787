# SPDX-License-Identifier: Apache-2.0
"""The exceptions of redcol: one class per cause, each also the built-in that it resembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    from polars import Series

__all__ = [
    "AuthenticationError",
    "BusyError",
    "CancelledError",
    "ClosedError",
    "ConnectionFailedError",
    "EntryTooLargeError",
    "ForkedError",
    "GapError",
    "InvalidArgumentError",
    "KeyExistsError",
    "NameResolutionError",
    "NoGroupError",
    "NoStreamError",
    "OutOfMemoryError",
    "PendingEntriesError",
    "PermissionDeniedError",
    "ProtocolError",
    "RedcolError",
    "SchemaError",
    "ServerError",
    "ServerLoadingError",
    "TLSError",
    "TimedOutError",
    "UnsupportedError",
    "ValueConversionError",
    "WrongTypeError",
]

DETAIL_NAMES: Final = (
    *("server_code", "stream", "entry_id", "field", "dtype", "value", "path"),
    *("row", "key", "refused_rows", "unknown_rows"),
    *("after_id", "before_id", "lost_entries"),
)


class RedcolError(Exception):
    r"""Any error of redcol. The message says what was asked, what came back, and what to do.

    Attributes (each None where the error has no such detail):
        server_code: the first word of the server's answer, such as ``"WRONGTYPE"``.
        stream: the stream's key. Bytes that are not UTF-8 and characters that control a terminal
            are escaped as ``\xNN``.
        entry_id: the entry that holds a value that does not fit, or is too large.
        field: the field whose value does not fit.
        dtype: the Polars dtype that was asked for.
        value: the value, cut at 80 bytes; everything but printable ASCII is escaped.
        path: of JSON, where in the value it is that does not fit, such as ``"v.a[3]"``.
        row: the row of the frame that could not be written, counted from 0.
        key: the key of the hash that could not be written, escaped in the same way.
        written: how many rows (or keys) the server had confirmed when a write failed.
        refused_rows: the rows of that write that the server refused. The first of them ended the
            write; the others had been sent by then. All rows before the unknown ones and those that
            were not sent are written, except for these, and rows of hashes with nothing but nulls.
        unknown_rows: the rows of that write that were sent and whose answer is missing. Each may be
            written or not. From one server it is a range: earlier rows are known, later rows were
            not sent. From a cluster it is a list; rows between them were answered by other nodes.
        after_id, before_id: the ids that a gap lies between, see :class:`GapError`.
        lost_entries: how many entries are missing there.
        ids: from ``write_stream``: the ids of the frame's rows, null for each row that is not known
            to be written. None if there was no memory for them. `written`, `unknown_rows` and this
            are also None if the write did not begin, because nobody answered at the address.
    """

    #: The C interface's status for this cause (``REDCOL_ERROR_…`` in redcol.h); 0 if there is none.
    status: int = 0

    # Keyword-only details keep `args` at the message alone, so that str(), repr() and pickling are
    # right also if the other base is OSError, for which a second argument means something else.
    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        server_code: str | None = None,
        stream: str | None = None,
        entry_id: str | None = None,
        field: str | None = None,
        dtype: str | None = None,
        value: str | None = None,
        path: str | None = None,
        row: int | None = None,
        key: str | None = None,
        refused_rows: list[int] | None = None,
        unknown_rows: Sequence[int] | None = None,
        after_id: str | None = None,
        before_id: str | None = None,
        lost_entries: int | None = None,
    ) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        self.server_code = server_code
        self.stream = stream
        self.entry_id = entry_id
        self.field = field
        self.dtype = dtype
        self.value = value
        self.path = path
        self.row = row
        self.key = key
        self.written: int | None = None
        self.refused_rows = refused_rows
        self.unknown_rows = unknown_rows
        self.after_id = after_id
        self.before_id = before_id
        self.lost_entries = lost_entries
        self.ids: Series | None = None


class InvalidArgumentError(RedcolError, ValueError):
    """An argument that cannot be right; nothing was sent."""

    status = -1


class ConnectionFailedError(RedcolError, ConnectionError):
    """The connection was refused, reset or closed by the other side."""

    status = -2


class NameResolutionError(ConnectionFailedError):
    """The host's name could not be resolved."""

    status = -3


class TimedOutError(RedcolError, TimeoutError):
    """The server did not answer within the time allowed."""

    status = -4


class AuthenticationError(RedcolError, PermissionError):
    """Wrong or missing user or password."""

    status = -5


class PermissionDeniedError(RedcolError, PermissionError):
    """The server's access rules do not allow the command or the key."""

    status = -6


class WrongTypeError(RedcolError, TypeError):
    """The key holds a value of another type."""

    status = -7


class ServerLoadingError(RedcolError, ConnectionError):
    """The server is still loading its data; try again later."""

    status = -8


class ServerError(RedcolError):
    """Any other error that the server answered."""

    status = -9


class ProtocolError(RedcolError):
    """The server sent bytes that no Redis server should send."""

    status = -10


class ValueConversionError(RedcolError, ValueError):
    """A value does not fit its column, or cannot be written."""

    status = -11


class SchemaError(RedcolError, ValueError):
    """A schema, or a column's dtype, that redcol cannot read or write."""

    status = -12


class OutOfMemoryError(RedcolError, MemoryError):
    """The system refused memory."""

    status = -13


class UnsupportedError(RedcolError, NotImplementedError):
    """Not supported by the version of redcol, or by the server."""

    status = -14


class CancelledError(RedcolError):
    """The call was cancelled from another thread."""

    status = -15


class ClosedError(RedcolError, ValueError):
    """The client or iterator is closed."""

    status = -16


class BusyError(RedcolError, RuntimeError):
    """Another thread or task is inside a call on the same reader."""

    status = -17


class ForkedError(RedcolError, RuntimeError):
    """The parent process made the client, before fork."""

    status = -18


class NoGroupError(RedcolError, LookupError):
    """The consumer group does not exist."""

    status = -19


class KeyExistsError(RedcolError, ValueError):
    """A key that should be created exists."""

    status = -20


class EntryTooLargeError(RedcolError, ValueError):
    """An entry is larger than ``entry_bytes_max`` or ``entry_fields_max`` allow."""

    status = -21


class TLSError(ConnectionFailedError):
    """A certificate, a key or a version of TLS that one of the two sides does not accept.

    Trying again fails with the same error, unlike most other failures of a connection.
    """

    status = -22


class PendingEntriesError(RedcolError, RuntimeError):
    """A consumer has pending entries, and was not deleted."""

    status = -23


class GapError(RedcolError, LookupError):
    """Entries were gone before they were read. Raised only with ``on_gap="raise"``.

    `lost_entries` is how many. They came after `after_id`, which was read or is where the iterator
    began, and before `before_id` (None if no entry comes after them). If the stream was deleted and
    begun again, `lost_entries` is None, `after_id` is the entry up to which it was read, and
    `before_id` is how far it has come now. The iterator goes on when it is asked again.
    """

    status = -24


class NoStreamError(RedcolError, LookupError):
    """A stream does not exist. Raised only with ``if_missing="raise"``."""

    status = -25


_CLASS_OF_STATUS: Final[dict[int, type[RedcolError]]] = {
    cls.status: cls
    for cls in (
        InvalidArgumentError,
        ConnectionFailedError,
        NameResolutionError,
        TimedOutError,
        AuthenticationError,
        PermissionDeniedError,
        WrongTypeError,
        ServerLoadingError,
        ServerError,
        ProtocolError,
        ValueConversionError,
        SchemaError,
        OutOfMemoryError,
        UnsupportedError,
        CancelledError,
        ClosedError,
        BusyError,
        ForkedError,
        NoGroupError,
        KeyExistsError,
        EntryTooLargeError,
        TLSError,
        PendingEntriesError,
        GapError,
        NoStreamError,
    )
}


def from_status(status: int, message: str, details: Mapping[str, str | None]) -> RedcolError:
    """The exception for an error of the C interface; RedcolError if the status is a newer one."""
    dtype, row, lost = (details.get(name) for name in ("dtype", "row", "lost_entries"))
    return _CLASS_OF_STATUS.get(status, RedcolError)(
        message,
        status=status,
        server_code=details.get("server_code"),
        stream=details.get("stream"),
        entry_id=details.get("entry_id"),
        field=details.get("field"),
        dtype=None if dtype is None else dtype_name(dtype),
        value=details.get("value"),
        path=details.get("path"),
        row=None if row is None else int(row),
        key=details.get("key"),
        refused_rows=_rows(details.get("refused_rows")),
        unknown_rows=_rows(details.get("unknown_rows")),
        after_id=details.get("after_id"),
        before_id=details.get("before_id"),
        lost_entries=None if lost is None else int(lost),
    )


def _rows(runs: str | None) -> list[int] | None:
    """``"3,7-9"`` as numbers."""
    if runs is None:
        return None
    ends = [run.split("-") for run in runs.split(",")]
    return [row for run in ends for row in range(int(run[0]), int(run[-1]) + 1)]


_DTYPE_NAMES: Final = {
    "b": "Boolean",
    "c": "Int8",
    "C": "UInt8",
    "s": "Int16",
    "S": "UInt16",
    "i": "Int32",
    "I": "UInt32",
    "l": "Int64",
    "L": "UInt64",
    "_pli128": "Int128",
    "_plu128": "UInt128",
    "f": "Float32",
    "g": "Float64",
    "vu": "String",
    "vz": "Binary",
    "tdD": "Date",
    "ttn": "Time",
}
_UNITS: Final = {"m": "ms", "u": "us", "n": "ns", "s": "s"}


def dtype_name(arrow_format: str) -> str:
    """The Polars dtype that an Arrow format string stands for, as Polars prints it."""
    if arrow_format.startswith("d:"):
        precision, _, scale = arrow_format[2:].partition(",")
        return f"Decimal(precision={precision}, scale={scale})"
    if arrow_format.startswith("ts") and len(arrow_format) > 3:
        zone = repr(arrow_format[4:] or None)
        unit = _UNITS.get(arrow_format[2], arrow_format[2])
        return f"Datetime(time_unit={unit!r}, time_zone={zone})"
    if arrow_format.startswith("tD") and len(arrow_format) > 2:
        return f"Duration(time_unit={_UNITS.get(arrow_format[2], arrow_format[2])!r})"
    return _DTYPE_NAMES.get(arrow_format, arrow_format)
