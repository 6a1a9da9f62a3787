# SPDX-License-Identifier: Apache-2.0
"""The arguments of `connect` about TLS, and which OpenSSL and certificates the library uses."""

from __future__ import annotations

import contextlib
import importlib
import os

from . import _arguments, _native
from ._typing import TYPE_CHECKING
from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from typing import Final

    StrPath = str | os.PathLike[str]


class TLSArguments:
    """What `connect` was told about TLS; None where nothing was said."""

    __slots__ = ("_flags", "_paths", "_words", "password")

    def __init__(
        self,
        *,
        ssl_ca_certs: StrPath | None,
        ssl_ca_path: StrPath | None,
        ssl_certfile: StrPath | None,
        ssl_keyfile: StrPath | None,
        ssl_password: str | None,
        ssl_cert_reqs: str | None,
        ssl_check_hostname: bool | None,
        ssl_min_version: str | None,
    ) -> None:
        self._paths = {
            "ssl_ca_certs": ssl_ca_certs,
            "ssl_ca_path": ssl_ca_path,
            "ssl_certfile": ssl_certfile,
            "ssl_keyfile": ssl_keyfile,
        }
        #: Not among the options, which a traceback can show.
        self.password = ssl_password
        self._words = {
            "ssl_cert_reqs": (ssl_cert_reqs, ("required", "none")),
            "ssl_min_version": (ssl_min_version, ("TLSv1.2", "TLSv1.3")),
        }
        self._flags = {"ssl_check_hostname": ssl_check_hostname}

    def options(self) -> dict[str, str]:
        """The library's options except for the password. Refuses arguments of a wrong type."""
        found: dict[str, str] = {}
        for name, path in self._paths.items():
            if path is not None:
                if not isinstance(path, (str, os.PathLike)):
                    kind = _arguments.kind(path)
                    raise InvalidArgumentError(f"{name} must be a str or a path, not {kind}.")
                found[name] = _arguments.text(name, os.fspath(path))
        for name, (word, allowed) in self._words.items():
            if word is not None:
                found[name] = _arguments.one_of(name, word, allowed)
        for name, value in self._flags.items():
            if value is not None:
                found[name] = _arguments.flag(name, value)
        # Looked at here, since a traceback shows the arguments of a function.
        if self.password is not None and (
            not isinstance(self.password, str) or not self.password.isprintable()
        ):
            raise InvalidArgumentError("ssl_password must be a str of printable characters.")
        return found


_SCHEMES: Final = ("rediss", "valkeys")


def complete(options: dict[str, str], *, scheme: str, names_roots: bool) -> None:
    """What a connection with TLS needs of Python. `names_roots`: the URL names certificates."""
    if not scheme.lower().startswith(_SCHEMES):
        return
    # The library then uses Python's OpenSSL: another one, loaded first, could be in Python's way.
    with contextlib.suppress(ImportError):
        importlib.import_module("ssl")
    if names_roots or "ssl_ca_certs" in options or "ssl_ca_path" in options:
        return
    if not _native.feature("tls_roots"):
        with contextlib.suppress(ImportError):
            options["ssl_ca_certs"] = importlib.import_module("certifi").where()
