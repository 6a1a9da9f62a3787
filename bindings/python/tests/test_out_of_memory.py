# SPDX-License-Identifier: Apache-2.0
"""Whatever request for memory is refused: an error says so, and then nothing is missing.

Run as a program, it makes one of the reads below again and again, each time with another request of
the library's refused, and as many after it as are to be: READ URL STREAM REFUSALS MALLOC
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
import redis

import redcol
from grouping import GROUP
from leaks import live_objects_at_most
from redcol import _native
from redcol._capsule import Batch
from servers import Server

ROWS = 30
LONG = "a text that is longer than a view has room for: "
SCHEMA = {
    "n": pl.Int64,
    "word": pl.Categorical(),
    "long": pl.String,
    "half": pl.String,
    "flag": pl.Boolean,
}
FOLLOW = {"batch_size": 7, "count": ROWS, "on_idle": "stop"}


def fields(number: int) -> dict[str, str]:
    half = {"half": f"{LONG}{number}"} if number % 4 > 1 else {}
    flag = "true" if number % 3 else "false"
    # The first batch has 2 MiB of text: memory of that size is asked for in another way.
    long = LONG * (7_000 if number < FOLLOW["batch_size"] else 9)
    others = {f"one of many other fields: {other}": "" for other in range(20)}
    return {
        "n": str(number),
        "word": f"w{number % 5}",
        "long": long,
        "flag": flag,
        "json": json.dumps(nested_value(number)),
        **half,
        **others,
    }


def nested_value(number: int) -> dict[str, object]:
    return {"l": [LONG, None] * (number % 5), "n": number}


def expected(schema: dict[str, pl.DataType] | None) -> list[tuple[object, ...]]:
    rows = [fields(number) for number in range(ROWS)]
    if schema is None:
        return [tuple(row.get(name) for name in SCHEMA) for row in rows]
    return [
        (int(row["n"]), row["word"], row["long"], row.get("half"), row["flag"] == "true")
        for row in rows
    ]


def rows_of(batches: redcol.StreamIterator, refused: Callable[[], None]) -> Iterator[pl.DataFrame]:
    """An error ends nothing: the same iterator goes on."""
    while True:
        try:
            yield next(batches)
        except redcol.OutOfMemoryError:
            refused()
        except StopIteration:
            return


def followed(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    with redcol.iter_stream(url, stream, schema=SCHEMA, **FOLLOW) as batches:
        return pl.concat(rows_of(batches, refused))


def followed_discovering(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    with redcol.iter_stream(url, stream, **FOLLOW) as batches:
        return pl.concat(rows_of(batches, refused), how="diagonal")


def followed_with_refused_values(
    url: str, stream: str, refused: Callable[[], None]
) -> pl.DataFrame:
    """Of each entry that does not fit, one error tells."""
    good = [number for number in range(ROWS) if "half" not in fields(number)]
    rows: list[int] = []
    bad: list[str | None] = []
    options = {**FOLLOW, "count": len(good), "schema": {"n": int, "half": int}}
    with redcol.iter_stream(url, stream, **options) as batches:
        while len(rows) < len(good):
            try:
                rows.extend(next(batches)["n"])
            except redcol.OutOfMemoryError:
                refused()
            except redcol.ValueConversionError as error:
                bad.append(error.entry_id)
    assert rows == good
    assert len(bad) == len(set(bad)) == ROWS - len(good)
    return read(url, stream, refused)


def consumed(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    """What could not be acknowledged at the end comes again to the next iterator, and only that."""
    frames: list[pl.DataFrame] = []
    with redis.Redis(unix_socket_path=url.removeprefix("unix://")) as db:
        while True:
            try:
                with redcol.iter_stream(
                    url, stream, schema=SCHEMA, **GROUP, **FOLLOW, auto_ack=True
                ) as batches:
                    frames.extend(rows_of(batches, refused))
                break
            except redcol.OutOfMemoryError:
                refused()
                assert sum(map(len, frames)) in (0, ROWS)
        assert db.xpending(stream, "g")["pending"] == 0
        db.xgroup_destroy(stream, "g")
    return pl.concat(frames).unique("n", keep="first", maintain_order=True)


def read(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    return redcol.read_stream(url, stream, schema=SCHEMA)


def nested(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    dtype = pl.Struct({"l": pl.List(pl.String), "n": pl.Int64})
    frame = redcol.read_stream(url, stream, schema={**SCHEMA, "json": dtype})
    assert frame["json"].to_list() == [nested_value(number) for number in range(ROWS)]
    return frame


def in_other_layouts(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    inner = pa.struct({"l": pa.list_(pa.string()), "n": pa.int64()})
    words = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema(
        {"json": inner, "long": pa.string(), "half": pa.large_string(), "word": words}
    )
    with redcol.client.using(redcol.client.Server(url)) as handle:
        options = {"batch_rows": "7"}
        capsule = schema.__arrow_c_schema__()
        iterator = _native.read_streams(handle, [stream.encode()], capsule, options)
        try:
            batches = []
            while True:
                slot = _native.Slot()
                if _native.iter_next(iterator, -1, slot) == _native.END:
                    break
                batches.append(pa.record_batch(Batch(slot)))
        finally:
            iterator.free()
    table = pa.Table.from_batches(batches)
    assert table["json"].to_pylist() == [nested_value(number) for number in range(ROWS)]
    assert table["word"].to_pylist() == [fields(number)["word"] for number in range(ROWS)]
    assert table["half"].to_pylist() == [fields(number).get("half") for number in range(ROWS)]
    assert table["long"].to_pylist() == [fields(number)["long"] for number in range(ROWS)]
    return read(url, stream, refused)


def discovered(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    return redcol.read_stream(url, stream)


def one_of_many(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    return redcol.read_streams(url, [stream], schema=SCHEMA)


def written(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    """An error says which rows are written: writing goes on behind them."""
    frame = pl.DataFrame(expected(SCHEMA), schema=SCHEMA, orient="row")
    copy = f"{stream}:copy"
    rows = 0
    with redis.Redis(unix_socket_path=url.removeprefix("unix://")) as db:
        while rows < ROWS:
            try:
                ids = redcol.write_stream(url, frame[rows:], copy)
                assert ids.to_list() == ids_in(db, copy)[rows:]
                break
            except redcol.OutOfMemoryError as error:
                refused()
                told = error
            there = ids_in(db, copy)
            assert not told.unknown_rows
            if told.ids is not None:
                assert told.ids.to_list()[: len(there) - rows] == there[rows:]
                assert told.ids[len(there) - rows :].is_null().all()
            rows += told.written or 0  # None: nothing was begun
            assert len(there) == rows
        try:
            return redcol.read_stream(url, copy, schema=SCHEMA)
        finally:
            db.delete(copy)


def ids_in(db: redis.Redis, stream: str) -> list[str]:
    return [entry_id.decode() for entry_id, _ in db.xrange(stream)]


def ids_given(url: str, stream: str, refused: Callable[[], None]) -> pl.DataFrame:
    """After ids were lost, none are given: they would be taken for those of other rows."""
    frame = pl.DataFrame(expected(SCHEMA), schema=SCHEMA, orient="row")
    copy = f"{stream}:copy"
    lost = False
    with redis.Redis(unix_socket_path=url.removeprefix("unix://")) as db:
        db.delete(copy)
        with redcol.client.using(redcol.client.Server(url)) as handle:
            given = _native.write_stream(handle, copy.encode(), frame.__arrow_c_stream__(), {})
            try:
                while _native.writer_run(given, 1_000) == _native.TIMEOUT:
                    pass
                for _ in range(3):
                    try:
                        _native.writer_ids(given, _native.Slot())
                        assert not lost
                    except redcol.OutOfMemoryError:
                        refused()
                        lost = True
            finally:
                given.free()
        assert db.xlen(copy) == ROWS
    return read(url, copy, refused)


READS = {
    function.__name__: function
    for function in (
        followed,
        followed_discovering,
        followed_with_refused_values,
        consumed,
        read,
        discovered,
        one_of_many,
        written,
        ids_given,
        nested,
        in_other_layouts,
    )
}


@pytest.mark.parametrize("refusals", [1, 2])
@pytest.mark.parametrize("name", sorted(READS))
def test_whatever_is_refused(
    name: str, refusals: int, server: Server, db: redis.Redis, key: str, shim: Path
) -> None:
    requests, errors = refusing(name, refusals, "", server, db, key, shim)
    assert errors > requests // 2 > 10


@pytest.mark.parametrize("name", ["consumed", "followed_discovering"])
def test_whatever_is_refused_to_the_runtime(
    name: str, server: Server, db: redis.Redis, key: str, shim: Path
) -> None:
    """The language's runtime cannot go on without its objects: for those there is a reserve."""
    requests, errors = refusing(name, 1, "with malloc", server, db, key, shim)
    assert requests > 300
    assert errors > 10


