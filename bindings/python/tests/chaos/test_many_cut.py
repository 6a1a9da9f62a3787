# SPDX-License-Identifier: Apache-2.0
"""Reads of many streams whose connection is cut: no row is lost, and none doubled."""

from __future__ import annotations

import pytest
import redis
from many import fill, read, rows

from cases import IS_WHOLE
from proxy import Faults, Proxy
from servers import Server


def cuts(length: int) -> list[int]:
    """Bytes after which a connection is cut: the first ones, then here and there."""
    return [*range(0, 60, 7), *range(60, length, 1 if IS_WHOLE else max(1, length // 40))]


@pytest.mark.parametrize("since", [b"SCAN", b"XRANGE", b"XREVRANGE"])
def test_cut_connections(any_server: Server, any_db: redis.Redis, key: str, since: bytes) -> None:
    sizes = [3, 0, 1, 700, 2, 2, 2, 2, 2, 2, 40, 1]
    written = fill(any_db, {f"{key}:{n:02}": size for n, size in enumerate(sizes)})
    expected = rows(written)
    length = 800 if since == b"SCAN" else 60 * len(expected)
    with Proxy(any_server.socket_path) as proxy:
        lost = 0
        for after in cuts(length):
            end = "reset" if after % 3 == 0 else "close"
            faults = Faults(end_after=after, since=since, end=end)
            proxy.begin(lambda number, faults=faults: faults if number == 0 else Faults())
            counts: dict[str, int] = {}
            found = read(proxy.url, f"{key}:*", counts=counts)
            assert found == expected, f"cut after {after} bytes"
            assert counts["streams"] == len(written), f"cut after {after} bytes"
            few = [row for row in expected if int(row[1][:-2]) <= 400]
            proxy.begin(lambda number, faults=faults: faults if number == 0 else Faults())
            found = read(proxy.url, f"{key}:*", count_per_stream=400)
            assert found == few, f"cut after {after} bytes"
            lost += proxy.accepted > 1
        assert lost > 10


def test_every_connection_is_cut(any_server: Server, any_db: redis.Redis, key: str) -> None:
    """Reading goes on where it was, as long as each connection brings something."""
    written = fill(any_db, {f"{key}:{n:02}": 40 if n % 9 else 900 for n in range(40)})
    with Proxy(any_server.socket_path) as proxy:
        proxy.begin(lambda number: Faults(end_after=3_000, since=b"XRANGE", end="reset"))
        assert read(proxy.url, sorted(written)) == rows(written)
        assert proxy.accepted > 20
