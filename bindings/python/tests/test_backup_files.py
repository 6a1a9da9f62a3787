# SPDX-License-Identifier: Apache-2.0
"""A backup file (RDB) is read as if it were a server."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis
from polars.testing import assert_frame_equal
from test_dump import fill

import redcol
from servers import REDIS_7, SERVERS, Server

SCHEMA = {"a": pl.String, "b": pl.String}
#: Larger ids than Int64 holds have no timestamp.
NO_TIME: dict[str, Any] = {"include_timestamp": False}
STREAMS = [f"stream:{number}" for number in range(8)]


def backup(server: Server, folder: Path, name: str = "dump.rdb") -> Path:
    """What the server holds now, as a file."""
    with server.client() as db:
        db.save()
        saved = Path(db.config_get("dir")["dir"], db.config_get("dbfilename")["dbfilename"])
    return Path(shutil.copy(saved, folder / name))


def add_other_types(db: redis.Redis) -> None:
    """Values of every type that is no stream, small ones and large ones."""
    db.set("text", "x" * 100, ex=10_000)
    db.set("number", 5)
    db.set("packed", "ab" * 5_000)
    db.rpush("list", *range(500))
    db.rpush("wide list", *["x" * 200] * 100, "y" * 20_000)
    db.sadd("numbers", *range(10))
    db.sadd("set", *(f"member {number}" for number in range(500)))
    db.sadd("small set", "a", "b")
    db.zadd("small sorted set", {"a": 1, "b": 2.5, "c": float("inf")})
    db.zadd("sorted set", {f"member {number}": number / 3 for number in range(500)})
    db.hset("small hash", mapping={"a": 1})
    db.hset("hash", mapping={f"field {number}": "v" * 100 for number in range(600)})
    db.pfadd("counted", *range(1_000))
    # Not on every server.
    for command in (
        ("HEXPIRE", "small hash", 10_000, "FIELDS", 1, "a"),
        ("HEXPIRE", "hash", 10_000, "FIELDS", 1, "field 3"),
        ("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() end)"),
    ):
        with contextlib.suppress(redis.ResponseError):
            db.execute_command(*command)


class Saved:
    """A server, and a file of what it holds."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.counts_entries = True
        chance = random.Random(5)
        with server.client() as db:
            add_other_types(db)
            self.counts_entries = not db.info("server")["redis_version"].startswith("6.")
            for key in STREAMS:
                fill(db, key, chance)
            db.config_set("stream-node-max-bytes", 4096)
            db.config_set("stream-node-max-entries", 100)
            for number in range(1, 11):
                db.xadd("plain", {"n": number}, id=f"{number * 1_000}-0")
            db.xadd("empty", {"n": 1}, id="5-5")
            db.xdel("empty", "5-5")
            for group in ("g", "nobody"):
                db.xgroup_create("plain", group, "0")
            db.xreadgroup("g", "first", {"plain": ">"}, count=4)
            db.xreadgroup("g", "second", {"plain": ">"}, count=2)
            db.xack("plain", "g", "2000-0")
            db.xgroup_createconsumer("plain", "g", "idle")
        with server.client(db=3) as db:
            db.xadd("elsewhere", {"n": 1}, id="1-0")
        self.path = backup(server, folder)
        self.url = f"rdb://{self.path}"


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Server(request.param) as server:
        yield Saved(server, tmp_path_factory.mktemp("backup"))


def test_partitions_have_each_entry_once(saved: Saved) -> None:
    with redcol.connect(saved.url) as file:
        for key in [*STREAMS, "plain", "empty", "missing"]:
            for bounds in ({}, {"start_id": "2000", "end_id": 9_000}):
                whole = redcol.read_stream(file, key, schema=SCHEMA, **bounds, **NO_TIME)
                parts = redcol.partitions(file, [key], rows=50, **bounds)
                frames = [part.read(file, schema=SCHEMA, **NO_TIME) for part in parts]
                assert_frame_equal(pl.concat([whole.clear(), *frames]), whole)
        assert len(redcol.partitions(file, STREAMS, rows=1)) > len(STREAMS)


