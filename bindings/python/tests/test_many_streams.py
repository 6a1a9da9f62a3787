# SPDX-License-Identifier: Apache-2.0
"""read_streams: ranges of many streams in one frame, found by a pattern or named."""

from __future__ import annotations

import random
import threading
import time

import polars as pl
import pytest
import redis
from many import SCHEMA, fill, read, rows

import redcol
from servers import FakeServer, Server, free_port


def test_pattern_and_list(url: str, any_db: redis.Redis, key: str) -> None:
    written = fill(any_db, {f"{key}:{n}": n % 7 for n in range(100)})
    counts: dict[str, int] = {}
    assert read(url, f"{key}:*", counts=counts) == rows(written)
    # XADD has made no stream of no entries.
    assert counts == {"streams": len(written), "empty_streams": 0, "wrong_types": 0}
    order = random.Random(1).sample(sorted(written), 50)
    assert read(url, order, counts=counts) == rows(written, order)
    assert read(url, pl.Series(order)) == rows(written, order)
    assert read(url, (name.encode() for name in order)) == rows(written, order)
    # A pattern without special characters is a key.
    assert read(url, f"{key}:3") == rows(written, [f"{key}:3"])
    with redcol.connect(url) as client:
        assert read(client, f"{key}:[3-5]") == rows(written, [f"{key}:{n}" for n in (3, 4, 5)])


def test_columns(url: str, any_db: redis.Redis, key: str) -> None:
    for name in "ab":
        any_db.xadd(f"{key}{name}", {"n": 1, "_key": "x", "_index": "y", "^.*$": name}, id="5-3")
    frame = redcol.read_streams(
        url, f"{key}?", include_sequence=True, include_row_index=True, schema=None
    )
    own = ["_key_field", "_index_field"]
    assert frame.columns == ["_index", "_key", "_id", "_ts", "_seq", "n", *own, "^.*$"]
    assert frame.rows() == [
        (0, f"{key}a", "5-3", 5, 3, "1", "x", "y", "a"),
        (1, f"{key}b", "5-3", 5, 3, "1", "x", "y", "b"),
    ]
    assert redcol.read_streams(url, f"{key}?", schema=frame.schema).equals(frame)
    order = ["n", "_index", "_index_field", "^.*$", "_ts", "_key"]
    other = pl.DataFrame([frame[name] for name in order])
    again = redcol.read_streams(url, f"{key}?", schema=other.schema)
    assert again.columns == ["_id", *order]
    assert again.drop("_id").equals(other)
    assert frame.dtypes[:5] == [pl.UInt64, pl.String, pl.String, pl.Int64, pl.UInt64]
    for spelling in ("_column", "_column_name"):
        names = {f"{part}{spelling}": part for part in ("key", "id", "timestamp", "sequence")}
        frame = redcol.read_streams(
            url,
            f"{key}?",
            schema={"_index": pl.String},
            include_sequence=True,
            include_row_index=True,
            **{f"row_index{spelling}": "number"},
            **names,
        )
        assert frame.columns == ["number", "key", "id", "timestamp", "sequence", "_index"]
        assert frame["_index"].to_list() == ["y", "y"]
    frame = redcol.read_streams(
        url, f"{key}?", include_key=False, include_id=False, include_timestamp=False
    )
    assert frame.columns == ["n", "_key", "_index", "^.*$"]
    assert redcol.read_streams(url, f"{key}?", id_column="i", id_column_name="i").columns[1] == "i"


def test_nothing_matches(url: str, any_db: redis.Redis, key: str) -> None:
    expected = {"_index": pl.UInt64, "_key": pl.String, "_id": pl.String, "_ts": pl.Int64}
    for pattern in (f"{key}*", [], [f"{key}-missing"], f"{key}-missing"):
        frame = redcol.read_streams(url, pattern, schema=SCHEMA, include_row_index=True)
        assert frame.schema == {**expected, **SCHEMA}
        frame = redcol.read_streams(url, pattern, include_row_index=True)
        assert frame.schema == expected
        assert len(frame) == 0


