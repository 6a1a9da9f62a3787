# SPDX-License-Identifier: Apache-2.0
"""`read_arrow`: what it gives is taken by every consumer of Arrow streams, again and again."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone

import arro3.core
import duckdb
import nanoarrow
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import redis

import arrow_structs
import redcol
from redcol import _native
from servers import Server

pytestmark = pytest.mark.usefixtures("no_leaks")

ROWS = 1000
LONG = "value {} that is too long for a view"


@pytest.fixture
def filled(db: redis.Redis, key: str) -> str:
    with db.pipeline(transaction=False) as pipeline:
        for index in range(ROWS):
            fields: dict[str, object] = {"n": index, "text": LONG.format(index), "short": "s"}
            if index == ROWS - 1:
                fields["late"] = "x"
            pipeline.xadd(key, fields, id=f"{index + 1}-0")
        pipeline.execute()
    return key


Read = Callable[[], redcol.ArrowTable]
COLUMNS = ["_id", "_ts", "n", "text", "short", "late"]
SUM = sum(range(ROWS))


@pytest.fixture(params=[0, 1, 300], ids=["one batch", "batches of 1", "batches of 300"])
def read(request: pytest.FixtureRequest, server: Server, filled: str) -> Read:
    """Reads the stream. The column `late` is found in the last batch only."""
    return lambda: redcol.read_arrow(server.url, filled, batch_size=request.param)


def test_polars(read: Read) -> None:
    events = read()
    for _ in range(2):
        frame = pl.DataFrame(events)
        assert frame.columns == COLUMNS
        assert frame["n"].cast(pl.Int64).sum() == SUM
        assert frame["text"][7] == LONG.format(7)
        assert frame["late"].to_list() == [None] * (ROWS - 1) + ["x"]
    assert pl.Schema(events) == frame.schema


def test_pyarrow(read: Read) -> None:
    events = read()
    for _ in range(2):
        table = pa.table(events)
        table.validate(full=True)
        assert table.column_names == COLUMNS
        assert table["late"].null_count == ROWS - 1
        assert table["text"][7].as_py() == LONG.format(7)
    assert pa.schema(events) == table.schema


def test_duckdb(read: Read) -> None:
    events = read()  # noqa: F841  (DuckDB looks for it)
    for _ in range(2):
        found = duckdb.sql("select count(*), sum(n::int), max(late), min(text) from events")
        assert found.fetchall() == [(ROWS, SUM, "x", LONG.format(0))]
    joined = "select count(*) from events a join events b on a._id = b._id where b._ts > 10"
    assert duckdb.sql(joined).fetchall() == [(ROWS - 10,)]


def test_pandas(read: Read) -> None:
    events = read()
    for _ in range(2):
        frame = pd.DataFrame.from_arrow(events)
        assert list(frame.columns) == COLUMNS
        assert frame["n"].astype(int).sum() == SUM
        assert frame["text"][7] == LONG.format(7)
        assert frame["late"].notna().sum() == 1


def test_nanoarrow(read: Read) -> None:
    events = read()
    for _ in range(2):
        rows = list(nanoarrow.ArrayStream(events).to_pylist())
        assert len(rows) == ROWS
        assert list(rows[0]) == COLUMNS
        assert rows[7]["text"] == LONG.format(7)
        assert rows[-1]["late"] == "x"


def test_arro3(read: Read) -> None:
    events = read()
    for _ in range(2):
        table = arro3.core.Table.from_arrow(events)
        assert table.column_names == COLUMNS
        assert table.num_rows == ROWS
        assert table["text"][7].as_py() == LONG.format(7)


def test_all_at_once_and_on_many_threads(read: Read) -> None:
    events = read()
    first = pl.DataFrame(events)
    wrong: list[object] = []

    def take() -> None:
        for _ in range(5):
            table = pa.table(events)
            frame = pl.DataFrame(events)
            if table["n"].to_pylist() != frame["n"].to_list():
                wrong.append(table)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(first) == ROWS


def test_what_was_taken_outlives_the_table(server: Server, filled: str) -> None:
    events = redcol.read_arrow(server.url, filled, batch_size=300)
    reader = pa.RecordBatchReader.from_stream(events)
    column = pa.table(events)["text"]
    first = reader.read_next_batch()
    del events
    gc.collect()
    assert reader.read_next_batch()["text"][0].as_py() == LONG.format(300)
    del reader
    assert first["text"][299].as_py() == LONG.format(299)
    assert column[ROWS - 1].as_py() == LONG.format(ROWS - 1)


def test_consumers_share_the_buffers(server: Server, filled: str) -> None:
    events = redcol.read_arrow(server.url, filled, schema={"n": int}, batch_size=0)
    (address,) = [chunk.buffers()[1].address for chunk in pa.table(events)["n"].chunks]
    (again,) = [chunk.buffers()[1].address for chunk in pa.table(events)["n"].chunks]
    (chunk,) = arrow_structs.chunks_of(pl.DataFrame(events))
    assert chunk[2][1] == address == again


LAYOUTS = [
    (pa.string(), pa.binary()),
    (pa.large_string(), pa.large_binary()),
    (pa.string_view(), pa.binary_view()),
]


@pytest.mark.parametrize(("text", "binary"), LAYOUTS, ids=["small", "large", "view"])
@pytest.mark.parametrize("batch_size", [0, 2])
def test_requested_layouts(
    server: Server,
    db: redis.Redis,
    key: str,
    text: pa.DataType,
    binary: pa.DataType,
    batch_size: int,
) -> None:
    values = ["", "short", None, "much longer than twelve bytes: ä€😀", "x" * 12, "y" * 13, None]
    for value in values:
        db.xadd(key, {"n": 1} if value is None else {"t": value, "b": value, "d": value})
    given = {"t": str, "b": bytes, "d": pa.dictionary(pa.int16(), pa.string()), "n": int}
    events = redcol.read_arrow(
        server.url, key, schema=given, include_timestamp=False, batch_size=batch_size
    )
    wanted = pa.schema(
        {"_id": text, "t": text, "b": binary, "d": pa.dictionary(pa.int16(), text), "n": pa.int64()}
    )
    capsule = events.__arrow_c_stream__(wanted.__arrow_c_schema__())
    reader = pa.RecordBatchReader._import_from_c_capsule(capsule)
    assert reader.schema == wanted
    table = reader.read_all()
    table.validate(full=True)
    assert table["t"].to_pylist() == values
    assert table["d"].to_pylist() == values
    assert table["b"].to_pylist() == [None if one is None else one.encode() for one in values]
    assert table["n"].to_pylist() == [1 if one is None else None for one in values]
    # as every consumer asks for it
    assert pa.table(events, schema=wanted).schema == wanted
    # and the table is as it was
    assert pa.table(events)["t"].type == pa.string_view()


def test_a_column_that_is_missing_in_a_batch_in_other_layouts(server: Server, filled: str) -> None:
    events = redcol.read_arrow(server.url, filled, batch_size=300, include_timestamp=False)
    for kind in (pa.string(), pa.large_string()):
        wanted = pa.schema(dict.fromkeys(["_id", *COLUMNS[2:]], kind))
        table = pa.RecordBatchReader.from_stream(events, schema=wanted).read_all()
        table.validate(full=True)
        assert table["late"].to_pylist() == [None] * (ROWS - 1) + ["x"]
        assert table["text"][ROWS - 1].as_py() == LONG.format(ROWS - 1)


def test_other_requests_are_ignored(server: Server, filled: str) -> None:
    events = redcol.read_arrow(server.url, filled)
    for wanted in [
        pa.schema({"text": pa.int64(), "_ts": pa.string(), "none": pa.string()}),
        pa.schema({"text": pa.binary(), "n": pa.dictionary(pa.int8(), pa.string())}),
        pa.schema({}),
        pa.schema({"late": pa.string_view(), "text": pa.list_(pa.string())}),
    ]:
        capsule = events.__arrow_c_stream__(wanted.__arrow_c_schema__())
        assert pa.RecordBatchReader._import_from_c_capsule(capsule).schema == pa.schema(events)
    with pytest.raises(redcol.SchemaError, match="requested schema"):
        events.__arrow_c_stream__(pa.int64().__arrow_c_schema__())
    released = pa.schema({}).__arrow_c_schema__()
    pa.Schema._import_from_c_capsule(released)
    with pytest.raises(redcol.SchemaError, match="requested schema"):
        events.__arrow_c_stream__(released)


def test_nothing_to_read(server: Server, key: str) -> None:
    events = redcol.read_arrow(server.url, key, schema={"n": int})
    assert len(events) == 0
    assert repr(events) == "<redcol.ArrowTable of 0 rows: _id, _ts, n>"
    assert pl.DataFrame(events).schema == {"_id": pl.String, "_ts": pl.Int64, "n": pl.Int64}
    assert pa.table(events).num_rows == 0
    assert duckdb.sql("select count(*) from events").fetchall() == [(0,)]
    assert len(pd.DataFrame.from_arrow(events)) == 0
    assert arro3.core.Table.from_arrow(events).num_rows == 0
    nothing = redcol.read_arrow(server.url, key, include_id=False, include_timestamp=False)
    assert pa.table(nothing).num_columns == 0


MOMENT = datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("asked", "text", "value", "found"),
    [
        (str, "a", "a", pa.string_view()),
        (bytes, b"\xff", b"\xff", pa.binary_view()),
        (int, "-7", -7, pa.int64()),
        (float, "2.5", 2.5, pa.float64()),
        (bool, "true", True, pa.bool_()),
        (date, "2024-01-02", date(2024, 1, 2), pa.date32()),
        (datetime, "2024-01-02T03:04:05.000006", MOMENT.replace(tzinfo=None), pa.timestamp("us")),
        (time, "03:04:05", time(3, 4, 5), pa.time64("us")),
        (timedelta, "5", timedelta(microseconds=5), pa.duration("us")),
        (pa.int8(), "5", 5, pa.int8()),
        (pa.field("x", pa.uint16()), "5", 5, pa.uint16()),
        (pa.timestamp("us", "UTC"), MOMENT.isoformat(), MOMENT, pa.timestamp("us", "UTC")),
        (pa.string(), "a", "a", pa.string()),
        (pa.large_string(), "a", "a", pa.large_string()),
        (pa.binary(), b"\xff", b"\xff", pa.binary()),
        (pa.list_(pa.int8()), "[1, null]", [1, None], pa.list_(pa.int8())),
        (
            pa.struct({"n": pa.int8(), "t": pa.large_list(pa.string())}),
            '{"t": ["a"]}',
            {"n": None, "t": ["a"]},
            pa.struct({"n": pa.int8(), "t": pa.large_list(pa.string())}),
        ),
        (pl.List(pl.Int8), "[1]", [1], pa.large_list(pa.int8())),
        (pa.list_(pa.int8(), 2), "[1, null]", [1, None], pa.list_(pa.int8(), 2)),
        (pl.Array(pl.Int8, (1, 2)), "[[1, 2]]", [[1, 2]], pa.list_(pa.list_(pa.int8(), 2), 1)),
        (nanoarrow.int32(), "5", 5, pa.int32()),
        (arro3.core.DataType.uint8(), "5", 5, pa.uint8()),
        (pl.Int16, "5", 5, pa.int16()),
        (pl.Float32(), "0.5", 0.5, pa.float32()),
        (pl.Date, "2024-01-02", date(2024, 1, 2), pa.date32()),
    ],
)
def test_types(
    server: Server,
    db: redis.Redis,
    key: str,
    asked: object,
    text: object,
    value: object,
    found: object,
) -> None:
    db.xadd(key, {"x": text, "y": 1})
    db.xadd(key, {"y": 2})
    table = pa.table(redcol.read_arrow(server.url, key, schema={"x": asked, "y": int}))
    assert table["x"].to_pylist() == [value, None]
    assert table["y"].to_pylist() == [1, 2]
    assert table["x"].type == found


def test_wide_integers_are_for_polars(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"x": 2**127 - 1})
    schema = {"x": pl.Int128}
    events = redcol.read_arrow(server.url, key, schema=schema, include_timestamp=False)
    assert pl.DataFrame(events).select("x").to_dict(as_series=False) == {"x": [2**127 - 1]}
    with pytest.raises(pa.ArrowInvalid, match="_pli128"):
        pa.table(redcol.read_arrow(server.url, key, schema=schema))


def test_enums_and_categories(server: Server, db: redis.Redis, key: str) -> None:
    for value in "aba":
        db.xadd(key, {"x": value, "y": value})
    given = {"y": pl.Categorical, "x": pl.Enum(["b", "a"])}
    events = redcol.read_arrow(server.url, key, schema=given, include_timestamp=False)
    frame = pl.DataFrame(events)
    assert frame["x"].to_list() == frame["y"].to_list() == ["a", "b", "a"]
    assert frame["x"].dtype == pl.Enum(["b", "a"])
    db.xadd(key, {"x": "c"})
    with pytest.raises(redcol.ValueConversionError):
        redcol.read_arrow(server.url, key, schema=given)


@pytest.mark.parametrize(
    "whole",
    [pa.schema({"n": pa.int32(), "text": pa.string()}), pl.Schema({"n": pl.Int32, "text": str})],
)
def test_whole_schemas(server: Server, filled: str, whole: object) -> None:
    table = pa.table(redcol.read_arrow(server.url, filled, schema=whole))
    assert table.column_names == ["_id", "_ts", "n", "text"]
    assert table["n"].type == pa.int32()
    table = pa.table(
        redcol.read_arrow(
            server.url,
            filled,
            schema=redcol.read_arrow(
                server.url, filled, schema=whole, include_id=False, include_timestamp=False
            ),
        )
    )
    assert table["n"].type == pa.int32()


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ("n", redcol.InvalidArgumentError),
        ({"n": "int"}, redcol.SchemaError),
        ({"n": complex}, redcol.SchemaError),
        ({"n": None}, redcol.SchemaError),
        ({"n": pa.Schema}, redcol.SchemaError),
        ({"n": pa.list_(pa.binary())}, redcol.SchemaError),
        ({"n": pa.map_(pa.string(), pa.int8())}, redcol.SchemaError),
        ({"n": pa.struct([("n", pa.int8()), ("n", pa.int8())])}, redcol.SchemaError),
        ({"n": pl.Struct({"a": pl.Binary})}, redcol.SchemaError),
        ({"n\0": int}, redcol.InvalidArgumentError),
        ({1: int}, redcol.InvalidArgumentError),
        (pa.int64(), redcol.SchemaError),
        ({"_id": int}, redcol.SchemaError),
        (pa.schema([("n", pa.int8()), ("n", pa.int8())]), redcol.SchemaError),
    ],
)
def test_schemas_that_cannot_be(
    server: Server, filled: str, schema: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        redcol.read_arrow(server.url, filled, schema=schema)


def test_errors(server: Server, db: redis.Redis, filled: str, key: str) -> None:
    with pytest.raises(redcol.ValueConversionError) as caught:
        redcol.read_arrow(server.url, filled, schema={"text": int})
    assert (caught.value.field, caught.value.dtype, caught.value.entry_id) == (
        *("text", "Int64", "1-0"),
    )
    nulls = redcol.read_arrow(server.url, filled, schema={"text": int}, on_error="null")
    assert pa.table(nulls)["text"].null_count == ROWS
    db.set(f"{key}-text", "no stream")
    with pytest.raises(redcol.WrongTypeError):
        redcol.read_arrow(server.url, f"{key}-text")
    for wrong in ({"batch_size": -1}, {"count": -1}, {"start_id": "$"}, {"group": "g"}):
        with pytest.raises((redcol.InvalidArgumentError, TypeError)):
            redcol.read_arrow(server.url, filled, **wrong)  # type: ignore[arg-type]


def test_waiting_for_entries(server: Server, db: redis.Redis, key: str) -> None:
    timer = threading.Timer(0.3, db.xadd, (key, {"n": 1}))
    timer.start()
    assert len(redcol.read_arrow(server.url, key, block_ms=20_000)) == 1
    timer.join()
    assert len(redcol.read_arrow(server.url, key, start_id="$", block_ms=1)) == 0


def test_a_client_and_a_range(server: Server, filled: str) -> None:
    with redcol.connect(server.url) as client:
        events = redcol.read_arrow(client, filled, start_id="(5", end_id="9", count=3)
    assert pa.table(events)["_id"].to_pylist() == ["6-0", "7-0", "8-0"]


WITHOUT_POLARS = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "polars":
            raise ImportError("polars is not installed")
sys.meta_path.insert(0, Refused())
import redcol
assert "polars" not in sys.modules and "pyarrow" not in sys.modules
events = redcol.read_arrow(sys.argv[1], sys.argv[2], schema={"n": int, "text": str})
print(repr(events))
assert "polars" not in sys.modules and "pyarrow" not in sys.modules
import pyarrow as pa
import pyarrow.compute
print(pa.compute.sum(pa.table(events)["n"]))
table = redcol.read_arrow(sys.argv[1], sys.argv[2], schema=pa.schema({"n": pa.int16()}))
print(pa.schema(table).field("n").type)
try:
    redcol.read_stream(sys.argv[1], sys.argv[2])
except ImportError as error:
    print(error)
"""


def test_without_polars(server: Server, filled: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", WITHOUT_POLARS, server.url, filled]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = f"<redcol.ArrowTable of {ROWS} rows: _id, _ts, n, text>"
    assert ended.stdout.splitlines() == [shown, str(SUM), "int16", "polars is not installed"]


def test_live_objects_of_a_table(server: Server, filled: str) -> None:
    before = _native.live_objects()
    events = redcol.read_arrow(server.url, filled)
    kept = _native.live_objects()
    assert kept > before
    stream = events.__arrow_c_stream__()
    assert _native.live_objects() == kept + 1
    del stream
    assert _native.live_objects() == kept
