# SPDX-License-Identifier: Apache-2.0
"""The guide's examples on a cluster: the tests of other files, whose keys are on three nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.cluster import RedisCluster
from test_async import test_guide_async_iterator  # noqa: F401
from test_following import (  # noqa: F401
    test_guide_real_time_analytics,
    test_guide_synchronous_iterator,
)
from test_groups import (  # noqa: F401
    events,
    test_guide_basic_consumer_group,
    test_guide_blocking_read,
    test_guide_manual_acknowledgment,
    test_guide_multiple_consumers,
)
from test_guide_range import *  # noqa: F403
from test_guide_range import test_acknowledging_what_was_read, test_entries_with_a_schema
from test_scan import test_the_guide  # noqa: F401
from test_write_hashes import db, test_hashes, test_the_guides_real_time_example  # noqa: F401

from clusters import Cluster
from servers import SERVERS


class Client(RedisCluster):
    """redis-py, which finds the node of each key; what is no key's is that of all nodes."""

    def each(self) -> list[redis.Redis]:
        return [self.get_redis_connection(node) for node in self.get_primaries()]

    def dbsize(self, **_: Any) -> int:
        return sum(int(node.dbsize()) for node in self.each())

    def keys(self, pattern: str = "*", **_: Any) -> list[Any]:
        return [key for node in self.each() for key in node.keys(pattern)]

    def info(self, section: str, **_: Any) -> dict[str, int]:
        assert section == "clients"
        blocked = sum(int(node.info(section)["blocked_clients"]) for node in self.each())
        return {"blocked_clients": blocked}


class ClusterServer(Cluster):
    """A cluster in place of a server."""

    def client(self, **arguments: Any) -> Client:
        return Client("127.0.0.1", self.primaries[0].port, **arguments)


@pytest.fixture(scope="module", params=["r7"])
def any_server(request: pytest.FixtureRequest) -> Iterator[ClusterServer]:
    with ClusterServer(SERVERS[request.param]) as started:
        yield started


@pytest.mark.parametrize("any_server", ["r6", "r8", "v9"], indirect=True)
def test_other_servers(any_server: ClusterServer, url: str) -> None:
    test_entries_with_a_schema(url)
    test_acknowledging_what_was_read(any_server, url)  # type: ignore[arg-type]