def refusing(
    name: str, refusals: int, more: str, server: Server, db: redis.Redis, key: str, shim: Path
) -> tuple[int, int]:
    """How many requests one read makes, and how many errors came when they were refused."""
    for number in range(ROWS):
        db.xadd(key, fields(number))
    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": path}
    command = [sys.executable, __file__, name, server.url, key, str(refusals), more]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    requests, errors = map(int, ended.stdout.split())
    return requests, errors


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("shim") / "out_of_memory.so"
    source = Path(__file__).with_name("out_of_memory.c")
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    return library


def main(name: str, url: str, stream: str, refusals: int, *, with_malloc: bool) -> None:
    """Prints how many requests one read makes, and how many errors were seen in all."""
    shim = ctypes.CDLL(None)
    shim.with_malloc(with_malloc)
    wanted = expected(None if name in ("discovered", "followed_discovering") else SCHEMA)
    errors = 0
    sizes: list[int] = []

    def refused() -> None:
        nonlocal errors
        errors += 1

    def reading(granted: int, count: int) -> int:
        before = _native.live_objects()
        shim.refuse(ctypes.c_long(granted), ctypes.c_long(count))
        for _ in range(count + 1):
            try:
                frame = READS[name](url, stream, refused)
                break
            except redcol.OutOfMemoryError:
                refused()
        requests: int = shim.requests()
        assert frame.select(list(SCHEMA)).rows() == wanted, granted
        # What was lost is not dragged along in the buffers of a later batch.
        sizes.append(pa.table(frame).get_total_buffer_size())
        assert sizes[-1] < 1.1 * sizes[0], granted
        del frame
        assert live_objects_at_most(before) == before, granted
        return requests

    for _ in range(2):
        requests = reading(0, 0)
    for granted in range(requests):
        reading(granted, refusals)
    print(requests, errors)


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), with_malloc=bool(sys.argv[5]))