def test_streams_are_those_of_the_server(saved: Saved) -> None:
    with redcol.connect(saved.server.url) as server, redcol.connect(saved.url) as file:
        for key in [*STREAMS, "plain", "empty", "missing"]:
            expected = redcol.read_stream(server, key, **NO_TIME)
            assert_frame_equal(redcol.read_stream(file, key, **NO_TIME), expected)
            assert_frame_equal(redcol.scan_stream(file, key, **NO_TIME).collect(), expected)
            typed = redcol.read_stream(server, key, schema=SCHEMA, **NO_TIME)
            assert_frame_equal(redcol.read_stream(file, key, schema=SCHEMA, **NO_TIME), typed)
            last = redcol.read_stream(server, key, last=7, **NO_TIME)
            assert_frame_equal(redcol.read_stream(file, key, last=7, **NO_TIME), last)
            table = pl.DataFrame(redcol.read_arrow(file, key, batch_size=3, **NO_TIME))
            assert_frame_equal(table, expected)


def test_ranges_and_filters(saved: Saved) -> None:
    schema = {"n": pl.Int64}
    frame = redcol.read_stream(saved.url, "plain", schema=schema, start_id="(3000", end_id=7_000)
    assert frame["n"].to_list() == [4, 5, 6, 7]
    frame = redcol.read_stream(saved.url, "plain", schema=schema, start_id=3_000, count=2)
    assert frame["n"].to_list() == [3, 4]
    lazy = redcol.scan_stream(saved.url, "plain", schema=schema)
    found = lazy.filter((pl.col("_ts") >= 8_000) & (pl.col("n") != 9)).collect()
    assert found["n"].to_list() == [8, 10]
    assert lazy.select("n").head(2).collect()["n"].to_list() == [1, 2]
    assert lazy.select(pl.col("n").sum()).collect().item() == 55


def test_many_streams(saved: Saved) -> None:
    read: dict[str, Any] = {"schema": SCHEMA, "include_timestamp": False}
    chosen: list[Any] = ["stream:*", "stream:[1-3]", "*", ["plain", "stream:2", "missing"], "no*"]
    for pattern in chosen:
        expected = redcol.read_streams(saved.server.url, pattern, **read)
        assert_frame_equal(redcol.read_streams(saved.url, pattern, **read), expected)
        limits: dict[str, Any] = {"count_per_stream": 3}
        expected = redcol.read_streams(saved.server.url, pattern, **read, **limits)
        assert_frame_equal(redcol.read_streams(saved.url, pattern, **read, **limits), expected)
    lazy = redcol.scan_streams(saved.url, "stream:*", **read).filter(pl.col("_key") == "stream:2")
    only = redcol.read_streams(saved.server.url, ["stream:2"], **read)
    assert_frame_equal(lazy.collect(), only)


def test_lists(saved: Saved) -> None:
    """All but the memory that a stream takes, and times, which are as of the saving."""
    with redcol.connect(saved.server.url) as server, redcol.connect(saved.url) as file:
        for pattern in ("*", "plain", ["plain", "missing", "empty"]):
            left_out = ["bytes"]
            if not saved.counts_entries:
                left_out.append("entries_added")
            expected = redcol.list_streams(server, pattern).drop(left_out)
            assert_frame_equal(redcol.list_streams(file, pattern).drop(left_out), expected)
            groups = redcol.list_groups(server, pattern, exact=True)
            found = redcol.list_groups(file, pattern, exact=True)
            times = ["oldest_pending_ms", "lag"]
            assert_frame_equal(found.drop(times), groups.drop(times))
            assert found["lag"].to_list() == found["lag_exact"].to_list()
            times = ["idle_ms", "inactive_ms"]
            assert_frame_equal(
                redcol.list_consumers(file, pattern).drop(times),
                redcol.list_consumers(server, pattern).drop(times),
            )
        chosen: dict[str, Any]
        for chosen in (
            {},
            {"consumer": "first"},
            {"start_id": "3000", "end_id": "5000"},
            {"count": 2},
        ):
            expected = redcol.list_pending(server, "plain", "g", **chosen)
            found = redcol.list_pending(file, "plain", "g", **chosen)
            assert_frame_equal(found.drop("idle_ms"), expected.drop("idle_ms"))
            assert found.filter(pl.col("idle_ms") < 0).is_empty()
        with pytest.raises(redcol.NoGroupError, match="no group"):
            redcol.list_pending(file, "plain", "no group")


