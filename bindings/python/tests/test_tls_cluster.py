# SPDX-License-Identifier: Apache-2.0
"""A cluster whose nodes speak TLS and want a password, to their clients and to each other."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest

import redcol
from clusters import Cluster
from grouping import GROUP, SCHEMA, add
from sentinels import wait_until
from tls_files import files

PASSWORD = "s3cr3t-of-nodes"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    words = tuple(map(str, files().arguments()))
    with Cluster(replicas=1, args=words, tls=True, password=PASSWORD) as started:
        yield started


def url(cluster: Cluster, password: str = PASSWORD) -> str:
    authority = files().authority.file
    port = cluster.primaries[0].port
    return f"rediss://:{password}@127.0.0.1:{port}?ssl_ca_certs={authority}"


def test_every_node_is_reached(cluster: Cluster) -> None:
    with redcol.connect(url(cluster)) as client:
        for node in cluster.primaries:
            key = cluster.key_at(node, "secret")
            ids = redcol.write_stream(client, pl.DataFrame({"n": range(5)}), key)
            frame = redcol.read_stream(client, key, **GROUP, schema=SCHEMA)
            assert frame["_id"].to_list() == list(ids)
            assert redcol.ack_entries(client, key, "g", frame["_id"]) == 5
            with node.client() as db:
                assert db.xlen(key) == 5


def test_a_failover(cluster: Cluster) -> None:
    key = cluster.key_at(cluster.primaries[1], "failing")
    old = cluster.owner(key)
    with old.client() as db:
        ids = add(db, key, [1])
        db.execute_command("WAIT", 1, 60_000)
    with redcol.iter_stream(url(cluster), key, block_ms=60_000) as batches:
        assert next(batches)["_id"].to_list() == ids
        replica = next(
            node
            for node in cluster.nodes
            if node.ask("INFO", "replication").get("master_port") == old.port
        )
        replica.ask("CLUSTER", "FAILOVER")
        wait_until(lambda: cluster.owner(key) is replica, "the replica has taken over")
        with replica.client() as db:
            later = add(db, key, [2])
        assert next(batches)["_id"].to_list() == later


def test_a_wrong_password_and_a_wrong_authority(cluster: Cluster) -> None:
    with pytest.raises(redcol.AuthenticationError) as raised:
        redcol.connect(url(cluster, "wr0ng-one"))
    assert "wr0ng-one" not in str(raised.value)
    wrong = url(cluster).replace(files().authority.file, files().other_authority.file)
    with pytest.raises(redcol.TLSError, match="ssl_ca_certs"):
        redcol.connect(wrong)
