# SPDX-License-Identifier: Apache-2.0
"""The arguments of the functions for Pub/Sub, as one request for the library.

Imported when such a function is called, like `_specs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import _arguments
from . import schema as _schema
from ._request import Request
from ._typing import TYPE_CHECKING
from .errors import InvalidArgumentError, SchemaError

if TYPE_CHECKING:
    from typing import Any, Final

    from polars import DataType

_INT32_MAX: Final = 2**31 - 1
_UNITS: Final = {"ms": "m", "us": "u", "ns": "n"}


@dataclass(frozen=True, kw_only=True)
class SubscriptionSpec:
    """Which channels to listen to, and what their messages are."""

    channels: str | bytes | Sequence[str | bytes]
    pattern: bool
    patterns: Sequence[str | bytes]
    sharded: bool
    message_format: str | None
    schema: Mapping[str, Any] | None
    include_channel: bool
    include_timestamp: bool
    channel_column: str
    pattern_column: str | None
    message_column: str
    timestamp_column: str
    timestamp_dtype: Any
    on_error: str
    on_gap: str
    message_bytes_max: int | None
    count: int | None
    batch_size: int | None = None
    #: None: batches are full, but for the last one.
    batch_timeout_ms: int | None = None
    timeout_ms: int | None = None
    window_seconds: float | None = None
    block_ms: int | None = None
    on_idle: str = "wait"
    reconnect_timeout_ms: int | None = None

    def request(self) -> Request:
        """The request."""
        names = _keys("channels", self.channels)
        patterns = _keys("patterns", self.patterns)
        if _arguments.flag("pattern", self.pattern) == "true":
            names, patterns = [], [*names, *patterns]
        columns = None if self.schema is None else _schema.parse(self.schema)
        options = self._options()
        if columns is not None:
            options |= columns.options()
        dtypes = self._dtypes(columns)
        return Request(names, columns, options, {}, patterns=patterns, dtypes=dtypes)

    def _options(self) -> dict[str, str]:
        batch_ms = _INT32_MAX
        if self.batch_timeout_ms is not None:
            batch_ms = _milliseconds("batch_timeout_ms", self.batch_timeout_ms)
        found = {
            "sharded": _arguments.flag("sharded", self.sharded),
            "batch_ms": str(batch_ms),
            "include_channel": _arguments.flag("include_channel", self.include_channel),
            "include_timestamp": _arguments.flag("include_timestamp", self.include_timestamp),
            "channel_column": _arguments.text("channel_column", self.channel_column),
            "message_column": _arguments.text("message_column", self.message_column),
            "timestamp_column": _arguments.text("timestamp_column", self.timestamp_column),
            "on_error": _arguments.one_of("on_error", self.on_error, ("raise", "null", "skip")),
            "on_gap": _arguments.one_of("on_gap", self.on_gap, ("log", "raise")),
            "on_idle": _arguments.one_of("on_idle", self.on_idle, ("wait", "stop", "empty")),
        }
        if self.batch_size is not None:
            size = _arguments.integer("batch_size", self.batch_size, at_least=1)
            found["batch_rows"] = str(size)
        if self.count is not None:
            found["count"] = str(_arguments.integer("count", self.count, at_least=0))
        if self.pattern_column is not None:
            found["pattern_column"] = _arguments.text("pattern_column", self.pattern_column)
        if self.message_format is not None:
            found["message_format"] = _arguments.one_of(
                "message_format", self.message_format, ("raw", "json")
            )
        for name in ("block_ms", "reconnect_timeout_ms"):
            if (value := getattr(self, name)) is not None:
                found[name] = str(_milliseconds(name, value))
        if self.message_bytes_max is not None:
            most = _arguments.integer(
                "message_bytes_max", self.message_bytes_max, at_least=1, at_most=512 * 2**20
            )
            found["message_bytes_max"] = str(most)
        if self.timestamp_dtype is not None:
            found["timestamp_format"] = _timestamp_format(self.timestamp_dtype)
        window = self._window_ms()
        if window is not None:
            found["window_ms"] = str(window)
        return found

    def _window_ms(self) -> int | None:
        times = []
        if self.timeout_ms is not None:
            times.append(_milliseconds("timeout_ms", self.timeout_ms))
        if self.window_seconds is not None:
            seconds = self.window_seconds
            is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
            if not is_number or not 0 <= seconds * 1_000 <= _INT32_MAX:
                raise InvalidArgumentError(
                    f"window_seconds is {seconds!r}, but must be a number from 0 to "
                    f"{_INT32_MAX // 1_000}."
                )
            times.append(int(seconds * 1_000))
        return min(times, default=None)

    def _dtypes(self, columns: _schema.Columns | None) -> Mapping[str, DataType]:
        import polars as pl

        dtypes: dict[str, DataType] = {}
        if self.include_channel:
            dtypes[self.channel_column] = pl.String()
        if self.pattern_column is not None:
            dtypes[self.pattern_column] = pl.String()
        if self.include_timestamp:
            given = self.timestamp_dtype
            dtypes[self.timestamp_column] = (
                pl.Float64() if given is None else _timestamp_dtype(given)
            )
        return dtypes | (
            {self.message_column: pl.String()} if columns is None else dict(columns.asked)
        )


def _keys(name: str, value: object) -> list[bytes]:
    if isinstance(value, (str, bytes)):
        return [_arguments.key(name, value)]
    if not isinstance(value, Sequence):
        raise InvalidArgumentError(
            f"{name} must be a name, or a list of names, not {_arguments.kind(value)}."
        )
    return _arguments.distinct_keys(name, value)


def _milliseconds(name: str, value: object) -> int:
    return _arguments.integer(name, value, at_least=0, at_most=_INT32_MAX)


def _timestamp_dtype(given: object) -> DataType:
    import polars as pl

    columns = _schema.parse({"timestamp_dtype": given})
    dtype = columns.asked["timestamp_dtype"]
    if not isinstance(dtype, (pl.Datetime, pl.Float64)):
        raise SchemaError(
            f"timestamp_dtype is {dtype}, but must be Float64 or Datetime of any unit and time "
            "zone."
        )
    return dtype


def _timestamp_format(given: object) -> str:
    import polars as pl

    dtype = _timestamp_dtype(given)
    if isinstance(dtype, pl.Datetime):
        return f"ts{_UNITS[dtype.time_unit]}:{dtype.time_zone or ''}"
    return "g"
