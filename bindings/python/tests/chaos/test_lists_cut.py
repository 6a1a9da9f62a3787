# SPDX-License-Identifier: Apache-2.0
"""Lists whose answers are cut: they are whole all the same, and nothing is in them twice."""

from __future__ import annotations

import pytest
import redis

import redcol
from proxy import Faults, Proxy
from servers import Server

GROUPS = [f"cut:{number:04}" for number in range(1_500)]


@pytest.fixture
def streams(server: Server, db: redis.Redis) -> None:
    pipeline = db.pipeline(transaction=False)
    for number in range(1, 9_001):
        pipeline.xadd("cut-pending", {"n": number}, id=f"{number}-1")
    for stream in GROUPS:
        pipeline.xgroup_create(stream, "g", id="0", mkstream=True)
        pipeline.xadd(stream, {"n": 1}, id="1-1")
        pipeline.xadd(stream, {"n": 2}, id="2-1")
        pipeline.xreadgroup("g", "c", {stream: ">"}, count=1)
    pipeline.execute()
    db.xgroup_create("cut-pending", "g", id="0")
    db.xreadgroup("g", "c", {"cut-pending": ">"})


@pytest.mark.usefixtures("streams")
def test_lists_go_on_after_lost_connections(server: Server) -> None:
    # The first connections end within a page, within a later one, and at its beginning.
    cuts = {0: 70_000, 1: 200_000, 2: 5, 3: 1}

    def pending(number: int) -> Faults:
        return Faults(end_after=cuts.get(number), since=b"XPENDING")

    with Proxy(server.socket_path, pending) as proxy:
        frame = redcol.list_pending(proxy.url, "cut-pending", "g", timeout_ms=60_000)
        assert proxy.accepted == 5
    assert frame["_id"].to_list() == [f"{number}-1" for number in range(1, 9_001)]
    assert frame["deliveries"].unique().to_list() == [1]

    def groups(number: int) -> Faults:
        return Faults(end_after=cuts.get(number), since=b"XINFO")

    with Proxy(server.socket_path, groups) as proxy:
        frame = redcol.list_groups(proxy.url, "cut:*", exact=True, timeout_ms=60_000)
        assert proxy.accepted >= 5
    assert frame["stream"].to_list() == GROUPS
    assert frame["lag_exact"].to_list() == frame["pending"].to_list() == [1] * len(GROUPS)
    assert frame["oldest_pending_ms"].null_count() == 0

    def search(number: int) -> Faults:
        return Faults(end_after={0: 10, 1: 3_000}.get(number), since=b"SCAN")

    with Proxy(server.socket_path, search) as proxy:
        frame = redcol.list_consumers(proxy.url, "cut:*", timeout_ms=60_000)
    assert frame["stream"].to_list() == GROUPS

    def probes(number: int) -> Faults:
        return Faults(end_after={0: 20_000, 1: 3_000, 2: 5, 3: 1}.get(number), since=b"XRANGE")

    whole = redcol.partitions(server.url, "cut-pending", rows=100)
    with Proxy(server.socket_path, probes) as proxy:
        assert redcol.partitions(proxy.url, "cut-pending", rows=100, timeout_ms=60_000) == whole
        assert proxy.accepted == 5
