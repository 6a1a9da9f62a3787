# SPDX-License-Identifier: Apache-2.0
"""A connection that is kept for many calls."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from types import TracebackType

from . import _arguments, _native, _tls
from ._typing import TYPE_CHECKING, typing
from .errors import ClosedError, InvalidArgumentError

if TYPE_CHECKING:
    from typing import Final

DEFAULT_TIMEOUT_MS: Final = 5_000
_MS_MAX: Final = 2**31 - 1


class Client:
    """A connection that is kept, made by :func:`connect`. Functions take it in place of a URL.

    Any number of threads may use it. Close it, or use it in a ``with`` block. A child process
    must make its own client: after ``fork`` this one raises :class:`redcol.ForkedError`.
    """

    __slots__ = ("__weakref__", "_handle", "_shown")

    def __init__(self, handle: _native.ClientHandle, shown: str) -> None:
        self._handle = handle
        self._shown = shown

    def close(self) -> None:
        """Close it. Reads that wait in other threads, and later calls, raise ClosedError."""
        self._handle.close()

    def __enter__(self) -> Client:
        if self._handle.is_closed:
            raise ClosedError("This client was closed: connect again.")
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
        # `Client.__new__` alone makes one without a handle.
        handle = getattr(self, "_handle", None)
        if handle is not None and not handle.is_closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)


def connect(
    url: str | os.PathLike[str],
    *,
    connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
    timeout_ms: int = DEFAULT_TIMEOUT_MS,
    answer_timeout_ms: int | None = None,
    keepalive_ms: int | None = None,
    client_name: str | None = None,
    credentials: Callable[[], tuple[str | None, str]] | None = None,
    password_file: str | os.PathLike[str] | None = None,
    sentinel_username: str | None = None,
    sentinel_password: str | None = None,
    read_from: typing.Literal["primary", "replica", "any"] | None = None,
    address_map: Mapping[str, str] | None = None,
    ssl_ca_certs: str | os.PathLike[str] | None = None,
    ssl_ca_path: str | os.PathLike[str] | None = None,
    ssl_certfile: str | os.PathLike[str] | None = None,
    ssl_keyfile: str | os.PathLike[str] | None = None,
    ssl_password: str | None = None,
    ssl_cert_reqs: typing.Literal["required", "none"] | None = None,
    ssl_check_hostname: bool | None = None,
    ssl_min_version: typing.Literal["TLSv1.2", "TLSv1.3"] | None = None,
) -> Client:
    """Connect to a server and log in, to use one connection for many calls.

    Args:
        url: ``redis://[[user]:password@]host[:port][/db]``, ``valkey://…`` or
            ``unix://[[user]:password@]/path[?db=n]``. ``?db=``, ``&username=`` and ``&password=``
            can stand for these parts; a part that is given twice must be the same. Special
            characters in user and password are percent-encoded.
            ``redis+sentinel://[[user]:password@]host[:port][,host2[:port]…]/service[/db]`` names
            Sentinels, whose port is 26379, and a service that they know. The master is asked for
            each time that a connection begins. The three parameters below that speak of Sentinels
            can stand in the URL too, as in ``redis+sentinel://host/mymaster?read_from=replica``.
            ``redis://host:port,host2:port2`` names several nodes of a cluster; one is enough, since
            it says which others there are.
            ``rediss://``, ``valkeys://`` and ``rediss+sentinel://`` are the same with TLS. The
            parameters below that begin with ``ssl_`` can stand in these URLs, as in
            ``rediss://host?ssl_ca_certs=/etc/ssl/redis-ca.pem``.
            ``rdb:///path/to/dump.rdb[?db=n]``, or a path-like object, is a backup file of a server,
            from which can be read without one; see docs/bulk.md.
        connect_timeout_ms: how long connecting and logging in may take, in milliseconds.
        timeout_ms: how long the server may be silent while redcol waits for an answer, in
            milliseconds.
        answer_timeout_ms: how long a whole answer may take that arrives at less than 4 KiB a
            second, in milliseconds; ten times `timeout_ms` if None. An answer that arrives faster
            may take any time.
        keepalive_ms: after how many milliseconds a server that vanished without closing the
            connection is noticed (TCP keepalive); 0 for never, 30,000 if None.
        client_name: what the server's CLIENT LIST calls the connections: ASCII without spaces, at
            most 1,024 characters.
        credentials: a function that returns the user (or None) and the password. It is called for
            each connection and each reconnect, in a thread of its own, so that tokens that live
            for minutes work. It may take up to `connect_timeout_ms`. What it raises is the cause
            of an AuthenticationError. The URL then has no user and no password.
        password_file: a regular file with the password of the URL's user. It is read for each
            connection and each reconnect. A line break at its end is not part of the password.
        sentinel_username: the user for the Sentinels, if they want one; the user of the URL is for
            the servers.
        sentinel_password: the password for the Sentinels.
        read_from: with Sentinels and in clusters, ``"replica"`` reads ranges from a replica that is
            in order, and from the primary (the master) if there is none; ``"any"`` from any of
            them, and a large range of one stream from all at once. A replica is a little behind:
            entries that were just written may be missing.
            Following, groups and writing always use the primary. ``"primary"`` if None.
        address_map: where the nodes of a cluster are reached that are behind NAT or a tunnel: a
            dict such as ``{"10.0.0.1:7000": "127.0.0.1:17000"}``, from the address that a node has
            in the cluster to the one that is used.
        ssl_ca_certs: a PEM file with the certificates of the authorities to trust. If neither this
            nor `ssl_ca_path` is given, those of the system (or of ``SSL_CERT_FILE`` and
            ``SSL_CERT_DIR``); if there are none, those of the package certifi, if it is installed.
        ssl_ca_path: a folder of such certificates, prepared by ``openssl rehash``.
        ssl_certfile: a PEM file with the certificate that the server wants of its clients, and
            those of its authorities.
        ssl_keyfile: a PEM file with the key of `ssl_certfile`; that file itself if None.
        ssl_password: the password of an encrypted key.
        ssl_cert_reqs: ``"required"``, or ``"none"``: the server's certificate is not checked, and
            anyone in between can read and change everything. ``"required"`` if None.
        ssl_check_hostname: whether the certificate must be for the host of the URL. True if None,
            unless `ssl_cert_reqs` is ``"none"``.
        ssl_min_version: the oldest version of TLS that is accepted, ``"TLSv1.2"`` or
            ``"TLSv1.3"``. ``"TLSv1.2"`` if None.

    Returns:
        A client. Close it, or use it in a ``with`` block. This call waits for the server: in an
        event loop, ``await asyncio.to_thread(redcol.connect, url)``.

    Raises:
        InvalidArgumentError: an argument that cannot be right; nothing was sent.
        ConnectionFailedError: nobody answers at that address.
        NameResolutionError: no such host, or no Sentinel knows the service.
        TimedOutError: the server did not answer in time.
        TLSError: a certificate or key is not accepted, or cannot be read.
        UnsupportedError: TLS was asked for, and there is no OpenSSL.
        AuthenticationError: wrong or missing user or password, or none could be had.
        ServerLoadingError: the server is still loading its data.

    Example:
        >>> import redcol
        >>> with redcol.connect("redis://localhost") as client:
        ...     first = redcol.read_stream(client, "events", count=1)
        ...     both = redcol.read_stream(client, "events", count=2)
        >>> len(first), len(both)
        (1, 2)
    """
    tls = _tls.TLSArguments(
        ssl_ca_certs=ssl_ca_certs,
        ssl_ca_path=ssl_ca_path,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        ssl_password=ssl_password,
        ssl_cert_reqs=ssl_cert_reqs,
        ssl_check_hostname=ssl_check_hostname,
        ssl_min_version=ssl_min_version,
    )
    server = Server(url, connect_timeout_ms, timeout_ms, answer_timeout_ms, tls)
    server.keepalive_ms = keepalive_ms
    server.client_name = client_name
    server.credentials = credentials
    server.password_file = password_file
    server.sentinel = {
        "sentinel_username": sentinel_username,
        "sentinel_password": sentinel_password,
        "read_from": read_from,
    }
    server.address_map = address_map
    del url, sentinel_password, ssl_password  # see Server
    server.check()
    return Client(server.open(), server.shown())


class Lasting:
    """The handle of a client, or of a connection that the iterator opened and must close."""

    __slots__ = ("handle", "is_ours")

    def __init__(self, handle: _native.ClientHandle, *, is_ours: bool) -> None:
        self.handle = handle
        self.is_ours = is_ours

    def close(self) -> None:
        """Close the connection, unless it is a client's."""
        if self.is_ours:
            self.handle.close()


