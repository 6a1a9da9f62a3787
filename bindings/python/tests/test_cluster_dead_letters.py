# SPDX-License-Identifier: Apache-2.0
"""Dead letters in another slot of a real cluster than their stream: none is lost, and each entry
has one letter, unless a connection is lost at the wrong moment."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chaos.proxy import NONE, Faults
from test_cluster_redirects import Reader

import redcol
from clusters import Cluster, Relays
from grouping import GROUP, SCHEMA, add, ids_of, pending
from sentinels import wait_until
from servers import REDIS_7, SERVERS

STOP = {"on_idle": "stop", "block_ms": 20}

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


@pytest.fixture(scope="module")
def redis_7() -> Iterator[Cluster]:
    with Cluster(REDIS_7) as started:
        yield started


def keys(cluster: Cluster) -> tuple[str, str]:
    """A stream, and the dead letters on another node."""
    name = f"letters-{next(_numbers)}"
    here, there = cluster.primaries[:2]
    return cluster.key_at(here, name), cluster.key_at(there, f"{name}-dead")


def letters(cluster: Cluster, dead: str) -> list[dict[str, str]]:
    with cluster.db(dead) as db:
        return [
            {name.decode(): value.decode() for name, value in fields.items()}
            for _, fields in db.xrange(dead)
        ]


def dead_ids(cluster: Cluster, dead: str) -> list[str]:
    return [letter["dead_id"] for letter in letters(cluster, dead)]


def refusing(dead: str) -> dict[str, Any]:
    return {**GROUP, "schema": SCHEMA, "on_error": "dead_letter", "dead_letter": dead}


def fill(cluster: Cluster, key: str, count: int) -> tuple[list[str], list[str]]:
    """As many entries that have a row as entries that have none, in turn."""
    with cluster.db(key) as db:
        values = ["one" if number % 2 else number for number in range(2 * count)]
        ids = add(db, key, values)  # type: ignore[arg-type]
    return ids[::2], ids[1::2]


def test_values_that_do_not_fit(cluster: Cluster) -> None:
    key, dead = keys(cluster)
    good, bad = fill(cluster, key, 20)
    frame = redcol.read_stream(cluster.url, key, **refusing(dead), count=5)
    assert frame["_id"].to_list() == good[:5]
    assert redcol.ack_entries(cluster.url, key, "g", frame["_id"]) == 5
    found = ids_of([frame])
    with redcol.iter_stream(
        cluster.url, key, **refusing(dead), auto_ack=True, batch_size=3, **STOP
    ) as batches:
        found += ids_of(batches)
        assert batches.stats.reconnects == 0
    assert found == good
    assert dead_ids(cluster, dead) == bad
    assert letters(cluster, dead)[0] == {
        "n": "one",
        "dead_id": bad[0],
        "dead_stream": key,
        "dead_group": "g",
        "dead_consumer": "c",
        "dead_deliveries": "1",
        "dead_field": "n",
        "dead_reason": letters(cluster, dead)[0]["dead_reason"],
    }
    with cluster.db(key) as db:
        assert pending(db, key) == []


def test_entries_that_were_delivered_too_often(cluster: Cluster) -> None:
    """Four members see them, and each is moved once."""
    key, dead = keys(cluster)
    with cluster.db(key) as db:
        db.xgroup_create(key, "g", "0", mkstream=True)
        ids = add(db, key, range(100))
        db.xreadgroup("g", "gone", {key: ">"}, count=100)

    def member(number: int) -> int:
        arguments = {"max_deliveries": 1, "dead_letter": dead, "claim_idle_ms": 0, **STOP}
        with redcol.iter_stream(
            cluster.url, key, group="g", consumer=f"m{number}", batch_size=10, **arguments
        ) as batches:
            assert ids_of(batches) == []
            return batches.stats.dead_lettered

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(member, range(4)))
    assert sum(counts) == 100
    assert sorted(dead_ids(cluster, dead)) == sorted(ids)
    with cluster.db(key) as db:
        assert pending(db, key) == []


def test_an_entry_that_is_too_large(cluster: Cluster) -> None:
    key, dead = keys(cluster)
    with cluster.db(key) as db:
        ids = [db.xadd(key, {"n": size * "1"}).decode() for size in (1, 5_000, 2)]
    with redcol.iter_stream(
        cluster.url, key, **refusing(dead), entry_bytes_max=1_000, auto_ack=True, **STOP
    ) as batches:
        assert ids_of(batches) == [ids[0], ids[2]]
    (letter,) = letters(cluster, dead)
    assert letter["dead_id"] == ids[1]
    assert "n" not in letter
    with cluster.db(key) as db:
        assert pending(db, key) == []


def test_several_streams_with_dead_letters_in_one_place(cluster: Cluster) -> None:
    name = f"letters-{next(_numbers)}"
    nodes = cluster.primaries * 2
    streams = [cluster.key_at(node, f"{name}-{number}") for number, node in enumerate(nodes)]
    filled = [fill(cluster, stream, 10) for stream in streams]
    with redcol.iter_stream(
        cluster.url, streams, **refusing(f"{name}-dead"), auto_ack=True, batch_size=4, **STOP
    ) as batches:
        found = Counter(ids_of(batches))
    # Entries of two streams may have the same id.
    assert found == Counter(entry_id for good, _ in filled for entry_id in good)
    there = letters(cluster, f"{name}-dead")
    for stream, (_, bad) in zip(streams, filled, strict=True):
        assert [one["dead_id"] for one in there if one["dead_stream"] == stream] == bad


def test_in_an_event_loop(cluster: Cluster) -> None:
    key, dead = keys(cluster)
    good, bad = fill(cluster, key, 10)

    async def read() -> list[str]:
        found: list[str] = []
        async with redcol.stream_batches(
            cluster.url, key, **refusing(dead), auto_ack=True, batch_size=3, **STOP
        ) as batches:
            async for batch in batches:
                found.extend(batch["_id"])
        return found

    assert asyncio.run(read()) == good
    assert dead_ids(cluster, dead) == bad


def test_a_place_that_cannot_be_written(cluster: Cluster) -> None:
    """Nothing is acknowledged, and nothing is lost."""
    key, dead = keys(cluster)
    good, bad = fill(cluster, key, 1)
    with cluster.db(dead) as db:
        db.set(dead, "no stream")
    with pytest.raises(redcol.WrongTypeError) as caught:
        redcol.read_stream(cluster.url, key, **refusing(dead))
    assert caught.value.stream == dead
    with cluster.db(key) as db:
        assert bad[0] in pending(db, key)
    with cluster.db(dead) as db:
        db.delete(dead)
    frame = redcol.read_stream(cluster.url, key, **refusing(dead))
    assert frame["_id"].to_list() == good
    assert dead_ids(cluster, dead) == bad


def test_the_slots_of_both_move(cluster: Cluster) -> None:
    key, dead = keys(cluster)
    entries = [fill(cluster, key, 30)]
    found: list[str] = []
    with redcol.iter_stream(
        cluster.url,
        key,
        **refusing(dead),
        auto_ack=True,
        batch_size=5,
        on_idle="empty",
        block_ms=50,
    ) as batches:
        for moved in (dead, key, dead, key):
            found += ids_of([next(batches)])
            cluster.move(moved, cluster.other(cluster.owner(moved)))
            entries.append(fill(cluster, key, 10))
        good = [entry_id for pair in entries for entry_id in pair[0]]
        bad = [entry_id for pair in entries for entry_id in pair[1]]
        while len(found) < len(good) or batches.stats.dead_lettered < len(bad):
            found += ids_of([next(batches)])
    assert found == good
    # A slot that moves refuses what it is asked, before it is done.
    assert sorted(dead_ids(cluster, dead)) == sorted(bad)


@pytest.mark.parametrize("lost", ["written", "acknowledged"])
@pytest.mark.parametrize("bytes_kept", [0, 1, 9])
def test_a_connection_that_is_lost(redis_7: Cluster, lost: str, bytes_kept: int) -> None:
    """The answer to XADD, or to XACK, is cut three times: no letter is missing, and each cut makes
    one more at most."""
    cluster = redis_7
    key, dead = keys(cluster)
    good, bad = fill(cluster, key, 3)
    since = b"XADD" if lost == "written" else b"XACK"

    def plan(number: int) -> Faults:
        return Faults(end_after=bytes_kept, since=since, end="reset") if number < 3 else NONE

    with (
        Relays(cluster, plan) as relays,
        redcol.connect(relays.url, **relays.arguments) as client,
        redcol.iter_stream(client, key, **refusing(dead), auto_ack=True, **STOP) as batches,
    ):
        found = ids_of(batches)
        assert batches.stats.reconnects > 0
    assert found == good
    counts = Counter(dead_ids(cluster, dead))
    assert sorted(counts) == sorted(bad)
    # An entry that was acknowledged does not come again.
    assert sum(counts.values()) <= len(bad) + (3 if lost == "written" else 0)
    with cluster.db(key) as db:
        assert pending(db, key) == []


def test_a_node_with_the_dead_letters_that_is_away() -> None:
    """Rows are handed over all the same, and what has none waits until the node is back."""
    with Cluster(REDIS_7, args=("--cluster-require-full-coverage", "no")) as cluster:
        key, dead = keys(cluster)
        good, bad = fill(cluster, key, 2)
        away = cluster.owner(dead)
        away.pause()
        with redcol.iter_stream(
            *(cluster.url, key),
            **refusing(dead),
            auto_ack=True,
            block_ms=60_000,
            connect_timeout_ms=700,
        ) as batches:
            with Reader(batches) as reader:
                reader.await_all(good)
                wait_until(lambda: batches.last_error is not None, "it is noticed")
                cluster.repair()
                wait_until(lambda: set(dead_ids(cluster, dead)) == set(bad), "all letters")
            assert reader.got == good


def test_a_node_with_the_dead_letters_that_is_down() -> None:
    """Nothing is delivered again meanwhile, and the reason is in the letter in the end."""
    with Cluster(REDIS_7, args=("--cluster-require-full-coverage", "no")) as cluster:
        key, dead = keys(cluster)
        good, bad = fill(cluster, key, 2)
        cluster.owner(dead).kill()
        group = {**refusing(dead), "auto_ack": True, **STOP, "max_deliveries": 50}
        with redcol.iter_stream(cluster.url, key, **group, reconnect_timeout_ms=2_000) as batches:
            found: list[str] = []
            with pytest.raises(
                redcol.TimedOutError, match=r"2000 ms.*writing dead letters"
            ) as told:
                found.extend(i for batch in batches for i in ids_of([batch]))
            assert "Connection refused" in str(told.value)
            assert batches.stats.reconnects == 0
            # It can be asked again.
            with pytest.raises(redcol.TimedOutError):
                list(batches)
            cluster.repair()
            found += ids_of(batches)
        assert found == good
        assert sorted(dead_ids(cluster, dead)) == sorted(bad)
        with cluster.db(dead) as db:
            for _, letter in db.xrange(dead):
                assert b"dead_reason" in letter
                # Once, and once more each time that it was asked again.
                assert int(letter[b"dead_deliveries"]) <= 3
