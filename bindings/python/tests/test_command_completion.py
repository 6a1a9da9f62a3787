# SPDX-License-Identifier: Apache-2.0
"""Completion in the shells themselves: what appears when the Tab key is pressed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
import redis
from commands import environment, on_path, with_database, with_events

from servers import Server

events = pytest.fixture(scope="module")(with_events)
db = pytest.fixture(with_database)

#: How a shell is started without anybody's settings, and what loads the completion.
SHELLS = {
    "bash": (["--norc", "--noprofile"], 'eval "$(redcol completion bash)"'),
    "zsh": (["-f"], 'autoload -U compinit; compinit -D; eval "$(redcol completion zsh)"'),
    "fish": (["--no-config", "--private"], "redcol completion fish | source"),
}


@pytest.fixture(params=SHELLS)
def shell(
    request: pytest.FixtureRequest, events: Server, db: redis.Redis, tmp_path: Path
) -> Iterator[pexpect.spawn]:
    db.xadd("measurements", {"a": 1})
    arguments, loading = SHELLS[request.param]
    variables = {"HOME": str(tmp_path), "PATH": on_path(tmp_path), "TERM": "dumb", "PS1": "$ "}
    process = pexpect.spawn(
        request.param,
        [*arguments, "-i"],
        env=environment(events.url, **variables),
        dimensions=(24, 200),
        timeout=60,
        encoding="utf-8",
    )
    process.sendline(f"{loading}; echo lo''aded")
    process.expect("loaded")
    yield process
    process.close(force=True)


def test_a_verb_is_completed(shell: pexpect.spawn) -> None:
    shell.send("redcol compl\t")
    shell.expect("completion")


def test_a_stream_is_completed(shell: pexpect.spawn) -> None:
    shell.send("redcol peek measu\t")
    shell.expect("measurements")
