# SPDX-License-Identifier: Apache-2.0
"""A stream by DUMP: exactly the rows that XRANGE gives, on every server."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import reads
import redis
from polars.testing import assert_frame_equal

import redcol
from clusters import Cluster
from servers import REDIS_7, VALKEY_9, Server

#: Values that a listpack keeps in each of its ways, and texts that only look like numbers.
VALUES: list[bytes | int] = [
    *(0, 127, 128, -1, 4095, 4096, -4096, -4097, 32767, 32768, -32768, -32769),
    *(8388607, 8388608, -8388608, -8388609, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1),
    *(2**63 - 1, -(2**63), 2**63, 10**30),
    *(b"", b"x" * 63, b"y" * 64, b"z" * 4095, b"w" * 4096, b"v" * 20_000, "ü€".encode()),
    *(b"1.5", b"+3", b" 4", b"-0", b"0012", b"1e3"),
]
FIELDS = [["a", "b"], ["a", "b"], ["a", "b"], ["b"], ["a", "7", "c"], ["a", "a"], ["b", "a"]]


def fill(db: redis.Redis, key: str, chance: random.Random) -> list[str]:
    """A stream of a random shape; the ids that were added."""
    db.config_set("stream-node-max-bytes", chance.choice([0, 64, 4096, 100_000]))
    db.config_set("stream-node-max-entries", chance.choice([0, 1, 3, 100]))
    milliseconds, sequence = chance.choice([(1, 1), (1_700_000_000_000, 5), (2**63, 2**63)])
    ids = []
    pipeline = db.pipeline(transaction=False)
    for _ in range(chance.choice([0, 1, 50, 1_000])):
        if chance.random() < 0.5:
            sequence += chance.choice([1, 1, 200, 2**40])
        else:
            milliseconds += chance.choice([1, 1, 100, 2**33])
            sequence = chance.choice([0, sequence + 1, 3])
        ids.append(f"{milliseconds}-{sequence}")
        command: list[Any] = ["XADD", key, ids[-1]]
        for field in chance.choice(FIELDS):
            command += [field, chance.choice(VALUES)]
        pipeline.execute_command(*command)
    pipeline.execute()
    if deleted := [one for one in ids if chance.random() < 0.2]:
        db.xdel(key, *deleted)
    if ids and chance.random() < 0.4:
        db.xtrim(key, maxlen=len(ids) // 2, approximate=chance.random() < 0.5)
    return ids


def both(client: redcol.Client, key: str, chance: random.Random, **options: Any) -> pl.DataFrame:
    """What a read gives, the same by DUMP in batches of any size."""
    size = chance.choice(["1", "7", "65536"])
    schema = options.pop("schema", None)

    def read(**own: str) -> pl.DataFrame:
        found = reads.batches(client._handle, key, options={**options, **own}, schema=schema)
        return pl.concat([pl.DataFrame(batch) for batch in found], how="diagonal")

    expected = read()
    assert_frame_equal(read(transfer="dump", batch_rows=size), expected)
    return expected


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("compression", ["yes", "no"])
def test_rows_are_those_of_xrange(any_server: Server, seed: int, compression: str) -> None:
    chance = random.Random(f"{seed} {compression}")
    key = f"dumped-{seed}-{compression}"
    with any_server.client() as db, redcol.connect(any_server.url) as client:
        db.config_set("rdbcompression", compression)
        ids = fill(db, key, chance)
        if seed % 2:
            # Consumer groups stand after the entries.
            db.xgroup_create(key, "g", "0", mkstream=True)
            db.xreadgroup("g", "c", {key: ">"}, count=5)
        db.config_set("stream-node-max-bytes", 4096)
        db.config_set("stream-node-max-entries", 100)
        include = {"include_timestamp": "false"}  # larger ids than Int64 holds
        both(client, key, chance, **include, include_sequence="true")
        schema = {"a": pl.String, "7": pl.String, "missing": pl.Int64}
        both(client, key, chance, **include, schema=schema)
        for _ in range(3):
            if not ids:
                break
            first, last = sorted(chance.choices(range(len(ids)), k=2))
            bounds = {"start_id": chance.choice(["", "("]) + ids[first], "end_id": ids[last]}
            if chance.random() < 0.5:
                bounds["count"] = chance.choice(["0", "1", "10"])
            both(client, key, chance, **include, **bounds)


@pytest.fixture
def filled(db: redis.Redis, key: str) -> str:
    """Ten entries of numbers."""
    for number in range(1, 11):
        db.xadd(key, {"n": number, "x": number / 2, "t": f"text {number}"}, id=f"{number}-0")
    return key


SCHEMA = {"n": pl.Int64, "x": pl.Float64, "t": pl.String}


def test_frames_and_scans(server: Server, filled: str) -> None:
    expected = redcol.read_stream(server.url, filled, schema=SCHEMA)
    assert expected.height == 10
    frame = redcol.read_stream(server.url, filled, schema=SCHEMA, transfer="dump")
    assert_frame_equal(frame, expected)
    arrow = redcol.read_arrow(server.url, filled, schema=SCHEMA, transfer="dump")
    assert_frame_equal(pl.DataFrame(arrow), expected)
    lazy = redcol.scan_stream(server.url, filled, schema=SCHEMA, transfer="dump")
    assert_frame_equal(lazy.collect(), expected)
    assert_frame_equal(
        lazy.filter(pl.col("_ts") > 7).select("n").collect(), expected.select("n").tail(3)
    )
    found = redcol.scan_stream(server.url, filled, transfer="dump").collect()
    assert_frame_equal(found, redcol.read_stream(server.url, filled))


@pytest.mark.parametrize(
    "dtype",
    [pl.Int8, pl.UInt64, pl.Int64, pl.Float32, pl.Float64, pl.String, pl.Binary, pl.Decimal(9, 2)],
)
@pytest.mark.parametrize("on_error", ["null", "skip"])
def test_numbers_in_columns_of_every_kind(
    server: Server, db: redis.Redis, key: str, dtype: Any, on_error: Any
) -> None:
    for value in VALUES:
        db.xadd(key, {"v": value, "w": 1})
    read = {"schema": {"v": dtype, "w": pl.Int8}, "on_error": on_error}
    expected = redcol.read_stream(server.url, key, **read)
    assert_frame_equal(redcol.read_stream(server.url, key, transfer="dump", **read), expected)


def test_a_value_that_does_not_fit_is_named(server: Server, filled: str) -> None:
    read = {"schema": {"n": pl.Int64, "t": pl.Int64}}
    with pytest.raises(redcol.ValueConversionError) as expected:
        redcol.read_stream(server.url, filled, **read)
    with pytest.raises(redcol.ValueConversionError) as found:
        redcol.read_stream(server.url, filled, transfer="dump", **read)
    assert str(found.value) == str(expected.value)
    assert (found.value.entry_id, found.value.field) == ("1-0", "t")


def test_limits_of_an_entry(server: Server, filled: str) -> None:
    limits: list[dict[str, Any]] = [{"entry_fields_max": 2}, {"entry_bytes_max": 8}]
    for limit in limits:
        with pytest.raises(redcol.EntryTooLargeError, match="1-0"):
            redcol.read_stream(server.url, filled, transfer="dump", **limit)


def test_a_missing_stream_and_another_type(server: Server, db: redis.Redis, key: str) -> None:
    read = {"schema": SCHEMA, "transfer": "dump"}
    assert redcol.read_stream(server.url, key, **read).height == 0
    with pytest.raises(redcol.NoStreamError):
        redcol.read_stream(server.url, key, if_missing="raise", **read)
    db.set(key, "text")
    with pytest.raises(redcol.WrongTypeError):
        redcol.read_stream(server.url, key, **read)


def test_a_long_stream_is_refused_before_it_is_dumped(
    server: Server, db: redis.Redis, filled: str
) -> None:
    before = db.info("commandstats").get("cmdstat_dump", {"calls": 0})["calls"]
    with pytest.raises(redcol.InvalidArgumentError, match="10 entries, more than dump_entries_max"):
        redcol.read_stream(server.url, filled, transfer="dump", dump_entries_max=9)
    assert db.info("commandstats").get("cmdstat_dump", {"calls": 0})["calls"] == before
    frame = redcol.read_stream(server.url, filled, transfer="dump", dump_entries_max=10)
    assert frame.height == 10


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"last": 5}, "last"),
        ({"block_ms": 10}, "transfer"),
        ({"group": "g", "consumer": "c"}, "transfer"),
        ({"transfer": "entries", "dump_entries_max": 5}, "dump_entries_max"),
        ({"transfer": "everything"}, "'entries' or 'dump'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    server: Server, filled: str, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match=named):
        redcol.read_stream(server.url, filled, **{"transfer": "dump", **arguments})


def test_the_right_to_dump_is_named(server: Server, db: redis.Redis, filled: str) -> None:
    db.execute_command("ACL", "SETUSER", "undumped", "on", ">secret", "~*", "+@all", "-dump")
    url = f"unix://undumped:secret@{server.socket_path}"
    with pytest.raises(redcol.PermissionDeniedError, match=r"\+dump|DUMP") as error:
        redcol.read_stream(url, filled, transfer="dump")
    assert "secret" not in str(error.value)


@pytest.fixture(scope="module", params=[REDIS_7, VALKEY_9], ids=["r7", "v9"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(request.param) as started:
        yield started


def test_on_the_node_that_has_the_key(cluster: Cluster) -> None:
    for name in ("a", "b", "c", "d"):
        with cluster.db(name) as db:
            db.xadd(name, {"n": 1})
        frame = redcol.read_stream(cluster.url, name, schema={"n": pl.Int64}, transfer="dump")
        assert frame["n"].to_list() == [1]
