# SPDX-License-Identifier: Apache-2.0
"""The range reads of the guide: its functions, parameters, defaults and column names."""

from __future__ import annotations

import polars as pl
import pytest

import redcol as redis
from servers import Server

FIRST = 1_704_067_200_000


@pytest.fixture
def url(any_server: Server) -> str:
    with any_server.client() as db:
        db.flushall()
        with db.pipeline(transaction=False) as pipeline:
            for index in range(150):
                action = "click" if index % 2 else "view"
                fields = {"user_id": f"user_{index}", "action": action, "value": index * 10}
                pipeline.xadd("events", fields, id=f"{FIRST + index * 1000}-{index % 3}")
            pipeline.execute()
    return any_server.url


def test_entries_with_a_schema(url: str) -> None:
    schema = {"user_id": pl.Utf8, "action": pl.Utf8, "value": pl.Int64}
    df = redis.read_stream(url, stream="events", schema=schema)
    assert df.shape == (150, 5)
    assert df.schema == pl.Schema({"_id": pl.String, "_ts": pl.Int64} | schema)
    assert df.row(1) == (f"{FIRST + 1000}-1", FIRST + 1000, "user_1", "click", 10)
    assert df["value"].to_list() == list(range(0, 1500, 10))


def test_parts_of_the_entry_id(url: str) -> None:
    df = redis.read_stream(
        url, stream="events", include_id=True, include_timestamp=True, include_sequence=True
    )
    assert df.columns == ["_id", "_ts", "_seq", "user_id", "action", "value"]
    assert df.dtypes[:3] == [pl.String, pl.Int64, pl.UInt64]
    parts = df["_id"].str.split_exact("-", 1).struct.unnest()
    assert parts["field_0"].cast(pl.Int64).to_list() == df["_ts"].to_list()
    assert parts["field_1"].cast(pl.UInt64).to_list() == df["_seq"].to_list()


def test_no_parts_of_the_entry_id(url: str) -> None:
    df = redis.read_stream(url, stream="events", include_id=False, include_timestamp=False)
    assert df.columns == ["user_id", "action", "value"]


def test_other_names_for_the_entry_id(url: str) -> None:
    df = redis.read_stream(
        url,
        stream="events",
        include_sequence=True,
        id_column="entry",
        timestamp_column="milliseconds",
        sequence_column="sequence",
        count=1,
    )
    assert df.columns[:3] == ["entry", "milliseconds", "sequence"]


def test_count(url: str) -> None:
    df = redis.read_stream(url, stream="events", count=100)
    assert df["user_id"].to_list() == [f"user_{index}" for index in range(100)]


def test_ids_are_inclusive(url: str) -> None:
    df = redis.read_stream(
        url, stream="events", start_id="1704067200000-0", end_id="1704067300000-0"
    )
    assert df["_ts"].to_list() == list(range(FIRST, FIRST + 100_000, 1000))
    end = f"{FIRST + 100_000}-{100 % 3}"
    assert redis.read_stream(url, stream="events", end_id=end)["_id"][-1] == end
    assert redis.read_stream(url, stream="events", end_id="(" + end)["_id"][-1] != end


def test_from_the_oldest_to_the_newest(url: str) -> None:
    default = redis.read_stream(url, stream="events")
    assert redis.read_stream(url, stream="events", start_id="-", end_id="+").equals(default)
    assert len(default) == 150


def test_acknowledging_what_was_read(any_server: Server, url: str) -> None:
    df = redis.read_stream(url, stream="events", count=10)
    with any_server.client() as db:
        db.xgroup_create("events", "analytics", "0")
        db.xreadgroup("analytics", "worker-1", {"events": ">"}, count=8)
        assert redis.ack_entries(url, "events", "analytics", df["_id"].to_list()) == 8
        assert db.xpending("events", "analytics")["pending"] == 0
