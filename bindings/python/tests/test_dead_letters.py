# SPDX-License-Identifier: Apache-2.0
"""Entries that are put away: each once, none that nobody was given, and with all of its fields."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from chaos.proxy import Faults, Proxy

import redcol
from grouping import GROUP, SCHEMA, add, ids_of, pending
from servers import Server

STOP = {"on_idle": "stop", "block_ms": 20}


@pytest.fixture(params=["script", "transaction"])
def member_url(request: pytest.FixtureRequest, any_server: Server, any_db: redis.Redis) -> str:
    """The server, for a user who may use scripts, and for one who may not."""
    if request.param == "script":
        return any_server.url
    any_db.execute_command("ACL SETUSER no-scripts on >pw +@all -@scripting ~*")
    return any_server.url.replace("unix://", "unix://no-scripts:pw@")


def deliver(db: redis.Redis, key: str, consumer: str, *, times: int = 1) -> None:
    db.xreadgroup("g", consumer, {key: ">"}, count=100_000)
    for _ in range(times - 1):
        db.xreadgroup("g", consumer, {key: "0"}, count=100_000)


def letters_of(db: redis.Redis, key: str) -> list[dict[str, str]]:
    return [
        {name.decode(): value.decode() for name, value in fields.items()}
        for _, fields in db.xrange(f"{key}-dead")
    ]


@pytest.mark.parametrize("whose", ["own", "others'"])
def test_members_put_each_entry_away_once(
    member_url: str, any_db: redis.Redis, key: str, whose: str
) -> None:
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    ids = add(any_db, key, range(300))
    deliver(any_db, key, "same" if whose == "own" else "gone", times=3)
    arguments = {"max_deliveries": 3, "dead_letter": f"{key}-dead", "claim_idle_ms": 0, **STOP}

    def member(number: int) -> int:
        name = "same" if whose == "own" else f"m{number}"
        with redcol.iter_stream(
            member_url, key, group="g", consumer=name, batch_size=10, **arguments
        ) as batches:
            assert ids_of(batches) == []
            return batches.stats.dead_lettered

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(member, range(4)))
    assert sorted(letter["dead_id"] for letter in letters_of(any_db, key)) == sorted(ids)
    assert sum(counts) == 300
    assert pending(any_db, key) == []


def test_what_was_acknowledged_meanwhile_is_no_dead_letter(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    """Nor what was given to somebody else, or again: between the look and the step."""
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    ids = add(any_db, key, range(4))
    deliver(any_db, key, "c", times=3)

    class Meddling(Proxy):
        """Does all that to an entry each before the script comes."""

        has_meddled = False

        def meddle(self) -> None:
            self.has_meddled = True
            assert any_db.xack(key, "g", ids[0]) == 1
            any_db.xclaim(key, "g", "other", 0, [ids[1]])
            any_db.xclaim(key, "g", "c", 0, [ids[2]])

    def plan(_: int) -> Faults:
        return Faults()

    with Meddling(any_server.socket_path, plan) as proxy:
        relay = proxy.to_server

        def watched():
            return _Watched(relay(), proxy)

        proxy.to_server = watched
        arguments = {"max_deliveries": 3, "dead_letter": f"{key}-dead", **STOP}
        with redcol.iter_stream(proxy.url, key, **GROUP, **arguments) as batches:
            assert ids_of(batches) == [ids[2]]
            assert batches.stats.dead_lettered == 1
        assert proxy.has_meddled
        # It counts all the same.
        with redcol.iter_stream(any_server.url, key, **GROUP, **arguments) as batches:
            assert ids_of(batches) == []
    assert [letter["dead_id"] for letter in letters_of(any_db, key)] == [ids[3], ids[2]]
    assert pending(any_db, key) == [ids[1]]


class _Watched:
    """A connection to the server that lets the proxy meddle before the first script goes on."""

    def __init__(self, made, proxy):
        self.made, self.proxy = made, proxy

    def __enter__(self):
        self.socket = self.made.__enter__()
        return self

    def __exit__(self, *error: object):
        return self.made.__exit__(*error)

    def fileno(self) -> int:
        return self.socket.fileno()

    def recv(self, size: int) -> bytes:
        return self.socket.recv(size)

    def sendall(self, data: bytes) -> None:
        if b"EVAL" in data and not self.proxy.has_meddled:
            self.proxy.meddle()
        self.socket.sendall(data)


@pytest.mark.parametrize("lost", ["new", "claimed"])
def test_what_nobody_was_given_is_no_dead_letter(
    any_server: Server, any_db: redis.Redis, key: str, lost: str
) -> None:
    """Nine answers are lost on the way; the server counts each as a delivery."""
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    ids = add(any_db, key, range(10))
    if lost == "claimed":
        deliver(any_db, key, "other")
    since = b"\r\n>\r\n" if lost == "new" else b"XAUTOCLAIM"

    def plan(number: int) -> Faults:
        if number >= 9:
            return Faults()
        # The first takes the entries, the others ask for what is pending.
        return Faults(end_after=0, since=since if number == 0 else b"XREADGROUP", end="reset")

    arguments = {"max_deliveries": 3, "dead_letter": f"{key}-dead", "claim_idle_ms": 0}
    with Proxy(any_server.socket_path, plan) as proxy:
        with redcol.iter_stream(proxy.url, key, **GROUP, batch_size=5, **arguments) as batches:
            got: list[str] = []
            while len(got) < len(ids):
                got += next(batches)["_id"].to_list()
            assert got == ids
            assert batches.stats.dead_lettered == 0
        counts = {
            line["message_id"].decode(): line["times_delivered"]
            for line in any_db.xpending_range(key, "g", "-", "+", 10)
        }
        assert max(counts.values()) > 3  # the server has counted them
    assert any_db.xlen(f"{key}-dead") == 0


def test_what_is_in_hand_over_many_reconnects_is_no_dead_letter(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    ids = add(any_db, key, range(4))
    arguments = {"max_deliveries": 3, "dead_letter": f"{key}-dead", "batch_size": 2}
    with redcol.iter_stream(
        any_server.url, key, **GROUP, **arguments, on_idle="empty", block_ms=10
    ) as batches:
        held = next(batches)["_id"].to_list()
        for _ in range(6):
            any_db.client_kill_filter(_type="normal", skipme=True)
            held += next(batches)["_id"].to_list()
        assert held == ids
        assert batches.ack(ids[1:]) == 3
        assert batches.stats.dead_lettered == 0
    assert pending(any_db, key) == ids[:1]


def test_a_batch_that_was_taken_back_was_not_delivered(
    url: str, any_db: redis.Redis, key: str
) -> None:
    """Polars is told to fail, so that the iterator gives the batch back again and again."""
    from redcol import _frames

    ids = add(any_db, key, range(2))
    arguments = {"max_deliveries": 2, "dead_letter": f"{key}-dead"}
    made = _frames.Frames.make
    failures = 0

    def make(self, batch):
        nonlocal failures
        failures += 1
        if failures < 6:
            raise KeyboardInterrupt
        return made(self, batch)

    with (
        pytest.MonkeyPatch.context() as patch,
        redcol.iter_stream(url, key, **GROUP, **arguments) as batches,
    ):
        patch.setattr(_frames.Frames, "make", make)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                next(batches)
        assert next(batches)["_id"].to_list() == ids
        assert batches.stats.dead_lettered == 0
    assert any_db.xlen(f"{key}-dead") == 0


def test_more_dead_letters_than_a_page(member_url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    ids = add(any_db, key, range(2_500))
    deliver(any_db, key, "c", times=2)
    new = add(any_db, key, range(3))
    arguments = {"max_deliveries": 2, "dead_letter": f"{key}-dead", "batch_size": 10, **STOP}
    with redcol.iter_stream(member_url, key, **GROUP, **arguments) as batches:
        assert ids_of(batches) == new
        assert batches.stats.dead_lettered == 2_500
    assert [letter["dead_id"] for letter in letters_of(any_db, key)] == ids


MEMORY = """
import resource, sys, redcol
url, key = sys.argv[1:]
redcol.read_stream(url, "none")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with redcol.iter_stream(
    url, key, group="g", consumer="c", batch_size=10, max_deliveries=1, dead_letter=key + "-dead",
    on_idle="stop", block_ms=1,
) as batches:
    assert list(batches) == []
    print(batches.stats.dead_lettered)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory(member_url: str, any_db: redis.Redis, key: str) -> None:
    """200 entries of 200 KB."""
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    for _ in range(200):
        any_db.xadd(key, {"text": b"x" * 200_000})
        any_db.xreadgroup("g", "c", {key: ">"})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", MEMORY, member_url, key]
    out = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    any_db.delete(f"{key}-dead", key)
    assert int(out[0]) == 200
    assert int(out[1]) < 20  # MiB


