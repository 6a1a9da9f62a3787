# SPDX-License-Identifier: Apache-2.0
"""Exports: what is in the files, where they are cut, and what is refused."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis
from commands import COMMAND, environment

import redcol
from redcol import _parts
from servers import Server

HOUR = 3_600_000
SCHEMA = {"n": pl.Int64, "text": pl.String}
READERS: dict[str, Callable[..., pl.DataFrame]] = {
    "parquet": pl.read_parquet,
    "csv": pl.read_csv,
    "jsonl": pl.read_ndjson,
    "arrow": pl.read_ipc,
}


def add(db: redis.Redis, key: str, count: int, *, first: int = 0, step: int = 1) -> None:
    pipeline = db.pipeline(transaction=False)
    for number in range(first, first + count):
        pipeline.xadd(key, {"n": number, "text": f"täxt {number}"}, id=f"{1 + number * step}-7")
    pipeline.execute()


def files(folder: Path, ending: str = "parquet") -> list[Path]:
    return sorted(folder.rglob(f"*.{ending}"), key=lambda path: path.name)


def numbers(folder: Path) -> list[int]:
    return [n for file in files(folder) for n in pl.read_parquet(file)["n"].to_list()]


@pytest.mark.parametrize("format_", READERS)
@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["schema", "fields"])
def test_a_file(
    no_leaks: None,
    server: Server,
    db: redis.Redis,
    key: str,
    tmp_path: Path,
    format_: str,
    schema: dict[str, pl.DataType] | None,
) -> None:
    add(db, key, 70_000)
    path = tmp_path / "new" / f"out.{format_}"
    told: list[tuple[int, int, int | None]] = []
    exported = redcol.export_stream(
        server.url, key, path, schema=schema, progress=lambda *each: told.append(each)
    )
    assert exported == (70_000, 1, "70000-7")
    frame = READERS[format_](path)
    expected = redcol.read_stream(server.url, key, schema=schema)
    if format_ in ("csv", "jsonl"):
        frame = frame.cast(expected.schema)
    assert frame.equals(expected)
    assert [each[0] for each in told][-1] == 70_000
    assert told[0][2] == 70_000
    assert os.listdir(path.parent) == [path.name]
    with pytest.raises(redcol.InvalidArgumentError, match="overwrite=True"):
        redcol.export_stream(server.url, key, path, schema=schema)
    again = redcol.export_stream(
        server.url, key, path, schema=schema, start_id="(5-7", end_id=9, overwrite=True
    )
    assert again == (4, 1, "9-7")


def test_an_empty_stream(server: Server, key: str, tmp_path: Path) -> None:
    nothing = redcol.Exported(0, 0, None)
    assert redcol.export_stream(server.url, key, tmp_path) == nothing
    assert redcol.export_stream(server.url, key, tmp_path, group="g", resume=True) == nothing
    assert os.listdir(tmp_path) == []
    path = tmp_path / "a.parquet"
    assert redcol.export_stream(server.url, key, path, schema=SCHEMA).files == 1
    assert pl.read_parquet(path).schema == {"_id": pl.String, "_ts": pl.Int64, **SCHEMA}


def test_files_of_a_folder(server: Server, db: redis.Redis, key: str, tmp_path: Path) -> None:
    add(db, key, 1_000, step=HOUR // 100)
    url = server.url
    for start, first in (("-", 0), (1, 0), (1 + HOUR // 100, 1), (f"(1-{7}", 1), ("1-7", 0)):
        folder = tmp_path.parent / f"{tmp_path.name}-from-{start}"
        redcol.export_stream(url, key, folder, schema=SCHEMA, start_id=start, end_id=HOUR)
        assert numbers(folder) == list(range(first, 100))
    exported = redcol.export_stream(url, key, tmp_path, schema=SCHEMA, rows_per_file=300)
    assert exported == (1_000, 4, f"{1 + 999 * HOUR // 100}-7")
    first = files(tmp_path)[0]
    assert first.name == f"{key}_{1:020}-{7:020}_{1 + 299 * HOUR // 100:020}-{7:020}.parquet"
    assert numbers(tmp_path) == list(range(1_000))
    with pytest.raises(redcol.InvalidArgumentError, match="Resume the export"):
        redcol.export_stream(url, key, tmp_path)
    # Another stream may be in the same folder.
    assert redcol.export_stream(url, b"\xff/" + key.encode(), tmp_path, resume=False).rows == 0
    assert redcol.export_stream(url, key, tmp_path, schema=SCHEMA, resume=True).rows == 0
    add(db, key, 10, first=1_000, step=HOUR // 100)
    exported = redcol.export_stream(url, key, tmp_path, schema=SCHEMA, resume=True)
    assert exported == (10, 1, f"{1 + 1009 * HOUR // 100}-7")
    assert numbers(tmp_path) == list(range(1_010))
    with pytest.raises(redcol.InvalidArgumentError, match=r"end in \.parquet"):
        redcol.export_stream(url, key, tmp_path, format="csv", resume=True)


def test_folders_of_times(server: Server, db: redis.Redis, key: str, tmp_path: Path) -> None:
    add(db, key, 60, step=HOUR // 4)
    redcol.export_stream(server.url, key, tmp_path, schema=SCHEMA, partition_by="hour")
    found = files(tmp_path)
    assert [path.parent.name for path in found] == [
        f"hour=1970-01-01T{hour:02}" for hour in range(15)
    ]
    assert numbers(tmp_path) == list(range(60))
    whole = pl.scan_parquet(f"{tmp_path}/**/*.parquet", hive_partitioning=True).collect()
    assert whole.filter(pl.col("hour") == "1970-01-01T02")["n"].to_list() == [8, 9, 10, 11]


def test_files_end_by_size(server: Server, db: redis.Redis, key: str, tmp_path: Path) -> None:
    pipeline = db.pipeline(transaction=False)
    for number in range(2_000):
        pipeline.xadd(key, {"n": number, "text": "x" * 1_000}, id=f"{number + 1}-7")
    pipeline.execute()
    redcol.export_stream(
        server.url, key, tmp_path, schema=SCHEMA, bytes_per_file=200_000, format="jsonl"
    )
    sizes = [path.stat().st_size for path in files(tmp_path, "jsonl")]
    assert len(sizes) > 8
    assert max(sizes) < 300_000
    assert sum(len(pl.read_ndjson(path)) for path in files(tmp_path, "jsonl")) == 2_000


def test_new_fields_begin_a_new_file(
    server: Server, db: redis.Redis, key: str, tmp_path: Path
) -> None:
    add(db, key, 10)
    redcol.export_stream(server.url, key, tmp_path)
    db.xadd(key, {"other": "1"}, id="100-0")
    redcol.export_stream(server.url, key, tmp_path, resume=True)
    one, two = files(tmp_path)
    assert list(pl.read_parquet_schema(one)) == ["_id", "_ts", "n", "text"]
    assert list(pl.read_parquet_schema(two)) == ["_id", "_ts", "other"]


def test_a_group_is_acknowledged_and_nothing_is_written_twice(
    no_leaks: None, server: Server, db: redis.Redis, key: str, tmp_path: Path
) -> None:
    add(db, key, 1_000)
    db.xgroup_create(key, "g", "0")
    db.xreadgroup("g", "export", {key: ">"}, count=700)
    exported = redcol.export_stream(
        server.url, key, tmp_path, schema=SCHEMA, group="g", rows_per_file=250
    )
    assert (exported.rows, exported.files) == (1_000, 4)
    assert db.xpending(key, "g")["pending"] == 0
    # As after a crash between the name and the acknowledgement.
    for format_ in READERS:
        folder = tmp_path / format_
        db.xgroup_setid(key, "g", "0")
        db.xreadgroup("g", "export", {key: ">"}, count=300)
        written = redcol.export_stream(
            server.url, key, folder, schema=SCHEMA, end_id="+", rows_per_file=250, format=format_
        )
        assert written.rows == 1_000
        add(db, key, 1, first=1_000 + len(os.listdir(tmp_path)) * 10)
        exported = redcol.export_stream(
            server.url, key, folder, schema=SCHEMA, group="g", resume=True, format=format_
        )
        assert exported.rows == db.xlen(key) - 1_000 - (written.rows - 1_000)
        assert db.xpending(key, "g")["pending"] == 0
        ids = [i for path in files(folder, format_) for i in READERS[format_](path)["_id"]]
        assert ids == [id_.decode() for id_, _ in db.xrange(key)]
        db.xtrim(key, maxlen=1_001, approximate=False)
        db.xdel(key, *[id_ for id_, _ in db.xrange(key)][1_000:])


def test_following(server: Server, db: redis.Redis, key: str, tmp_path: Path) -> None:
    add(db, key, 10)
    process = subprocess.Popen(
        [*COMMAND, "export", key, "-o", str(tmp_path), "--follow", "--every", "100ms"],
        env=environment(server.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        for number in range(3):
            while len(files(tmp_path)) < number + 1:
                assert process.poll() is None
                time.sleep(0.02)
            add(db, key, 1, first=10 + number)
        while len(files(tmp_path)) < 4:
            assert process.poll() is None
            time.sleep(0.02)
        with pytest.raises(redcol.BusyError, match="Another export"):
            redcol.export_stream(server.url, key, tmp_path, resume=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert [int(n) for n in numbers(tmp_path)] == list(range(13))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_has_come_is_written_when_it_is_stopped(
    server: Server, db: redis.Redis, key: str, tmp_path: Path, number: int, code: int
) -> None:
    add(db, key, 10)
    db.xgroup_create(key, "g", "0")
    process = subprocess.Popen(
        [*COMMAND, "export", key, "-o", str(tmp_path), "--follow", "--every", "1h", "--group", "g"],
        env=environment(server.url),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        # Until it has read everything, and waits for more.
        while db.xpending(key, "g")["pending"] < 10 or not db.info("clients")["blocked_clients"]:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        assert process.wait(60) == code
    assert [int(n) for n in numbers(tmp_path)] == list(range(10))
    assert db.xpending(key, "g")["pending"] == 0


def test_a_disk_that_is_full(server: Server, db: redis.Redis, key: str, tmp_path: Path) -> None:
    add(db, key, 30_000)
    for options in (["-o", "out/"], ["-o", "a.csv"]):
        done = subprocess.run(
            [*COMMAND, "export", key, *options, "-q", "--schema", "n:i64,text:str"],
            env=environment(server.url),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        )
        assert done.returncode == 1, done.stderr
        assert re.fullmatch(r"redcol: .*File too large.*\n", done.stderr)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_value_that_does_not_fit(
    server: Server, db: redis.Redis, key: str, tmp_path: Path
) -> None:
    add(db, key, 10)
    db.xadd(key, {"n": "many"})
    with pytest.raises(redcol.ValueConversionError):
        redcol.export_stream(server.url, key, tmp_path / "a", schema=SCHEMA, rows_per_file=4)
    assert numbers(tmp_path / "a") == list(range(len(numbers(tmp_path / "a"))))
    with pytest.raises(redcol.ValueConversionError):
        redcol.export_stream(server.url, key, tmp_path / "a.csv", schema=SCHEMA)
    assert not (tmp_path / "a.csv").exists()
    assert not list(tmp_path.rglob("*.tmp"))
    exported = redcol.export_stream(
        server.url, key, tmp_path / "a", schema=SCHEMA, resume=True, on_error="null"
    )
    assert exported.last_id is not None
    assert numbers(tmp_path / "a") == [*range(10), None]


def test_a_stream_that_begins_again(
    server: Server, db: redis.Redis, key: str, tmp_path: Path
) -> None:
    add(db, key, 10)
    ended: list[BaseException] = []

    def export() -> None:
        try:
            redcol.export_stream(server.url, key, tmp_path, schema=SCHEMA, follow=True, every=1)
        except redcol.RedcolError as error:
            ended.append(error)

    thread = threading.Thread(target=export)
    thread.start()
    while not files(tmp_path):
        assert thread.is_alive()
        time.sleep(0.02)
    while thread.is_alive():  # it may look between the two commands
        db.delete(key)
        add(db, key, 5)
        thread.join(0.2)
    assert "The stream began again" in str(ended[0])
    assert numbers(tmp_path) == list(range(10))


def test_what_progress_raises_ends_it(
    no_leaks: None, server: Server, db: redis.Redis, key: str, tmp_path: Path
) -> None:
    add(db, key, 10)

    def refuse(*_: object) -> None:
        raise ZeroDivisionError

    for path in (tmp_path / "a", tmp_path / "a.arrow"):
        with pytest.raises(ZeroDivisionError):
            redcol.export_stream(server.url, key, path, progress=refuse)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("path", "arguments", "said"),
    [
        ("a.csv", {"resume": True}, "are for folders"),
        ("a.csv", {"group": "g"}, "are for folders"),
        ("a.csv", {"format": "parquet"}, "does not end like"),
        ("a", {"overwrite": True}, "not a folder"),
        ("a", {"every": 5}, "add follow=True"),
        ("a", {"follow": True, "every": timedelta(0)}, "every"),
        ("a", {"group": "g", "start_id": 5}, "its own position"),
        ("a", {"end_id": "-1h"}, "a time before now"),
        ("a", {"rows_per_file": 0}, "rows_per_file"),
        ("a", {"bytes_per_file": "1M"}, "bytes_per_file"),
        ("a", {"partition_by": "week"}, "partition_by"),
        ("a", {"format": "xml"}, "format"),
        ("a", {"resume": 1}, "resume"),
        ("a", {"progress": True}, "progress"),
        ("s3://bucket/a.parquet", {}, "is not a path"),
        (5, {}, "path must be"),
    ],
)
def test_wrong_arguments(path: object, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(redcol.InvalidArgumentError, match=said):
        redcol.export_stream("redis://localhost:1", "s", path, **arguments)


def test_names_of_files() -> None:
    assert _parts.file_name(b"events:a") == "events:a"
    assert _parts.file_name(b".x/../y\xff\0") == "%2Ex%2F..%2Fy%FF%00"
    long = _parts.file_name(b"k" * 300)
    assert len(long) == 80
    assert long != _parts.file_name(b"k" * 301)
    assert _parts.key("5-12") == f"{5:020}-{12:020}"
    assert _parts.entry_id(_parts.key("18446744073709551615-0")) == "18446744073709551615-0"


@pytest.mark.parametrize("name", ["a", "a.jsonl", "a.csv"])
def test_bytes_do_not_go_into_text(
    server: Server, db: redis.Redis, key: str, tmp_path: Path, name: str
) -> None:
    db.xadd(key, {"raw": b"\xff"})
    path = tmp_path / name
    format_: Any = None if "." in name else "jsonl"
    with pytest.raises(redcol.InvalidArgumentError, match="'raw' is Binary"):
        redcol.export_stream(server.url, key, path, format=format_, discover="auto")
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
    assert redcol.export_stream(server.url, key, tmp_path / "b.parquet", discover="auto").rows == 1


def test_a_stream_that_is_behind_its_files_is_told(
    server: Server,
    db: redis.Redis,
    key: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add(db, key, 5)
    redcol.export_stream(server.url, key, tmp_path, schema=SCHEMA)
    db.delete(key)
    add(db, key, 2)
    with caplog.at_level("WARNING", "redcol"):
        again = redcol.export_stream(server.url, key, tmp_path, schema=SCHEMA, resume=True)
    assert again.rows == 0
    assert "ends with entry 2-7, and entry 5-7 is in a file" in caplog.text
    caplog.clear()
    add(db, key, 5, first=2)
    with caplog.at_level("WARNING", "redcol"):
        again = redcol.export_stream(server.url, key, tmp_path, schema=SCHEMA, resume=True)
    assert (again.rows, caplog.text) == (2, "")
