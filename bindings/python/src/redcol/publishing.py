# SPDX-License-Identifier: Apache-2.0
"""Publishing a frame's rows as messages of channels (Pub/Sub)."""

from __future__ import annotations

from collections.abc import Callable

from . import _arguments, _native, _native_pubsub, _progress, client
from ._prepare import prepared
from ._typing import pl, typing
from .client import DEFAULT_TIMEOUT_MS, Client
from .write import Frame, run, tell


def publish(
    url: str | Client,
    df: pl.DataFrame | Frame,
    channel: str | bytes | None = None,
    *,
    channel_column: str | None = None,
    message_format: typing.Literal["json", "raw"] = "json",
    sharded: bool = False,
    progress: bool | Callable[[int, int, int | None], object] = False,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
) -> int:
    """Publish a frame's rows as messages, one per row, in their order.

    Many messages are under way at once. Redis keeps none of them: whoever does not listen misses
    them. A message is never sent twice. If the connection is lost, an exception says how many are
    known to be published (``error.written``), and ``error.unknown_rows`` are the rows that were
    sent and whose answer is missing. No row after them was sent.

    Args:
        url: a server's URL, or a client from :func:`redcol.connect`, whose own timeouts then apply.
        df: a Polars DataFrame, or any frame with ``__arrow_c_stream__`` (pandas, pyarrow, …). Times
            with a time zone are written in their zone if it is a Polars frame, else in UTC.
        channel: the channel of all messages.
        channel_column: the column with each row's channel, in place of ``channel``. It is not part
            of the message.
        message_format: ``"json"``: a message is a JSON object with a key for each column. Values
            are written as inside a Struct column: a null is null, and Binary and NaN are errors.
            ``"raw"``: the frame has one column, besides `channel_column`, whose text is the message
            (Binary as it is). A null is not published.
        sharded: publish to sharded channels (SPUBLISH, Redis 7.0), in a cluster at the node that
            has the channel's slot.
        progress: as in :func:`redcol.write_stream`.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take, as in :func:`redcol.connect`.

    Returns:
        How many clients have received a message, summed up over all messages. In a cluster the
        server counts only the clients of the node that was asked.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        SchemaError: a column that cannot be written, or several columns with
            ``message_format="raw"``; nothing was sent.
        ValueConversionError: a null channel, or a value that no text can hold, such as NaN in JSON.
            The error names the row and the column.
        PermissionDeniedError: the user may not publish there (needed: ``+publish`` or
            ``+spublish``, and ``&channel``).
        ServerError, ConnectionFailedError, NameResolutionError, TimedOutError,
            AuthenticationError, UnsupportedError, ProtocolError: as their names say.

    Example:
        >>> import polars as pl
        >>> import redcol
        >>> df = pl.DataFrame({"symbol": ["A", "B"], "price": [12.5, 13.0]})
        >>> redcol.publish("redis://localhost", df, "prices")  # nobody listens
        0
    """
    server = client.Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms)
    del url  # see Server
    server.check()
    options = {
        "message_format": _arguments.one_of("message_format", message_format, ("json", "raw")),
        "sharded": _arguments.flag("sharded", sharded),
    }
    if channel_column is not None:
        options["channel_column"] = _arguments.text("channel_column", channel_column)
    key = None if channel is None else _arguments.key("channel", channel)
    frame, height = prepared(df, channel_column=channel_column)
    told = _progress.of(progress)
    _check(server, key, frame, options)
    with client.using(server) as handle:
        writer = _native_pubsub.write_messages(handle, key, frame.__arrow_c_stream__(), options)
        try:
            run(writer, frame, told, height)
            return _native.writer_statistic(writer, "receivers")
        except BaseException as error:
            tell(error, writer, height, has_ids=False)
            raise
        finally:
            writer.free()


def _check(
    server: client.Server, key: bytes | None, frame: typing.Any, options: dict[str, str]
) -> None:
    """Let the library refuse arguments that do not go together, before it connects.

    It does so when a writer is made. Only a frame of Polars can be asked twice for its columns.
    """
    import polars

    if server.client is not None or not isinstance(frame, polars.DataFrame):
        return
    with client.unconnected(server) as handle:
        columns = frame.clear().__arrow_c_stream__()
        _native_pubsub.write_messages(handle, key, columns, options).free()
