# SPDX-License-Identifier: Apache-2.0
"""The table of docs/servers.md: what readers and writers do while a real server is in a state that
passes by itself."""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from test_passing_states import ARGS, STATES, Taking, busy, until_refused

import redcol
from grouping import GROUP, SCHEMA, add
from sentinels import wait_until
from servers import REDIS_7, Server

PAGE = Path(__file__).resolve().parents[3] / "docs/servers.md"
KINDS = ["group", "alone", "single read", "writing"]
#: What an error says of a state, where that is not the state's name.
WORDS = {"maxclients": "max number of clients", "long": "silent for"}


def table() -> dict[str, dict[str, str]]:
    part = PAGE.read_text().partition("## States that pass\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)`([^|]*) \|" + r" ([^|]+) \|" * 4 + "$", part, re.M)
    found = {}
    for name, more, *cells in rows:
        key = f"{name} long" if "for longer" in more else name
        found[key] = dict(zip(KINDS, (cell.strip("`") for cell in cells), strict=True))
    return found


@contextlib.contextmanager
def loading(server: Server, db: redis.Redis) -> Iterator[None]:
    """It is killed, and reads its data slowly when it is started again."""
    with db.pipeline(transaction=False) as pipeline:
        for n in range(3_000):
            pipeline.set(f"k{n}", n)
        pipeline.execute()
    db.save()
    server.process.kill()
    server.process.wait()
    slow = ["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"]
    server.process = subprocess.Popen(
        [*server.process.args, *slow], stdout=server.log, stderr=server.log
    )

    # redis-py would wait for the end of it.
    with server.client(retry=Retry(NoBackoff(), 0)) as plain:
        wait_until(lambda: plain.info("persistence")["loading"] == 1)
        yield
        plain.config_set("key-load-delay", 0)
        wait_until(lambda: plain.info("persistence")["loading"] == 0)


@contextlib.contextmanager
def state(name: str, server: Server, db: redis.Redis) -> Iterator[None]:
    """The server is in it until the block ends, or for as long as it takes."""
    begins, ends = STATES.get(WORDS.get(name, name), (None, None))
    if name == "LOADING":
        with loading(server, db):
            yield
    elif name == "BUSY":
        with busy(server):
            yield
    elif name == "OOM":
        db.config_set("maxmemory", 1)
        yield
        db.config_set("maxmemory", 0)
    elif name == "CLIENT KILL":
        db.client_kill_filter(_type="normal", skipme=True)
        yield
    elif name.startswith("CLIENT PAUSE"):
        db.execute_command("CLIENT", "PAUSE", 2_000 if "long" in name else 300)
        yield
    else:
        assert begins is not None
        assert ends is not None
        begins(server, db)
        if name == "maxclients":
            db.client_kill_filter(_type="normal", skipme=True)
        yield
        ends(server, db)


def iterator(name: str, kind: str, what: str, server: Server, db: redis.Redis) -> None:
    group: dict[str, Any] = GROUP | {"auto_ack": True} if kind == "group" else {}
    timeout = 400 if "long" in name else 5_000
    with redcol.iter_stream(
        server.url, "s", **group, timeout_ms=timeout, block_ms=50, schema=SCHEMA
    ) as batches:
        assert next(batches)["n"].to_list() == [0, 1, 2]
        if what == "goes on":
            add(db, "s", [3])
            with state(name, server, db):
                assert next(batches)["n"].to_list() == [3]
            return
        assert what == "waits"
        with state(name, server, db):
            taking = Taking(batches, 1)
            word = WORDS.get(name.split()[-1], name)
            # A replica tells members first that they may not write.
            until_refused(
                batches, taking, "READONLY" if (name, kind) == ("MASTERDOWN", "group") else word
            )
        add(db, "s", [3])
        assert taking.result() == [3]


def single_call(name: str, kind: str, what: str, server: Server, db: redis.Redis) -> None:
    timeout = 400 if "long" in name else 30_000
    with redcol.connect(server.url, timeout_ms=timeout) as client:
        assert len(redcol.read_stream(client, "s")) == 3

        def call() -> int:
            if kind == "writing":
                return len(redcol.write_stream(client, pl.DataFrame({"n": [3]}), "s"))
            return len(redcol.read_stream(client, "s", schema=SCHEMA))

        expected = 1 if kind == "writing" else 3
        with contextlib.ExitStack() as stack:
            stack.enter_context(state(name, server, db))
            if what == "goes on":
                assert call() == expected
            elif what == "tried again":
                timer = threading.Timer(0.3, stack.pop_all().close)
                timer.start()
                assert call() == expected
                timer.join()
            else:
                with pytest.raises(getattr(redcol, what)):
                    call()


def test_the_table_is_found() -> None:
    assert len(table()) == 9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", table())
def test_the_table_is_true(name: str, kind: str) -> None:
    what = table()[name][kind]
    with Server(REDIS_7, args=ARGS) as server, server.client() as db:
        add(db, "s", range(3))
        run = iterator if kind in ("group", "alone") else single_call
        run(name, kind, what, server, db)