# What is kept.


def test_an_entrys_own_fields_are_kept(member_url: str, any_db: redis.Redis, key: str) -> None:
    rng = random.Random(3)
    names = ["dead_id", "dead_id_field", "dead_id_field2", "dead_stream", "dead_reason", "_id", "a"]
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    entries = [dict.fromkeys(names, "x")]
    for _ in range(60):
        chosen = rng.sample(names, rng.randint(1, len(names)))
        entries.append({name: f"own {rng.random()}" for name in chosen})
    ids = [any_db.xadd(key, fields).decode() for fields in entries]
    deliver(any_db, key, "c")
    arguments = {"max_deliveries": 1, "dead_letter": f"{key}-dead", **STOP}
    with redcol.iter_stream(member_url, key, **GROUP, **arguments) as batches:
        assert list(batches) == []
    letters = letters_of(any_db, key)
    assert len(letters) == len(entries)
    for entry_id, fields, letter in zip(ids, entries, letters, strict=True):
        expected = {
            "dead_id": entry_id,
            "dead_stream": key,
            "dead_group": "g",
            "dead_consumer": "c",
            "dead_deliveries": "1",
        }
        for name, value in fields.items():
            kept, number = name, 1
            while kept in ("dead_id", "dead_stream") or (kept != name and kept in fields):
                kept = f"{name}_field{number if number > 1 else ''}"
                number += 1
            expected[kept] = value
        assert letter == expected


