# SPDX-License-Identifier: Apache-2.0
"""Groups and streams are created, moved, trimmed and deleted, on all servers and in a cluster."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

import polars as pl
import pytest
import redis
from chaos.proxy import Faults, Proxy

import redcol
from clusters import Cluster
from grouping import GROUP, add, pending
from servers import REDIS_6, FakeServer, Server, silent

#: Every function that steers, on a stream that has a group "g".
CALLS: dict[str, Callable[[Any, str], object]] = {
    "create_group": lambda url, key: redcol.create_group(url, key, "h"),
    "delete_group": lambda url, key: redcol.delete_group(url, key, "g"),
    "seek_group": lambda url, key: redcol.seek_group(url, key, "g", "0"),
    "delete_consumer": lambda url, key: redcol.delete_consumer(url, key, "g", "c"),
    "delete_consumer, forced": lambda url, key: redcol.delete_consumer(
        url, key, "g", "c", force=True
    ),
    "release": lambda url, key: redcol.release(url, key, "g", "c", ["1-1"]),
    "trim_stream": lambda url, key: redcol.trim_stream(url, key, maxlen=5),
    "delete_entries": lambda url, key: redcol.delete_entries(url, key, ["1-1"]),
}


def group(db: redis.Redis, key: str, name: str = "g") -> dict[str, Any]:
    """What the server says of a group."""
    return next(one for one in db.xinfo_groups(key) if one["name"] == name.encode())


def fill(db: redis.Redis, key: str, count: int) -> None:
    """Entries 1-0, 2-0, and so on."""
    with db.pipeline(transaction=False) as pipe:
        for number in range(1, count + 1):
            pipe.xadd(key, {"n": number}, id=f"{number}-0")
        pipe.execute()


# Groups.


@pytest.mark.parametrize(
    ("start_id", "n"),
    [
        ("0", [1, 2, 3]),
        ("$", []),
        ("1-0", [2, 3]),
        (2, [3]),
        # The first entry at that time is not passed over.
        (datetime(1970, 1, 1, 0, 0, 0, 2000, tzinfo=timezone.utc), [2, 3]),
        (datetime(1970, 1, 1, 1, 0, 0, 2000, tzinfo=timezone(timedelta(hours=1))), [2, 3]),
        (date(1970, 1, 1), [1, 2, 3]),
        (date(1970, 1, 2), []),
    ],
)
def test_a_group_is_created(
    url: str, any_db: redis.Redis, key: str, start_id: Any, n: list[int]
) -> None:
    fill(any_db, key, 3)
    assert redcol.create_group(url, key, "g", start_id=start_id) is True
    assert redcol.create_group(url, key, "g", start_id="0") is False
    read = redcol.read_stream(url, key, **GROUP, create_group=False, schema={"n": pl.Int64})
    assert read["n"].to_list() == n


def test_a_group_of_a_stream_that_is_missing(url: str, any_db: redis.Redis, key: str) -> None:
    with pytest.raises(redcol.NoGroupError, match="there is no such stream") as caught:
        redcol.create_group(url, key, "g")
    assert caught.value.stream == key
    assert redcol.delete_group(url, key, "g") is False
    assert not any_db.exists(key)
    assert redcol.create_group(url, key, "g", create_stream=True) is True
    assert any_db.xlen(key) == 0
    assert any_db.exists(key)
    assert redcol.delete_group(url, key, "g") is True
    assert redcol.delete_group(url, key, "g") is False


@pytest.mark.parametrize("call", ["seek_group", "delete_consumer", "delete_consumer, forced",
                                  "release"])  # fmt: skip
def test_a_group_that_is_missing(url: str, any_db: redis.Redis, key: str, call: str) -> None:
    with pytest.raises(redcol.NoGroupError):
        CALLS[call](url, key)
    add(any_db, key, range(1))
    with pytest.raises(redcol.NoGroupError):
        CALLS[call](url, key)


def test_names_are_any_bytes(url: str, any_db: redis.Redis) -> None:
    key, name = b"steer\0\xff", b"g\0 \xfe"
    any_db.delete(key)
    assert redcol.create_group(url, key, name, create_stream=True)
    assert any_db.xinfo_groups(key)[0]["name"] == name
    any_db.xgroup_createconsumer(key, name, b"c\0\xfd")
    assert redcol.delete_consumer(url, key, name, b"c\0\xfd") == 0
    assert any_db.xinfo_consumers(key, name) == []
    assert redcol.delete_group(url, key, name)


@pytest.mark.parametrize("to", ["0", "$"])
def test_a_group_at_an_end_knows_its_lag(
    any_server: Server, any_db: redis.Redis, key: str, to: str
) -> None:
    """Also of a stream whose first entries are gone."""
    fill(any_db, key, 10)
    any_db.xtrim(key, minid="4-0", approximate=False)
    any_db.xgroup_create(key, "g", "7-0")
    assert redcol.seek_group(any_server.url, key, "g", to) == {"0": "0-0", "$": "10-0"}[to]
    any_db.xadd(key, {"n": 11})
    found = group(any_db, key)
    if any_server.process.args[0] != REDIS_6:
        read = {"0": 3, "$": 10}[to]
        assert (found["entries-read"], found["lag"]) == (read, 11 - read)
    read = redcol.read_stream(any_server.url, key, **GROUP, schema={"n": pl.Int64})
    assert read["n"].to_list() == ([*range(4, 12)] if to == "0" else [11])
    assert group(any_db, key).get("lag", 0) == 0


def test_a_group_delivers_again(any_server: Server, any_db: redis.Redis, key: str) -> None:
    fill(any_db, key, 10)
    read = {**GROUP, "auto_ack": True, "schema": {"n": pl.Int64}}
    assert len(redcol.read_stream(any_server.url, key, **read)) == 10
    with redcol.connect(any_server.url) as client:
        assert redcol.seek_group(client, key, "g", "6-0") == "6-0"
        assert redcol.read_stream(client, key, **read)["n"].to_list() == [7, 8, 9, 10]
        noon = datetime(1970, 1, 1, 0, 0, 0, 8000, tzinfo=timezone.utc)
        assert redcol.seek_group(client, key, "g", noon) == f"7-{2**64 - 1}"
        assert redcol.read_stream(client, key, **read)["n"].to_list() == [8, 9, 10]
    assert group(any_db, key).get("lag", 0) == 0


def test_entries_after_an_earlier_position_go_to_who_asks_first(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    fill(any_db, key, 3)
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "one", {key: ">"}, count=2)
    redcol.seek_group(any_server.url, key, "g", "1-0")
    frame = redcol.read_stream(any_server.url, key, group="g", consumer="two")
    assert frame["_id"].to_list() == ["2-0", "3-0"]
    listed = redcol.list_pending(any_server.url, key, "g")
    assert listed.select("_id", "consumer").rows() == [
        ("1-0", "one"),
        ("2-0", "two"),
        ("3-0", "two"),
    ]


def test_an_entry_that_was_deleted_leaves_the_lag_unknown(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    fill(any_db, key, 10)
    any_db.xdel(key, "5-0")
    any_db.xgroup_create(key, "g", "0")
    redcol.seek_group(any_server.url, key, "g", "0")
    assert group(any_db, key).get("entries-read") is None
    assert len(redcol.read_stream(any_server.url, key, **GROUP)) == 9


# Consumers.


def test_a_consumer_with_pending_entries_stays(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(7))
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "other", {key: ">"}, count=2)
    any_db.xreadgroup("g", "c", {key: ">"})
    with pytest.raises(redcol.PendingEntriesError, match="has 5 pending entries") as caught:
        redcol.delete_consumer(url, key, "g", "c")
    assert caught.value.stream == key
    assert isinstance(caught.value, RuntimeError)
    assert pending(any_db, key, "c") == ids[2:]
    any_db.xack(key, "g", *ids[2:5])
    assert redcol.delete_consumer(url, key, "g", "c", force=True) == 2
    assert pending(any_db, key) == ids[:2]
    any_db.xgroup_createconsumer(key, "g", "idle")
    assert redcol.delete_consumer(url, key, "g", "idle") == 0
    assert redcol.delete_consumer(url, key, "g", "nobody") == 0
    assert [one["name"] for one in any_db.xinfo_consumers(key, "g")] == [b"other"]


def test_nothing_is_delivered_between_the_look_and_the_deletion(
    any_server: Server, any_db: redis.Redis, key: str
) -> None:
    """Every entry that a consumer was given is still pending when it acknowledges it."""
    add(any_db, key, range(400))
    any_db.xgroup_create(key, "g", "0")
    acknowledged: list[int] = []

    def consume() -> None:
        with any_server.client() as db:
            while answer := db.xreadgroup("g", "c", {key: ">"}, count=1):
                entries = answer[0][1] if isinstance(answer, list) else next(iter(answer.values()))
                ids = [one[0] for one in (entries if isinstance(entries[0], tuple) else entries[0])]
                acknowledged.append(db.xack(key, "g", *ids))

    consumer = threading.Thread(target=consume)
    consumer.start()
    deleted = refused = 0
    with redcol.connect(any_server.url) as client:
        while consumer.is_alive():
            try:
                assert redcol.delete_consumer(client, key, "g", "c") == 0
                deleted += 1
            except redcol.PendingEntriesError:
                refused += 1
    consumer.join()
    assert acknowledged == [1] * 400
    assert deleted > 0


def test_released_entries_are_claimed_at_once(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(250))
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "other", {key: ">"}, count=20)
    any_db.xreadgroup("g", "gone", {key: ">"})
    # Those of another consumer, and those that nobody has, are left alone.
    assert redcol.release(url, key, "g", "gone", [*ids[:220], "1-1"]) == 200
    assert redcol.release(url, key, "g", "nobody", ids) == 0
    released = any_db.xpending_range(key, "g", "-", "+", 1000, "gone")
    assert {line["times_delivered"] for line in released} == {1}
    claimed = redcol.read_stream(url, key, **GROUP, claim_idle_ms=2**31 - 1)
    assert claimed["_id"].to_list() == ids[20:220]
    assert pending(any_db, key, "gone") == ids[220:]


def test_a_released_entry_that_is_deleted(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3))
    any_db.xgroup_create(key, "g", "0")
    any_db.xreadgroup("g", "c", {key: ">"})
    assert redcol.delete_entries(url, key, ids[:1]) == 1
    assert redcol.release(url, key, "g", "c", pl.DataFrame({"_id": ids})) in (2, 3)


# Streams.


def test_a_stream_is_trimmed_exactly(url: str, any_db: redis.Redis, key: str) -> None:
    """More entries than a server trims at a time."""
    fill(any_db, key, 12_345)
    assert redcol.trim_stream(url, key, maxlen=50, approximate=False) == 12_295
    assert any_db.xlen(key) == 50
    noon = datetime(1970, 1, 1, 0, 0, 12, 340_000, tzinfo=timezone.utc)
    assert redcol.trim_stream(url, key, min_id=noon, approximate=False) == 44
    assert any_db.xrange(key, count=1)[0][0] == b"12340-0"
    assert redcol.trim_stream(url, key, min_id="12341-1", approximate=False) == 2
    assert redcol.trim_stream(url, key, maxlen=0, approximate=False) == 4
    assert redcol.trim_stream(url, key, min_id=2**64 - 1) == 0
    assert redcol.trim_stream(url, f"{key}-missing", maxlen=0) == 0


def test_a_stream_is_trimmed_roughly(url: str, any_db: redis.Redis, key: str) -> None:
    """The server keeps whole nodes of 100 entries."""
    fill(any_db, key, 12_345)
    deleted = redcol.trim_stream(url, key, maxlen=50)
    assert 12_345 - deleted == any_db.xlen(key)
    assert 50 <= any_db.xlen(key) <= 150
    assert any_db.xlen(key) == 145  # an exact trim would keep 50


def test_entries_are_deleted(url: str, any_db: redis.Redis, key: str) -> None:
    ids = add(any_db, key, range(3_500))
    assert redcol.delete_entries(url, key, [*ids[:2_500], "1-1", ids[0]]) == 2_500
    assert redcol.delete_entries(url, key, pl.DataFrame({"_id": ids[2_400:2_600]})) == 100
    assert redcol.delete_entries(url, key, ids[2_600]) == 1
    assert redcol.delete_entries(url, key, []) == 0
    assert redcol.delete_entries(url, f"{key}-missing", ["1-1"]) == 0
    assert any_db.xlen(key) == 899


# What cannot be.

REFUSED: dict[str, Callable[[str], object]] = {
    "no stream": lambda url: redcol.trim_stream(url, "", maxlen=1),
    "no group": lambda url: redcol.create_group(url, "s", ""),
    "no consumer": lambda url: redcol.delete_consumer(url, "s", "g", b""),
    "released by nobody": lambda url: redcol.release(url, "s", "g", "", ["1-1"]),
    "stream": lambda url: redcol.delete_group(url, 5, "g"),  # type: ignore[arg-type]
    "start": lambda url: redcol.create_group(url, "s", "g", start_id="now"),
    "first": lambda url: redcol.seek_group(url, "s", "g", "-"),
    "excluded": lambda url: redcol.seek_group(url, "s", "g", "(5-1"),
    "before 1970": lambda url: redcol.seek_group(url, "s", "g", datetime(1960, 1, 1)),
    "float": lambda url: redcol.seek_group(url, "s", "g", 1.5),  # type: ignore[arg-type]
    "force": lambda url: redcol.delete_consumer(
        url,
        "s",
        "g",
        "c",
        force=1,  # type: ignore[arg-type]
    ),
    "flag": lambda url: redcol.create_group(
        url,
        "s",
        "g",
        create_stream="yes",  # type: ignore[arg-type]
    ),
    "nothing": lambda url: redcol.trim_stream(url, "s"),
    "both": lambda url: redcol.trim_stream(url, "s", maxlen=5, min_id="5-1"),
    "negative": lambda url: redcol.trim_stream(url, "s", maxlen=-1),
    "kept": lambda url: redcol.trim_stream(url, "s", min_id="$"),
    "id": lambda url: redcol.delete_entries(url, "s", ["1-1", "x"]),
    "ids": lambda url: redcol.release(url, "s", "g", "c", [5]),  # type: ignore[list-item]
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_sent(call: str) -> None:
    with FakeServer(silent) as fake:
        with pytest.raises(redcol.InvalidArgumentError):
            REFUSED[call](fake.url)
        assert fake.connections == []


@pytest.mark.parametrize("call", CALLS)
def test_a_key_that_is_no_stream(url: str, any_db: redis.Redis, key: str, call: str) -> None:
    any_db.set(key, "text")
    with pytest.raises(redcol.WrongTypeError, match=key) as caught:
        CALLS[call](url, key)
    assert caught.value.stream == key


HOSTILE = [b":-9223372036854775808\r\n", b":1001\r\n", b"$1\r\n1\r\n", b"*0\r\n", b"*-1\r\n",
           b"%1\r\n", b":9223372036854775808\r\n"]  # fmt: skip
#: Any count is possible there.
COUNTS_ALL = ("delete_consumer", "delete_consumer, forced")


@pytest.mark.parametrize("answer", HOSTILE)
@pytest.mark.parametrize("call", [call for call in CALLS if call != "trim_stream"])
def test_answers_that_no_server_should_give(call: str, answer: bytes) -> None:
    def answers(command: list[bytes]) -> bytes:
        return b"+OK\r\n" if command[0] in (b"HELLO", b"SELECT") else answer

    if answer == b":1001\r\n" and call in COUNTS_ALL:
        return
    with FakeServer(answers) as fake, pytest.raises(redcol.ProtocolError):
        CALLS[call](fake.url, "s")


# Connections and servers that fail.


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_refuses_for_now(call: str) -> None:
    """It is asked again, and executes the order once."""
    last = {
        "create_group": b"+OK\r\n",
        "seek_group": b"*2\r\n$17\r\nlast-generated-id\r\n$3\r\n1-1\r\n",
        "trim_stream": b":0\r\n",
    }.get(call, b":1\r\n")
    left = [b"-LOADING it starts\r\n", b"-CLUSTERDOWN no\r\n", last, b"+OK\r\n"]

    def answers(command: list[bytes]) -> bytes:
        return b"+OK\r\n" if command[0] in (b"HELLO", b"SELECT") else left.pop(0)

    with FakeServer(answers) as fake:
        result = CALLS[call](fake.url, "s")
    assert result == {"seek_group": "0-0", "create_group": True, "delete_group": True}.get(
        call, 0 if call == "trim_stream" else 1
    )
    assert len(left) == (0 if call == "seek_group" else 1)


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_is_lost(
    any_server: Server, any_db: redis.Redis, key: str, call: str
) -> None:
    """The order is executed, its answer never comes, and it is given again: no harm is done."""
    fill(any_db, key, 3)
    any_db.xgroup_create(key, "g", "3-0")
    any_db.xgroup_createconsumer(key, "g", "c")
    since = {
        "release": b"EVAL",
        "delete_consumer": b"EVAL",
        "seek_group": b"SETID",
        "trim_stream": b"XTRIM",
        "delete_entries": b"XDEL",
    }.get(call, b"XGROUP")
    cut = Faults(end_after=0, since=since)
    with Proxy(any_server.socket_path, lambda n: cut if n == 0 else Faults()) as proxy:
        result = CALLS[call](proxy.url, key)
        assert proxy.accepted == 2
    assert result == {"seek_group": "0-0"}.get(call, 0)
    names = {one["name"] for one in any_db.xinfo_groups(key)}
    expected = {"create_group": {b"g", b"h"}, "delete_group": set()}.get(call, {b"g"})
    assert names == expected
    if call.startswith("delete_consumer"):
        assert any_db.xinfo_consumers(key, "g") == []


def test_the_end_of_the_stream_is_looked_up_once(server: Server, db: redis.Redis, key: str) -> None:
    """An entry that is added before the second try is not passed over."""
    fill(db, key, 3)
    db.xgroup_create(key, "g", "0")

    def plan(number: int) -> Faults:
        if number == 0:
            return Faults(end_after=0, since=b"SETID")
        db.xadd(key, {"n": 4}, id="4-0")
        return Faults()

    with Proxy(server.socket_path, plan) as proxy:
        assert redcol.seek_group(proxy.url, key, "g", "$") == "3-0"
    read = redcol.read_stream(server.url, key, **GROUP, schema={"n": pl.Int64})
    assert read["n"].to_list() == [4]


def test_signals_do_not_give_an_order_twice() -> None:
    """A call that a signal interrupts goes on waiting for the answer to what it has sent."""
    signals = 0

    def answers(command: list[bytes]) -> bytes:
        if command[0] != b"XTRIM":
            return b"+OK\r\n"
        seen = signals
        while signals < seen + 5:
            time.sleep(0.005)
        return b":0\r\n"

    def count(*_: object) -> None:
        nonlocal signals
        signals += 1

    before = signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        with FakeServer(answers) as fake:
            assert redcol.trim_stream(fake.url, "s", maxlen=5, timeout_ms=60_000) == 0
            assert [command[0] for command in fake.commands].count(b"XTRIM") == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_closed_client_ends_a_call(server: Server) -> None:
    with FakeServer(lambda command: None if command[0] == b"XTRIM" else b"+OK\r\n") as fake:
        client = redcol.connect(fake.url, timeout_ms=60_000)
        closing = threading.Thread(target=lambda: _close_when_asked(fake, client))
        closing.start()
        with pytest.raises(redcol.ClosedError):
            redcol.trim_stream(client, "s", maxlen=5)
        closing.join()


def _close_when_asked(fake: FakeServer, client: redcol.Client) -> None:
    while not any(command[0] == b"XTRIM" for command in fake.commands):
        time.sleep(0.002)
    client.close()


# Clusters.


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as started:
        yield started


def test_each_node_of_a_cluster(cluster: Cluster) -> None:
    for node in cluster.primaries:
        key = cluster.key_at(node, "steered")
        everything(cluster.other(node).url, key, node)


def everything(url: Any, key: str, node: Server) -> None:
    """Each function once, on the node that has the key."""
    assert redcol.create_group(url, key, "g", create_stream=True)
    with node.client() as db:
        fill(db, key, 9)
        db.xreadgroup("g", "c", {key: ">"}, count=4)
        assert redcol.release(url, key, "g", "c", ["1-0", "9-0"]) == 1
        assert redcol.delete_consumer(url, key, "g", "c", force=True) == 4
        assert redcol.seek_group(url, key, "g", "$") == "9-0"
        assert redcol.delete_consumer(url, key, "g", "c") == 0
        assert redcol.delete_entries(url, key, ["9-0"]) == 1
        assert redcol.trim_stream(url, key, maxlen=3, approximate=False) == 5
        assert db.xlen(key) == 3
        assert redcol.delete_group(url, key, "g")
        db.delete(key)


def test_a_key_that_moves(cluster: Cluster) -> None:
    source = cluster.primaries[0]
    target, key = cluster.other(source), cluster.key_at(source, "moved")
    with redcol.connect(cluster.url) as client:
        everything(client, key, source)
        cluster.move(key, target)
        everything(client, key, target)
        cluster.move(key, source)
