# SPDX-License-Identifier: Apache-2.0
"""The layout of strings that is asked for is given: by schema, by string_layout, batch by batch."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import reads
import redis

import redcol
from redcol import _native, client
from redcol._capsule import Batch
from servers import Server

pytestmark = pytest.mark.usefixtures("no_leaks")

LONG = "longer than the twelve bytes of a view: é"
LAYOUTS = {
    "string": (pa.string(), pa.binary()),
    "large": (pa.large_string(), pa.large_binary()),
    "view": (pa.string_view(), pa.binary_view()),
}
LAYOUT_NAMES = sorted(LAYOUTS)


@pytest.fixture
def events(db: redis.Redis, key: str) -> str:
    values = ["", "short", LONG, "x" * 12, "y" * 13]
    for index, value in enumerate(values):
        row = {"t": value, "b": value, "d": value, "j": f'{{"l":["{value}",null]}}', "n": index}
        db.xadd(key, row, id=f"{index + 1}-0")
    db.xadd(key, {"n": len(values)})
    return key


def wanted_schema(layout: str) -> pa.Schema:
    text, binary = LAYOUTS[layout]
    inner = pa.struct({"l": pa.list_(text)})
    dictionary = pa.dictionary(pa.int32(), text)
    return pa.schema({"t": text, "b": binary, "d": dictionary, "j": inner, "n": pa.int64()})


class Given:
    """A schema as `read_streams` takes it."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def batches(self, server: Server, key: str, **options: str) -> list[pa.RecordBatch]:
        with client.using(client.Server(server.url)) as handle:
            iterator = _native.read_streams(
                handle, [key.encode()], self.schema.__arrow_c_schema__(), options
            )
            found = []
            slot = _native.Slot()
            while _native.iter_next(iterator, -1, slot) == _native.OK:
                found.append(pa.record_batch(Batch(slot)))
                slot = _native.Slot()
            iterator.free()
        return found


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
@pytest.mark.parametrize("rows", ["0", "1", "4"])
def test_iter_next_gives_what_the_schema_asks_for(
    server: Server, events: str, layout: str, rows: str
) -> None:
    wanted = wanted_schema(layout)
    batches = Given(wanted).batches(server, events, batch_rows=rows, include_timestamp="false")
    for batch in batches:
        batch.validate(full=True)
        # The id has the layout of the schema's first text.
        assert batch.schema == wanted.insert(0, pa.field("_id", LAYOUTS[layout][0]))
    table = pa.Table.from_batches(batches)
    texts = ["", "short", LONG, "x" * 12, "y" * 13]
    assert table["t"].to_pylist() == [*texts, None]
    assert table["b"].to_pylist() == [*(text.encode() for text in texts), None]
    assert table["d"].to_pylist() == [*texts, None]
    assert table["j"].to_pylist() == [*({"l": [text, None]} for text in texts), None]
    assert table["_id"].to_pylist()[:5] == [f"{index}-0" for index in range(1, 6)]


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_read_arrow_gives_what_the_schema_asks_for(
    server: Server, events: str, layout: str
) -> None:
    wanted = wanted_schema(layout)
    table = pa.table(redcol.read_arrow(server.url, events, schema=wanted, batch_size=2))
    table.validate(full=True)
    assert table.select(wanted.names).schema == wanted
    assert table.schema.field("_id").type == LAYOUTS[layout][0]
    # Whoever asks for another layout gets that.
    for other in LAYOUT_NAMES:
        events_again = redcol.read_arrow(server.url, events, schema=wanted)
        asked = wanted_schema(other)
        assert pa.table(events_again, schema=table.schema).schema == table.schema
        capsule = events_again.__arrow_c_stream__(asked.__arrow_c_schema__())
        given = pa.RecordBatchReader._import_from_c_capsule(capsule).read_all()
        given.validate(full=True)
        assert given.select(asked.names).schema == asked
        assert given.to_pylist() == table.to_pylist()


def test_pyarrow_can_work_with_it(server: Server, events: str) -> None:
    schema = pa.schema([("t", pa.string()), ("n", pa.int64())])
    table = pa.table(redcol.read_arrow(server.url, events, schema=schema))
    kept = table.filter(pc.equal(table["t"], LONG))
    assert kept["n"].to_pylist() == [2]
    assert table.sort_by([("t", "descending")])["t"][0].as_py() == "y" * 13
    assert table.take([2, 0])["t"].to_pylist() == [LONG, ""]
    assert table.join(table.select(["t"]), "t", join_type="inner").num_rows == 5


@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_without_a_schema(server: Server, events: str, layout: Any) -> None:
    text, binary = LAYOUTS[layout]
    table = pa.table(redcol.read_arrow(server.url, events, string_layout=layout, batch_size=1))
    table.validate(full=True)
    assert table.schema.types == [text, pa.int64(), text, text, text, text, text]
    table = pa.table(
        redcol.read_arrow(server.url, events, string_layout=layout, discover="binary", count=1)
    )
    assert table.schema.types == [text, pa.int64(), *[binary] * 5]
    table = pa.table(
        redcol.read_arrow(
            server.url, events, string_layout=layout, schema={"t": str, "b": bytes, "n": int}
        )
    )
    assert table.schema.types == [text, pa.int64(), text, binary, pa.int64()]
    options = {"string_layout": layout, "batch_rows": "2"}
    with client.using(client.Server(server.url)) as handle:
        for batch in reads.batches(handle, events, options=options):
            found = pa.record_batch(batch)
            found.validate(full=True)
            assert found.schema.types == [text, pa.int64(), text, text, text, text, text]


def test_other_layouts_are_refused(server: Server, key: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match="string_layout"):
        redcol.read_arrow(server.url, key, string_layout="u")  # type: ignore[arg-type]
    with pytest.raises(redcol.InvalidArgumentError, match="string_layout"):
        Given(pa.schema({})).batches(server, key, string_layout="small")


def test_polars_gets_views(server: Server, events: str) -> None:
    with client.using(client.Server(server.url)) as handle:
        schema = {"t": pl.String, "b": pl.Binary, "j": pl.Struct({"l": pl.List(pl.String)})}
        for batch in reads.batches(handle, events, schema=schema):
            types = pa.record_batch(batch).schema.types
            assert types[0] == types[2] == pa.string_view()
            assert types[3] == pa.binary_view()
            assert types[4].field("l").type.value_type == pa.string_view()


def test_empty_batches_have_the_layout_too(server: Server, key: str) -> None:
    wanted = wanted_schema("string")
    table = pa.table(redcol.read_arrow(server.url, key, schema=wanted))
    table.validate(full=True)
    assert table.num_rows == 0
    assert table.select(wanted.names).schema == wanted
