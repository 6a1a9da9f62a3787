# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/ run as a user would run them, and print what they should."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import redcol
from servers import REDIS_7, Server

EXAMPLES = Path(__file__).parents[1] / "examples"
#: Examples that a test below runs with arguments or signals of its own.
RUN_BY_NAME = {"demo.py", "fastapi_service.py", "follow_live.py", "private_server.py"}
FIRST_MS = 1_704_067_200_000
LINES_MAX = 48
#: What each example prints for the streams of `url`.
PRINTED = {
    "arrow_handover.py": "DuckDB: 40\npyarrow: 40\npandas: 40\n",
    "async_consumer.py": "events: 4 entries, 4 acknowledged\n",
    "gevent_readers.py": "events: 4 entries\nsensor:a: 2 entries\nsensor:b: 1 entries\n",
    "group_worker.py": "sum: 67\ndead letters: 1\n",
    "lazy_scan.py": "clicks: 40\n",
    "many_streams.py": "sensor:a: 2 entries, at most 21.5\nsensor:b: 1 entries, at most 19.0\n",
    "read_range.py": "click: 2 entries, sum 40\nview: 1 entries, sum 20\n",
    "trio_consumer.py": "events: 4 entries\n",
    "write_frame.py": "3 entries written\nthe same again: True\n2 hashes written\n",
}


def environment(url: str) -> dict[str, str]:
    library = os.path.dirname(os.path.dirname(redcol.__file__))
    return {**os.environ, "REDIS_URL": url, "PYTHONPATH": library, "PYTHONWARNINGS": "error"}


def run(name: str, url: str, *arguments: str, logged: str = "") -> str:
    """What an example prints; `logged`: a pattern of what it writes to standard error."""
    result = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert re.fullmatch(logged, result.stderr)
    assert result.returncode == 0
    return result.stdout


@pytest.fixture
def filled() -> Iterator[Server]:
    """A server with the streams that the examples read."""
    with Server(REDIS_7) as server:
        with server.client() as db:
            # Before 2024, where the range and the scan do not look.
            db.xadd("events", {"action": "click", "value": 7}, id=f"{FIRST_MS - 1}-0")
            for index, action in enumerate(("click", "view", "click")):
                fields = {"action": action, "value": (index + 1) * 10}
                db.xadd("events", fields, id=f"{FIRST_MS + index}-0")
            for key, value in (("a", 20), ("a", 21.5), ("b", 19)):
                db.xadd(f"sensor:{key}", {"value": value})
        yield server


@pytest.fixture
def db(filled: Server) -> Iterator[redis.Redis]:
    with filled.client() as client:
        yield client


def test_each_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == PRINTED.keys() | RUN_BY_NAME


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path: Path) -> None:
    if path.name != "demo.py":
        assert len(path.read_text().splitlines()) <= LINES_MAX


@pytest.mark.parametrize("name", sorted(PRINTED.keys() - {"arrow_handover.py", "group_worker.py"}))
def test_an_example_prints(filled: Server, name: str) -> None:
    assert run(name, "redis://localhost:1", filled.url) == PRINTED[name]


def test_the_url_may_come_from_the_environment(filled: Server) -> None:
    assert run("read_range.py", filled.url) == PRINTED["read_range.py"]


def test_a_group_worker_acknowledges_and_moves_dead_letters(
    filled: Server, db: redis.Redis
) -> None:
    db.xadd("events", {"action": "click", "value": "many"})
    logged = 'entry .* of stream "events", .* is a dead letter now, in "events:dead"\n'
    assert run("group_worker.py", filled.url, logged=logged) == PRINTED["group_worker.py"]
    assert db.xpending("events", "sums")["pending"] == 0
    ((_, dead),) = db.xrange("events:dead")
    assert dead[b"value"] == b"many"
    assert run("group_worker.py", filled.url) == "dead letters: 0\n"


def test_a_service_follows_and_answers(filled: Server) -> None:
    program = """if True:
        import time
        from fastapi.testclient import TestClient
        import fastapi_service
        with TestClient(fastapi_service.app) as http:
            print([row["action"] for row in http.get("/latest?count=2").json()])
            for _ in range(600):  # for a busy machine
                sums = http.get("/sums").json()
                if sums["entries"] == 4:
                    break
                time.sleep(0.1)
            print(sums)
    """
    settings = environment(filled.url)
    settings["PYTHONPATH"] += f":{EXAMPLES}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=settings, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == "['view', 'click']\n{'entries': 4, 'value': 67}\n"


def test_a_frame_that_was_written_is_there(filled: Server, db: redis.Redis) -> None:
    assert run("write_frame.py", filled.url, filled.url, "written") == PRINTED["write_frame.py"]
    assert [fields for _, fields in db.xrange("written")] == [
        {b"sensor": b"a", b"celsius": b"20.5"},
        {b"sensor": b"b", b"celsius": b"21.0"},
        {b"sensor": b"a"},
    ]
    assert db.hgetall("written:a") == {b"celsius": b"20.5"}
    assert 0 < db.ttl("written:a") <= 3600


def test_several_streams_are_consumed_at_once(filled: Server, db: redis.Redis) -> None:
    db.xadd("others", {"value": 1})
    printed = run("async_consumer.py", filled.url, filled.url, "events", "others")
    assert sorted(printed.splitlines()) == [
        "events: 4 entries, 4 acknowledged",
        "others: 1 entries, 1 acknowledged",
    ]


def test_following_prints_new_entries_until_ctrl_c(filled: Server, db: redis.Redis) -> None:
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "follow_live.py", filled.url],
        env=environment(filled.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline() == "following\n"
            for action in ("search", "buy"):
                entry_id = db.xadd("events", {"action": action}).decode()
                assert process.stdout.readline() == f"{entry_id}: {action}\n"
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60) == ("stopped after 2 entries\n", "")
            assert process.returncode == 0
        finally:
            process.kill()


def test_the_demo_reads_what_it_wrote(filled: Server, db: redis.Redis) -> None:
    keys = set(db.keys())
    printed = run("demo.py", filled.url)
    assert re.search(r"Read 100,000 entries in \d+\.\d+ s", printed)
    assert re.search(r"view +┆ 70\d{3} ", printed)
    assert set(db.keys()) == keys, "the demo leaves its stream on the server"


def test_the_demo_starts_a_server_of_its_own() -> None:
    printed = run("demo.py", "")
    assert "Read 100,000 entries in" in printed


def test_arrow_is_handed_over() -> None:
    with Server(REDIS_7) as server:
        with server.client() as db:
            for action, value in (("click", 10), ("view", 20), ("click", 30)):
                db.xadd("events", {"action": action, "value": value})
        assert run("arrow_handover.py", server.url) == PRINTED["arrow_handover.py"]
