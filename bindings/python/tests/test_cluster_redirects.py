# SPDX-License-Identifier: Apache-2.0
"""Slots that move and nodes that die while clusters are read and written: nothing is lost, and
nothing comes twice but what was pending."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
import reads
import redis
from redis.crc import key_slot

import redcol
from clusters import Cluster, Node
from grouping import GROUP, SCHEMA, add, ids_of, pending, wait_for_blocked
from redcol import _native
from redcol._capsule import Batch
from sentinels import wait_until
from servers import REDIS_7, SERVERS

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


@pytest.fixture(scope="module")
def replicated() -> Iterator[Cluster]:
    with Cluster(REDIS_7, replicas=1) as started:
        yield started


def stream(cluster: Cluster) -> tuple[str, Node, Node]:
    """A stream, the node that has it, and another one."""
    source, target = cluster.primaries[:2]
    return cluster.key_at(source, f"moving-{next(_numbers)}"), source, target


def test_the_named_node_is_asked_at_once(cluster: Cluster) -> None:
    """Not when its caller looks again, or when a time is over: here both would be after an hour."""
    key, source, target = stream(cluster)
    with cluster.db(key) as db:
        ids = add(db, key, range(3))
    with redcol.connect(cluster.url, timeout_ms=3_600_000) as client:
        assert len(redcol.read_stream(client, key)) == 3
        for node in (target, source):
            cluster.move(key, node)
            asked = reads.request(key)
            iterator = _native.read_streams(
                client._handle, asked.streams, asked.schema_capsule(), asked.options
            )
            slot = _native.Slot()
            with ThreadPoolExecutor() as pool:
                batch = pool.submit(_native.iter_next, iterator, -1, slot)
                try:
                    assert batch.result(60) == _native.OK
                finally:
                    _native.cancel(iterator)
            assert pl.DataFrame(Batch(slot))["_id"].to_list() == ids
            iterator.free()


class Reader:
    """Reads an iterator in a thread, until it is closed."""

    def __init__(self, batches: Any):
        self.batches = batches
        self.got: list[str] = []
        self.errors: list[BaseException] = []
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self) -> None:
        try:
            for batch in self.batches:
                self.got.extend(batch["_id"])
        except redcol.ClosedError:
            pass
        except BaseException as error:
            self.errors.append(error)

    def await_all(self, ids: list[str]) -> None:
        # Entries of two streams may have the same id.
        wait_until(lambda: bool(self.errors) or not Counter(ids) - Counter(self.got), "all entries")
        assert not self.errors, self.errors

    def close(self) -> None:
        self.batches.close()
        self.thread.join(60)
        assert not self.thread.is_alive()
        assert not self.errors, self.errors

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


FOLLOWING = {
    "tail": {"start_id": "$"},
    "group": {**GROUP, "auto_ack": True},
}


@pytest.mark.parametrize("kind", FOLLOWING)
def test_a_slot_moves_while_a_request_is_blocked_on_it(cluster: Cluster, kind: str) -> None:
    key, source, target = stream(cluster)
    with source.client() as db:
        add(db, key, [0])
        batches = redcol.iter_stream(cluster.url, key, **FOLLOWING[kind], block_ms=60_000)
        with Reader(batches) as reader:
            wait_for_blocked(db)
            cluster.move(key, target)
            with target.client() as other:
                ids = add(other, key, range(1, 4))
                reader.await_all(ids)
                assert len(reader.got) == len(set(reader.got))
                wait_for_blocked(other)
                cluster.move(key, source)
                later = add(db, key, range(4, 6))
                reader.await_all(ids + later)
                if kind == "group":
                    wait_until(lambda: pending(db, key) == [], "all is acknowledged")
            assert len(reader.got) == len(set(reader.got))


@pytest.mark.parametrize("kind", FOLLOWING)
def test_a_slot_moves_while_an_event_loop_waits(cluster: Cluster, kind: str) -> None:
    key, source, target = stream(cluster)

    def move(db: redis.Redis) -> list[str]:
        wait_for_blocked(db)
        cluster.move(key, target)
        with target.client() as other:
            return add(other, key, [1])

    async def read(db: redis.Redis) -> None:
        arguments = {**FOLLOWING[kind], "block_ms": 60_000}
        async with redcol.stream_batches(cluster.url, key, **arguments) as batches:
            ids = asyncio.get_running_loop().run_in_executor(None, move, db)
            assert ids_of([await asyncio.wait_for(anext(batches), 60)]) == await ids

    with source.client() as db:
        asyncio.run(read(db))
    cluster.move(key, source)


def test_a_slot_moves_while_nothing_is_asked(cluster: Cluster) -> None:
    key, source, target = stream(cluster)
    with source.client() as db, redcol.connect(cluster.url) as client:
        ids = add(db, key, range(6))
        tail = redcol.iter_stream(client, key, batch_size=2)
        group = redcol.iter_stream(client, key, **GROUP, auto_ack=True, batch_size=2)
        with tail, group:
            found = {id(each): ids_of([next(each)]) for each in (tail, group)}
            assert len(redcol.read_stream(client, key)) == 6
            cluster.move(key, target)
            for each in (tail, group):
                while len(found[id(each)]) < 6:
                    found[id(each)] += ids_of([next(each)])
                assert found[id(each)] == ids
            assert redcol.read_stream(client, key)["_id"].to_list() == ids
            assert len(redcol.write_stream(client, pl.DataFrame({"n": [6]}), key)) == 1
            assert redcol.read_stream(client, key, schema=SCHEMA)["n"].to_list() == [*range(7)]
        with target.client() as other:
            assert other.xlen(key) == 7
        cluster.move(key, source)


def test_a_key_moves_between_reading_and_acknowledging(cluster: Cluster) -> None:
    key, source, target = stream(cluster)
    with source.client() as db, redcol.connect(cluster.url) as client:
        ids = add(db, key, range(6))
        frame = redcol.read_stream(client, key, **GROUP, count=3)
        with redcol.iter_stream(client, key, group="h", consumer="c", batch_size=6) as batches:
            batch = next(batches)
            cluster.move(key, target)
            assert redcol.ack_entries(client, key, "g", frame["_id"]) == 3
            assert batches.ack(batch["_id"]) == 6
        with target.client() as other:
            assert pending(other, key) == []
            assert other.xpending(key, "h")["pending"] == 0
        rest = redcol.read_stream(client, key, **GROUP, auto_ack=True)
        assert rest["_id"].to_list() == ids[3:]
        cluster.move(key, source)


def test_a_key_that_is_on_its_way(cluster: Cluster) -> None:
    """The slot still is the source's, and the key is at the target: ASK."""
    key, source, target = stream(cluster)
    slot = key_slot(key.encode())
    with source.client() as db, redcol.connect(cluster.url) as client:
        ids = add(db, key, range(6))
        batches = redcol.iter_stream(client, key, **GROUP, auto_ack=True, batch_size=2)
        with batches:
            found = ids_of([next(batches)])
            cluster.begin_move(slot, source, target)
            assert redcol.read_stream(client, key)["_id"].to_list() == ids
            cluster.move_keys(slot, source, target)
            for _ in range(2):
                assert redcol.read_stream(client, key)["_id"].to_list() == ids
                assert redcol.read_arrow(cluster.url, key, count=2) is not None
            found += ids_of([next(batches)])
            frame = redcol.read_stream(client, key, group="h", consumer="c")
            assert frame["_id"].to_list() == ids
            assert redcol.ack_entries(client, key, "h", frame["_id"]) == 6
            with redcol.iter_stream(client, key, start_id=ids[3], on_idle="stop", block_ms=9) as it:
                assert ids_of(it) == ids[4:]
            cluster.end_move(slot, source, target)
            found += ids_of([next(batches)])
            assert found == ids
            assert redcol.read_stream(client, key)["_id"].to_list() == ids
        cluster.move(key, source)


