# SPDX-License-Identifier: Apache-2.0
"""Columns reach Polars and other consumers without a copy, without pyarrow, without a leak."""

from __future__ import annotations

import ast
import ctypes
import gc
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
import reads
import redis

import arrow_structs
import redcol
from redcol import _library, _native, client
from redcol._capsule import Batch
from servers import Server

SOURCES = Path(redcol.__file__).parent
HEADER = Path(__file__).parents[3] / "include" / "redcol.h"
SCHEMA = {
    "text": pl.String,
    "bytes": pl.Binary,
    "number": pl.Int64,
    "flag": pl.Boolean,
    "real": pl.Float64,
    "price": pl.Decimal(9, 2),
    "day": pl.Date,
    "moment": pl.Datetime("ms", "UTC"),
}


@pytest.fixture
def filled(db: redis.Redis, key: str) -> str:
    with db.pipeline(transaction=False) as pipeline:
        for index in range(1000):
            text = f"value {index} that is too long for a view"
            fields = {"text": text, "bytes": b"b" * 20, "number": index, "flag": index % 2}
            times = {"day": "2024-01-01", "moment": "2024-01-01T00:00:00Z"}
            more = {"real": index / 7, "price": "1.25"}
            pipeline.xadd(key, {**fields, **times, **(more if index % 3 else {})})
        pipeline.execute()
    return key


def batches(server: Server, key: str, **arguments: object) -> list[Batch]:
    with client.using(client.Server(server.url)) as handle:
        return list(reads.batches(handle, key, **arguments))


@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["schema", "discovered"])
def test_frames_stand_on_the_buffers_of_the_library(
    server: Server, filled: str, schema: object
) -> None:
    (batch,) = batches(server, filled, schema=schema, include_sequence=True)
    given = arrow_structs.buffers(arrow_structs.array_in(batch._array))
    frame = pl.DataFrame(batch)
    (chunk,) = arrow_structs.chunks_of(frame)
    assert len(chunk) == len(given) == frame.width
    for name, ours, theirs in zip(frame.columns, given, chunk, strict=True):
        # A column without nulls may have no validity buffer; all other buffers must be the same.
        assert [a for a in ours[1:] if a] == [a for a in theirs[1:] if a], name
        assert ours[1:], name
        if frame[name].null_count():
            assert ours[0] == theirs[0], name


def test_pyarrow_stands_on_the_same_buffers(server: Server, filled: str) -> None:
    (batch,) = batches(server, filled, schema={"number": pl.Int64})
    given = arrow_structs.buffers(arrow_structs.array_in(batch._array))
    checked = pa.record_batch(batch)
    checked.validate(full=True)
    assert checked["number"].buffers()[1].address == given[2][1]


def test_other_consumers_in_batches(server: Server, filled: str) -> None:
    taken = batches(server, filled, options={"batch_rows": "300"})
    assert [len(batch) for batch in taken] == [300, 300, 300, 100]
    table = pa.Table.from_batches([pa.record_batch(batch) for batch in taken])
    table.validate(full=True)
    assert table.num_rows == 1000


def test_a_batch_is_taken_once(server: Server, filled: str, no_leaks: None) -> None:
    (batch,) = batches(server, filled)
    pl.DataFrame(batch)
    assert len(batch) == 1000
    for take in (batch.__arrow_c_array__, batch.__arrow_c_schema__):
        with pytest.raises(redcol.ClosedError, match="taken before"):
            take()


def test_schema_alone(server: Server, filled: str, no_leaks: None) -> None:
    (batch,) = batches(server, filled, schema=SCHEMA, include_id=False, include_timestamp=False)
    for _ in range(2):
        assert pl.Schema(batch) == pl.Schema(SCHEMA)
    assert pl.DataFrame(batch).schema == pl.Schema(SCHEMA)


def test_nothing_is_left_when_nobody_takes_it(server: Server, filled: str, no_leaks: None) -> None:
    batches(server, filled, options={"batch_rows": "10"})
    with client.using(client.Server(server.url)) as handle:
        unfinished = reads.batches(handle, filled, options={"batch_rows": "10"})
        next(unfinished)
    next(unfinished)
    del unfinished


def test_frames_outlive_everything(server: Server, filled: str) -> None:
    gc.collect()
    before = _native.live_objects()
    frame = redcol.read_stream(server.url, filled, schema=SCHEMA)
    column = frame["text"][10:20]
    assert _native.live_objects() > before
    del frame
    gc.collect()
    assert column[0] == "value 10 that is too long for a view"
    thread = threading.Thread(target=column.to_list)
    thread.start()
    del column
    thread.join()
    del thread
    gc.collect()
    assert _native.live_objects() == before


