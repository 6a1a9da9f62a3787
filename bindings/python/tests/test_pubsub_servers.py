# SPDX-License-Identifier: Apache-2.0
"""Messages of channels over TLS, at the master of a service, and in clusters."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from test_pubsub import publishing, take

import redcol
from clusters import Cluster
from sentinels import Sentinels, wait_until
from servers import REDIS_7
from tls_files import TLSServer


def test_tls() -> None:
    with (
        TLSServer() as server,
        server.client() as db,
        redcol.iter_pubsub(server.url, "c", batch_timeout_ms=0) as messages,
    ):
        for number in range(2_000):
            db.publish("c", "x" * number)
        frame = take(messages, 2_000)
        assert frame["message"].str.len_bytes().to_list() == list(range(2_000))
        db.client_kill_filter(_type="pubsub")
        thread = publishing(db, "c", "again")
        assert take(messages, 1)["message"].to_list() == ["again"]
        thread.join()


def test_after_a_failover_it_listens_at_the_new_master() -> None:
    with (
        Sentinels() as sentinels,
        redcol.iter_pubsub(sentinels.url, "c", batch_timeout_ms=0) as messages,
    ):
        with sentinels.db() as db:
            db.publish("c", "before")
        assert take(messages, 1)["message"].to_list() == ["before"]
        sentinels.fail_over()
        found: list[list[str]] = []
        listener = threading.Thread(
            target=lambda: found.append(take(messages, 1)["message"].to_list())
        )
        listener.start()
        with sentinels.db() as db:
            publishing(db, "c", "after", anew=False).join()
        listener.join()
        assert found == [["after"]]
        assert messages.stats.gaps >= 1


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(REDIS_7) as started:
        yield started


def test_any_node_of_a_cluster_has_all_messages(cluster: Cluster) -> None:
    one, other = cluster.primaries[:2]
    with redcol.iter_pubsub(one.url, "c", patterns=["p*"], batch_timeout_ms=0) as messages:
        other.ask("PUBLISH", "c", "x")
        assert take(messages, 1)["message"].to_list() == ["x"]
        one.ask("PUBLISH", "p1", "y")
        assert take(messages, 1)["message"].to_list() == ["y"]


def test_sharded_channels_are_at_the_node_of_their_slot(cluster: Cluster) -> None:
    for node in cluster.primaries:
        key = cluster.key_at(node, "sharded")
        channels = [key, f"{{{key}}}b"]
        for asked in cluster.primaries:
            with redcol.iter_pubsub(
                asked.url, channels, sharded=True, batch_timeout_ms=0
            ) as messages:
                assert int(node.ask("SPUBLISH", key, "x")) == 1
                assert take(messages, 1)["_channel"].to_list() == [key]


def test_a_slot_that_moves_takes_its_channels_along(cluster: Cluster) -> None:
    source, target = cluster.primaries[:2]
    key = cluster.key_at(source, "moving")
    with redcol.iter_pubsub(source.url, key, sharded=True, batch_timeout_ms=0) as messages:
        source.ask("SPUBLISH", key, "before")
        assert take(messages, 1)["message"].to_list() == ["before"]
        cluster.move(key, target)
        found: list[list[str]] = []
        listener = threading.Thread(
            target=lambda: found.append(take(messages, 1)["message"].to_list())
        )
        listener.start()
        wait_until(lambda: int(target.ask("SPUBLISH", key, "after")) == 1)
        listener.join()
        assert found == [["after"]]
        assert messages.stats.gaps == 1
    cluster.move(key, source)
