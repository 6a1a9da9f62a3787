# SPDX-License-Identifier: Apache-2.0
"""A reply of 100 entries is cut after every one of its bytes: no row is lost, and none doubled."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import polars as pl
import pytest
import redis

import redcol
from cases import IS_WHOLE
from proxy import CLAIM, FOLLOW, NEW, OWN, RANGE, Faults, Proxy
from servers import REDIS_7, Server

ENTRIES = 100
SCHEMA = {"n": pl.Int64, "t": pl.String}
#: How long one read may take in which one reply was cut; and how long most take, since the next
#: attempt is made at once, and does not wait for the second look at what is pending. All would be
#: late if it did; on a busy machine some are.
SECONDS_MAX = 30.0
SECONDS_USUAL = 1.0


class Cutting:
    """A server with a stream of 100 entries, and a proxy in front of it."""

    def __init__(self, server: Server, proxy: Proxy, db: redis.Redis):
        self.server = server
        self.proxy = proxy
        self.db = db
        self.groups = 0
        self.reads = self.unusual = 0
        db.delete("s")
        with db.pipeline() as pipeline:
            for n in range(ENTRIES):
                pipeline.xadd("s", {"n": n, "t": f"{n % 7}é"}, id=f"{n + 1}-1")
            pipeline.execute()
        self.rows = [
            (entry.decode(), int(fields[b"n"]), fields[b"t"].decode())
            for entry, fields in db.xrange("s")
        ]

    def reply_length(self, command: str) -> int:
        """How many bytes the server answers to an inline command."""
        with socket.socket(socket.AF_UNIX) as raw, raw.makefile("rb") as stream:
            raw.connect(str(self.server.socket_path))
            raw.sendall(command.encode() + b"\r\n")

            def size(line: bytes) -> int:
                if line[:1] == b"$":
                    return len(line) + len(stream.read(int(line[1:]) + 2))
                parts = int(line[1:]) if line[:1] == b"*" else 0
                return len(line) + sum(size(stream.readline()) for _ in range(parts))

            return size(stream.readline())

    def new_group(self, consumer: str | None = None) -> str:
        """A group; all entries are pending for `consumer`, if one is named."""
        if self.groups % 20 == 0:
            self.forget_groups()
        self.groups += 1
        group = f"g{self.groups}"
        if consumer:
            self.db.xgroup_create("s", group, "0")
            self.db.xreadgroup(group, consumer, {"s": ">"})
        return group

    def forget_groups(self) -> None:
        """So that what the server says of all groups stays short."""
        for group in self.db.xinfo_groups("s"):
            self.db.xgroup_destroy("s", group["name"])

    def cut(self, since: bytes, after: int) -> None:
        end = "reset" if after % 3 == 0 else "close"
        faults = Faults(end_after=after, since=since, end=end)
        self.proxy.begin(lambda number: faults if number == 0 else Faults())

    def read_group(
        self,
        group: str,
        *,
        batch_size: int = 100,
        claim_idle_ms: int | None = None,
        auto_ack: bool = True,
        create_group: bool = True,
        seconds_more: float = 0,
        timeout_ms: int = 5_000,
    ):
        """The rows that one iterator gives until it has given all, and what it says of itself."""
        rows: list[tuple] = []
        began = time.monotonic()
        with redcol.iter_stream(
            self.proxy.url,
            "s",
            schema=SCHEMA,
            group=group,
            consumer="c",
            auto_ack=auto_ack,
            create_group=create_group,
            batch_size=batch_size,
            block_ms=50,
            on_idle="empty",
            claim_idle_ms=claim_idle_ms,
            timeout_ms=timeout_ms,
            include_timestamp=False,
        ) as batches:
            while len(rows) < ENTRIES and time.monotonic() < began + SECONDS_MAX:
                rows += next(batches).rows()
            self.reads += 1
            self.unusual += time.monotonic() - began > SECONDS_USUAL
            assert self.unusual <= 4 + self.reads / 2
            until = time.monotonic() + seconds_more
            while time.monotonic() < until:
                rows += next(batches).rows()
            if not auto_ack:
                batches.ack()
        return rows, batches.stats

    def check(self, group: str, after: int, length: int, **options) -> None:
        rows, stats = self.read_group(group, **options)
        said = f"cut after {after} bytes: {stats}"
        assert rows == self.rows, said
        # Of an XACK whose answer was lost, the second answers 0; two of them may be under way.
        assert ENTRIES - 2 * options.get("batch_size", 0) <= stats.acknowledged <= ENTRIES, said
        assert stats.reconnects == 1 or after >= length, said
        assert self.db.xpending("s", group)["pending"] == 0, said


@pytest.fixture(scope="module")
def cutting(any_server: Server) -> Iterator[Cutting]:
    with any_server.client() as db, Proxy(any_server.socket_path) as proxy:
        yield Cutting(any_server, proxy, db)


def is_redis_7(cutting: Cutting) -> bool:
    return cutting.server.process.args[0] == REDIS_7


def offsets(length: int, step: int) -> range:
    """The bytes after which a reply is cut: all of them in the whole run, else every `step`-th."""
    return range(0, length + 1, 1 if IS_WHOLE else step)


def test_new_entries(cutting: Cutting) -> None:
    cutting.db.xgroup_create("s", "length", "0")
    length = cutting.reply_length("XREADGROUP GROUP length c COUNT 100 STREAMS s >")
    assert 4_000 < length < 6_000, length
    for after in offsets(length, 1 if is_redis_7(cutting) else 9):
        cutting.cut(NEW, after)
        cutting.check(cutting.new_group(), after, length)


def test_new_entries_in_small_batches(cutting: Cutting) -> None:
    """The cut falls into any of many replies, each with the acknowledgement of the one before."""
    length = 5_000
    for after in offsets(length, 31 if is_redis_7(cutting) else 101):
        cutting.cut(NEW, after)
        cutting.check(cutting.new_group(), after, length, batch_size=7)


def test_new_entries_that_are_acknowledged_at_the_end(cutting: Cutting) -> None:
    """What is in hand stays pending meanwhile, and does not come again."""
    length = 5_000
    for after in offsets(length, 61 if is_redis_7(cutting) else 201):
        cutting.cut(NEW, after)
        cutting.check(cutting.new_group(), after, length, batch_size=7, auto_ack=False)
    # Now it is also idle for so long that it could be claimed.
    options = {"claim_idle_ms": 1, "auto_ack": False, "seconds_more": 0.5}
    cutting.cut(NEW, 2_000)
    cutting.check(cutting.new_group(), 2_000, length, **options)


def test_own_pending_entries(cutting: Cutting) -> None:
    cutting.new_group("c")
    length = cutting.reply_length(f"XREADGROUP GROUP g{cutting.groups} c COUNT 100 STREAMS s 0-0")
    for after in offsets(length, 23 if is_redis_7(cutting) else 101):
        cutting.cut(OWN, after)
        # Else it is asked for together with making the group, where a lost connection is an error.
        cutting.check(cutting.new_group("c"), after, length, create_group=False)


def test_claimed_entries(cutting: Cutting) -> None:
    cutting.new_group("other")
    length = cutting.reply_length(f"XAUTOCLAIM s g{cutting.groups} c 0 0-0 COUNT 100")
    for after in offsets(length, 23 if is_redis_7(cutting) else 101):
        cutting.cut(CLAIM, after)
        group = cutting.new_group("other")
        time.sleep(0.002)  # they must be idle for 1 ms
        # The batch is full before the list of deleted entries comes, which ends the reply.
        cutting.check(group, after, length - len("*0\r\n"), claim_idle_ms=1)


def test_a_range(cutting: Cutting) -> None:
    length = cutting.reply_length("XRANGE s - +")
    for after in offsets(length, 1 if is_redis_7(cutting) else 9):
        cutting.cut(RANGE, after)
        frame = redcol.read_stream(cutting.proxy.url, "s", schema=SCHEMA, include_timestamp=False)
        assert frame.rows() == cutting.rows, f"cut after {after} bytes"
        assert cutting.proxy.accepted == 2 or after == length, f"cut after {after} bytes"


def test_following(cutting: Cutting) -> None:
    """Without a group, small batches are prefetched, many of them together."""
    length = cutting.reply_length("XREAD COUNT 100 STREAMS s 0-0")
    for after in offsets(length, 29 if is_redis_7(cutting) else 101):
        cutting.cut(FOLLOW, after)
        rows: list[tuple] = []
        with redcol.iter_stream(
            cutting.proxy.url,
            "s",
            schema=SCHEMA,
            batch_size=7,
            block_ms=50,
            on_idle="empty",
            include_timestamp=False,
        ) as batches:
            deadline = time.monotonic() + SECONDS_MAX
            while len(rows) < ENTRIES and time.monotonic() < deadline:
                rows += next(batches).rows()
        assert rows == cutting.rows, f"cut after {after} bytes"
        assert batches.stats.reconnects == 1, f"cut after {after} bytes"


@pytest.mark.parametrize("pieces", [(1, 1), (1, 60)], ids=["bytes", "pieces"])
def test_pieces(cutting: Cutting, pieces: tuple[int, int]) -> None:
    """Each piece is looked at before the next one comes."""
    for _ in range(8 if IS_WHOLE else 2):
        cutting.proxy.begin(lambda _: Faults(pieces=pieces, gap=0.000_02))
        # On a busy machine single bytes come slowly, and no answer is too slow here.
        rows, stats = cutting.read_group(cutting.new_group(), timeout_ms=60_000)
        assert rows == cutting.rows
        assert stats.reconnects == 0
        frame = redcol.read_stream(
            cutting.proxy.url, "s", schema=SCHEMA, include_timestamp=False, timeout_ms=60_000
        )
        assert frame.rows() == cutting.rows