def test_released_on_other_threads(server: Server, filled: str, no_leaks: None) -> None:
    def read_and_group() -> None:
        for _ in range(5):
            frame = redcol.read_stream(server.url, filled, schema=SCHEMA)
            assert frame.lazy().group_by("flag").agg(pl.col("number").sum()).collect().height == 2

    threads = [threading.Thread(target=read_and_group) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run(program: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_without_pyarrow(server: Server, filled: str) -> None:
    out = run(f"""
import sys
sys.modules["pyarrow"] = None
import redcol, polars as pl
schema = {{"number": pl.Int64, "c": pl.Categorical}}
frame = redcol.read_stream({server.url!r}, {filled!r}, schema=schema)
print(frame["number"].sum(), redcol.read_stream({server.url!r}, {filled!r}).width)
""")
    assert out.split() == [str(sum(range(1000))), "10"]


def test_importing_is_light() -> None:
    out = run("import sys, redcol; print({'polars', 'pyarrow', 'asyncio'} & set(sys.modules))")
    assert out.strip() == "set()"


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "import builtins; builtins.kept = (frame, batch, client)",
        "cycle = [frame, batch]; cycle.append(cycle)",
        "import threading as t; t.Thread(target=t.Event().wait, args=(9,), daemon=True).start()",
    ],
    ids=["plain", "builtins", "cycle", "thread"],
)
def test_ending_a_process_that_holds_everything(server: Server, filled: str, ending: str) -> None:
    run(f"""
import reads
import redcol
import reads
client = redcol.connect({server.url!r})
frame = redcol.read_stream(client, {filled!r})
iterator = reads.batches(client._handle, {filled!r})
batch = next(iterator)
client.close()
{ending}
""")


def test_few_files_know_ctypes() -> None:
    known = {"_credentials.py", "_library.py", "_native.py", "_native_steering.py"}
    known |= {"_native_position.py", "_native_pubsub.py", "_schema_structs.py"}
    for path in SOURCES.glob("*.py"):
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert ("ctypes" in names) == (path.name in known), path


def test_every_function_of_the_header_is_declared() -> None:
    header = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    declared = set(re.findall(r"\b(redcol_\w+)\(", header))
    assert declared == set(_native.SIGNATURES)
    for name, (_, argtypes) in _native.SIGNATURES.items():
        (parameters,) = re.findall(rf"\b{name}\(((?:[^()]|\([^()]*\))*)\);", header)
        # The one callback has a comma of its own.
        plain = re.sub(r"\([^()]*\)", "", parameters)
        count = 0 if plain.strip() == "void" else plain.count(",") + 1
        assert count == len(argtypes), name


def test_statuses_are_those_of_the_header() -> None:
    found = dict(re.findall(r"(REDCOL_(?!LOG_)\w+) = (-?\d+)", HEADER.read_text()))
    statuses = {int(value) for value in found.values()}
    classes = [getattr(redcol.errors, name) for name in redcol.errors.__all__]
    assert statuses == {0, 1, 2} | {cls.status for cls in classes if cls.status}
    names = ("REDCOL_OK", "REDCOL_END", "REDCOL_TIMEOUT")
    ours = [_native.OK, _native.END, _native.TIMEOUT]
    assert [int(found[name]) for name in names] == ours


def test_a_missing_library_names_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    uncached = _native.library.__wrapped__
    monkeypatch.setenv("REDCOL_LIBRARY", "/nowhere/libredcol.so")
    with pytest.raises(ImportError, match=r"/nowhere/libredcol\.so"):
        uncached()
    monkeypatch.setattr(_library, "_candidates", lambda: ["/a/x.so", "liby-missing.so.0"])
    with pytest.raises(ImportError, match=r"(?s)/a/x\.so.*liby-missing\.so\.0.*REDCOL_LIBRARY"):
        uncached()
    monkeypatch.delenv("REDCOL_LIBRARY")
    monkeypatch.undo()
    monkeypatch.delenv("REDCOL_LIBRARY", raising=False)
    assert [Path(place).name for place in _library._candidates()] == [
        "libredcol.so",
        "libredcol.so.0",
        "libredcol.so",
    ]


def test_another_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    uncached = _native.library.__wrapped__
    monkeypatch.setattr(_library, "_candidates", lambda: ["libc.so.6"])
    with pytest.raises(ImportError, match=r"libc\.so\.6 is not a libredcol"):
        uncached()
    monkeypatch.undo()
    monkeypatch.setattr(_library, "INTERFACE_VERSION", "0.0")
    with pytest.raises(ImportError, match=r"is version .*, but this package needs 0\.0"):
        uncached()


def test_shared_ctypes_functions_are_left_alone() -> None:
    _native.library()
    assert ctypes.pythonapi.PyCapsule_New.argtypes is None
    assert ctypes.pythonapi.PyCapsule_GetPointer.restype is ctypes.c_int
