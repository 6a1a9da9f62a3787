# SPDX-License-Identifier: Apache-2.0
"""Pending entries are claimed for a consumer and read, on all servers and in a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
import redis
from chaos.proxy import Faults, Proxy

import redcol
from clusters import Cluster
from grouping import SCHEMA, add, pending
from servers import REDIS_6, FakeServer, Server, silent


def give(db: redis.Redis, key: str, count: int, consumer: str = "gone") -> list[str]:
    """Entries that a consumer of the group "g" has pending."""
    ids = add(db, key, range(count))
    if not db.xinfo_groups(key):
        db.xgroup_create(key, "g", "0")
    db.xreadgroup("g", consumer, {key: ">"})
    return ids


def test_named_entries(url: str, any_db: redis.Redis, key: str) -> None:
    ids = give(any_db, key, 2_000)
    with redcol.connect(url) as client:
        frame = redcol.claim(client, key, "g", "c", [ids[3], "1-1", ids[1], ids[3]], schema=SCHEMA)
        assert frame.to_dict(as_series=False) == {
            "_id": [ids[1], ids[3]],
            "_ts": [int(one.split("-")[0]) for one in (ids[1], ids[3])],
            "n": [1, 3],
        }
        assert pending(any_db, key, "c") == [ids[1], ids[3]]
        # More than one page, as the frame of another read.
        rest = redcol.read_stream(client, key)
        frame = redcol.claim(client, key, "g", "c", rest, schema=SCHEMA)
        assert frame["n"].to_list() == [*range(2_000)]
        assert redcol.ack_entries(client, key, "g", frame) == 2_000
        empty = redcol.claim(client, key, "g", "c", ids, schema=SCHEMA)
        assert (empty.height, empty.columns) == (0, ["_id", "_ts", "n"])
        assert redcol.claim(client, key, "g", "c", []).is_empty()


def test_idle_entries(url: str, any_db: redis.Redis, key: str) -> None:
    ids = give(any_db, key, 1_500)
    assert redcol.claim(url, key, "g", "c", min_idle_ms=3_600_000).is_empty()
    redcol.release(url, key, "g", "gone", ids[500:])
    frame = redcol.claim(url, key, "g", "c", min_idle_ms=3_600_000, count=300)
    assert frame["_id"].to_list() == pending(any_db, key, "c") == ids[500:800]
    frame = redcol.claim(url, key, "g", "c", ids[:900], min_idle_ms=3_600_000)
    assert frame["_id"].to_list() == ids[800:900]
    frame = redcol.claim(url, key, "g", "d", min_idle_ms=0)
    assert frame["_id"].to_list() == ids
    lines = any_db.xpending_range(key, "g", "-", "+", 2_000, "d")
    assert {line["times_delivered"] for line in lines} == {2, 3}


def test_entries_that_were_deleted(any_server: Server, any_db: redis.Redis, key: str) -> None:
    ids = give(any_db, key, 5)
    redcol.delete_entries(any_server.url, key, ids[1:3])
    left = [ids[0], *ids[3:]]
    frame = redcol.claim(any_server.url, key, "g", "c", ids)
    assert frame["_id"].to_list() == left
    frame = redcol.claim(any_server.url, key, "g", "d", min_idle_ms=0)
    assert frame["_id"].to_list() == left
    stays = any_server.process.args[0] == REDIS_6
    assert pending(any_db, key) == (ids if stays else left)


def test_values_that_do_not_fit(url: str, any_db: redis.Redis, key: str) -> None:
    ids = [any_db.xadd(key, {"n": text}).decode() for text in ("1", "no", "3")]
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "gone", {key: ">"})
    claim: dict[str, Any] = {"schema": SCHEMA, "min_idle_ms": 0}
    frame = redcol.claim(url, key, "g", "c", on_error="null", **claim)
    assert frame["n"].to_list() == [1, None, 3]
    frame = redcol.claim(url, key, "g", "c", on_error="skip", **claim)
    assert frame["n"].to_list() == [1, 3]
    with pytest.raises(redcol.ValueConversionError) as caught:
        redcol.claim(url, key, "g", "c", **claim)
    assert (caught.value.entry_id, caught.value.stream) == (ids[1], key)
    assert pending(any_db, key, "c") == ids


@pytest.mark.parametrize("how", [{"entry_ids": ["1-1"]}, {"min_idle_ms": 5}], ids=str)
def test_what_is_missing(url: str, any_db: redis.Redis, key: str, how: dict[str, Any]) -> None:
    with pytest.raises(redcol.NoGroupError) as caught:
        redcol.claim(url, key, "g", "c", **how)
    assert caught.value.stream == key
    any_db.set(key, "text")
    with pytest.raises(redcol.WrongTypeError):
        redcol.claim(url, key, "g", "c", **how)


REFUSED: dict[str, Callable[[str], object]] = {
    "neither": lambda url: redcol.claim(url, "s", "g", "c"),
    "no stream": lambda url: redcol.claim(url, "", "g", "c", ["1-1"]),
    "no group": lambda url: redcol.claim(url, "s", "", "c", ["1-1"]),
    "no consumer": lambda url: redcol.claim(url, "s", "g", "", ["1-1"]),
    "ids": lambda url: redcol.claim(url, "s", "g", "c", ["1", "x"]),
    "idle": lambda url: redcol.claim(url, "s", "g", "c", min_idle_ms=-1),
    "count": lambda url: redcol.claim(url, "s", "g", "c", min_idle_ms=1, count=-1),
    "letters": lambda url: redcol.claim(
        url,
        "s",
        "g",
        "c",
        ["1-1"],
        on_error="dead_letter",  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_sent(call: str) -> None:
    with FakeServer(silent) as fake:
        with pytest.raises(redcol.InvalidArgumentError):
            REFUSED[call](fake.url)
        assert fake.connections == []


@pytest.mark.parametrize("command", [b"XCLAIM", b"XAUTOCLAIM"])
def test_a_lost_answer_is_not_asked_for_again(
    any_server: Server, any_db: redis.Redis, key: str, command: bytes
) -> None:
    """What was claimed is no longer idle, and is found among the consumer's pending entries."""
    ids = give(any_db, key, 10)
    how: dict[str, Any] = {"min_idle_ms": 0}
    if command == b"XCLAIM":
        how["entry_ids"] = ids
    cut = Faults(end_after=0, since=command)
    with (
        Proxy(any_server.socket_path, lambda n: cut if n == 0 else Faults()) as proxy,
        redcol.connect(proxy.url) as client,
    ):
        with pytest.raises(redcol.ConnectionFailedError, match="pending for it"):
            redcol.claim(client, key, "g", "c", **how)
        assert proxy.accepted == 1
        frame = redcol.read_stream(client, key, group="g", consumer="c")
    assert frame["_id"].to_list() == ids