def test_names_of_any_bytes(url: str, any_db: redis.Redis, key: str) -> None:
    prefix = key.encode()
    names = [b"", b"*", b"?", b"[x]", b"\\", b"{tag}1", b"{tag}2", b"\xff\x00\r\n", "é ".encode()]
    for number, name in enumerate(names):
        any_db.xadd(prefix + name, {"n": number}, id="1-1")
    found = read(url, prefix + b"*")
    order = sorted(range(len(names)), key=lambda number: names[number])
    assert [row[2] for row in found] == order
    shown = {number: row[0] for row, number in zip(found, order, strict=True)}
    assert shown[7] == f"{key}\\xff\\x00\r\n"
    assert shown[8] == f"{key}é "
    listed = read(url, [prefix + name for name in names])
    assert listed == [(shown[number], "1-1", number) for number in range(len(names))]
    for number, pattern in {1: "\\*", 2: "[?]", 3: "\\[x\\]", 4: "\\\\", 7: b"\xff*"}.items():
        escaped = pattern if isinstance(pattern, bytes) else pattern.encode()
        assert [row[2] for row in read(url, prefix + escaped)] == [number]
    assert [row[2] for row in read(url, f"{key}{{tag}}*")] == [5, 6]
    assert [row[2] for row in read(url, f"{key}[^{{]")] == [1, 2, 4]


def test_other_types_and_empty_streams_are_counted(url: str, any_db: redis.Redis, key: str) -> None:
    written = fill(any_db, {f"{key}:a": 3, f"{key}:z": 2})
    any_db.xadd(f"{key}:empty", {"n": 1}, id="1-1")
    any_db.xdel(f"{key}:empty", "1-1")
    any_db.set(f"{key}:text", "x")
    any_db.hset(f"{key}:hash", "n", "1")
    counts: dict[str, int] = {}
    assert read(url, f"{key}:*", counts=counts) == rows(written)
    assert counts == {"streams": 3, "empty_streams": 1, "wrong_types": 2}
    names = [f"{key}:{name}" for name in ("text", "z", "hash", "missing", "empty", "a")]
    assert read(url, names, counts=counts) == rows(written, [f"{key}:z", f"{key}:a"])
    assert counts == {"streams": 4, "empty_streams": 2, "wrong_types": 2}
    assert read(url, [f"{key}:text"], counts=counts) == []
    assert counts == {"streams": 0, "empty_streams": 0, "wrong_types": 1}


def test_keys_of_other_types_are_counted_once_each(url: str, any_db: redis.Redis, key: str) -> None:
    written = fill(any_db, {f"{key}:{n}": 1 for n in range(300)})
    any_db.mset({f"{key}:text:{n}": "x" for n in range(3_000)})
    counts: dict[str, int] = {}
    # Answers of a few keys each, while the server's table of keys grows and shrinks.
    assert read(url, f"{key}:*", counts=counts, count_hint=7) == rows(written)
    assert counts == {"streams": 300, "empty_streams": 0, "wrong_types": 3_000}
    any_db.delete(*(f"{key}:text:{n}" for n in range(2_990)))
    assert read(url, f"{key}:*", counts=counts, count_hint=1) == rows(written)
    assert counts == {"streams": 300, "empty_streams": 0, "wrong_types": 10}
    assert read(url, f"{key}:text:*", counts=counts) == []
    assert counts == {"streams": 0, "empty_streams": 0, "wrong_types": 10}


def test_a_cluster_of_one_node() -> None:
    args = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with Server(tcp=True, args=args) as node:
        with node.client() as db:
            db.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + 60
            while b"cluster_state:ok" not in db.execute_command("CLUSTER", "INFO"):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            fill(db, {"s:1": 2, "s:2": 1})
        assert [row[2] for row in read(node.url, "s:*")] == [0, 1, 2]
        lazy = redcol.scan_streams(node.url, "s:*", schema=SCHEMA)
        assert len(lazy.collect()) == 3
        # Streams that are named are read, and a pattern that is a key.
        assert [row[2] for row in read(node.url, ["s:1", "s:2"])] == [0, 1, 2]
        assert [row[2] for row in read(node.url, "s:1")] == [0, 1]


SIZES = {
    "one": [1] * 3_000,
    "rising": list(range(0, 400, 3)),
    "large": [30_000, 30_000, 30_000],
    "mixed": [random.Random(7).choice([0, 1, 5, 50, 3_000, 20_000]) for _ in range(60)],
    "a large one at the end": [5] * 2_000 + [25_000],
    "alternating": [2_500 if n % 20 == 0 else 10 for n in range(400)],
}


