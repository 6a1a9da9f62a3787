# SPDX-License-Identifier: Apache-2.0
"""Metrics for Prometheus: what iterators count, living and ended, and what their groups are at."""

from __future__ import annotations

import gc
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import redis
from prometheus_client import CollectorRegistry

import redcol
import redcol.metrics
from redcol._living import LIVING
from servers import Server

PAGE = Path(__file__).parents[3] / "docs/metrics.md"


@pytest.fixture
def registry() -> Iterator[CollectorRegistry]:
    registry = CollectorRegistry()
    registry.register(redcol.metrics.collector())
    yield registry
    LIVING.keeps_sums = False


def add(db: redis.Redis, stream: str, count: int) -> None:
    for number in range(count):
        db.xadd(stream, {"n": number})


def value(registry: CollectorRegistry, name: str, stream: str, group: str = "") -> float | None:
    return registry.get_sample_value(f"redcol_{name}", {"stream": stream, "group": group})


def test_a_group(url: str, any_db: redis.Redis, key: str, registry: CollectorRegistry) -> None:
    add(any_db, key, 10)
    member = {"group": "g", "consumer": "c", "batch_size": 4}
    with redcol.iter_stream(url, key, **member) as batches:
        batches.ack(next(batches))
        next(batches)
        assert value(registry, "entries_delivered_total", key, "g") == 8
        assert value(registry, "entries_acknowledged_total", key, "g") == 4
        assert value(registry, "reconnects_total", key, "g") == 0
        assert value(registry, "group_pending_entries", key, "g") == 4
        (lag,) = redcol.list_groups(url, key)["lag"]
        assert value(registry, "group_lag_entries", key, "g") == lag
        assert lag in (2, None), "Redis 6.2 does not say it"
        with redcol.iter_stream(url, key, group="g", consumer="d") as others:
            assert len(next(others)) == 2
            assert value(registry, "entries_delivered_total", key, "g") == 10
            assert value(registry, "group_pending_entries", key, "g") == 6


def test_counters_do_not_fall_when_iterators_end(
    url: str, any_db: redis.Redis, key: str, registry: CollectorRegistry
) -> None:
    add(any_db, key, 3)
    for count in (1, 2, 3):
        with redcol.iter_stream(url, key, on_idle="stop", block_ms=1) as batches:
            assert sum(map(len, batches)) == 3
        assert value(registry, "entries_delivered_total", key) == 3 * count
        del batches
        gc.collect()
        assert value(registry, "entries_delivered_total", key) == 3 * count
    assert value(registry, "group_lag_entries", key) is None


def test_reconnects(any_db: redis.Redis, url: str, key: str, registry: CollectorRegistry) -> None:
    with redcol.iter_stream(url, key, on_idle="empty", block_ms=1) as batches:
        next(batches)
        any_db.client_kill_filter(_type="normal", skipme=True)
        while batches.stats.reconnects == 0:
            next(batches)
        assert value(registry, "reconnects_total", key) == batches.stats.reconnects


def test_several_streams(
    url: str, any_db: redis.Redis, key: str, registry: CollectorRegistry
) -> None:
    streams = [f"{key}:a", f"{key}:b"]
    for stream in streams:
        add(any_db, stream, 2)
    with redcol.iter_stream(url, streams, group="g", consumer="c") as batches:
        assert len(next(batches)) == 4
        assert value(registry, "entries_delivered_total", ",".join(streams), "g") == 4
        for stream in streams:
            assert value(registry, "group_pending_entries", stream, "g") == 2


def test_a_server_that_is_gone(
    key: str, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    with Server() as server:
        with server.client() as db:
            add(db, key, 1)
        batches = redcol.iter_stream(server.url, key, group="g", consumer="c", timeout_ms=200)
        next(batches)
    with caplog.at_level(logging.WARNING, "redcol"):
        assert value(registry, "entries_delivered_total", key, "g") == 1
        assert value(registry, "group_pending_entries", key, "g") is None
    assert "the metrics have no lag and no pending entries" in caplog.text
    batches.close()
    caplog.clear()
    assert value(registry, "entries_delivered_total", key, "g") == 1
    assert "the metrics have" not in caplog.text, "closed iterators are not asked for"


def test_sums_are_kept_only_for_a_collector(
    url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIVING, "keeps_sums", False)
    with redcol.iter_stream(url, key, on_idle="stop", block_ms=1) as batches:
        assert list(batches) == []
    del batches
    gc.collect()
    assert not any(key.encode() in reads.streams for reads in LIVING.counts())


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program in a process that has no other iterators."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )


FORKED = """
import os, sys, redcol
from redcol._living import LIVING

redcol.write_stream(sys.argv[1], sys.modules["polars"].DataFrame({"n": [1]}), "s")
LIVING.keeps_sums = True
first = redcol.iter_stream(sys.argv[1], "s")
next(first)
child = os.fork()
if child == 0:
    before = dict(LIVING.counts())
    batches = redcol.iter_stream(sys.argv[1], "s")
    print(before, list(LIVING.counts().values()), flush=True)
    next(batches)
    print(list(LIVING.counts().values()), flush=True)
    batches.close()
    os._exit(0)
os.waitpid(child, 0)
first.close()
"""


def test_a_child_process_begins_anew(server: Server, db: redis.Redis) -> None:
    db.delete("s")
    result = run("import polars\n" + FORKED, server.url)
    assert result.stdout == "{} [[0, 0, 0]]\n[[1, 0, 0]]\n", result.stderr


def test_without_prometheus_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    with pytest.raises(ImportError, match=r'pip install "redcol\[metrics\]"'):
        redcol.metrics.collector()


def test_the_page_shows_what_its_example_prints() -> None:
    page = PAGE.read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    with Server() as server:
        redcol.write_stream(server.url, pl.DataFrame({"value": [10, 20]}), "events")
        result = run(program.replace("redis://localhost", server.url))
    assert result.stdout.strip() == shown.strip(), result.stderr
