# SPDX-License-Identifier: Apache-2.0
"""ASKING is true of the commands that were answered ASK, and not of later ones: a slot may go back,
and be on its way a second time, while a connection is at the node that it went to first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import polars as pl
import pytest
import redis
from reads import batches
from redis.crc import key_slot

import redcol
from clusters import Cluster, Node
from grouping import GROUP, SCHEMA, add, ids_of
from servers import SERVERS

#: Options of the library: batches of so many rows.
SMALL = {"batch_rows": "500"}

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


class Move:
    """A stream whose slot goes from one node to another."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.source, self.target = cluster.primaries[:2]
        self.key = cluster.key_at(self.source, f"asking-{next(_numbers)}")
        self.slot = key_slot(self.key.encode())

    def begin(self) -> None:
        self.cluster.begin_move(self.slot, self.source, self.target)

    def move_keys(self) -> None:
        self.cluster.move_keys(self.slot, self.source, self.target)

    def end(self) -> None:
        self.cluster.end_move(self.slot, self.source, self.target)

    def go_back_and_begin_again(self) -> None:
        """The key is at the source again, and nothing says so to who is connected to the target."""
        self.end()
        self.cluster.move(self.key, self.source)
        self.begin()

    @property
    def keys_at_target(self) -> int:
        return int(self.target.ask("CLUSTER", "COUNTKEYSINSLOT", self.slot))


@pytest.fixture
def move(cluster: Cluster) -> Iterator[Move]:
    made = Move(cluster)
    yield made
    made.move_keys()
    made.end()
    cluster.move(made.key, made.source)


@pytest.mark.parametrize("kind", ["tail", "group"])
def test_a_slot_that_comes_a_second_time(move: Move, kind: str) -> None:
    with move.source.client() as db:
        ids = add(db, move.key, range(8))
    group = {**GROUP, "auto_ack": True} if kind == "group" else {}
    with redcol.iter_stream(move.cluster.url, move.key, **group, batch_size=2) as it:
        found = ids_of([next(it)])
        move.begin()
        move.move_keys()
        found += ids_of([next(it)])
        move.go_back_and_begin_again()
        found += ids_of([next(it)])
        assert move.keys_at_target == 0
        move.move_keys()
        found += ids_of([next(it)])
        assert found == ids
        assert it.stats.resets == 0


def test_a_range_that_is_half_read(move: Move) -> None:
    rows = 20_000
    with move.source.client() as db:
        fill = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-1', 'n', i) end"
        db.eval(fill, 1, move.key, rows)
    move.begin()
    move.move_keys()
    with redcol.connect(move.cluster.url) as client:
        reading = batches(client._handle, move.key, schema=SCHEMA, options=SMALL)
        frames = [pl.DataFrame(next(reading))]
        move.go_back_and_begin_again()
        frames += map(pl.DataFrame, reading)
    assert pl.concat(frames)["n"].to_list() == list(range(1, rows + 1))


def calls_of_asking(node: Node) -> int:
    stats = node.ask("INFO", "commandstats").get("cmdstat_asking")
    return int(stats["calls"]) if stats else 0


def test_a_connection_that_says_asking_is_not_used_again(move: Move) -> None:
    """Its word is about one key, and other keys of that node are asked for without it."""
    other = move.cluster.key_at(move.target, "other")
    with move.source.client() as db, move.target.client() as there:
        ids = add(db, move.key, range(3))
        others = add(there, other, range(2))
    move.begin()
    move.move_keys()
    with redcol.connect(move.cluster.url) as client:
        assert redcol.read_stream(client, move.key)["_id"].to_list() == ids
        asked = calls_of_asking(move.target)
        assert asked > 0
        assert redcol.read_stream(client, other)["_id"].to_list() == others
        assert calls_of_asking(move.target) == asked
    with move.target.client() as there:
        there.delete(other)


def test_who_may_not_ask_whether_a_key_is_there(move: Move) -> None:
    """The old node is asked about each command then: more slowly, and in the same way."""
    for node in move.cluster.nodes:
        node.ask("ACL", "SETUSER", "narrow", "on", ">pw", "+@all", "-exists", "~*")
    url = move.cluster.url.replace("redis://", "redis://narrow:pw@")
    with move.source.client() as db:
        ids = add(db, move.key, range(3))
    move.begin()
    move.move_keys()
    assert redcol.read_stream(url, move.key)["_id"].to_list() == ids
    with redcol.iter_stream(url, move.key, batch_size=1, on_idle="empty", block_ms=1) as it:
        assert ids_of([next(it)]) == ids[:1]
    with pytest.raises(redis.exceptions.NoPermissionError):
        redis.Redis.from_url(url).exists(move.key)


def test_a_stream_that_is_made_while_its_slot_moves(move: Move) -> None:
    """Nobody has the key: the new node makes it, since the old one has sent us there."""
    move.begin()
    with redcol.iter_stream(
        move.cluster.url, move.key, **GROUP, auto_ack=True, schema=SCHEMA
    ) as it:
        assert move.keys_at_target == 1
        with move.target.client() as there:
            there.execute_command("ASKING")
            ids = [there.xadd(move.key, {"n": 1}).decode()]
        assert ids_of([next(it)]) == ids


@pytest.mark.parametrize("comes_first", [True, False], ids=["moved", "still there"])
def test_one_of_two_streams_has_moved(move: Move, comes_first: bool) -> None:
    """The new node would say of the other one that it is not there, and would create it."""
    other = f"{{{move.key}}}:other"
    with move.source.client() as db:
        ids = add(db, move.key, range(2)) + add(db, other, range(1))
    move.begin()
    host, port = "127.0.0.1", move.target.port
    assert move.source.ask("MIGRATE", host, port, "", 0, 5_000, "KEYS", move.key) == "OK"
    both = [move.key, other] if comes_first else [other, move.key]
    stop = {"on_idle": "stop", "block_ms": 50, "reconnect_timeout_ms": 300}
    for how in ({"until": "now"}, {"if_missing": "raise"}, {**GROUP, "auto_ack": True}, {}):
        with (
            pytest.raises(redcol.ServerError),
            redcol.iter_stream(move.cluster.url, both, **how, **stop) as it,
        ):
            list(it)
    assert move.keys_at_target == 1
    move.move_keys()
    for how in ({"until": "now"}, {"if_missing": "raise"}, {**GROUP, "auto_ack": True}, {}):
        stop["reconnect_timeout_ms"] = 60_000
        with redcol.iter_stream(move.cluster.url, both, **how, **stop) as it:
            assert sorted(ids_of(it)) == sorted(ids)


def test_two_streams_that_are_made_while_their_slot_moves(move: Move) -> None:
    """Nobody has them. It is said so, since the new node cannot tell; later they are made."""
    both = [move.key, f"{{{move.key}}}:other"]
    move.begin()
    with pytest.raises(redcol.ServerError, match="slot that is being moved"):
        redcol.iter_stream(move.cluster.url, both, **GROUP)
    assert move.keys_at_target == 0
    move.end()
    redcol.iter_stream(move.cluster.url, both, **GROUP).close()
    assert move.keys_at_target == 2
