# SPDX-License-Identifier: Apache-2.0
"""Streams that are cut into partitions: each entry once, about equal, and few questions."""

from __future__ import annotations

import multiprocessing
import operator
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import polars as pl
import pytest

import redcol
from clusters import Cluster
from redcol import _native_lists
from redcol.arrow import ArrowTable
from sentinels import Sentinels
from servers import REDIS_7, SERVERS, FakeServer, Server
from tls_files import TLSServer, files

SCHEMA = {"n": pl.Int64}
HIGH = 2**64 - 1


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param) as started:
        yield started


@pytest.fixture(scope="module")
def newest() -> Iterator[Server]:
    with Server(REDIS_7) as started:
        yield started


def fill(server: Server, stream: str, ids: list[tuple[int, int]]) -> None:
    with server.client() as db:
        db.delete(stream)
        for at in range(0, len(ids), 5_000):
            pipeline = db.pipeline(transaction=False)
            for number, (milliseconds, sequence) in enumerate(ids[at : at + 5_000], at):
                pipeline.xadd(stream, {"n": number}, id=f"{milliseconds}-{sequence}")
            pipeline.execute()


def calls(server: Server) -> int:
    with server.client() as db:
        found = db.info("commandstats")
    names = ("xrange", "xrevrange", "xinfo|stream", "xinfo", "xlen")
    return sum(found.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)


def check(url: str | redcol.Client, stream: str | bytes, rows: int, **bounds: object) -> list[int]:
    """Each entry is in one partition. Returns how many each has."""
    parts = redcol.partitions(url, [stream], rows=rows, **bounds)
    frames = [part.read(url, schema=SCHEMA, include_timestamp=False) for part in parts]
    whole = redcol.read_stream(url, stream, schema=SCHEMA, include_timestamp=False, **bounds)
    if frames:
        assert pl.concat(frames).equals(whole)
    assert sum(len(frame) for frame in frames) == len(whole)
    assert all(part.stream == stream and part.rows >= 1 for part in parts)
    return [len(frame) for frame in frames]


def steady() -> list[tuple[int, int]]:
    return [(1_000_000 + 10 * number, 0) for number in range(10_000)]


