# SPDX-License-Identifier: Apache-2.0
"""Real clusters: every function finds the node that has its stream, from any node of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import polars as pl
import pytest
import redis

import redcol
from clusters import Cluster, Node
from grouping import GROUP, SCHEMA, add, ids_of, pending
from sentinels import wait_until
from servers import SERVERS, Server, free_port

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


@pytest.fixture(params=range(3))
def keyed(cluster: Cluster, request: pytest.FixtureRequest) -> tuple[str, Node]:
    """A stream on each of the nodes, and another node."""
    node = cluster.primaries[request.param]
    key = cluster.key_at(node, f"stream-{next(_numbers)}")
    return key, cluster.other(node)


def test_ranges(cluster: Cluster, keyed: tuple[str, Node]) -> None:
    key, other = keyed
    with cluster.db(key) as db:
        ids = add(db, key, range(25))
    for node in cluster.nodes:
        frame = redcol.read_stream(node.url, key, schema=SCHEMA)
        assert frame["_id"].to_list() == ids
    assert len(pl.DataFrame(redcol.read_arrow(other.url, key, count=3))) == 3
    lazy = redcol.scan_stream(other.url, key, schema=SCHEMA)
    assert lazy.filter(pl.col("n") > 20).collect()["n"].to_list() == [21, 22, 23, 24]
    assert redcol.read_stream(other.url, key, start_id=ids[23], schema=SCHEMA)["n"].to_list() == [
        23,
        24,
    ]
    assert redcol.read_stream(other.url, key + "missing").is_empty()


def test_the_right_node_is_asked_first(cluster: Cluster) -> None:
    """Whichever node is in the URL, no command goes to one that has to send it on."""

    def moved() -> int:
        stats = [node.ask("INFO", "errorstats").get("errorstat_MOVED") for node in cluster.nodes]
        return sum(int(each["count"]) for each in stats if each)

    before = moved()
    for node in cluster.nodes:
        for owner in cluster.nodes:
            key = cluster.key_at(owner, f"first-{next(_numbers)}")
            assert len(redcol.write_stream(node.url, pl.DataFrame({"n": [1]}), key)) == 1
            assert len(redcol.read_stream(node.url, key, **GROUP, auto_ack=True)) == 1
            assert len(redcol.read_stream(node.url, key)) == 1
    assert moved() == before


def test_one_client_for_streams_on_all_nodes(cluster: Cluster) -> None:
    keys = [cluster.key_at(node, f"each-{next(_numbers)}") for node in cluster.nodes]
    with redcol.connect(cluster.url) as client:
        for round_ in range(3):
            for key in keys:
                written = redcol.write_stream(client, pl.DataFrame({"n": [round_]}), key)
                assert len(written) == 1
                frame = redcol.read_stream(client, key, schema=SCHEMA)
                assert frame["n"].to_list() == list(range(round_ + 1))


def test_following(cluster: Cluster, keyed: tuple[str, Node]) -> None:
    key, other = keyed
    with cluster.db(key) as db:
        ids = add(db, key, range(5))
        with redcol.iter_stream(other.url, key, block_ms=20, on_idle="stop") as batches:
            assert ids_of(batches) == ids
        with redcol.iter_stream(other.url, key, start_id="$", block_ms=5000) as batches:
            ids = add(db, key, [5])
            assert ids_of([next(batches)]) == ids
    frame = redcol.read_stream(other.url, key, start_id=ids[0], block_ms=10)
    assert frame.is_empty()


def test_a_group(cluster: Cluster, keyed: tuple[str, Node]) -> None:
    key, other = keyed
    with cluster.db(key) as db:
        ids = add(db, key, range(9))
        first = redcol.read_stream(other.url, key, **GROUP, count=4)
        assert first["_id"].to_list() == ids[:4]
        assert pending(db, key) == ids[:4]
        assert redcol.ack_entries(other.url, key, "g", first["_id"]) == 4
        with redcol.iter_stream(
            other.url, key, **GROUP, batch_size=2, block_ms=20, on_idle="stop", auto_ack=True
        ) as batches:
            assert ids_of(batches) == ids[4:]
        assert pending(db, key) == []
        with pytest.raises(redcol.NoGroupError):
            redcol.ack_entries(other.url, key, "h", ids)


def test_in_an_event_loop(cluster: Cluster, keyed: tuple[str, Node]) -> None:
    key, other = keyed

    async def read() -> list[str]:
        found: list[str] = []
        async with redcol.stream_batches(other.url, key, **GROUP, auto_ack=True) as batches:
            async for batch in batches:
                found.extend(batch["_id"])
                if len(found) == 3:
                    break
        return found

    with cluster.db(key) as db:
        ids = add(db, key, range(3))
        assert asyncio.run(read()) == ids


def test_dead_letters_in_the_same_slot(cluster: Cluster, keyed: tuple[str, Node]) -> None:
    key, other = keyed
    dead = f"{{{key}}}:dead"
    with cluster.db(key) as db:
        good = add(db, key, [1])
        bad = db.xadd(key, {"n": "one"}).decode()
        frame = redcol.read_stream(
            other.url, key, **GROUP, schema=SCHEMA, on_error="dead_letter", dead_letter=dead
        )
        assert frame["_id"].to_list() == good
        assert [fields[b"dead_id"].decode() for _, fields in db.xrange(dead)] == [bad]
        assert pending(db, key) == good


def test_writing(cluster: Cluster, keyed: tuple[str, Node]) -> None:
    key, other = keyed
    frame = pl.DataFrame({"n": range(1000)})
    ids = redcol.write_stream(other.url, frame, key)
    with cluster.db(key) as db:
        assert [entry_id.decode() for entry_id, _ in db.xrange(key)] == list(ids)


def test_urls(cluster: Cluster, keyed: tuple[str, Node]) -> None:
    """Several nodes, the first of which are gone; the name of the host; a unix socket."""
    key, other = keyed
    with cluster.db(key) as db:
        ids = add(db, key, [1])
    gone = f"127.0.0.1:{free_port()}"
    for url in (
        f"redis://{gone},127.0.0.1:{free_port()},127.0.0.1:{other.port}",
        f"redis://localhost:{other.port}/0",
        f"unix://{other.socket_path}",
    ):
        assert redcol.read_stream(url, key)["_id"].to_list() == ids
    with pytest.raises(redcol.ConnectionFailedError, match="asking the nodes of the cluster"):
        redcol.read_stream(f"redis://{gone},127.0.0.1:{free_port()}", key)


def test_several_hosts_that_are_no_cluster(server: Server, db: redis.Redis) -> None:
    port = free_port()
    db.config_set("bind", "127.0.0.1")
    db.config_set("port", port)
    try:
        assert redcol.read_stream(f"redis://127.0.0.1:{port}", "missing").is_empty()
        with pytest.raises(redcol.UnsupportedError, match="no node of a cluster"):
            redcol.read_stream(f"redis://127.0.0.1:{port},127.0.0.1:{port}", "missing")
    finally:
        db.config_set("port", 0)


@pytest.mark.parametrize("value", ["10.0.0.1:1=b:2", {"a": 1}, [("a", "b")]])
def test_an_address_map_that_cannot_be_right(value: object) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="address_map must be a dict"):
        redcol.connect("redis://127.0.0.1", address_map=value)  # type: ignore[arg-type]


def test_nodes_with_names_that_only_they_know() -> None:
    """Nodes in a network of their own, which are reached through tunnels."""
    names = ("--cluster-preferred-endpoint-type", "hostname")
    with Cluster(args=names) as cluster:
        addresses: dict[str, str] = {}
        for index, node in enumerate(cluster.nodes):
            node.ask("CONFIG", "SET", "cluster-announce-hostname", f"node-{index}.invalid")
            addresses[f"node-{index}.invalid:{node.port}"] = f"127.0.0.1:{node.port}"
        wait_until(
            lambda: all(
                str(node.ask("CLUSTER", "SLOTS")).count("invalid") == 3 for node in cluster.nodes
            ),
            "the names are known",
        )
        key = cluster.key_at(cluster.nodes[1])
        with cluster.nodes[1].client() as db:
            ids = add(db, key, range(3))
        url = cluster.nodes[0].url
        with pytest.raises(redcol.NameResolutionError, match=r"node-1\.invalid"):
            redcol.read_stream(url, key, connect_timeout_ms=2000)
        with redcol.connect(url, address_map=addresses) as client:
            assert redcol.read_stream(client, key)["_id"].to_list() == ids
