# SPDX-License-Identifier: Apache-2.0
"""Redis Streams as Polars frames: a server's bytes become Arrow columns as they arrive.

Example:
    >>> import polars as pl
    >>> import redcol
    >>> redcol.read_stream("redis://localhost", "events", schema={"value": pl.Int64})["value"].sum()
    30
"""

from __future__ import annotations

from . import _interpreter  # noqa: F401  first: it refuses what cannot work
from ._follow import Stats
from .ack import ack_entries
from .arrow import ArrowTable, read_arrow
from .async_iterator import AsyncStreamIterator, stream_batches
from .claiming import claim
from .client import Client, connect
from .errors import (
    AuthenticationError,
    BusyError,
    CancelledError,
    ClosedError,
    ConnectionFailedError,
    EntryTooLargeError,
    ForkedError,
    GapError,
    InvalidArgumentError,
    KeyExistsError,
    NameResolutionError,
    NoGroupError,
    NoStreamError,
    OutOfMemoryError,
    PendingEntriesError,
    PermissionDeniedError,
    ProtocolError,
    RedcolError,
    SchemaError,
    ServerError,
    ServerLoadingError,
    TimedOutError,
    TLSError,
    UnsupportedError,
    ValueConversionError,
    WrongTypeError,
)
from .export import Exported, export_stream
from .inference import infer_schema
from .iterator import StreamIterator, iter_stream
from .lists import list_consumers, list_groups, list_pending, list_streams
from .partitioning import Partition, partitions
from .publishing import publish
from .pubsub import (
    AsyncMessageIterator,
    MessageIterator,
    collect_pubsub,
    iter_pubsub,
    iter_pubsub_async,
)
from .scan import scan_stream
from .scan_many import scan_streams
from .steering import (
    create_group,
    delete_consumer,
    delete_entries,
    delete_group,
    release,
    seek_group,
    trim_stream,
)
from .stream import read_stream
from .streams import read_streams
from .write import write_hashes, write_stream

__all__ = [
    "ArrowTable",
    "AsyncMessageIterator",
    "AsyncStreamIterator",
    "AuthenticationError",
    "BusyError",
    "CancelledError",
    "Client",
    "ClosedError",
    "ConnectionFailedError",
    "EntryTooLargeError",
    "Exported",
    "ForkedError",
    "GapError",
    "InvalidArgumentError",
    "KeyExistsError",
    "MessageIterator",
    "NameResolutionError",
    "NoGroupError",
    "NoStreamError",
    "OutOfMemoryError",
    "Partition",
    "PendingEntriesError",
    "PermissionDeniedError",
    "ProtocolError",
    "RedcolError",
    "SchemaError",
    "ServerError",
    "ServerLoadingError",
    "Stats",
    "StreamIterator",
    "TLSError",
    "TimedOutError",
    "UnsupportedError",
    "ValueConversionError",
    "WrongTypeError",
    "ack_entries",
    "claim",
    "collect_pubsub",
    "connect",
    "create_group",
    "delete_consumer",
    "delete_entries",
    "delete_group",
    "export_stream",
    "infer_schema",
    "iter_pubsub",
    "iter_pubsub_async",
    "iter_stream",
    "list_consumers",
    "list_groups",
    "list_pending",
    "list_streams",
    "partitions",
    "publish",
    "read_arrow",
    "read_stream",
    "read_streams",
    "release",
    "scan_stream",
    "scan_streams",
    "seek_group",
    "stream_batches",
    "trim_stream",
    "write_hashes",
    "write_stream",
]


# `import redcol` stays light: the version is looked up when somebody asks for it.
def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("redcol")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
