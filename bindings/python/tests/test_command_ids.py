# SPDX-License-Identifier: Apache-2.0
"""The command and entry ids: those that are no times, and those that a server refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import redis
from commands import Run, in_this_process, with_database, with_events

events = pytest.fixture(scope="module")(with_events)
db = pytest.fixture(with_database)
run = pytest.fixture(in_this_process)


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_ids_beyond_int64(run: Run, db: redis.Redis, tmp_path: Path) -> None:
    ids = [f"{2**63 - 1}-1", f"{2**63}-0", f"{2**64 - 2}-5"]
    for number, id_ in enumerate(ids):
        db.xadd("big", {"n": number}, id=id_)
    db.xgroup_create("big", "g", "0")
    db.xreadgroup("g", "w", {"big": ">"})
    expected = [{"_id": id_, "n": str(number)} for number, id_ in enumerate(ids)]
    for arguments in (
        ("peek", "big"),
        ("peek", "big", "--last"),
        ("read", "big", "--from", ids[0]),
        ("tail", "big", "-e"),
        ("claim", "big", "g", "other", "--idle", "0s"),
    ):
        written, said = run(*arguments)
        assert rows(written) == expected
        assert said == "redcol: stream 'big' has ids beyond Int64: there is no column _ts.\n"
    table = run("peek", "big", "-f", "table", "-q")[0]
    assert [line.split() for line in table.splitlines()[1:]] == [
        [id_, str(number)] for number, id_ in enumerate(ids)
    ]
    assert [row["_ts"] for row in rows(run("pending", "big", "g")[0])] == [2**63 - 1, None, None]
    path = str(tmp_path / "big.jsonl")
    for target in (path, str(tmp_path / "folder")):
        assert rows(run("export", "big", "-o", target)[0])[0]["last_id"] == ids[-1]
    run("import", path, "copy", "--id-column", "_id")
    assert rows(run("read", "copy")[0]) == expected
    (file,) = (tmp_path / "folder").iterdir()
    assert pl.read_parquet(file).rows(named=True) == expected


def test_milliseconds_that_no_calendar_has(run: Run, db: redis.Redis, tmp_path: Path) -> None:
    db.xadd("far", {"n": 1}, id="1-0")
    db.xadd("far", {"n": 2}, id="9000000000000000000-0")
    for words in ("ls far", "ls far -f csv", "ls far -f table", "info far", "info far -f table"):
        assert "9000000000000000000" in run(*words.split())[0]
    (told,) = rows(run("ls", "far")[0])
    assert told["first_ts"] == "1970-01-01T00:00:00.001+00:00"
    assert told["last_ts"] == "9000000000000000000"
    folders = ("--partition-by", "day")
    _, said = run("export", "far", "-o", str(tmp_path / "days"), *folders, code=2)
    assert said.startswith("redcol: Entry 9000000000000000000-0 is after the year 9999")
