"""A connection that is kept for many calls."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from types import TracebackType

from . import _arguments, _native
from ._typing import TYPE_CHECKING, typing

if TYPE_CHECKING:
    from typing import Final

DEFAULT_TIMEOUT_MS: Final = 5_000
_MS_MAX: Final = 2**31 - 1


class Client:
    """A server to ask, made by :func:`connect`; every function takes it where it takes a URL.

    Any number of threads may use it. Close it, or use it in a ``with`` block. A child process
    must make its own: after ``fork`` it raises :class:`redcol.ForkedError`.
    """

    __slots__ = ("__weakref__", "_handle", "_shown")

    def __init__(self, handle: _native.ClientHandle, shown: str) -> None:
        self._handle = handle
        self._shown = shown

    def close(self) -> None:
        """Close it. Reads that wait in other threads, and later calls, raise ClosedError."""
        self._handle.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> typing.NoReturn:
        raise TypeError(
            "a redcol.Client holds a connection and cannot be copied or pickled: pass its URL, and "
            "connect there"
        )

    def __repr__(self) -> str:
        state = ", closed" if self._handle.is_closed else ""
        return f"<redcol.Client {self._shown}{state}>"

    def __del__(self) -> None:
        # One that was never made, as `Client.__new__` gives, has none.
        handle = getattr(self, "_handle", None)
        if handle is not None and not handle.is_closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)


def connect(
    url: str,
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
) -> Client:
    """Connect to a server and log in, to use one connection for many calls.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db]``, ``rediss://…`` (TLS) or
            ``unix://[[user]:password@]/path[?db=n]``. Special characters in user and password are
            percent-encoded.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may stay silent while an answer is awaited, in milliseconds.

    Returns:
        A client. Close it, or use it in a ``with`` block.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        ConnectionFailedError: nobody answers at that address.
        NameResolutionError: no such host.
        TimedOutError: the server did not answer in time.
        AuthenticationError: wrong or missing user or password.
        ServerLoadingError: the server is still loading its data.

    Example:
        >>> import redcol
        >>> with redcol.connect("redis://localhost") as client:
        ...     first = redcol.read_stream(client, "events", count=1)
        ...     both = redcol.read_stream(client, "events", count=2)
        >>> len(first), len(both)
        (1, 2)
    """
    return Client(_open(url, connect_timeout_ms, timeout_ms), _shown(_arguments.url(url)))


class Lasting:
    """The handle of a client, or of a connection that is ours to close."""

    __slots__ = ("_is_ours", "handle")

    def __init__(self, handle: _native.ClientHandle, *, is_ours: bool) -> None:
        self.handle = handle
        self._is_ours = is_ours

    def close(self) -> None:
        """Close what is ours."""
        if self._is_ours:
            self.handle.close()


def lasting(url: str | Client, connect_timeout_ms: int, timeout_ms: int) -> Lasting:
    """What stands behind a URL or a client, for as long as it is needed."""
    if isinstance(url, Client):
        return Lasting(url._handle, is_ours=False)
    return Lasting(_open(url, connect_timeout_ms, timeout_ms), is_ours=True)


@contextlib.contextmanager
def using(
    url: str | Client, connect_timeout_ms: int, timeout_ms: int
) -> Iterator[_native.ClientHandle]:
    """The handle of a client, or of a connection that is gone at the end of one call."""
    if isinstance(url, Client):
        yield url._handle
        return
    handle = _open(url, connect_timeout_ms, timeout_ms)
    try:
        yield handle
    finally:
        handle.free()


def check(url: object, connect_timeout_ms: object, timeout_ms: object) -> None:
    """Refuse what `using` would refuse, before anything is sent."""
    if not isinstance(url, Client):
        _arguments.url(url)
    _arguments.integer("connect_timeout_ms", connect_timeout_ms, at_least=1, at_most=_MS_MAX)
    _arguments.integer("timeout_ms", timeout_ms, at_least=1, at_most=_MS_MAX)


def _open(url: str, connect_timeout_ms: int, timeout_ms: int) -> _native.ClientHandle:
    check(url, connect_timeout_ms, timeout_ms)
    timeouts = {"connect_timeout_ms": connect_timeout_ms, "timeout_ms": timeout_ms}
    options = {name: str(int(value)) for name, value in timeouts.items()}
    while (handle := _native.open_client(url, options)) is None:
        # A signal came whose handler did not raise. The same call goes on, with its time limit.
        pass
    return handle


_SHOWABLE: Final = (
    r"((?:redis|valkey)s?://)(?:[^@/?#]*@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\])(:\d+)?"
    r"(?:[/?#][^@]*)?"
    r"|(unix://)(?:[^@/?#]*@)?(/[^@?#]*)(?:[?#][^@]*)?"
)


def _shown(url: str) -> str:
    """A URL without its credentials. What is not clearly free of them is not shown at all."""
    import re

    match = re.fullmatch(_SHOWABLE, url, re.IGNORECASE)
    if match is None:
        return url.partition("://")[0] + "://***"
    return "".join(part or "" for part in match.groups())
