# SPDX-License-Identifier: Apache-2.0
"""The answers of one node of a cluster are cut, of all that a read or a write asks three nodes: no
row is lost, and none is doubled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import polars as pl
import pytest

import redcol
from cases import IS_WHOLE
from clusters import Cluster, Relays
from grouping import add
from proxy import FOLLOW, NEW, NONE, OWN, RANGE, Faults
from servers import SERVERS

ENTRIES = 40
SCHEMA = {"n": pl.Int64}
STOP = {"on_idle": "stop", "block_ms": 20}

_numbers = itertools.count()


class Cutting:
    """Three streams, one on each node, a proxy before each, and a client that knows only those."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.relays = Relays(cluster)
        name = f"cut-{next(_numbers)}"
        self.streams = [cluster.key_at(node, f"{name}-{node.port}") for node in cluster.primaries]
        self.rows: list[tuple[str, str, int]] = []
        for index, stream in enumerate(self.streams):
            numbers = range(index * 1_000, index * 1_000 + ENTRIES)
            with cluster.db(stream) as db:
                ids = add(db, stream, numbers)
            self.rows += [(stream, *pair) for pair in zip(ids, numbers, strict=True)]

    def cut(self, since: bytes, after: int) -> redcol.Client:
        """A new client. Of one node, the first connection that says `since` is cut."""
        end = "reset" if after % 3 == 0 else "close"
        faults = Faults(end_after=after, since=since, end=end)  # type: ignore[arg-type]
        victim = after % len(self.relays.proxies)
        counts = itertools.count()
        for number, proxy in enumerate(self.relays.proxies):
            is_victim = number == victim
            # Those that say something else do not count, and are few.
            proxy.begin(lambda _, v=is_victim: faults if v and next(counts) < 3 else NONE)
        return redcol.connect(self.relays.url, **self.relays.arguments)

    def check(self, frames: list[pl.DataFrame], key: str = "_stream") -> None:
        """Each entry once, and each stream in its order."""
        frame = pl.concat(frames)
        rows = list(frame.select(key, "_id", "n").rows())
        for stream in self.streams:
            assert [row for row in rows if row[0] == stream] == [
                row for row in self.rows if row[0] == stream
            ]


@pytest.fixture(scope="module", params=SERVERS if IS_WHOLE else ["r7"])
def cutting(request: pytest.FixtureRequest) -> Iterator[Cutting]:
    with Cluster(SERVERS[request.param]) as cluster:
        made = Cutting(cluster)
        with made.relays:
            yield made


def places(length: int, some: int) -> list[int]:
    """After which bytes of an answer it is cut: some that are spread over it."""
    step = 13 if IS_WHOLE else length // some
    return list(range(0, length, step))


#: Bytes of the answer with the entries of a stream, and of those to a write.
ANSWER = 2_100
WRITTEN = 22 * ENTRIES


@pytest.mark.parametrize("since", [NEW, OWN], ids=["new", "pending"])
def test_a_group(cutting: Cutting, since: bytes) -> None:
    for after in places(ANSWER, 24):
        group = f"g{next(_numbers)}"
        for stream in cutting.streams if since == OWN else ():
            with cutting.cluster.db(stream) as db:
                db.xgroup_create(stream, group, "0")
                db.xreadgroup(group, "c", {stream: ">"})
        with (
            cutting.cut(since, after) as client,
            redcol.iter_stream(
                *(client, cutting.streams),
                group=group,
                consumer="c",
                # Else it is asked for together with making the group, where a loss is an error.
                create_group=since == NEW,
                auto_ack=True,
                schema=SCHEMA,
                **STOP,
            ) as batches,
        ):
            cutting.check(list(batches))
        for stream in cutting.streams:
            with cutting.cluster.db(stream) as db:
                assert db.xpending(stream, group)["pending"] == 0


def test_a_follower(cutting: Cutting) -> None:
    for after in places(ANSWER, 24):
        with (
            cutting.cut(FOLLOW, after) as client,
            redcol.iter_stream(
                client, cutting.streams, batch_size=15, schema=SCHEMA, **STOP
            ) as batches,
        ):
            cutting.check(list(batches))


def test_ranges_of_several_streams(cutting: Cutting) -> None:
    for after in places(ANSWER, 24):
        with cutting.cut(RANGE, after) as client:
            frame = redcol.read_streams(client, cutting.streams, schema=SCHEMA)
            cutting.check([frame], "_key")


def test_a_write(cutting: Cutting) -> None:
    """What is known is there, what is unknown may be there, and nothing else is."""
    lost = 0
    for after in places(WRITTEN, 24):
        name = f"cut-write-{next(_numbers)}"
        streams = [cutting.cluster.key_at(node, name) for node in cutting.cluster.primaries]
        rows = 3 * ENTRIES
        frame = pl.DataFrame({"to": [streams[row % 3] for row in range(rows)], "n": range(rows)})
        unknown: set[int] = set()
        with cutting.cut(b"XADD", after) as client:
            try:
                ids = redcol.write_stream(client, frame, stream_column="to").to_list()
            except redcol.RedcolError as error:
                ids = [] if error.ids is None else error.ids.to_list()
                unknown = set(error.unknown_rows or ())
                lost += 1
        assert len(ids) == rows
        for index, stream in enumerate(streams):
            with cutting.cluster.db(stream) as db:
                found = [(int(fields[b"n"]), key.decode()) for key, fields in db.xrange(stream)]
            assert [row for row, _ in found] == sorted({row for row, _ in found})
            there = dict(found)
            for row in range(index, rows, 3):
                if ids[row] is not None:
                    assert there[row] == ids[row]
                elif row not in unknown:
                    assert row not in there
    assert lost > 0