def test_a_dead_letter_can_die_again(member_url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    (first,) = add(any_db, key, [7])
    deliver(any_db, key, "c")
    arguments = {"max_deliveries": 1, "dead_letter": f"{key}-dead", **STOP}
    with redcol.iter_stream(member_url, key, **GROUP, **arguments) as batches:
        assert list(batches) == []
    any_db.xgroup_create(f"{key}-dead", "g", "0")
    deliver(any_db, f"{key}-dead", "c")
    arguments["dead_letter"] = f"{key}-dead-dead"
    with redcol.iter_stream(member_url, f"{key}-dead", **GROUP, **arguments) as batches:
        assert list(batches) == []
    df = redcol.read_stream(member_url, f"{key}-dead-dead")
    assert df.select("dead_id_field", "dead_stream_field", "n").rows() == [(first, key, "7")]
    assert df["dead_stream"].to_list() == [f"{key}-dead"]


def test_an_entry_of_very_many_fields(url: str, any_db: redis.Redis, key: str) -> None:
    """More than a script can pass on at once."""
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    any_db.xadd(key, {f"f{number}": number for number in range(20_000)})
    add(any_db, key, [1])
    deliver(any_db, key, "c")
    arguments = {"max_deliveries": 1, "dead_letter": f"{key}-dead", "schema": SCHEMA, **STOP}
    with redcol.iter_stream(url, key, **GROUP, **arguments) as batches:
        assert list(batches) == []
        assert batches.stats.dead_lettered == 2
    assert sorted(map(len, letters_of(any_db, key))) == [6, 20_005]
    assert pending(any_db, key) == []


def test_a_letter_that_was_deleted(member_url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xgroup_create(key, "g", "0", mkstream=True)
    ids = add(any_db, key, range(3))
    deliver(any_db, key, "c")
    any_db.xdel(key, ids[1])
    arguments = {"max_deliveries": 1, "dead_letter": f"{key}-dead", **STOP}
    with redcol.iter_stream(member_url, key, **GROUP, **arguments) as batches:
        assert list(batches) == []
        assert (batches.stats.dead_lettered, batches.stats.deleted) == (2, 1)
    assert pending(any_db, key) == []