def batches() -> list[tuple[int, int]]:
    """A hundred entries in each millisecond that has some."""
    return [(1_000_000 + 7 * (number // 100), number % 100) for number in range(10_000)]


def one_millisecond() -> list[tuple[int, int]]:
    return [(5, number) for number in range(10_000)]


def bursts() -> list[tuple[int, int]]:
    """Ten bursts in a month, of different sizes, and nothing between them."""
    days = [(day, 200 * (day % 4 + 2)) for day in range(0, 30, 3)]
    return [(86_400_000 * day + number, 1) for day, size in days for number in range(size)]


def wide() -> list[tuple[int, int]]:
    """The smallest and the largest ids that there are."""
    return [(0, 1), *((10**12 + number, 0) for number in range(5_000)), (HIGH, HIGH)]


def denser() -> list[tuple[int, int]]:
    """Each tenth of the time has twice as many as the one before."""
    return [
        (1_000_000 * tenth + number * 1_000_000 // (8 * 2**tenth), 0)
        for tenth in range(1, 11)
        for number in range(8 * 2**tenth)
    ]


SHAPES = [steady, batches, one_millisecond, bursts, wide, denser]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_sizes(newest: Server, shape: Callable[[], list[tuple[int, int]]]) -> None:
    ids = shape()
    fill(newest, "s", ids)
    for rows in (300, 1_000, 1_000_000):
        before = calls(newest)
        redcol.partitions(newest.url, "s", rows=rows)
        wanted = -(-len(ids) // rows)
        assert calls(newest) - before <= 16 * wanted + 128 + 4
        sizes = check(newest.url, "s", rows)
        assert max(sizes) <= 2 * rows
        assert len(sizes) <= 3 * wanted + 2


def test_servers(server: Server) -> None:
    fill(server, "s", bursts())
    with server.client() as db:
        everything = [one for one, _ in db.xrange("s")]
        db.xdel("s", *everything[5:900:2], everything[0], everything[-1])
        db.xtrim("s", maxlen=len(everything) - 700, approximate=False)
    with redcol.connect(server.url) as client:
        assert max(check(client, "s", 200)) <= 400
        assert check(client, "s", 200, start_id=86_400_000 * 6, end_id=86_400_000 * 12 + 100)
        assert check(client, "s", 200, start_id="(" + everything[1500].decode())
        assert check(client, "s", 200, end_id=5) == []
        assert check(client, "s", 1)[:3] == [1, 1, 1]


def test_nothing_to_read(server: Server) -> None:
    with server.client() as db:
        db.delete("s")
        assert redcol.partitions(server.url, "s") == []
        db.xadd("s", {"n": 1}, id="1-1")
        db.xdel("s", "1-1")
        assert redcol.partitions(server.url, "s") == []
        db.xadd("s", {"n": 1}, id="2-1")
        (part,) = redcol.partitions(server.url, "s", rows=1)
        db.xadd("s", {"n": 2}, id="3-1")
        assert part.read(server.url)["_id"].to_list() == ["2-1"]


def test_keys(newest: Server) -> None:
    keys = ["p:a", "p:b", "p:é", b"q\xff", b"q\0", "q\\xff"]
    for number, key in enumerate(keys, 1):
        fill(newest, key, [(number, one) for one in range(number)])  # type: ignore[arg-type]
    parts = redcol.partitions(newest.url, "p:*", rows=2)
    assert {part.stream for part in parts} == {"p:a", "p:b", "p:é"}
    assert sum(len(part.read(newest.url)) for part in parts) == 6
    parts = redcol.partitions(newest.url, keys, rows=100)
    assert sorted(len(part.read(newest.url)) for part in parts) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(redcol.UnsupportedError, match="in a list"):
        redcol.partitions(newest.url, "q*")


def test_one_partition_costs_no_probe(newest: Server) -> None:
    fill(newest, "s", steady())
    before = calls(newest)
    redcol.partitions(newest.url, "s")
    assert calls(newest) - before == 1


def test_partitions_travel(newest: Server) -> None:
    fill(newest, "s", steady())
    parts = redcol.partitions(newest.url, "s", rows=3_000)
    again = pickle.loads(pickle.dumps(parts))
    assert again == parts
    assert set(again) == set(parts)
    assert [part.rows for part in again] == [part.rows for part in parts]
    assert newest.url.encode() not in pickle.dumps(parts)
    assert "'s' from 1000000-0 to" in repr(parts[0])
    assert parts[0] != parts[1]
    assert parts[0] != "s"
    with pytest.raises(redcol.InvalidArgumentError, match="include_url=True"):
        parts[0].read()
    known = pickle.loads(pickle.dumps(redcol.partitions(newest.url, "s", include_url=True)))
    assert len(known[0].read()) == 10_000
    assert len(known[0].read_arrow(schema={"n": int})) == 10_000
    assert newest.url not in repr(known)


def test_pools(newest: Server) -> None:
    fill(newest, "s", steady())
    parts = redcol.partitions(newest.url, "s", rows=3_000)
    whole = redcol.read_stream(newest.url, "s", schema=SCHEMA)
    read = operator.methodcaller("read", newest.url, schema=SCHEMA)
    with ThreadPoolExecutor(2) as threads:
        assert pl.concat(threads.map(read, parts)).equals(whole)
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawned) as processes:
        assert pl.concat(processes.map(read, parts)).equals(whole)


def test_arguments() -> None:
    for wrong in ({"rows": 0}, {"rows": "1"}, {"start_id": "x"}, {"include_url": 1}):
        with pytest.raises(redcol.InvalidArgumentError, match=next(iter(wrong))):
            redcol.partitions("redis://nobody.invalid", "s", **wrong)  # type: ignore[arg-type]


def test_client_does_not_say_its_url(newest: Server) -> None:
    with (
        redcol.connect(newest.url) as client,
        pytest.raises(redcol.InvalidArgumentError, match="include_url needs a URL"),
    ):
        redcol.partitions(client, "s", include_url=True)


def test_key_of_another_type(newest: Server) -> None:
    with newest.client() as db:
        db.set("text", "x")
    with pytest.raises(redcol.WrongTypeError):
        redcol.partitions(newest.url, ["text"])


def test_cluster() -> None:
    with Cluster(REDIS_7) as cluster:
        owner = cluster.owners()
        names = [f"c:{number}" for number in range(9)]
        for name in names:
            with owner(name).client() as db:
                pipeline = db.pipeline(transaction=False)
                for number in range(500):
                    pipeline.xadd(name, {"n": number}, id=f"{number + 1}-0")
                pipeline.execute()
        parts = redcol.partitions(cluster.url, "c:*", rows=200)
        with redcol.connect(cluster.url) as client:
            frames = {name: [] for name in names}
            for part in parts:
                frames[part.stream].append(part.read(client, schema=SCHEMA))
        for name in names:
            assert pl.concat(frames[name])["n"].to_list() == list(range(500))
            assert max(map(len, frames[name])) <= 400


def test_tls() -> None:
    with TLSServer() as server:
        fill(server, "s", [(number + 1, 0) for number in range(1_000)])
        stranger = server.tls_url(f"ssl_ca_certs={files().other_authority.file}")
        with pytest.raises(redcol.ConnectionFailedError, match="certificate"):
            redcol.partitions(stranger, "s", rows=200)
        assert max(check(server.url, "s", 200)) <= 400
        parts = redcol.partitions(server.url, "s", rows=200, include_url=True)
        again = pickle.loads(pickle.dumps(parts))
        assert sum(len(part.read()) for part in again) == 1_000
        for part in again:
            with pytest.raises(redcol.ConnectionFailedError, match="certificate"):
                part.read(stranger)


def test_sentinels() -> None:
    """A partition has no server of its own: after a failover the new master reads it."""
    with Sentinels() as service:
        with service.db() as db:
            pipeline = db.pipeline(transaction=False)
            for number in range(1_000):
                pipeline.xadd("s", {"n": number}, id=f"{number + 1}-0")
            pipeline.execute()
            db.wait(len(service.replicas), 60_000)
        assert max(check(service.url, "s", 200)) <= 400
        parts = redcol.partitions(service.url, "s", rows=200)
        service.fail_over()
        frames = [part.read(service.url, schema=SCHEMA) for part in parts]
        assert pl.concat(frames)["n"].to_list() == list(range(1_000))
        assert redcol.partitions(service.url, "s", rows=200) == parts


def test_questions_of_all_streams_are_under_way_at_once() -> None:
    """A made-up server that answers nothing before it was asked about all of ten streams."""
    info = b"*6\r\n$6\r\nlength\r\n:500\r\n$11\r\nfirst-entry\r\n%s$10\r\nlast-entry\r\n%s" % (
        *(b"*2\r\n$3\r\n%s\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n" % one for one in (b"1-0", b"9-0")),
    )
    waiting: list[bytes] = []

    def answer(command: list[bytes]) -> bytes:
        answers = {b"XINFO": (info, 10), b"XRANGE": (b"*0\r\n", 20), b"XREVRANGE": (b"*0\r\n", 20)}
        if command[0] not in answers:
            return b"+OK\r\n"
        reply, wanted = answers[command[0]]
        waiting.append(reply)
        if len(waiting) < wanted:
            return b""
        together = b"".join(waiting)
        waiting.clear()
        return together

    names = [f"s{number}" for number in range(10)]
    with FakeServer(answer) as server:
        assert redcol.partitions(server.url, names, rows=100, timeout_ms=60_000) == []
    asked = [command[0] for command in server.commands if command[0].startswith(b"X")]
    assert asked == [b"XINFO"] * 10 + [b"XRANGE", b"XREVRANGE"] * 10


def test_the_same_again_while_entries_are_added(newest: Server) -> None:
    """With "entries", as redcol.spark cuts a micro-batch: also if nobody knows how many."""
    fill(newest, "s", steady())
    with redcol.connect(newest.url) as client:
        for entries in ("0", "10000"):
            given = {"rows": "300", "end_id": "1099990-0", "entries": entries}

            def cut(given: dict[str, str] = given) -> list[tuple[object, ...]]:
                table = _native_lists.partitions(client._handle, [b"s"], given)
                return pl.DataFrame(ArrowTable(table)).rows()

            before = cut()
            assert len(before) > 20
            with newest.client() as db:
                for number in range(5_000):
                    db.xadd("s", {"n": number})
            assert cut() == before


def test_no_streams_and_one_row() -> None:
    with Server() as server, server.client() as db:
        assert redcol.partitions(server.url, []) == []
        db.xadd("s", {"n": 1}, id="1-0")
        assert repr(redcol.partitions(server.url, ["s"])[0]).endswith("1-0, about 1 row>")
