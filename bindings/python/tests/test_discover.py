# SPDX-License-Identifier: Apache-2.0
"""What columns become that are found without a schema: strings, bytes, or what their values say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import redis

import redcol
from servers import Server

pytestmark = pytest.mark.usefixtures("no_leaks")

LONG = "longer than the twelve bytes of a view"


@pytest.fixture
def mixed(db: redis.Redis, key: str) -> str:
    """`v` is text in ten rows, then not; `w` always is; `x` is bytes from its first value on."""
    for index in range(10):
        db.xadd(key, {"v": LONG, "w": "é"}, id=f"{index + 1}-0")
    db.xadd(key, {"v": b"\xff\xfe", "w": "w", "x": b"\x80"}, id="11-0")
    db.xadd(key, {"v": "text", "x": "x"}, id="12-0")
    return key


V = [LONG.encode()] * 10 + [b"\xff\xfe", b"text"]
W = ["é"] * 10 + ["w", None]
X = [None] * 10 + [b"\x80", b"x"]


def read_iterated(url: str, key: str, **arguments: Any) -> pl.DataFrame:
    with redcol.iter_stream(url, key, on_idle="stop", block_ms=20, **arguments) as frames:
        return pl.concat(list(frames))


READERS: dict[str, Callable[..., pl.DataFrame]] = {
    "read_stream": redcol.read_stream,
    "read_streams": lambda url, key, **rest: redcol.read_streams(url, [key], **rest).drop("_key"),
    "iter_stream": read_iterated,
    "scan_stream": lambda url, key, **rest: redcol.scan_stream(url, key, **rest).collect(),
    "scan_streams": lambda url, key, **rest: (
        redcol.scan_streams(url, [key], **rest).drop("_key").collect()
    ),
    "read_arrow": lambda url, key, **rest: pl.DataFrame(redcol.read_arrow(url, key, **rest)),
}


@pytest.mark.parametrize("name", READERS)
def test_auto(server: Server, mixed: str, name: str) -> None:
    frame = READERS[name](server.url, mixed, discover="auto")
    kinds = {"_id": pl.String, "_ts": pl.Int64, "v": pl.Binary, "w": pl.String, "x": pl.Binary}
    assert frame.schema == pl.Schema(kinds)
    assert frame["v"].to_list() == V
    assert frame["w"].to_list() == W
    assert frame["x"].to_list() == X


@pytest.mark.parametrize("name", READERS)
def test_binary(server: Server, mixed: str, name: str) -> None:
    frame = READERS[name](server.url, mixed, discover="binary")
    assert frame.schema["w"] == frame.schema["v"] == pl.Binary
    assert frame.schema["_id"] == pl.String
    assert frame["v"].to_list() == V


@pytest.mark.parametrize("name", READERS)
def test_string_says_what_else_there_is(server: Server, mixed: str, name: str) -> None:
    known = (redcol.ValueConversionError, pl.exceptions.ComputeError)
    with pytest.raises(known, match='not UTF-8; discover="auto"'):
        READERS[name](server.url, mixed)


@pytest.mark.parametrize("name", READERS)
def test_other_words_and_a_schema_are_refused(server: Server, mixed: str, name: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="discover"):
        READERS[name](server.url, mixed, discover="bytes")
    with pytest.raises(redcol.InvalidArgumentError, match="discover"):
        READERS[name](server.url, mixed, discover="auto", schema={"v": pl.String})


def test_later_batches_become_bytes(server: Server, mixed: str) -> None:
    with redcol.iter_stream(
        server.url, mixed, batch_size=4, discover="auto", on_idle="empty", block_ms=20
    ) as frames:
        found = [next(frames) for _ in range(3)]
        assert [frame.schema["v"] for frame in found] == [pl.String, pl.String, pl.Binary]
        assert found[2]["v"].to_list() == V[8:]
        # A frame without rows has the columns of the last one.
        assert next(frames).schema == found[2].schema


def test_a_table_of_many_batches(server: Server, mixed: str) -> None:
    for layout, kind in (
        ("view", pa.binary_view()),
        ("large", pa.large_binary()),
        ("string", pa.binary()),
    ):
        table = pa.table(
            redcol.read_arrow(
                server.url, mixed, discover="auto", batch_size=3, string_layout=layout
            )
        )
        table.validate(full=True)
        assert table.schema.field("v").type == kind
        assert table["v"].to_pylist() == V


def test_a_group_of_auto(server: Server, db: redis.Redis, mixed: str) -> None:
    frame = redcol.read_stream(
        server.url, mixed, group="g", consumer="c", auto_ack=True, discover="auto"
    )
    assert frame["v"].to_list() == V
    assert db.xpending(mixed, "g")["pending"] == 0


def test_in_async(server: Server, mixed: str) -> None:
    import asyncio

    async def read() -> list[pl.DataFrame]:
        async with redcol.stream_batches(
            server.url, mixed, discover="auto", on_idle="stop", block_ms=20
        ) as frames:
            return [frame async for frame in frames]

    assert pl.concat(asyncio.run(read()))["v"].to_list() == V


def test_nulls_stay_nulls(server: Server, mixed: str) -> None:
    frame = redcol.read_stream(server.url, mixed, discover="auto", on_error="null")
    assert frame["v"].null_count() == 0
    frame = redcol.read_stream(server.url, mixed, on_error="null")
    assert frame["v"].to_list() == [LONG] * 10 + [None, "text"]
