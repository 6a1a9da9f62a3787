# SPDX-License-Identifier: Apache-2.0
"""Messages for callers who meant something else: each says what to pass instead."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import polars as pl
import pyarrow as pa
import pytest
import redis

import redcol
from redcol import _native, _native_lists, _native_pubsub
from redcol.client import Server as Where
from servers import FakeServer, Server, silent

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "Sources"
sys.path.insert(0, str(ROOT / "scripts"))

import option_tables  # noqa: E402

NOWHERE = "unix:///nowhere"


def message(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises((redcol.RedcolError, TypeError)) as caught:
        function(*arguments, **named)
    return str(caught.value)


def test_a_client_of_another_library() -> None:
    said = message(redcol.read_stream, redis.Redis(), "s")
    assert "url must be a str or a redcol.Client, not Redis" in said
    assert "pass the server's URL, such as 'redis://localhost:6379/0'" in said
    assert "URL" not in message(redcol.read_stream, 5, "s")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter#2@host",
        "redis://ada:hunter/2@host:7000/3",
        "redis://ada:hun#ter/2@host",
        "redis://ada:hun/ter#2@host",
        "redis://ada:h@hunter/2@host",
        "redis://host?password=hunter#2",
        "unix://:hunter#2@/tmp/s",
    ],
)
def test_a_password_that_is_not_encoded(url: str) -> None:
    said = message(redcol.connect, url)
    assert "must be percent-encoded: / is %2F, and # is %23" in said
    assert "hunter" not in said
    assert "ter" not in said.partition("Examples")[0].replace("parameter", "")


def test_several_streams_where_one_is_read() -> None:
    for function in (redcol.read_stream, redcol.scan_stream, redcol.read_arrow):
        said = message(function, NOWHERE, ["a", "b"])
        assert "stream must be one key" in said
        assert "read_streams and scan_streams read several streams" in said


NO_PAIR: list[tuple[dict[str, Any], str]] = [
    ({"group": "g"}, "a group without a consumer: give consumer"),
    ({"consumer": "c"}, "a consumer without a group: give group too"),
    ({"auto_ack": True}, "auto_ack is about a consumer group: give group and consumer"),
    ({"claim_idle_ms": 5}, "claim_idle_ms is about a consumer group"),
    ({"create_group": False}, "create_group is about a consumer group"),
    ({"group_start_id": "$"}, "group_start_id is about a consumer group"),
    ({"dead_letter": "d"}, "dead_letter is about a consumer group"),
    ({"on_error": "dead_letter"}, "give group, consumer and dead_letter"),
    ({"group": "g", "consumer": "c", "dead_letter": "d"}, 'on_error "dead_letter"'),
    ({"group": "g", "consumer": "c", "start_id": 5}, "group_start_id says where a new group"),
    ({"discover": "auto", "schema": {"a": int}}, "discover is for reads without a schema"),
    ({"group": "g", "consumer": "c", "create_group": False, "group_start_id": "$"},
     "group_start_id says where a group begins that is created, and create_group is false"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), NO_PAIR, ids=lambda value: str(value)[:40])
def test_arguments_that_do_not_go_together(arguments: dict[str, Any], words: str) -> None:
    """The library's own messages serve a user of Python, and come before anything is sent."""
    with FakeServer(silent) as fake:
        for function in (redcol.read_stream, redcol.iter_stream, redcol.stream_batches):
            said = message(function, fake.url, "s", **arguments)
            assert words in said
            assert "redcol_" not in said
        assert fake.connections == []


def test_discovering_beside_a_schema_is_refused_when_a_scan_is_made(server: Server) -> None:
    both: dict[str, Any] = {"discover": "binary", "schema": {"a": int}}
    with redcol.connect(server.url) as client:
        for function in (redcol.scan_stream, redcol.scan_streams):
            for where in (NOWHERE, client):
                said = message(function, where, "s", **both)
                assert "discover is for reads without a schema" in said
    for function in (redcol.read_arrow, redcol.read_streams):
        assert "discover is for reads without a schema" in message(function, NOWHERE, "s", **both)