class Server:
    """A URL or a client, and the time limits. Public functions make one of them first.

    They then delete the URL, which may hold a password. A traceback that shows local variables
    shows the repr of this object, which hides the password. Checks come in `check`, for the same
    reason: no call that can fail has the URL as an argument or a variable.
    """

    __slots__ = (
        *("_tls", "_url", "address_map", "answer_timeout_ms", "client_name"),
        *("connect_timeout_ms", "credentials"),
        *("keepalive_ms", "password_file", "sentinel", "timeout_ms"),
    )

    def __init__(
        self,
        url: str | os.PathLike[str] | Client,
        connect_timeout_ms: int = DEFAULT_TIMEOUT_MS,
        timeout_ms: int = DEFAULT_TIMEOUT_MS,
        answer_timeout_ms: int | None = None,
        tls: _tls.TLSArguments | None = None,
    ) -> None:
        self._url = _url_of_file(url) if isinstance(url, os.PathLike) else url
        self._tls = tls
        self.connect_timeout_ms = connect_timeout_ms
        self.timeout_ms = timeout_ms
        self.answer_timeout_ms = answer_timeout_ms
        self.keepalive_ms: int | None = None
        self.client_name: str | None = None
        self.credentials: Callable[[], tuple[str | None, str]] | None = None
        self.password_file: str | os.PathLike[str] | None = None
        self.sentinel: Mapping[str, str | None] = {}
        self.address_map: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"<redcol server {self.shown()}>"

    @property
    def client(self) -> Client | None:
        """The client; None if this is a URL."""
        return self._url if isinstance(self._url, Client) else None

    def check(self) -> None:
        """Refuse what cannot be right, before anything is sent."""
        if self.client is None:
            self._check_url()
        for name in ("connect_timeout_ms", "timeout_ms"):
            _arguments.integer(name, getattr(self, name), at_least=1, at_most=_MS_MAX)
        if (value := self.answer_timeout_ms) is not None:
            _arguments.integer("answer_timeout_ms", value, at_least=1, at_most=_MS_MAX)
        if (value := self.keepalive_ms) is not None:
            _arguments.integer("keepalive_ms", value, at_least=0, at_most=_MS_MAX)
        if self.credentials is not None and not callable(self.credentials):
            raise InvalidArgumentError(
                "credentials must be a function that returns (user, password), not "
                f"{_arguments.kind(self.credentials)}."
            )
        for name in self.private_options():
            if name in self.sentinel:
                _arguments.text(name, self.sentinel[name], show=False)
        if self._tls is not None:
            self._tls.options()
        self._addresses()

    def _addresses(self) -> dict[str, str]:
        """The option for `address_map`."""
        if self.address_map is None:
            return {}
        if not isinstance(self.address_map, Mapping) or not all(
            isinstance(address, str) for pair in self.address_map.items() for address in pair
        ):
            raise InvalidArgumentError(
                'address_map must be a dict of addresses, such as {"10.0.0.1:7000": '
                f'"127.0.0.1:17000"}}, not {_arguments.kind(self.address_map)}.'
            )
        text = ",".join(f"{named}={reached}" for named, reached in self.address_map.items())
        return {"address_map": _arguments.text("address_map", text)} if text else {}

    def _check_url(self) -> None:
        if not isinstance(self._url, str):
            raise InvalidArgumentError(
                f"url must be a str or a redcol.Client, not {_arguments.kind(self._url)}"
                f"{_arguments.url_hint(self._url)}."
            )
        wrong = None
        try:
            if b"\0" in self._url.encode():
                wrong = "must not contain a NUL character"
        except UnicodeEncodeError:
            wrong = "is not valid Unicode"
        if wrong is not None:  # here, since an exception would carry the other one along
            raise InvalidArgumentError(f"url {wrong}.")

    def encoded_url(self) -> bytes:
        """The URL for the library."""
        return str(self._url).encode()

    def private_options(self) -> dict[str, str]:
        """Options of the library that may be a secret."""
        given: Mapping[str, str | None] = self.sentinel
        if self._tls is not None:
            given = {**given, "ssl_password": self._tls.password}
        return {name: value for name, value in given.items() if value is not None}

    def shown(self) -> str:
        """The URL without its credentials."""
        return _shown(self._url) if isinstance(self._url, str) else repr(self._url)

    def open(self, *, connects_later: bool = False) -> _native.ClientHandle:
        """Connect and log in. `connects_later`: only when the handle is first used."""
        names = ("connect_timeout_ms", "timeout_ms", "answer_timeout_ms", "keepalive_ms")
        given = {name: getattr(self, name) for name in names}
        options = {name: str(int(value)) for name, value in given.items() if value is not None}
        if self.client_name is not None:
            options["client_name"] = _arguments.text("client_name", self.client_name)
        if self.password_file is not None:
            if not isinstance(self.password_file, (str, os.PathLike)):
                raise InvalidArgumentError(
                    f"password_file must be a path, not {_arguments.kind(self.password_file)}."
                )
            path = os.fspath(self.password_file)
            options["password_file"] = _arguments.text("password_file", path)
        if connects_later:
            options["connect"] = "later"
        options |= self._addresses()
        if self._tls is not None:
            options |= self._tls.options()
        url = str(self._url)
        scheme, names_roots = url.partition("://")[0], "ssl_ca_" in url
        del url  # see the class
        _tls.complete(options, scheme=scheme, names_roots=names_roots)
        credentials = None
        if self.credentials is not None:
            credentials = _native.new_credentials(self.credentials)
        with _native.Repeating(None):
            while (handle := _native.open_client(self, options, credentials)) is None:
                # A signal came, and its handler did not raise. The same call continues, with its
                # time limit.
                pass
        return handle