def test_iterators_that_end(saved: Saved) -> None:
    """What is there can be followed to its end."""
    read: dict[str, Any] = {"schema": {"n": pl.Int64}, "batch_size": 3}
    ends: list[dict[str, Any]] = [{"until": "now"}, {"on_idle": "stop"}]
    for end in ends:
        with redcol.iter_stream(saved.url, "plain", **read, **end) as frames:
            numbers = [frame["n"].to_list() for frame in frames]
        assert numbers == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10]]
        with redcol.iter_stream(saved.url, "plain", start_id="8000", **read, **end) as frames:
            assert [frame["n"].to_list() for frame in frames] == [[9, 10]]
        with redcol.iter_stream(saved.url, "plain", start_last=2, **read, **end) as frames:
            assert [frame["n"].to_list() for frame in frames] == [[9, 10]]
        with redcol.iter_stream(saved.url, "plain", start_id="$", **read, **end) as frames:
            assert sum(frame.height for frame in frames) == 0
        several = [*STREAMS, "plain"]
        with redcol.iter_stream(saved.url, several, **read, **end) as frames:
            rows = pl.concat(frames)
        of_server = redcol.read_streams(saved.server.url, several, schema={"n": pl.Int64})
        assert sorted(rows["_stream"]) == sorted(of_server["_key"])


