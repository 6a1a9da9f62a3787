# SPDX-License-Identifier: Apache-2.0
"""How each verb ends: done, an error, a wrong command line, Ctrl-C, and a pipe that closes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from commands import COMMAND, Run, environment, in_this_process, shown, with_database, with_events

from redcol.command import run as running
from redcol.command.root import root
from servers import Server

events = pytest.fixture(scope="module")(with_events)
db = pytest.fixture(with_database)
run = pytest.fixture(in_this_process)

#: Each verb that asks a server, and a word that it shows on a terminal.
VERBS = {
    "ls": "length",
    "info events": "analytics",
    "peek events": "click",
    "peek events --last": "view",
    "read events": "click",
    "tail events -e": "view",
    "groups": "analytics",
    "consumers events": "worker-1",
    "pending events analytics": "worker-1",
    "group create events late": "Created",
    "group seek events analytics 0": "analytics",
    "group delete events analytics --yes": "Deleted",
    "ack events analytics 1704067200000-0": "Acknowledged",
    "claim events analytics worker-2 --idle 0s": "view",
    "release events analytics worker-1 1704067200000-0": "1",
    "trim events --maxlen 1 --exact --yes": "Deleted",
    "export events -o out/": "2 rows",
    "import rows.jsonl copy": "Wrote 1",
    "plot events": "entries",
}
#: `top` needs a terminal, and has tests of its own; `completion` asks no server.
OTHERS = {"top", "completion"}
each_verb = pytest.mark.parametrize("words", VERBS)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that verbs work in, with a file to import."""
    (tmp_path / "rows.jsonl").write_text('{"a":1}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def silent(folder: Path) -> Iterator[socket.socket]:
    """A server that takes connections and never answers."""
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(folder / "silent"))
        listener.listen()
        listener.settimeout(60)
        yield listener


def started(url: str, words: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *words.split()],
        env=environment(url),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        # As from a shell, also if the tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_no_verb_is_left_out() -> None:
    families = {name for name, verb in root.commands.items() if hasattr(verb, "commands")}
    names = root.commands.keys() - families
    names |= {f"{family} {name}" for family in families for name in root.commands[family].commands}
    tried = {" ".join(words.split()[: 2 if words.startswith("group ") else 1]) for words in VERBS}
    assert tried == names - OTHERS


@each_verb
def test_in_a_terminal(events: Server, db: redis.Redis, words: str) -> None:
    text, code = shown(events.url, *words.split(), columns=120)
    assert code == 0, text
    assert VERBS[words] in text


@each_verb
def test_errors_and_wrong_usage(run: Run, words: str) -> None:
    written, said = run(*words.split(), "-u", "unix:///nowhere", code=running.ERROR)
    assert written == ""
    assert said.startswith("redcol: ")
    assert said.count("\n") == 1
    for wrong in ("--nonsense", "-u http://x"):
        written, said = run(*words.split(), *wrong.split(), code=running.USAGE)
        assert written == ""
        assert "Traceback" not in said


@each_verb
def test_ctrl_c(silent: socket.socket, folder: Path, words: str) -> None:
    with started(f"unix://{folder}/silent", words) as process:
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(60)
            assert connection.recv(1)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
    assert process.returncode == running.INTERRUPTED, said
    assert "Traceback" not in said


@each_verb
def test_a_closed_pipe(events: Server, db: redis.Redis, words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with started(events.url, words, writer) as process:
            _, said = process.communicate(timeout=60)
    finally:
        os.close(writer)
    assert (process.returncode, said) == (running.PIPE_CLOSED, "")
