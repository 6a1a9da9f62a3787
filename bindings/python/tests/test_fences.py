# SPDX-License-Identifier: Apache-2.0
"""Rows that are written once, however often a program writes them: the fence of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import redis

import redcol
from clusters import Cluster
from proxy import Faults, Proxy
from redcol import _progress, client
from redcol.write import append

QUIET = _progress.of(None)


def rows(first: int, end: int) -> pl.DataFrame:
    return pl.DataFrame({"n": range(first, end)}, schema={"n": pl.Int64})


def write(url: str, frame: pl.DataFrame, stream: str, row: int = 0, **options: object) -> pl.Series:
    given = {"metadata": "check", "fence_key": f"fence:{{{stream}}}", "fence_row": str(row)}
    given |= {name: str(value) for name, value in options.items()}
    server = client.Server(url, 5_000, 5_000)
    return append(server, stream.encode(), frame, given, QUIET)


def numbers(db: redis.Redis, stream: str) -> list[int]:
    return [int(entry[b"n"]) for _, entry in db.xrange(stream)]


def fence(db: redis.Redis, stream: str) -> dict[bytes, bytes]:
    return db.hgetall(f"fence:{{{stream}}}")


def test_what_is_written_again_is_there_once(url, any_db, key):
    ids = write(url, rows(0, 5), key)
    assert ids.null_count() == 0
    again = write(url, rows(0, 8), key)
    assert again.is_null().to_list() == [True] * 5 + [False] * 3
    assert numbers(any_db, key) == list(range(8))
    assert fence(any_db, key) == {b"": b"0:7"}
    # Batches may be cut elsewhere.
    write(url, rows(6, 10), key, row=6)
    assert numbers(any_db, key) == list(range(10))
    assert redcol.read_stream(url, key, schema={})["_id"].to_list()[:5] == ids.to_list()


def test_fields_and_epochs_are_apart(server, db, key):
    write(server.url, rows(0, 3), key, fence_field="a", fence_epoch=7)
    write(server.url, rows(10, 12), key, fence_field="b", fence_epoch=7)
    write(server.url, rows(20, 22), key, fence_field="a", fence_epoch=8)
    # Somebody who is late.
    assert write(server.url, rows(0, 5), key, fence_field="a", fence_epoch=7).null_count() == 5
    assert numbers(db, key) == [0, 1, 2, 10, 11, 20, 21]
    assert fence(db, key) == {b"a": b"8:1", b"b": b"7:1"}


def test_rows_without_values_are_numbered_too(server, db, key):
    frame = pl.DataFrame({"n": [0, None, None, 3]}, schema={"n": pl.Int64})
    for _ in range(2):
        write(server.url, frame, key)
        assert numbers(db, key) == [0, 3]
    assert fence(db, key) == {b"": b"0:3"}


def test_trimming_and_ids_are_kept(server, db, key):
    frame = rows(0, 10).with_columns(id=pl.format("{}-5", pl.col("n") + 1))
    write(server.url, frame, key, id_column="id", maxlen=4, approximate="false")
    assert [entry for entry, _ in db.xrange(key)] == [b"7-5", b"8-5", b"9-5", b"10-5"]


@pytest.mark.parametrize("end", ["close", "reset", "abandon"])
def test_a_lost_connection_is_made_again(server, db, key, end):
    """Without a fence the write would end, with rows of which nothing is known."""
    plan = {
        1: Faults(end_after=3_000, end=end, since=b"EVAL"),
        2: Faults(end_after=20_000, end=end, since=b"EVAL"),
    }
    plan[0] = Faults(end_after=9_000, end=end, since=b"EVAL")
    with Proxy(Path(server.socket_path), lambda number: plan.get(number, Faults())) as proxy:
        write(proxy.url, rows(0, 20_000), key)
        assert proxy.accepted >= 4
    assert numbers(db, key) == list(range(20_000))


def test_a_row_that_is_refused_can_be_written_later(server, db, key):
    db.set(key, "text")
    with pytest.raises(redcol.WrongTypeError):
        write(server.url, rows(0, 5), key)
    assert fence(db, key) == {b"": b"0:-1"}
    db.delete(key)
    write(server.url, rows(0, 5), key)
    assert numbers(db, key) == list(range(5))
    # In the middle: ids must increase.
    frame = rows(5, 8).with_columns(id=pl.Series(["9999999999999-1", "5-1", "9999999999999-2"]))
    with pytest.raises(redcol.ServerError, match="equal or smaller"):
        write(server.url, frame, key, row=5, id_column="id")
    assert fence(db, key) == {b"": b"0:5"}
    assert numbers(db, key) == list(range(6))
    write(server.url, rows(6, 8).with_columns(id=pl.lit("9999999999999-*")), key, 6, id_column="id")
    assert numbers(db, key) == list(range(8))


def test_who_may_not_move_the_fence_writes_nothing(server, db, key):
    db.execute_command("ACL", "SETUSER", "writer", "reset", "on", ">word", "~*", "+@all", "-hset")
    url = server.url.replace("unix://", "unix://writer:word@")
    with pytest.raises(redcol.RedcolError):
        write(url, rows(0, 3), key)
    db.execute_command("ACL", "DELUSER", "writer")
    assert not db.exists(key)


def test_a_row_whose_predecessor_is_missing_is_not_written(server, db, key):
    server_ = client.Server(server.url, 300, 300)
    options = {"metadata": "check", "fence_key": f"fence:{{{key}}}", "fence_row": "3"}
    with pytest.raises(redcol.ServerError, match="the row before is not written"):
        append(server_, key.encode(), rows(0, 3), options, QUIET)
    assert not db.exists(key)
    db.hset(f"fence:{{{key}}}", "", "what is this")
    with pytest.raises(redcol.ServerError, match="the fence holds something else"):
        append(server_, key.encode(), rows(0, 3), options, QUIET)
    assert not db.exists(key)


def test_what_goes_together(server):
    frame = pl.DataFrame({"n": [1], "to": ["a"]})
    own = {"metadata": "check"}
    for key, options, message in (
        (b"s", {"fence_row": "1"}, "need a fence_key"),
        (None, {"fence_key": "f", "stream_column": "to"}, "a fence is for one stream"),
        (b"s", {"fence_key": ""}, "fence_key"),
        (b"s", {"fence_key": "f", "fence_row": "-1"}, "fence_row"),
    ):
        with pytest.raises(redcol.InvalidArgumentError, match=message):
            append(client.Server(server.url), key, frame, own | options, QUIET)
    many = pl.DataFrame({f"c{number}": [1] for number in range(3_001)})
    with pytest.raises(redcol.SchemaError, match="at most 3000 columns"):
        write(server.url, many, "many")
    write(server.url, many.drop("c0"), "many")
    with server.client() as db:
        assert len(db.xrange("many")[0][1]) == 3_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as started:
        yield started


def test_in_a_cluster_a_slot_may_move_meanwhile(cluster):
    key = cluster.key_at(cluster.primaries[0], "fenced")
    write(cluster.url, rows(0, 100), key)
    cluster.move(key, cluster.primaries[1])
    write(cluster.url, rows(0, 200), key)
    with cluster.db(key) as db:
        assert numbers(db, key) == list(range(200))
