# SPDX-License-Identifier: Apache-2.0
"""What all verbs share while the command runs: the server, the terminal, and what was asked."""

from __future__ import annotations

import os
import re
import sys

import click

from .._typing import TYPE_CHECKING
from ..client import Client, connect
from ..errors import AuthenticationError

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_URL = "redis://localhost"


class PipeClosedError(Exception):
    """Whoever read the output has closed the pipe."""


class TerminatedError(KeyboardInterrupt):
    """SIGTERM has come."""


class StoppedError(Exception):
    """Ctrl-C or SIGTERM, which is the cause. click would write a line about a KeyboardInterrupt."""


class Session:
    """The options that every verb has, and the connection, which is made when it is first used."""

    def __init__(self) -> None:
        self.url: str | None = None
        self.verbosity = 0
        self.is_quiet = False
        self.has_color = not os.environ.get("NO_COLOR")
        self._client: Client | None = None

    # -- The server

    def client(self) -> Client:
        """The connection. Asks for a password where the server wants one and a person is there."""
        if self._client is None:
            self._start_log()
            url = self.server_url()
            is_asked = sys.stdin.isatty() and sys.stderr.isatty() and not _has_password(url)
            if is_asked and _split(url)[1]:
                self._client = connect(_ask_password(url))
                return self._client
            try:
                self._client = connect(url)
            except AuthenticationError:
                if not is_asked:
                    raise
                self._client = connect(_ask_password(url))
        return self._client

    def server_url(self) -> str:
        """The server's URL, with the password from the environment if it has none."""
        url = self.url or os.environ.get("REDCOL_URL") or DEFAULT_URL
        password = os.environ.get("REDCOL_PASSWORD")
        return url if not password or _has_password(url) else _with_password(url, password)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _start_log(self) -> None:
        import logging

        levels = [logging.WARNING, logging.INFO, logging.DEBUG]
        level = logging.ERROR if self.is_quiet else levels[min(self.verbosity, 2)]
        logging.basicConfig(format="redcol: %(message)s", level=logging.ERROR)
        logging.getLogger("redcol").setLevel(level)

    # -- The terminal

    def console(self, *, is_error: bool = False) -> Console:
        """A rich console for standard output, or for standard error."""
        from rich.console import Console

        file = sys.stderr if is_error else sys.stdout
        # Into a pipe or a file nothing is cut.
        width = None if file.isatty() else 1 << 16
        return Console(
            file=file,
            width=width,
            color_system="auto" if self.has_color else None,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def shows_progress(self) -> bool:
        """Whether a person looks at standard error, and wants to see how far it is."""
        return not self.is_quiet and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Tell the person something that is not output."""
        if not self.is_quiet:
            print(text, file=sys.stderr)

    def confirm(self, question: str, *, is_sure: bool) -> None:
        """Ask before something is deleted. Without a terminal, `--yes` is needed."""
        if is_sure:
            return
        if not sys.stdin.isatty():
            raise click.UsageError(f"{question} There is no terminal to ask on: say --yes.")
        if not click.confirm(question, err=True):
            raise click.ClickException("nothing was deleted.")


def write(data: bytes | str) -> None:
    """Write to standard output, at once."""
    try:
        if isinstance(data, str):
            sys.stdout.write(data)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosedError from None


def _split(url: str) -> tuple[str, str, str]:
    """A URL's scheme, its user and password, and the rest."""
    found = re.fullmatch(r"([^:]*://)(?:([^@/?#]*)@)?(.*)", url, re.DOTALL)
    return ("", "", url) if found is None else (found[1], found[2] or "", found[3])


def _has_password(url: str) -> bool:
    _, user, rest = _split(url)
    return ":" in user or re.search(r"[?&]password=", rest) is not None


def _ask_password(url: str) -> str:
    password: str = click.prompt("Password", hide_input=True, err=True)
    return _with_password(url, password)


def _with_password(url: str, password: str) -> str:
    from urllib.parse import quote

    scheme, user, rest = _split(url)
    return f"{scheme}{user}:{quote(password, safe='')}@{rest}"