def test_a_move_that_is_given_up(cluster: Cluster) -> None:
    """The key goes to the target and comes back, while an iterator follows it."""
    key, source, target = stream(cluster)
    slot = key_slot(key.encode())
    with source.client() as db, target.client() as other:
        ids = add(db, key, [0])
        batches = redcol.iter_stream(cluster.url, key, **GROUP, auto_ack=True, block_ms=60_000)
        with Reader(batches) as reader:
            reader.await_all(ids)
            cluster.begin_move(slot, source, target)
            cluster.move_keys(slot, source, target)
            with other.pipeline(transaction=False) as pipeline:
                pipeline.execute_command("ASKING")
                pipeline.xadd(key, {"n": 1})
                ids.append(pipeline.execute()[1].decode())
            reader.await_all(ids)
            source.ask("CLUSTER", "SETSLOT", slot, "STABLE")
            with other.pipeline(transaction=False) as pipeline:
                pipeline.execute_command("ASKING")
                pipeline.execute_command("MIGRATE", "127.0.0.1", source.port, key, 0, 5000)
                pipeline.execute()
            target.ask("CLUSTER", "SETSLOT", slot, "STABLE")
            ids += add(db, key, [2])
            reader.await_all(ids)
            assert reader.got == ids


def test_two_streams_of_a_slot_that_moves(cluster: Cluster) -> None:
    """One is still at the source, the other at the target: nobody has both for a while.

    The target says TRYAGAIN, or, before 7.0, the source says ASK.
    """
    name, source, target = stream(cluster)
    slot = key_slot(name.encode())
    keys = [f"{{{name}}}:a", f"{{{name}}}:b"]
    with source.client() as db, target.client() as other:
        ids = [entry_id for key in keys for entry_id in add(db, key, [0])]
        batches = redcol.iter_stream(cluster.url, keys, block_ms=60_000)
        with Reader(batches) as reader:
            reader.await_all(ids)
            cluster.begin_move(slot, source, target)
            source.ask("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5000)
            wait_until(
                lambda: re.search("TRYAGAIN|being moved", str(batches.last_error)) is not None
            )
            cluster.move_keys(slot, source, target)
            cluster.end_move(slot, source, target)
            ids += [entry_id for key in keys for entry_id in add(other, key, [1])]
            reader.await_all(ids)
            assert sorted(reader.got) == sorted(ids)
        cluster.move(name, source)


def test_a_ledger_of_slots_that_move(cluster: Cluster) -> None:
    """A group reads and a writer writes while the slot goes back and forth."""
    key, source, target = stream(cluster)
    written: list[str] = []
    enough = threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            with redcol.connect(cluster.url) as client:
                while not enough.is_set():
                    written.extend(redcol.write_stream(client, pl.DataFrame({"n": [1, 2]}), key))
        except BaseException as error:
            errors.append(error)

    with source.client() as db:
        add(db, key, [0])
    batches = redcol.iter_stream(cluster.url, key, **GROUP, auto_ack=True, block_ms=60_000)
    writer = threading.Thread(target=write)
    with Reader(batches) as reader:
        writer.start()
        for number in range(6):
            before = len(reader.got)
            cluster.move(key, target if number % 2 == 0 else source)
            wait_until(lambda n=before: len(reader.got) > n or bool(errors or reader.errors))
        enough.set()
        writer.join(60)
        assert not errors, errors
        reader.await_all(written)
        with source.client() as db:
            assert [entry_id.decode() for entry_id, _ in db.xrange(key)] == reader.got
            wait_until(lambda: pending(db, key) == [], "all is acknowledged")
    assert reader.got[1:] == written


# Nodes that die.


def kill(cluster: Cluster, node: Node) -> None:
    node.kill()


def hang(cluster: Cluster, node: Node) -> None:
    node.pause()


def fail_over(cluster: Cluster, node: Node) -> None:
    """As an administrator asks for it."""
    replica = next(
        other
        for other in cluster.nodes
        if other.ask("INFO", "replication").get("master_port") == node.port
    )
    replica.ask("CLUSTER", "FAILOVER")


@pytest.mark.parametrize("how", [kill, hang, fail_over])
def test_a_replica_takes_over(replicated: Cluster, how: Callable[[Cluster, Node], None]) -> None:
    """What the new primary has is read, and what was read is acknowledged there."""
    cluster = replicated
    cluster.repair()
    key = f"failing-{next(_numbers)}"
    old = cluster.owner(key)
    with old.client() as db:
        ids = add(db, key, range(10))
        group = redcol.iter_stream(cluster.url, key, **GROUP, auto_ack=True, block_ms=60_000)
        tail = redcol.iter_stream(cluster.url, key, block_ms=60_000)
        with Reader(group) as grouped, Reader(tail) as followed, redcol.connect(cluster.url) as one:
            grouped.await_all(ids)
            followed.await_all(ids)
            assert len(redcol.read_stream(one, key)) == 10
            wait_until(lambda: pending(db, key) == [])
            assert db.execute_command("WAIT", 1, 60_000) == 1
            wait_for_blocked(db, 2)
            how(cluster, old)
            wait_until(lambda: cluster.owner(key) is not old, "a new primary")
            new = cluster.owner(key)
            if how is hang:
                # Rows that were sent to the old one are not sent again.
                with new.client() as there:
                    later = add(there, key, [10, 11])
            else:
                frame = pl.DataFrame({"n": [10, 11]})
                later = list(redcol.write_stream(one, frame, key, timeout_ms=60_000))
            assert len(redcol.read_stream(one, key, timeout_ms=60_000)) == 12
            grouped.await_all([*ids, *later])
            followed.await_all([*ids, *later])
            assert grouped.got == [*ids, *later]
            assert followed.got == [*ids, *later]
            with new.client() as there:
                wait_until(lambda: pending(there, key) == [], "all is acknowledged")


def test_a_node_that_nobody_replaces(cluster: Cluster) -> None:
    """A single call is tried for a while, and an iterator goes on when the node is back."""
    node = cluster.primaries[2]
    key = cluster.key_at(node, f"lonely-{next(_numbers)}")
    with node.client() as db:
        add(db, key, [0])
    batches = redcol.iter_stream(cluster.url, key, start_id="$", block_ms=60_000)
    with Reader(batches) as reader:
        node.kill()
        wait_until(
            lambda: "cluster_state:fail" in cluster.primaries[0].ask("CLUSTER", "INFO"),
            "it is down",
        )
        with pytest.raises((redcol.ServerError, redcol.ConnectionFailedError)) as raised:
            redcol.read_stream(cluster.url, key, timeout_ms=700, connect_timeout_ms=2000)
        assert "CLUSTERDOWN" in str(raised.value) or "connecting to" in str(raised.value)
        cluster.repair()
        with node.client() as db:
            reader.await_all(add(db, key, [1]))
