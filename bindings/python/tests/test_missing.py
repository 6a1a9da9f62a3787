# SPDX-License-Identifier: Apache-2.0
"""Streams that are missing, and fields that are: like empty ones, or errors that were asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import redis

import redcol
from clusters import Cluster
from grouping import GROUP
from servers import SERVERS, Server

SCHEMA = {"n": pl.Int64, "text": pl.String}
NOWHERE = "unix:///nowhere/at/all"

# -- Streams


def following(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    with redcol.iter_stream(url, stream, on_idle="stop", block_ms=1, **more) as batches:
        return pl.concat(list(batches) or [pl.DataFrame()])


def in_an_event_loop(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    async def read() -> pl.DataFrame:
        async with redcol.stream_batches(
            url, stream, on_idle="stop", block_ms=1, **more
        ) as batches:
            return pl.concat([frame async for frame in batches] or [pl.DataFrame()])

    return asyncio.run(read())


def in_a_group(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    return following(url, stream, **GROUP, **more)


def newest(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    return redcol.read_stream(url, stream, last=5, **more)


def waiting(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    return redcol.read_stream(url, stream, block_ms=1, **more)


def as_arrow(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    return pl.DataFrame(redcol.read_arrow(url, stream, **more))


def scanned(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    return redcol.scan_stream(url, stream, schema=SCHEMA, **more).collect()


def named(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    return redcol.read_streams(url, stream if isinstance(stream, list) else [stream], **more)


def named_lazily(url: str, stream: Any, **more: Any) -> pl.DataFrame:
    streams = stream if isinstance(stream, list) else [stream]
    return redcol.scan_streams(url, streams, schema=SCHEMA, **more).collect()


ONE: dict[str, Callable[..., pl.DataFrame]] = {
    function.__name__: function
    for function in (
        redcol.read_stream,
        newest,
        waiting,
        as_arrow,
        following,
        in_an_event_loop,
        in_a_group,
        scanned,
        named,
        named_lazily,
    )
}
#: Errors of a query have another class before Polars 2.
ERRORS = (redcol.NoStreamError, pl.exceptions.ComputeError)


@pytest.mark.parametrize("name", ONE)
def test_a_missing_stream(url: str, any_db: redis.Redis, key: str, name: str) -> None:
    read = ONE[name]
    with pytest.raises(ERRORS, match="there is no such stream") as caught:
        read(url, key, if_missing="raise")
    assert key in str(caught.value)
    if isinstance(caught.value, redcol.NoStreamError):
        assert caught.value.stream == key
        assert isinstance(caught.value, LookupError)
    assert not any_db.exists(key)
    assert read(url, key, if_missing="empty").is_empty()
    any_db.delete(key)
    # A stream without entries is there.
    any_db.xadd(key, {"n": 1})
    any_db.xtrim(key, 0)
    assert read(url, key, if_missing="raise").is_empty()
    any_db.xadd(key, {"n": 1})
    assert read(url, key, if_missing="raise")["n"].cast(pl.Int64).to_list() == [1]


@pytest.mark.parametrize("name", ["following", "in_a_group", "named", "named_lazily"])
def test_one_of_several_streams_is_missing(
    url: str, any_db: redis.Redis, key: str, name: str
) -> None:
    keys = [f"{key}-{number}" for number in range(5)]
    for number in (0, 1, 2, 4):
        any_db.xadd(keys[number], {"n": number})
    with pytest.raises(ERRORS, match=f'stream "{keys[3]}": there is no such stream'):
        ONE[name](url, keys, if_missing="raise")
    assert not any_db.exists(keys[3])
    frame = ONE[name](url, keys)
    assert frame["n"].cast(pl.Int64).to_list() == [0, 1, 2, 4]


def test_a_missing_stream_among_large_ones(url: str, any_db: redis.Redis, key: str) -> None:
    """Where a stream is read on, what was asked after it is asked again."""
    keys = [f"{key}-{number}" for number in range(4)]
    with any_db.pipeline(transaction=False) as pipe:
        for name in (keys[0], keys[2]):
            for number in range(3_000):
                pipe.xadd(name, {"n": number})
        pipe.execute()
    for missing in (keys[1], keys[3]):
        streams = [name for name in keys if name in (keys[0], keys[2], missing)]
        with pytest.raises(redcol.NoStreamError, match=missing):
            redcol.read_streams(url, streams, if_missing="raise", schema=SCHEMA)
    frame = redcol.read_streams(url, [keys[0], keys[2]], if_missing="raise", schema=SCHEMA)
    assert frame["n"].to_list() == [*range(3_000)] * 2


@pytest.mark.parametrize("count", [{"count": 0}, {"count_per_stream": 0}, {"start_id": "+"}])
def test_where_no_entry_is_wanted(
    url: str, any_db: redis.Redis, key: str, count: dict[str, Any]
) -> None:
    """Whether the streams are there is asked all the same."""
    any_db.xadd(f"{key}:1", {"n": 1})
    there, missing = f"{key}:1", f"{key}:2"
    read = {"schema": SCHEMA, "if_missing": "raise", **count}
    for streams in ([missing], [there, missing]):
        with pytest.raises(redcol.NoStreamError, match=missing):
            redcol.read_streams(url, streams, **read)
    with pytest.raises(redcol.NoStreamError, match="no stream matches"):
        redcol.read_streams(url, f"{missing}*", **read)
    assert redcol.read_streams(url, [there], **read).is_empty()
    assert redcol.read_streams(url, f"{there}*", **read).is_empty()
    if "count_per_stream" not in count:
        with pytest.raises(redcol.NoStreamError, match=missing):
            redcol.read_stream(url, missing, **read)


def test_queries_that_want_no_entry(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.xadd(f"{key}:1", {"n": 1})
    there, missing = f"{key}:1", f"{key}:2"
    for lazy in (
        redcol.scan_stream(url, missing, schema=SCHEMA, if_missing="raise"),
        redcol.scan_streams(url, [there, missing], schema=SCHEMA, if_missing="raise"),
    ):
        for query in (
            lazy.filter(pl.col("_ts") < 0),
            lazy.filter(pl.col("_id") == "5-0"),
            lazy.select(pl.len()),
        ):
            with pytest.raises(ERRORS, match="there is no such stream"):
                query.collect()
        # Polars does not ask for rows then.
        assert lazy.head(0).collect().is_empty()
    both = redcol.scan_streams(url, [there, missing], schema=SCHEMA, if_missing="raise")
    # A filter chooses the streams that are read.
    assert both.filter(pl.col("_key") == there).collect()["n"].to_list() == [1]
    with pytest.raises(ERRORS, match=missing):
        both.filter(pl.col("_key") == missing).collect()
    assert both.filter(pl.col("_key") == "another").collect().is_empty()


@pytest.mark.parametrize("name", ["read_stream", "scan_stream", "iter_stream", "read_arrow"])
def test_a_missing_stream_of_which_the_schema_is_inferred(
    url: str, any_db: redis.Redis, key: str, name: str
) -> None:
    with pytest.raises(redcol.NoStreamError, match="there is no such stream") as caught:
        getattr(redcol, name)(url, key, schema="infer", if_missing="raise")
    assert caught.value.stream == key


def test_no_stream_matches(url: str, any_db: redis.Redis, key: str) -> None:
    for read in (redcol.read_streams, redcol.scan_streams):
        with pytest.raises(ERRORS, match=f'no stream matches "{key}:\\*"'):
            read(url, f"{key}:*", schema=SCHEMA, if_missing="raise").lazy().collect()
    any_db.xadd(f"{key}:1", {"n": 1})
    assert len(redcol.read_streams(url, f"{key}:*", if_missing="raise")) == 1
    lazy = redcol.scan_streams(url, f"{key}:*", schema=SCHEMA, if_missing="raise")
    assert len(lazy.collect()) == 1
    # A filter that names another stream has no row, and is no error.
    assert lazy.filter(pl.col("_key") == f"{key}:2").collect().is_empty()


def test_a_key_that_holds_something_else(url: str, any_db: redis.Redis, key: str) -> None:
    any_db.set(key, "x")
    with pytest.raises(redcol.WrongTypeError):
        redcol.read_stream(url, key, if_missing="raise")
    counts: dict[str, int] = {}
    assert redcol.read_streams(url, [key], if_missing="raise", counts=counts).is_empty()
    assert counts["wrong_types"] == 1


def test_missing_streams_in_a_cluster() -> None:
    with Cluster(SERVERS["r7"]) as cluster:
        keys = [cluster.key_at(node) for node in cluster.primaries]
        for missing in keys:
            for key in keys:
                with cluster.db(key) as db:
                    db.delete(key)
                    if key != missing:
                        db.xadd(key, {"n": 1})
            for name in ("following", "in_a_group", "named"):
                with pytest.raises(redcol.NoStreamError, match=missing):
                    ONE[name](cluster.url, keys, if_missing="raise")
            with pytest.raises(redcol.NoStreamError, match=missing):
                redcol.read_stream(cluster.url, missing, if_missing="raise")
            assert len(redcol.read_streams(cluster.url, keys)) == len(keys) - 1


def test_a_user_without_the_right_to_ask(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(f"{key}?", {"n": 1})
    rules = ["+xrange", "+hello", "+select", "-exists", f"~{key}?"]
    db.acl_setuser("reader", enabled=True, nopass=True, commands=[], keys=[], reset=True)
    db.execute_command("ACL", "SETUSER", "reader", *rules)
    url = server.url.replace("unix://", "unix://reader:x@")
    try:
        # For the log alone, no right is needed.
        assert len(redcol.read_stream(url, f"{key}?")) == 1
        with pytest.raises(redcol.PermissionDeniedError, match="EXISTS, for if_missing"):
            redcol.read_stream(url, f"{key}?", if_missing="raise")
    finally:
        db.acl_deluser("reader")


@pytest.mark.parametrize("function", [redcol.read_stream, redcol.read_streams, redcol.iter_stream])
def test_what_if_missing_cannot_be(function: Callable[..., Any]) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="if_missing"):
        function(NOWHERE, "s", if_missing="null")
    with pytest.raises(redcol.InvalidArgumentError, match="missing_field"):
        function(NOWHERE, "s", missing_field="skip", schema=SCHEMA)


@pytest.mark.parametrize("name", ONE)
def test_a_name_that_looks_like_a_pattern(
    url: str, any_db: redis.Redis, key: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    for number, pattern in enumerate((f"{key}{name}*", f"{key}{name}?", f"{key}{name}[ab]")):
        with caplog.at_level(logging.WARNING, "redcol"):
            assert ONE[name](url, pattern).is_empty()
        lines = [record for record in caplog.records if getattr(record, "topic", "") == "stream"]
        assert len(lines) == number + 1
        assert f'there is no stream "{pattern}"' in lines[-1].getMessage()
        assert "patterns are for reads of many streams" in lines[-1].getMessage()
    any_db.xadd(f"{key}{name}!*", {"n": 1})
    assert len(ONE[name](url, f"{key}{name}!*")) == 1
    assert ONE[name](url, f"{key}{name}none").is_empty()
    lines = [record for record in caplog.records if getattr(record, "topic", "") == "stream"]
    assert len(lines) == 3


# -- Fields


@pytest.fixture
def uneven(any_db: redis.Redis, key: str) -> str:
    """Entries of which the second lacks a field, and the third has an empty value."""
    any_db.xadd(key, {"n": 1, "text": "a"}, id="1-0")
    any_db.xadd(key, {"n": 2}, id="2-0")
    any_db.xadd(key, {"text": "", "n": 3}, id="3-0")
    any_db.xadd(key, {"text": "d", "n": 4, "other": 1}, id="4-0")
    return key


READS = {name: read for name, read in ONE.items() if name not in ("scanned", "named_lazily")}


def schema_of(read: Callable[..., pl.DataFrame]) -> dict[str, Any]:
    return {"n": int, "text": str} if read is as_arrow else SCHEMA


@pytest.mark.parametrize("name", READS)
def test_a_missing_field(url: str, uneven: str, name: str) -> None:
    read, schema = READS[name], schema_of(READS[name])
    frame = read(url, uneven, schema=schema)
    assert frame["text"].to_list() == ["a", None, "", "d"]


@pytest.mark.parametrize("on_error", ["raise", "null"])
@pytest.mark.parametrize("name", READS)
def test_a_missing_field_that_is_an_error(url: str, uneven: str, name: str, on_error: str) -> None:
    read, schema = READS[name], schema_of(READS[name])
    with pytest.raises(redcol.ValueConversionError, match="has no such field") as caught:
        read(url, uneven, schema=schema, missing_field="raise", on_error=on_error)
    error = caught.value
    assert (error.entry_id, error.field, error.value, error.stream) == ("2-0", "text", None, uneven)
    assert error.dtype == "String"
    assert 'missing_field="null"' in str(error)
    only = read(url, uneven, schema={"n": schema["n"]}, missing_field="raise")
    assert only["n"].to_list() == [1, 2, 3, 4]


@pytest.mark.parametrize("name", READS)
def test_entries_without_a_field_are_left_out(
    url: str, uneven: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    read, schema = READS[name], schema_of(READS[name])
    with caplog.at_level(logging.WARNING, "redcol"):
        frame = read(url, uneven, schema=schema, missing_field="raise", on_error="skip")
    assert frame["n"].to_list() == [1, 3, 4]
    assert 'entry 2-0 of stream "' in caplog.text
    assert 'it has no field "text"' in caplog.text


def test_scans_look_at_the_columns_that_a_query_needs(url: str, uneven: str) -> None:
    for lazy in (
        redcol.scan_stream(url, uneven, schema=SCHEMA, missing_field="raise"),
        redcol.scan_streams(url, [uneven], schema=SCHEMA, missing_field="raise"),
    ):
        assert lazy.select("n").collect()["n"].to_list() == [1, 2, 3, 4]
        assert lazy.select("_id").collect().height == 4
        with pytest.raises((redcol.ValueConversionError, pl.exceptions.ComputeError), match="2-0"):
            lazy.collect()
        assert lazy.filter(pl.col("_id") == "3-0").collect()["text"].to_list() == [""]


def test_an_iterator_goes_on_after_an_entry_without_a_field(url: str, uneven: str) -> None:
    got, missing = [], []
    with redcol.iter_stream(
        url, uneven, until="now", schema=SCHEMA, missing_field="raise", batch_size=1
    ) as batches:
        while True:
            try:
                got += next(batches)["n"].to_list()
            except redcol.ValueConversionError as error:
                missing.append(error.entry_id)
            except StopIteration:
                break
    assert (got, missing) == ([1, 3, 4], ["2-0"])


def test_an_entry_without_a_field_is_a_dead_letter(
    url: str, any_db: redis.Redis, uneven: str
) -> None:
    letters = {"on_error": "dead_letter", "dead_letter": f"{uneven}-dead"}
    frame = in_a_group(url, uneven, schema=SCHEMA, missing_field="raise", auto_ack=True, **letters)
    assert frame["n"].to_list() == [1, 3, 4]
    [(_, dead)] = any_db.xrange(f"{uneven}-dead")
    assert (dead[b"dead_id"], dead[b"dead_field"]) == (b"2-0", b"text")
    assert dead[b"dead_reason"] == b"the entry has no such field"
    assert any_db.xpending(uneven, "g")["pending"] == 0


def test_claimed_entries_without_a_field(url: str, any_db: redis.Redis, uneven: str) -> None:
    any_db.xgroup_create(uneven, "g", "0")
    any_db.xreadgroup("g", "other", {uneven: ">"})
    with pytest.raises(redcol.ValueConversionError, match="2-0"):
        redcol.claim(url, uneven, "g", "c", min_idle_ms=0, schema=SCHEMA, missing_field="raise")


def test_a_missing_field_of_json_and_of_another_name(
    url: str, any_db: redis.Redis, key: str
) -> None:
    """What is missing inside of a value is no missing field; a field may have another column."""
    any_db.xadd(key, {"json": '{"a": 1}', "_id": "own"})
    schema = {"json": pl.Struct({"a": pl.Int64, "b": pl.Int64}), "_id_field": pl.String}
    frame = redcol.read_stream(url, key, schema=schema, missing_field="raise")
    assert frame["json"].to_list() == [{"a": 1, "b": None}]
    assert frame["_id_field"].to_list() == ["own"]
    any_db.xadd(key, {"_id": "own"})
    with pytest.raises(redcol.ValueConversionError, match='field "json": the entry has no such'):
        redcol.read_stream(url, key, schema=schema, missing_field="raise")


@pytest.mark.parametrize(
    "function", [redcol.read_stream, redcol.read_streams, redcol.scan_stream, redcol.iter_stream]
)
def test_missing_fields_need_a_schema(function: Callable[..., Any]) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="missing_field is about the columns of"):
        function(NOWHERE, "s", missing_field="raise")


def test_missing_fields_of_a_schema_that_is_inferred(url: str, uneven: str) -> None:
    read = {"schema": "infer", "missing_field": "raise"}
    with pytest.raises(redcol.ValueConversionError, match='entry 1-0, field "other"'):
        redcol.read_stream(url, uneven, **read)
    with pytest.raises(redcol.ValueConversionError, match='entry 1-0, field "other"'):
        pa.table(redcol.read_arrow(url, uneven, **read))
    frame = redcol.read_stream(url, uneven, start_id="4", **read)
    assert frame["other"].to_list() == [1]
