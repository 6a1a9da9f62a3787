# SPDX-License-Identifier: Apache-2.0
"""Running the command ``redcol`` in tests: in this process, in a pipe, in a pseudo-terminal."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import redis

import redcol
from redcol.command import run as running
from servers import REDIS_7, Server

COMMAND = [sys.executable, "-m", "redcol"]
FIRST_MS = 1_704_067_200_000
Run = Callable[..., "tuple[str, str]"]


def environment(url: str, **variables: str) -> dict[str, str]:
    """Variables for a process that runs the command."""
    source = str(Path(redcol.__file__).parents[1])
    # A test runner may say how wide and how high its own screen is.
    others = {"NO_COLOR", "COLUMNS", "LINES"}
    kept = {name: value for name, value in os.environ.items() if name not in others}
    return {**kept, "PYTHONPATH": source, "REDCOL_URL": url, "TERM": "xterm-256color", **variables}


def on_path(folder: Path) -> str:
    """A PATH with the command, which is made in this folder."""
    shim = folder / "redcol"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m redcol "$@"\n')
    shim.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def piped(
    url: str, *arguments: str, stdin: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run it as a process whose ends are pipes."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(url, **variables),
        input="" if stdin is None else stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


def spawned(
    url: str, *arguments: str, rows: int = 24, columns: int = 80, **variables: str
) -> pexpect.spawn:
    """Run it in a pseudo-terminal."""
    return pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *arguments],
        env=environment(url, **variables),
        dimensions=(rows, columns),
        timeout=120,
        encoding="utf-8",
        # As from a shell, also if the tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def interrupt(process: pexpect.spawn) -> None:
    """Press Ctrl-C until it ends: one that comes just before Python reads a line is not seen."""
    while True:
        process.sendintr()
        if process.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=2) == 0:
            return


def shown(url: str, *arguments: str, **options: Any) -> tuple[str, int]:
    """All that it shows in a pseudo-terminal until it ends, and its exit code."""
    process = spawned(url, *arguments, **options)
    process.expect(pexpect.EOF)
    process.close()
    code = process.exitstatus if process.signalstatus is None else -process.signalstatus
    return process.before.replace("\r\n", "\n"), code


def with_events() -> Iterator[Server]:
    """A server with the stream of the examples: two events that a group has delivered."""
    with Server(REDIS_7) as server:
        with server.client() as db:
            fill(db)
        yield server


def with_database(events: Server) -> Iterator[redis.Redis]:
    """A client of that server, which has again what it had at first."""
    with events.client(decode_responses=True) as client:
        fill(client)
        yield client


def in_this_process(
    events: Server,
    db: redis.Redis,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    """Runs a command line in this process: what it wrote, and what it said."""
    monkeypatch.setenv("REDCOL_URL", events.url)
    logger = logging.getLogger("redcol")
    level = logger.level

    def call(*arguments: str, code: int = 0, stdin: str = "") -> tuple[str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capfd.readouterr()
        assert running.run(arguments) == code
        return tuple(capfd.readouterr())

    yield call
    logger.setLevel(level)


def fill(db: redis.Redis) -> None:
    db.flushall()
    for index, action in enumerate(("click", "view")):
        fields = {"user_id": f"user_{index}", "action": action, "value": (index + 1) * 10}
        db.xadd("events", fields, id=f"{FIRST_MS + index}-0")
    db.xgroup_create("events", "analytics", "0")
    db.xreadgroup("analytics", "worker-1", {"events": ">"})