def test_a_day_as_text() -> None:
    for name in ("start_id", "end_id"):
        said = message(redcol.read_stream, NOWHERE, "s", **{name: "2024-01-32"})
        assert "'2024-01-32' is not an entry id" in said
        assert "for a time, a datetime, a date or ISO text" in said


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_holds_a_connection_is_neither_copied_nor_pickled(
    server: Server, db: redis.Redis, key: str, how: Callable[[Any], Any]
) -> None:
    db.xadd(key, {"n": 1})
    with redcol.connect(server.url) as client:
        assert "pass its URL" in message(how, client)
        with redcol.iter_stream(client, key) as batches:
            assert "pass the URL" in message(how, batches)
        with pytest.raises(TypeError, match=r"pl\.DataFrame\(table\)"):
            how(redcol.read_arrow(client, key))
        assert len(redcol.read_stream(client, key)) == 1


def test_copying_prints_no_ignored_error(server: Server) -> None:
    program = (
        "import copy, sys; sys.path.insert(0, sys.argv[2]); import redcol\n"
        "with redcol.connect(sys.argv[1]) as client:\n"
        "    try:\n        copy.deepcopy({'client': client})\n    except TypeError:\n        pass\n"
        "redcol.Client.__new__(redcol.Client)\n"
    )
    command = [sys.executable, "-c", program, server.url, str(Path(redcol.__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


DTYPES: list[tuple[Any, pl.DataType]] = [
    ("int64", pl.Int64()),
    ("UInt8", pl.UInt8()),
    ("float64", pl.Float64()),
    ("str", pl.String()),
    ("bool", pl.Boolean()),
    ("bytes", pl.Binary()),
    ("date", pl.Date()),
    ("datetime64[ms]", pl.Datetime("ms")),
    ("timedelta64[us]", pl.Duration("us")),
    (numpy.int32, pl.Int32()),
    (numpy.dtype("uint16"), pl.UInt16()),
    (numpy.dtype("datetime64[ns]"), pl.Datetime("ns")),
    (pa.int8(), pl.Int8()),
    (pa.string(), pl.String()),
    (pa.large_binary(), pl.Binary()),
    (pa.timestamp("us", "UTC"), pl.Datetime("us", "UTC")),
    (pa.decimal128(10, 2), pl.Decimal(10, 2)),
    (pa.list_(pa.int64()), pl.List(pl.Int64())),
    (pa.struct([("a", pa.int64())]), pl.Struct({"a": pl.Int64()})),
]


@pytest.mark.parametrize(("given", "expected"), DTYPES, ids=str)
def test_dtypes_of_others(given: Any, expected: pl.DataType) -> None:
    lazy = redcol.scan_stream(NOWHERE, "s", schema={"a": given}, include_id=False)
    assert lazy.collect_schema()["a"] == expected


def test_a_schema_of_pyarrow(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"n": 7, "t": "x"})
    schema = pa.schema([("t", pa.string()), ("n", pa.int16())])
    frame = redcol.read_stream(server.url, key, schema=schema, include_id=False)
    assert frame.select("t", "n").schema == {"t": pl.String, "n": pl.Int16}
    assert frame["n"].to_list() == [7]
    twice = pa.schema([("a", pa.int8()), ("a", pa.int8())])
    assert "two columns of one name" in message(redcol.read_stream, NOWHERE, "s", schema=twice)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("in64", "pl.Int64"),
        ("float", "pl."),
        ("datetime64", "a Polars dtype"),
        ("datetime64[s]", "a Polars dtype"),
        ("", "a Polars dtype"),
        (numpy.dtype("O"), "a Polars dtype"),
        (pa.duration, "pl.Int64 or pl.Datetime"),
        (pa.list_view(pa.int64()), "pyarrow's list_view"),
        (5, "pl.Int64 or pl.Datetime"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_is_not_a_dtype(given: Any, hint: str) -> None:
    said = message(redcol.read_stream, NOWHERE, "s", schema={"a": given})
    assert hint in said
    assert "Column 'a'" in said


@pytest.mark.parametrize(
    ("dtype", "shown"),
    [
        (pl.Int64, "Int64"),
        (pl.Enum(["a"]), "Enum"),
        (pl.Decimal(5, 2), "Decimal(5,2)"),
        (pl.Datetime("us", "Europe/Berlin"), "Datetime(us, Europe/Berlin)"),
        (pl.Datetime("ms"), "Datetime(ms)"),
        (pl.Duration("ns"), "Duration(ns)"),
    ],
    ids=str,
)
def test_dtypes_are_named_in_words(
    server: Server, db: redis.Redis, key: str, dtype: Any, shown: str
) -> None:
    db.xadd(key, {"a": "none of them"})
    said = message(redcol.read_stream, server.url, key, schema={"a": dtype})
    assert f'the value "none of them" does not fit {shown}' in said


def test_a_cancelled_wait_and_too_many_columns(server: Server, db: redis.Redis, key: str) -> None:
    with redcol.iter_stream(server.url, key) as batches:
        batches.cancel()
        said = message(next, batches)
        assert "cancel" in said
        assert "redcol_" not in said
    with db.pipeline(transaction=False) as pipeline:
        for number in range(10_001):
            pipeline.xadd(key, {f"field-{number}": 1})
        pipeline.execute()
    said = message(redcol.read_stream, server.url, key)
    assert "there are at most 10000: give a schema" in said
    assert "columns_max" not in said
    db.delete(key)


def test_the_error_for_an_option_that_there_is_not_lists_all(server: Server) -> None:
    unknown = {"blok_ms": "1"}
    frame = pl.DataFrame({"_key": ["a"]})
    with redcol.connect(server.url) as client:
        handle = client._handle
        calls: dict[str, Callable[[], Any]] = {
            "redcol_open": lambda: _native.open_client(Where(server.url), unknown),
            "READING": lambda: _native.read_streams(handle, [b"s"], None, unknown),
            "redcol_write_stream": lambda: _native.write_stream(
                handle, b"s", frame.__arrow_c_stream__(), unknown
            ),
            "redcol_write_hashes": lambda: _native.write_hashes(
                handle, frame.__arrow_c_stream__(), unknown
            ),
            "redcol_write_messages": lambda: _native_pubsub.write_messages(
                handle, b"s", frame.__arrow_c_stream__(), unknown
            ),
            "redcol_subscribe": lambda: _native_pubsub.subscribe(handle, [b"s"], [], None, unknown),
            "LISTS": lambda: _native_lists.list_pending(handle, b"s", b"g", unknown),
            "redcol_partitions": lambda: _native_lists.partitions(handle, [b"s"], unknown),
        }
        in_header = option_tables.listed()
        assert set(calls) == set(in_header)
        for place, call in calls.items():
            said = message(call)
            assert 'there is no option "blok_ms" for' in said
            listed = said.partition("; there are ")[2].split(", ")
            assert set(listed) == {option.name for option in in_header[place]}, place
            if place == "READING":
                assert listed[0] == "block_ms"


#: Texts in Swift; those of several lines are joined with + and looked at one by one.
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
#: What Python calls otherwise, or does not have. Callers of C see it where they gave it.
OF_C = re.compile(
    r"redcol_|columns_max|batch_rows|page_rows|scan_count|streams_at_once|wait_ms|ttl_ms"
)
#: Where options of C are taken apart, and functions are wrapped that Python does not call: their
#: messages are about what a C caller gave.
TAKES_C = ("RedcolABI/", "ReadOptions.swift", "OptionTables.swift")


def test_no_message_names_what_only_c_has() -> None:
    found = [
        f"{file.name}: {text}"
        for file in SOURCES.rglob("*.swift")
        if not any(name in str(file) for name in TAKES_C)
        for text in TEXT.findall(file.read_text())
        if OF_C.search(text)
    ]
    assert found == []


def test_the_library_is_chosen_by_the_environment_unless_that_is_ignored() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from redcol import _library\nprint(_library._candidates())"
    )
    package = str(Path(redcol.__file__).parents[1])
    for flag, is_used in (("-B", True), ("-I", False), ("-E", False)):
        done = subprocess.run(
            [sys.executable, flag, "-c", program, package],
            capture_output=True,
            text=True,
            timeout=60,
            env={"REDCOL_LIBRARY": "/nowhere/libother.so"},
        )
        assert done.returncode == 0, done.stderr
        assert ("/nowhere/libother.so" in done.stdout) == is_used