@pytest.mark.parametrize("kind", SIZES)
def test_any_sizes(server: Server, db: redis.Redis, key: str, kind: str) -> None:
    written = fill(db, {f"{key}:{n:05}": size for n, size in enumerate(SIZES[kind])})
    expected = rows(written)
    before = db.info("commandstats")
    assert read(server.url, f"{key}:*") == expected
    after = db.info("commandstats")
    assert after.get("cmdstat_keys") == before.get("cmdstat_keys")
    # What was passed over and asked for again is bounded.
    asked = after["cmdstat_xrange"]["calls"] - before.get("cmdstat_xrange", {"calls": 0})["calls"]
    assert asked <= 2 * len(written) + len(expected) / 200 + 20
    few = read(server.url, f"{key}:*", count_per_stream=700)
    assert few == [row for row in expected if int(row[1][:-2]) <= 700]
    assert read(server.url, f"{key}:*", count=0) == []
    part = read(server.url, f"{key}:*", start_id="(2-1", end_id=2_700, count=2_400)
    assert part == [row for row in expected if 2 < int(row[1][:-2]) <= min(2_402, 2_700)]
    assert read(server.url, f"{key}:*", batch_size=1) == expected
    assert read(server.url, f"{key}:*", start_id="9-0", end_id="8-0") == []


def test_a_column_of_a_later_stream(server: Server, db: redis.Redis, key: str) -> None:
    written = fill(db, {f"{key}:{n:04}": 20 for n in range(1_000)})
    db.xadd(f"{key}:0700", {"late": "x"}, id="100-1")
    frame = redcol.read_streams(server.url, f"{key}:*", include_timestamp=False)
    assert frame.columns == ["_key", "_id", "n", "late"]
    assert frame.n_chunks() == 1
    late = frame.filter(pl.col("late").is_not_null())
    assert late.rows() == [(f"{key}:0700", "100-1", None, "x")]
    assert len(frame) == sum(map(len, written.values())) + 1


def test_values_that_do_not_fit(url: str, any_db: redis.Redis, key: str) -> None:
    fill(any_db, {f"{key}:{n}": 3 for n in range(5)})
    any_db.xadd(f"{key}:3", {"n": "four", "l": "[1"}, id="7-1")
    for pattern in (f"{key}:*", [f"{key}:{n}" for n in range(5)]):
        for include_key in (True, False):
            options = {"include_key": include_key, "include_id": include_key}
            with pytest.raises(redcol.ValueConversionError) as caught:
                read(url, pattern, **options)
            error = caught.value
            assert (error.stream, error.entry_id, error.field) == (f"{key}:3", "7-1", "n")
            assert error.dtype == "Int64"
            with pytest.raises(redcol.ValueConversionError) as caught:
                read(url, pattern, schema={"l": pl.List(pl.Int64)}, **options)
            error = caught.value
            assert (error.stream, error.entry_id, error.field) == (f"{key}:3", "7-1", "l")
    frame = redcol.read_streams(url, f"{key}:*", schema=SCHEMA, on_error="null")
    assert frame["n"].null_count() == 1
    assert len(frame) == 16


def test_arguments(url: str) -> None:
    nowhere = "unix:///nowhere"
    for options, said in (
        ({"id_column": "a", "id_column_name": "b"}, "two names of one argument"),
        ({"count": 1, "count_per_stream": 2}, "two names of one argument"),
        ({"key_column": "_id"}, "choose another id_column|key_column"),
        ({"row_index_column": "_key", "include_row_index": True}, "_key"),
        ({"schema": {"_key": int}}, "choose another key_column"),
        ({"schema": {"_index": str}, "include_row_index": True}, "another row_index_column"),
        ({"count_per_stream": -1}, "count_per_stream"),
        ({"batch_size": 0}, "batch_size"),
        ({"count_hint": 0}, "count_hint"),
        ({"start_id": "$"}, "start_id"),
        ({"include_key": 1}, "include_key"),
    ):
        kinds = (redcol.InvalidArgumentError, redcol.SchemaError)
        with pytest.raises(kinds, match=f"(?i){said}"):
            redcol.read_streams(nowhere, **options)
    for pattern, said in ((3, "not int"), (["a", 3], r"pattern\[1\]"), (["a", b"a"], "twice")):
        with pytest.raises(redcol.InvalidArgumentError, match=said):
            redcol.read_streams(nowhere, pattern)


def test_rights(server: Server, db: redis.Redis, key: str) -> None:
    written = fill(db, {f"{key}:a": 2, f"{key}:b": 2})
    user = f"reader-{key}"
    db.acl_setuser(user, enabled=True, passwords=["+p"], keys=[f"{key}:a"], commands=["+xrange"])
    url = server.url.replace("unix://", f"unix://{user}:p@")
    assert read(url, [f"{key}:a"]) == rows(written, [f"{key}:a"])
    with pytest.raises(redcol.PermissionDeniedError, match="SCAN") as caught:
        read(url, f"{key}:*")
    assert caught.value.stream is None
    with pytest.raises(redcol.PermissionDeniedError) as caught:
        read(url, [f"{key}:a", f"{key}:b"])
    assert caught.value.stream == f"{key}:b"