def lasting(server: Server, *, connects_later: bool = False) -> Lasting:
    """The handle of a server, to keep for many calls."""
    if server.client is not None:
        return Lasting(server.client._handle, is_ours=False)
    return Lasting(server.open(connects_later=connects_later), is_ours=True)


class _Passing:
    """The handle of a client, or one that is freed at the end of one call."""

    __slots__ = ("_handle", "_is_ours")

    def __init__(self, server: Server, *, connects_later: bool) -> None:
        client = server.client
        self._is_ours = client is None
        self._handle = (
            server.open(connects_later=connects_later) if client is None else client._handle
        )

    def __enter__(self) -> _native.ClientHandle:
        return self._handle

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            self._handle.free()


def using(server: Server) -> _Passing:
    """The handle of a client, or of a connection that is closed at the end of one call."""
    return _Passing(server, connects_later=False)


def unconnected(server: Server) -> _Passing:
    """The handle of a client, or one that connects to nothing, to have arguments checked."""
    return _Passing(server, connects_later=True)


def _url_of_file(path: os.PathLike[str]) -> str:
    """The URL of a backup file."""
    from urllib.parse import quote

    return f"rdb://{quote(os.fsencode(os.path.abspath(path)))}"


_HOST: Final = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\])"
_SHOWABLE: Final = (
    rf"((?:redis|valkey)s?://)(?:[^@/?#]*@)?({_HOST}(?::\d+)?(?:,{_HOST}(?::\d+)?)*)"
    r"(?:[/?#][^@]*)?"
    rf"|(rediss?\+sentinel://)(?:[^@/?#]*@)?({_HOST}(?::\d+)?(?:,{_HOST}(?::\d+)?)*/[^@/?#]+)"
    r"(?:[/?#][^@]*)?"
    r"|(unix://|rdb://)(?:[^@/?#]*@)?(/[^@?#]*)(?:[?#][^@]*)?"
)


def _shown(url: str) -> str:
    """A URL without its credentials. Only its scheme if credentials could be in the rest."""
    import re

    match = re.fullmatch(_SHOWABLE, url, re.IGNORECASE)
    if match is None:
        return url.partition("://")[0] + "://***"
    return "".join(part or "" for part in match.groups())