def test_values_that_do_not_fit(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are told as by a server, and a loop goes on after them."""
    with server.client() as db:
        db.delete("mixed")
        for number in range(1, 7):
            db.xadd("mixed", {"n": "no number" if number == 3 else number}, id=f"{number}-0")
    file = backup(server, tmp_path)
    read: dict[str, Any] = {"schema": {"n": pl.Int64}}
    for source in (server.url, file):
        caplog.clear()
        assert redcol.read_stream(source, "mixed", on_error="skip", **read).height == 5
        assert any("left out 1 entries" in line and "3-0" in line for line in caplog.messages)
        found: list[Any] = []
        with redcol.iter_stream(source, "mixed", until="now", batch_size=2, **read) as frames:
            for _ in range(10):
                try:
                    found.append(next(frames)["n"].to_list())
                except redcol.ValueConversionError as error:
                    found.append(error.entry_id)
                except StopIteration:
                    break
        assert found == [[1, 2], "3-0", [4, 5], [6]]


def test_keys_of_other_types_and_counts(saved: Saved) -> None:
    for source in (saved.server.url, saved.url):
        with pytest.raises(redcol.WrongTypeError, match="small hash"):
            redcol.read_stream(source, "small hash")
    chosen: list[Any] = ["*", "s*", ["plain", "empty", "missing"]]
    for pattern in chosen:
        expected: dict[str, int] = {}
        found: dict[str, int] = {}
        read: dict[str, Any] = {"schema": SCHEMA, "include_timestamp": False}
        redcol.read_streams(saved.server.url, pattern, counts=expected, **read)
        redcol.read_streams(saved.url, pattern, counts=found, **read)
        assert found == expected


def test_other_databases(saved: Saved) -> None:
    assert redcol.list_streams(f"{saved.url}?db=3")["stream"].to_list() == ["elsewhere"]
    assert redcol.read_stream(saved.url, "elsewhere").height == 0


def test_schemas_are_found_out(saved: Saved) -> None:
    assert redcol.infer_schema(saved.url, "plain")["n"] == pl.Int64
    assert redcol.read_stream(saved.url, "plain", schema="infer")["n"].sum() == 55


def test_a_path_in_place_of_a_url(saved: Saved, tmp_path: Path) -> None:
    strange = tmp_path / "a b%20#?&ü.rdb"
    shutil.copy(saved.path, strange)
    assert redcol.read_stream(strange, "plain").height == 10
    with _in(tmp_path):
        assert redcol.read_stream(Path(strange.name), "plain").height == 10
    with redcol.connect(strange) as client:
        assert_frame_equal(redcol.list_streams(client), redcol.list_streams(saved.url))


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    "call",
    [
        lambda url: next(iter(redcol.iter_stream(url, "plain"))),
        lambda url: redcol.read_stream(url, "plain", block_ms=10),
        lambda url: redcol.read_stream(url, "plain", group="g", consumer="c"),
        lambda url: redcol.write_stream(url, pl.DataFrame({"n": [1]}), "plain"),
        lambda url: redcol.ack_entries(url, "plain", "g", ["1000-0"]),
        lambda url: redcol.trim_stream(url, "plain", maxlen=1),
        lambda url: redcol.delete_group(url, "plain", "g"),
        lambda url: redcol.claim(url, "plain", "g", "c", min_idle_ms=0),
        lambda url: redcol.collect_pubsub(url, "channel", count=1),
        lambda url: redcol.publish(url, pl.DataFrame({"n": [1]}), "channel"),
    ],
    ids=[
        "follow",
        "wait",
        "group",
        "write",
        "ack",
        "trim",
        "steer",
        "claim",
        "subscribe",
        "publish",
    ],
)
def test_what_needs_a_server_is_refused(saved: Saved, call: Callable[[str], object]) -> None:
    with pytest.raises(redcol.UnsupportedError, match="backup file"):
        call(saved.url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("rdb:///nowhere/dump.rdb", "No such file"),
        ("rdb:///tmp", "cannot be read"),
        ("rdb://dump.rdb", "absolute path"),
        ("rdb://user:secret@/dump.rdb", "neither user nor password"),
        ("rdb:///dump.rdb?dbs=1", "unknown parameter"),
        ("rdb:///dump.rdb?verify=no", "verify is true or false"),
    ],
)
def test_urls_that_cannot_be(url: str, said: str) -> None:
    with pytest.raises((redcol.InvalidArgumentError, redcol.ConnectionFailedError)) as error:
        redcol.read_stream(url, "events")
    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_times_before_now_have_no_clock(saved: Saved) -> None:
    with pytest.raises(redcol.UnsupportedError, match="no clock"):
        redcol.read_stream(saved.url, "plain", start_id="-1h")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of one stream of two nodes, and a group."""
    with Server(REDIS_7) as server, server.client() as db:
        db.config_set("stream-node-max-entries", 2)
        for number in range(1, 4):
            db.xadd("s", {"n": number, "t": f"text {number}"}, id=f"{number}-0")
        db.xgroup_create("s", "g", "0")
        db.xreadgroup("g", "c", {"s": ">"}, count=2)
        yield backup(server, tmp_path_factory.mktemp("small"))


def test_a_file_that_is_cut_short(small: Path, tmp_path: Path) -> None:
    """Every prefix is an error, and none has rows."""
    whole = small.read_bytes()
    cut = tmp_path / "cut.rdb"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(redcol.ProtocolError, match=r"cut\.rdb.*(at byte|does not begin)"):
            redcol.read_stream(cut, "s")


def test_a_file_that_was_damaged(small: Path, tmp_path: Path) -> None:
    """A changed byte is seen by the checksum, and without it never gives a crash."""
    whole = bytearray(small.read_bytes())
    damaged = tmp_path / "damaged.rdb"
    expected = redcol.read_stream(small, "s")
    for place in range(9, len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        damaged.write_bytes(changed)
        with contextlib.suppress(redcol.RedcolError):
            redcol.read_stream(damaged, "s")
            # The checksum alone may be what is not there: then servers do not look at it.
            assert changed[-8:] == bytes(8)
        url = f"rdb://{damaged}?verify=false"
        with contextlib.suppress(redcol.RedcolError):
            frame = redcol.read_stream(url, "s", on_error="null")
            assert frame.height <= expected.height
        with contextlib.suppress(redcol.RedcolError):
            redcol.list_pending(url, "s", "g")
            redcol.list_groups(url, "*")


def test_what_is_no_backup(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for content in (b"", b"REDIS", b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", b"\x00" * 100):
        other.write_bytes(content)
        with pytest.raises(redcol.ProtocolError, match="other"):
            redcol.read_stream(other, "s")