def test_keys_come_and_go_meanwhile(server: Server, db: redis.Redis, key: str) -> None:
    written = fill(db, {f"{key}:{n:04}": 30 if n % 50 else 3_000 for n in range(500)})
    stop = threading.Event()
    touched: set[str] = set()

    def disturb() -> None:
        rng = random.Random(2)
        with server.client() as other:
            while not stop.is_set():
                name = f"{key}:{rng.randrange(1, 250) * 2 - 1:04}"
                touched.add(name)
                other.delete(name)
                what = rng.randrange(3)
                if what == 0:
                    other.set(name, "x")
                elif what == 1:
                    fill(other, {name: 9})
                other.xadd(f"{key}:new:{rng.random()}", {"n": -1})

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for pattern in [f"{key}:*", sorted(written)] * 5:
            found = read(server.url, pattern)
            gone = set(touched)
            stayed = [row for row in found if row[0] in written and row[0] not in gone]
            assert stayed == [row for row in rows(written) if row[0] not in gone]
            places = [row[:2] for row in found]
            assert len(set(places)) == len(places)
            names = list(dict.fromkeys(name for name, _ in places))
            assert names == sorted(names)
    finally:
        stop.set()
        thread.join()


def test_keys_that_scan_gives_twice() -> None:
    """And a cursor of the largest number."""
    pages = {
        b"0": b"*2\r\n$20\r\n18446744073709551615\r\n*2\r\n$1\r\nb\r\n$1\r\na\r\n",
        b"18446744073709551615": b"*2\r\n$1\r\n7\r\n*0\r\n",
        b"7": b"*2\r\n$1\r\n0\r\n*2\r\n$1\r\nc\r\n$1\r\nb\r\n",
    }

    def answer(command: list[bytes]) -> bytes:
        if command[0] == b"SCAN":
            assert command[2:] == [b"MATCH", b"*", b"COUNT", b"55", b"TYPE", b"stream"]
            return pages[command[1]]
        if command[0] == b"XRANGE":
            return b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$1\r\n5\r\n"
        return b"+OK\r\n"

    with FakeServer(answer) as server:
        found = read(server.url, "*", count_hint=55)
        assert found == [(name, "1-1", 5) for name in "abc"]
        asked = [command[1] for command in server.commands if command[0] == b"XRANGE"]
        assert asked == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    "keys",
    [
        b"+OK\r\n",
        b"*2\r\n$1\r\nx\r\n*0\r\n",
        b"*2\r\n$0\r\n\r\n*0\r\n",
        b"*2\r\n$21\r\n184467440737095516150\r\n*0\r\n",
        b"*2\r\n$1\r\n0\r\n*1\r\n:5\r\n",
        b"*2\r\n$1\r\n0\r\n$1\r\nx\r\n",
        b"*-1\r\n",
        b"*1000000000\r\n",
    ],
)
def test_hostile_answers_to_scan(keys: bytes) -> None:
    with (
        FakeServer(lambda command: keys if command[0] == b"SCAN" else b"+OK\r\n") as server,
        pytest.raises(redcol.ProtocolError),
    ):
        read(server.url, "*")


def test_a_server_that_goes_away(key: str) -> None:
    server = Server()
    try:
        with server.client() as db:
            written = fill(db, {f"{key}:{n}": 3 for n in range(10)})
        with redcol.connect(server.url, timeout_ms=300) as client:
            assert read(client, f"{key}:*") == rows(written)
            server.process.kill()
            server.process.wait()
            with pytest.raises(redcol.ConnectionFailedError):
                read(client, f"{key}:*")
    finally:
        server.stop()


def test_nothing_is_left(url: str, any_db: redis.Redis, key: str, no_leaks: None) -> None:
    fill(any_db, {f"{key}:{n}": 3 for n in range(300)})
    any_db.xadd(f"{key}:7", {"n": "bad"})
    for _ in range(3):
        read(url, f"{key}:*", on_error="null")
        read(url, [f"{key}:1", f"{key}:x"], include_key=False)
        with pytest.raises(redcol.ValueConversionError):
            read(url, f"{key}:*")
