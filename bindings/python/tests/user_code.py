# SPDX-License-Identifier: Apache-2.0
"""A user's program, for type checkers: what they must find is marked, and nothing else is wrong.

`test_types.py` has it checked by mypy and pyright. It is not run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

import redcol

URL = "redis://localhost"
SCHEMA = {"action": pl.String, "value": pl.Int64}


def reads() -> Iterator[pl.DataFrame]:
    yield redcol.read_stream(URL, "events")
    yield redcol.read_stream(URL, b"events", schema=SCHEMA, start_id=datetime(2024, 1, 1), count=5)
    yield redcol.read_stream(URL, "events", schema={"value": int}, end_id=date(2024, 2, 1))
    yield redcol.read_stream(
        URL, "events", group="g", consumer="c", auto_ack=True, on_error="dead_letter", block_ms=0
    )
    yield redcol.read_streams(URL, "ev*", include_key=False, counts={}, count_per_stream=3)
    yield redcol.read_streams(URL, ["a", b"b"], key_column_name="key", discover="auto")
    yield redcol.read_stream(URL, "events", progress=lambda rows, size, total: print(rows))
    yield redcol.read_streams(URL, "ev*", progress=True)
    yield redcol.read_stream(URL, "events", progress=5)  # wrong
    yield redcol.read_stream(URL, "events", progress=lambda rows: None)  # wrong
    yield redcol.read_stream(URL, "events", last=5, start_id="-1h", end_id=timedelta(hours=-1))
    yield redcol.read_stream(URL, "events", schema="infer", schema_overrides={"value": pl.Int8})
    yield redcol.read_stream(URL, "events", timestamp_dtype=pl.Datetime("ms", "UTC"))
    yield redcol.read_stream(URL, "events", schema=redcol.infer_schema(URL, "events", sample=10))
    yield redcol.read_stream(
        URL, "events", schema=SCHEMA, if_missing="raise", missing_field="raise"
    )
    yield redcol.read_streams(URL, ["a", "b"], if_missing="raise")
    yield redcol.read_stream(URL, "events", if_missing="null")  # wrong
    yield redcol.read_stream(URL, "events", missing_field="skip")  # wrong
    yield redcol.read_stream(URL, "events", schema="guess")  # wrong
    yield redcol.read_stream(URL, "events", last="5")  # wrong
    yield redcol.read_stream(URL, "events", shcema=SCHEMA)  # wrong
    yield redcol.read_stream(URL, "events", count="5")  # wrong
    yield redcol.read_stream(URL, "events", on_error="ignore")  # wrong
    yield redcol.read_stream(URL, ["a", "b"])  # wrong
    yield redcol.read_stream(URL, "events", SCHEMA)  # wrong
    yield redcol.read_stream(5, "events")  # wrong
    yield redcol.read_streams(URL, "ev*", on_error="dead_letter")  # wrong
    yield redcol.read_streams(URL, 5)  # wrong


def scans() -> Iterator[pl.LazyFrame]:
    yield redcol.scan_stream(URL, "events", schema=SCHEMA, start_id=1_704_067_200_000)
    yield redcol.scan_stream(URL, "events", group=None, block_ms=None, create_group=True)
    yield redcol.scan_streams(URL, "ev*", schema=SCHEMA, include_row_index=True)
    yield redcol.scan_stream(URL, "events", shcema=SCHEMA)  # wrong
    yield redcol.scan_stream(URL, "events", group="g")  # wrong
    yield redcol.scan_stream(URL, "events", block_ms=5)  # wrong
    yield redcol.scan_stream(URL, "events", discover="bytes")  # wrong
    yield redcol.scan_streams(URL, "ev*", key_colum="key")  # wrong


def follows(client: redcol.Client) -> Iterator[pl.DataFrame]:
    member = redcol.iter_stream(
        client, ["a", "b"], group="g", consumer="c", claim_idle_ms=None, on_idle="stop"
    )
    with member as batches:
        for batch in batches:
            acknowledged: int = batches.ack(batch)
            print(acknowledged, batches.stats.delivered, batches.last_error)
            yield batch
    redcol.iter_stream(URL, "events", start_last=5, until="now").close()
    redcol.iter_stream(URL, "events", until="later")  # wrong
    redcol.iter_stream(URL, "events", batch_timeout_ms=5)  # wrong
    redcol.iter_stream(URL, "events", on_idle="end")  # wrong
    redcol.iter_stream(URL, "events", block_ms=timedelta(seconds=1))  # wrong
    batches.ack(5)  # wrong
    print(batches.statistics)  # wrong


def listens(client: redcol.Client) -> Iterator[pl.DataFrame]:
    with redcol.iter_pubsub(client, ["a", b"b"], patterns=["c*"], schema=SCHEMA) as messages:
        for batch in messages:
            print(messages.stats.gaps, messages.stats.gap_ms)
            yield batch
    frame = redcol.collect_pubsub(URL, "a", count=5, window_seconds=1.5, message_format="json")
    yield frame
    redcol.collect_pubsub(URL, "a", message_format="text")  # wrong
    redcol.iter_pubsub(URL, "a", on_error="dead_letter")  # wrong
    receivers: int = redcol.publish(client, frame, "a", message_format="raw", sharded=True)
    print(receivers, redcol.publish(URL, frame, channel_column="c", progress=True))
    redcol.publish(URL, frame, "a", message_format="csv")  # wrong
    redcol.publish(URL, "text", "a")  # wrong
    messages.ack()  # wrong


async def listens_without_blocking() -> AsyncIterator[pl.DataFrame]:
    async with redcol.iter_pubsub_async(URL, "a", sharded=True) as messages:
        async for batch in messages:
            yield batch
    next(messages)  # wrong


async def follows_without_blocking() -> AsyncIterator[pl.DataFrame]:
    async with redcol.stream_batches(URL, "events", batch_timeout_ms=250) as batches:
        async for batch in batches:
            acknowledged: int = await batches.ack(batch["_id"])
            print(acknowledged)
            yield batch
    redcol.stream_batches(URL, "events", block_ms=None, schema=SCHEMA).close()
    redcol.stream_batches(URL, "events", shcema=SCHEMA)  # wrong
    redcol.stream_batches(URL, "events", batch_size=None)  # wrong
    redcol.stream_batches(URL)  # wrong
    next(batches)  # wrong


def writes(frame: pl.DataFrame) -> None:
    ids: pl.Series = redcol.write_stream(URL, frame, "events", maxlen=1_000, metadata="omit")
    keys: int = redcol.write_hashes(URL, frame, key_column="k", ttl=timedelta(hours=1))
    acknowledged: int = redcol.ack_entries(URL, "events", "g", ids)
    print(keys, acknowledged)
    redcol.write_stream(URL, frame, "events", max_len=5)  # wrong
    redcol.write_stream(URL, [1, 2], "events")  # wrong
    redcol.write_hashes(URL, frame, if_exists="keep")  # wrong
    redcol.ack_entries(URL, "events", "g", 5)  # wrong
    redcol.ack_entries(URL, "events", ids)  # wrong


def steers(client: redcol.Client, frame: pl.DataFrame) -> None:
    made: bool = redcol.create_group(URL, "events", "g", start_id="$", create_stream=True)
    gone: bool = redcol.delete_group(client, b"events", b"g")
    position: str = redcol.seek_group(client, "events", "g", datetime(2024, 1, 1))
    pending: int = redcol.delete_consumer(URL, "events", "g", "c", force=True)
    released: int = redcol.release(URL, "events", "g", "c", frame)
    trimmed: int = redcol.trim_stream(URL, "events", min_id=date(2024, 1, 1), approximate=False)
    deleted: int = redcol.delete_entries(URL, "events", ["1-1"])
    print(made, gone, position, pending, released, trimmed, deleted)
    claimed: pl.DataFrame = redcol.claim(URL, "events", "g", "c", ["1-1"], schema=SCHEMA)
    print(claimed, redcol.claim(client, "events", "g", "c", min_idle_ms=60_000, count=5))
    redcol.claim(URL, "events", "g", "c", idle_ms=5)  # wrong
    redcol.claim(URL, "events", "g", "c", ["1-1"], on_error="dead_letter")  # wrong
    redcol.create_group(URL, "events", "g", "$")  # wrong
    redcol.seek_group(URL, "events", "g")  # wrong
    redcol.seek_group(URL, "events", "g", 1.5)  # wrong
    redcol.delete_consumer(URL, "events", "g", "c", True)  # wrong
    redcol.release(URL, "events", "g", ["1-1"])  # wrong
    redcol.trim_stream(URL, "events", max_len=5)  # wrong
    redcol.delete_entries(URL, "events", 5)  # wrong


def lists(client: redcol.Client) -> Iterator[pl.DataFrame]:
    yield redcol.list_streams(URL)
    yield redcol.list_streams(client, ["a", b"b"], timeout_ms=1_000)
    yield redcol.list_groups(URL, "ev*", exact=True)
    yield redcol.list_consumers(client, "events", b"sums")
    yield redcol.list_pending(URL, "events", "sums", consumer="w", start_id=datetime(2024, 1, 1))
    yield redcol.list_streams(URL, 5)  # wrong
    yield redcol.list_groups(URL)  # wrong
    yield redcol.list_groups(URL, "ev*", exact="yes")  # wrong
    yield redcol.list_consumers(URL, "events", 5)  # wrong
    yield redcol.list_pending(URL, "events")  # wrong
    yield redcol.list_pending(URL, ["a"], "sums")  # wrong
    yield redcol.list_pending(URL, "events", "sums", min_idle_ms=timedelta(1))  # wrong


def in_parts(client: redcol.Client) -> Iterator[pl.DataFrame]:
    parts: list[redcol.Partition] = redcol.partitions(URL, "events", rows=1_000, start_id=5)
    yield parts[0].read(URL, schema={"value": pl.Int64})
    yield pl.DataFrame(redcol.partitions(client, ["a", b"b"])[0].read_arrow(client))
    redcol.partitions(URL)  # wrong
    redcol.partitions(URL, "events", rows="many")  # wrong
    parts[0].read(URL, start_id=5)  # wrong


def exports() -> None:
    done: redcol.Exported = redcol.export_stream(
        URL, "events", Path("archive"), follow=True, every=timedelta(minutes=5), partition_by="day"
    )
    print(done.rows + done.files, done.last_id)
    redcol.export_stream(URL, "events", "a.csv", progress=lambda rows, size, total: print(rows))
    redcol.export_stream(URL, "events", "a", partition_by="week")  # wrong
    redcol.export_stream(URL, "events", "a", format="xml")  # wrong
    redcol.export_stream(URL, "events", "a", include_timestamp=False)
    redcol.export_stream(URL, "events", "a", include_timestamp="no")  # wrong
    redcol.export_stream(URL, ["events"], "a")  # wrong
    redcol.export_stream(URL, "events", "a", every=1.5)  # wrong
    redcol.export_stream(URL, "events", "a", progress=lambda rows: None)  # wrong


def others() -> None:
    with redcol.connect(URL, timeout_ms=1_000) as client:
        table = redcol.read_arrow(client, "events", schema={"value": int}, string_layout="large")
        print(len(table), pl.DataFrame(table))
    try:
        redcol.connect(URL, credentials=lambda: (None, "token"), keepalive_ms=0)
        redcol.connect(URL, password_file=Path("password"), client_name="loader")
        redcol.connect(URL, credentials=("user", "token"))  # wrong
        redcol.connect(URL, credentials=lambda: "token")  # wrong
        redcol.connect(URL, password_file=5)  # wrong
        redcol.connect(URL, timeout=5)  # wrong
        redcol.connect(URL, timeout_ms=5.0)  # wrong
        redcol.read_arrow(URL, "events", string_layout="small")  # wrong
    except redcol.ValueConversionError as error:
        print(error.field, error.entry_id)
        print(error.column)  # wrong
