# SPDX-License-Identifier: Apache-2.0
"""The command's imports: from pipes, in pieces, and resumed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import polars as pl
import pytest
import redis
from commands import Run, in_this_process, piped, with_database, with_events

from redcol.command import import_
from servers import Server

events = pytest.fixture(scope="module")(with_events)
db = pytest.fixture(with_database)
run = pytest.fixture(in_this_process)


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_pipe_is_imported(events: Server, db: redis.Redis) -> None:
    done = piped(
        events.url, "import", "-", "new", "-f", "jsonl", stdin='{"a":1,"b":null}\n{"a":2,"b":"x"}\n'
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [entry for _, entry in db.xrange("new")] == [{"a": "1"}, {"a": "2", "b": "x"}]
    # What is only in a late line is no reason to leave it out, nor to fail.
    lines = ['{"a":1,"b":null}'] * 150 + ['{"a":1.5,"b":"x"}', '{"c":"y"}', '{"a":"z"}']
    done = piped(events.url, "import", "-", "late", "-f", "jsonl", stdin="\n".join(lines))
    assert (done.returncode, done.stderr) == (0, "")
    tail = [{"a": "1"}, {"a": "1.5", "b": "x"}, {"c": "y"}, {"a": "z"}]
    assert [entry for _, entry in db.xrange("late")][149:] == tail
    assert piped(events.url, "import", "-", "new").returncode == 2
    assert "there is no file" in piped(events.url, "import", "a.csv", "new").stderr


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_large_pipe_is_imported_in_pieces(events: Server, db: redis.Redis, ending: str) -> None:
    text = "\\n" * 10_000 if ending == "jsonl" else "\n" * 20_000
    row = '{{"n":{},"text":"{}"}}\n' if ending == "jsonl" else '{},"{}"\n'
    lines = [row.format(number, text) for number in range(1_200)]
    stdin = ("" if ending == "jsonl" else "n,text\n") + "".join(lines)
    assert len(stdin) > 2 * import_.PIECE_BYTES
    done = piped(events.url, "import", "-", "new", "-f", ending, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    assert [entry["n"] for _, entry in db.xrange("new")] == [str(each) for each in range(1_200)]
    # A line in the middle that is no JSON: what comes before its piece is written.
    if ending == "jsonl":
        lines[1_000] = "{\n"
        done = piped(events.url, "import", "-", "torn", "-f", ending, stdin="".join(lines))
        assert done.returncode == 1
        count = db.xlen("torn")
        assert 0 < count < 1_000
        assert f"The first {count:,} rows are written, and no other. To go on" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n1,2\n3,"x\ny"\n"q""\n",5\n',
        '"a\n1",b\r\n1,"2"\r\n,\r\n7,8',
        *("a\n1\n\n2\n", "a,b\n", "a,b"),
    ],
)
def test_pieces_of_csv_are_whole_rows(text: str) -> None:
    whole = pl.scan_csv(text.encode(), infer_schema=False).collect()
    for size in range(1, len(text) + 2):
        pieces = import_.pieces(io.BytesIO(text.encode()), is_csv=True, size=size)
        frames = [pl.scan_csv(piece, infer_schema=False).collect() for piece in pieces]
        assert pl.concat(frames).equals(whole), size


def test_pieces_of_json_are_whole_lines() -> None:
    text = b'{"a":1}\n\n{"a":"\\n"}\r\n\n\n{"a":3}'
    for size in range(1, len(text) + 2):
        found = list(import_.pieces(io.BytesIO(text), is_csv=False, size=size))
        assert all(piece.strip() for piece in found)
        assert b"".join(found).split() == text.split()
    assert list(import_.pieces(io.BytesIO(b"\n\n"), is_csv=False, size=1)) == [b""]


def test_a_resumed_import_names_rows_that_are_not_there(
    run: Run, db: redis.Redis, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"_id":"{number}-0","n":{number}}}\n' for number in range(1, 61)))
    words = ("import", str(path), "holes", "--id-column", "_id", "--resume")
    for number in (1, 2, 4, 6):
        db.xadd("holes", {"n": number}, id=f"{number}-0")
    written, said = run(*words)
    assert rows(written) == [{"stream": "holes", "written": 54, "last_id": "60-0"}]
    assert "passed over 6 rows that are not after 6-0" in said
    assert "these rows are not in the stream: 3, 5. They were refused" in said
    assert db.xlen("holes") == 58
    db.xtrim("holes", maxlen=30, approximate=False)
    assert "18, 19, 20 and 10 more." in run(*words)[1]
    assert "not in the stream" not in run(*words, "--skip", "30")[1]


def test_a_resumed_import_takes_short_ids(run: Run, db: redis.Redis, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    words = ("import", str(path), "short", "--id-column", "_id", "--resume")
    path.write_text("".join(f'{{"_id":"{number}","n":{number}}}\n' for number in range(1, 7)))
    for number in (1, 3):
        db.xadd("short", {"n": number}, id=f"{number}-0")
    written, said = run(*words)
    assert rows(written) == [{"stream": "short", "written": 3, "last_id": "6-0"}]
    assert "passed over 3 rows that are not after 3-0" in said
    assert "these rows are not in the stream: 2. They were refused" in said
    for other, shown in (('"7-*"', "'7-*'"), ("null", "None"), ('"x"', "'x'")):
        path.write_text(f'{{"_id":"6-0","n":6}}\n{{"_id":{other},"n":7}}\n')
        assert f"row 2 has the id {shown}, but --resume compares ids" in run(*words, code=1)[1]
    assert db.xlen("short") == 5
