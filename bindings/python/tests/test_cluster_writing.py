# SPDX-License-Identifier: Apache-2.0
"""Frames whose rows belong on several nodes of a real cluster."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import polars as pl
import pytest
from redis.crc import key_slot

import redcol
from clusters import Cluster
from sentinels import wait_until
from servers import REDIS_7, SERVERS

_numbers = itertools.count()


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


def entries(cluster: Cluster, stream: str) -> list[tuple[str, str]]:
    with cluster.db(stream) as db:
        return [(key.decode(), fields[b"n"].decode()) for key, fields in db.xrange(stream)]


def frame_for(streams: list[str], rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"to": [streams[row % len(streams)] for row in range(rows)], "n": range(rows)}
    )


def test_rows_to_many_streams(cluster: Cluster) -> None:
    name = f"w{next(_numbers)}"
    streams = [f"{name}-{number}" for number in range(40)]
    frame = frame_for(streams, 20_000)
    ids = redcol.write_stream(cluster.url, frame, stream_column="to")
    assert len(ids) == 20_000
    assert ids.null_count() == 0
    for index, stream in enumerate(streams):
        rows = range(index, 20_000, 40)
        assert entries(cluster, stream) == [(ids[row], str(row)) for row in rows]


def test_rows_without_values_have_no_id(cluster: Cluster) -> None:
    name = f"w{next(_numbers)}"
    frame = pl.DataFrame({"to": [f"{name}{n}" for n in range(9)], "n": [1, None, 2] * 3})
    ids = redcol.write_stream(cluster.url, frame, stream_column="to")
    assert ids.is_null().to_list() == [False, True, False] * 3


@pytest.mark.parametrize("ttl_ms", [None, 600_000])
@pytest.mark.parametrize("if_exists", ["replace", "append", "fail"])
def test_hashes(cluster: Cluster, if_exists: str, ttl_ms: int | None) -> None:
    name = f"h{next(_numbers)}"
    frame = pl.DataFrame({"_key": [f"{name}-{n}" for n in range(500)], "n": range(500)})
    count = redcol.write_hashes(
        cluster.url,
        frame,
        if_exists=if_exists,  # type: ignore[arg-type]
        ttl=None if ttl_ms is None else ttl_ms // 1_000,
    )
    assert count == 500
    for number in range(0, 500, 7):
        with cluster.db(f"{name}-{number}") as db:
            assert db.hgetall(f"{name}-{number}") == {b"n": b"%d" % number}
            assert (db.pttl(f"{name}-{number}") > 0) == (ttl_ms is not None)
    if if_exists == "fail":
        with pytest.raises(redcol.KeyExistsError) as caught:
            redcol.write_hashes(cluster.url, frame[3:4], if_exists="fail")
        assert caught.value.refused_rows == [0]


def test_a_refused_row_ends_the_write(cluster: Cluster) -> None:
    name = f"w{next(_numbers)}"
    streams = [f"{name}-{number}" for number in range(12)]
    with cluster.db(streams[5]) as db:
        db.set(streams[5], "no stream")
    frame = frame_for(streams, 50_000)
    with pytest.raises(redcol.WrongTypeError) as caught:
        redcol.write_stream(cluster.url, frame, stream_column="to")
    error = caught.value
    assert error.row == 5
    assert error.stream == streams[5]
    assert error.ids is not None
    assert error.refused_rows is not None
    assert error.written is not None
    assert error.refused_rows[0] == 5
    assert all(row % 12 == 5 for row in error.refused_rows)
    assert len(error.unknown_rows or ()) == 0
    written = [row for row in range(50_000) if error.ids[row] is not None]
    assert len(written) == error.written
    for index, stream in enumerate(streams):
        if index == 5:
            continue
        rows = [row for row in written if row % 12 == index]
        assert entries(cluster, stream) == [(error.ids[row], str(row)) for row in rows]


def test_slots_that_move_while_rows_are_written(cluster: Cluster) -> None:
    """Every row once, and each stream in the frame's order."""
    name = f"w{next(_numbers)}"
    streams = [f"{name}-{number}" for number in range(10)]
    moved: list[str] = []

    def move() -> None:
        for stream in streams[:3] * 2:
            cluster.move(stream, cluster.other(cluster.owner(stream)))
            cluster.await_whole()
            moved.append(stream)

    thread = threading.Thread(target=move)
    thread.start()
    ids: list[str] = []
    try:
        with redcol.connect(cluster.url, timeout_ms=60_000) as client:
            while thread.is_alive():
                frame = frame_for(streams, 5_000).with_columns(pl.col("n") + len(ids))
                ids += redcol.write_stream(client, frame, stream_column="to").to_list()
    finally:
        thread.join()
    assert len(moved) == 6
    for index, stream in enumerate(streams):
        rows = range(index, len(ids), 10)
        assert entries(cluster, stream) == [(ids[row], str(row)) for row in rows]


def test_rows_of_a_key_that_is_on_its_way(cluster: Cluster) -> None:
    """Its slot is still the old node's, which answers ASK; other rows are written as usual."""
    source, target = cluster.primaries[:2]
    name = f"w{next(_numbers)}"
    streams = [cluster.key_at(node, name) for node in (source, cluster.primaries[2])]
    slot = key_slot(streams[0].encode())
    ids = redcol.write_stream(cluster.url, frame_for(streams, 10), stream_column="to").to_list()
    cluster.begin_move(slot, source, target)
    cluster.move_keys(slot, source, target)
    later = frame_for(streams, 1_000).with_columns(pl.col("n") + 10)
    ids += redcol.write_stream(cluster.url, later, stream_column="to").to_list()
    assert int(source.ask("CLUSTER", "COUNTKEYSINSLOT", slot)) == 0
    cluster.end_move(slot, source, target)
    for index, stream in enumerate(streams):
        rows = range(index, 1_010, 2)
        assert entries(cluster, stream) == [(ids[row], str(row)) for row in rows]
    cluster.move(streams[0], source)


def test_a_node_that_dies() -> None:
    """Rows that were under way to it are unknown; the others are known, before and after them."""
    # What the others have can be read meanwhile.
    args = ("--cluster-require-full-coverage", "no")
    with Cluster(REDIS_7, args=args) as cluster:
        streams = [cluster.key_at(node, f"d{n}") for n in range(4) for node in cluster.primaries]
        frame = frame_for(streams, 1_200_000)
        dead = cluster.primaries[1]

        def kill() -> None:
            with dead.client() as db:
                wait_until(lambda: db.xlen(streams[1]) > 1_000)
            dead.kill()

        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(redcol.RedcolError) as caught:
            redcol.write_stream(cluster.url, frame, stream_column="to")
        thread.join()
        error = caught.value
        assert error.ids is not None
        assert error.unknown_rows is not None
        assert all(row % 12 % 3 == 1 for row in error.unknown_rows)
        ids = error.ids.to_list()
        assert sum(entry_id is not None for entry_id in ids) == error.written
        for index, stream in enumerate(streams):
            if index % 3 != 1:
                rows = [row for row in range(index, 1_200_000, 12) if ids[row] is not None]
                assert entries(cluster, stream) == [(ids[row], str(row)) for row in rows]