HOSTILE = {
    "another id": b"*1\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n",
    "too many": b"*2\r\n$-1\r\n$-1\r\n",
    "a number": b":5\r\n",
}


@pytest.mark.parametrize("answer", HOSTILE)
def test_answers_that_no_server_should_give(answer: str) -> None:
    def answers(command: list[bytes]) -> bytes:
        return b"+OK\r\n" if command[0] in (b"HELLO", b"SELECT") else HOSTILE[answer]

    with FakeServer(answers) as fake, pytest.raises(redcol.ProtocolError):
        redcol.claim(fake.url, "s", "g", "c", ["1-1"], timeout_ms=300)


def test_a_cursor_that_goes_back() -> None:
    def answers(command: list[bytes]) -> bytes:
        return b"+OK\r\n" if command[0] in (b"HELLO", b"SELECT") else b"*2\r\n$3\r\n5-1\r\n*0\r\n"

    with FakeServer(answers) as fake, pytest.raises(redcol.ProtocolError, match="goes back"):
        redcol.claim(fake.url, "s", "g", "c", min_idle_ms=0, timeout_ms=300)


def test_a_server_that_refuses_for_now() -> None:
    entry = b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"
    left = [b"-LOADING it starts\r\n", b"-CLUSTERDOWN no\r\n", entry]

    def answers(command: list[bytes]) -> bytes:
        return b"+OK\r\n" if command[0] in (b"HELLO", b"SELECT") else left.pop(0)

    with FakeServer(answers) as fake:
        frame = redcol.claim(fake.url, "s", "g", "c", ["1-1"])
    assert frame.select("_id", "a").rows() == [("1-1", "1")]


def test_a_key_that_moves_in_a_cluster() -> None:
    with Cluster() as cluster:
        source = cluster.primaries[0]
        target, key = cluster.other(source), cluster.key_at(source, "claimed")
        with source.client() as db, redcol.connect(target.url) as client:
            ids = give(db, key, 9)
            assert redcol.claim(client, key, "g", "c", ids[:4])["_id"].to_list() == ids[:4]
            cluster.move(key, target)
            frame = redcol.claim(client, key, "g", "d", min_idle_ms=0)
            assert frame["_id"].to_list() == ids
            assert isinstance(frame, pl.DataFrame)
        with target.client() as db:
            assert pending(db, key, "d") == ids
