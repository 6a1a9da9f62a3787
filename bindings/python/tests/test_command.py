# SPDX-License-Identifier: Apache-2.0
"""The command's verbs against a real server: output, formats, exit codes, and what they change."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import redis
from commands import (
    COMMAND,
    FIRST_MS,
    Run,
    environment,
    in_this_process,
    on_path,
    piped,
    with_database,
    with_events,
)

from redcol.command import run as running
from redcol.command.root import root
from servers import Server

FIRST, SECOND = f"{FIRST_MS}-0", f"{FIRST_MS + 1}-0"
ROWS = [
    {"_id": FIRST, "_ts": FIRST_MS, "user_id": "user_0", "action": "click", "value": "10"},
    {"_id": SECOND, "_ts": FIRST_MS + 1, "user_id": "user_1", "action": "view", "value": "20"},
]
events = pytest.fixture(scope="module")(with_events)
db = pytest.fixture(with_database)
run = pytest.fixture(in_this_process)


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_streams_are_listed(run: Run, db: redis.Redis) -> None:
    db.set("evil", "no stream")
    found = rows(run("ls")[0])
    assert found == [
        {
            "stream": "events",
            "length": 2,
            "first_ts": "2024-01-01T00:00:00+00:00",
            "last_ts": "2024-01-01T00:00:00.001+00:00",
            "groups": 1,
        }
    ]
    (long,) = rows(run("ls", "ev*", "-l")[0])
    assert (long["first_id"], long["bytes"]) == (FIRST, db.memory_usage("events"))
    assert run("ls", "other*") == ("", "")
    assert run("ls", "-f", "table")[0].splitlines() == [
        "stream  length  first_ts                 last_ts                  groups",
        "events       2  2024-01-01 00:00:00.000  2024-01-01 00:00:00.001       1",
    ]


def test_a_stream_is_described(run: Run, db: redis.Redis) -> None:
    now = time.time_ns() // 1_000_000
    for number in range(30):
        db.xadd("events", {"value": number, "new": b"x"}, id=f"{now + 60_000}-{number}")
    (told,) = json.loads(run("info", "events", "-f", "json")[0])
    assert (told["length"], told["groups"], told["entries_added"]) == (32, 1, 32)
    assert told["per_second_last_minute"] == pytest.approx(0.5)
    fields = {field["field"]: field for field in told["fields"]}
    assert list(fields) == ["user_id", "action", "value", "new"]
    assert fields["new"]["filled_percent"] == pytest.approx(100 * 30 / 32)
    (group,) = told["group_list"]
    assert (group["group"], group["pending"], group["lag"]) == ("analytics", 2, 30)
    assert [each["consumer"] for each in told["consumers"]] == ["worker-1"]
    table = run("info", "events", "-f", "table")[0]
    for line in ("length                  32", "analytics          1        2", "worker-1"):
        assert line in table
    assert run("info", "missing", code=1) == ("", "redcol: there is no stream 'missing'.\n")


def test_first_and_last_entries(run: Run, db: redis.Redis) -> None:
    assert rows(run("peek", "events")[0]) == ROWS
    assert rows(run("peek", "events", "-n", "1")[0]) == ROWS[:1]
    assert rows(run("peek", "events", "--last", "-n", "1")[0]) == ROWS[1:]
    assert run("peek", "events", "-n", "0") == ("", "")
    typed = run("peek", "events", "--schema", "value:i64,action:cat", "--columns", "value,action")
    assert rows(typed[0]) == [{"value": 10, "action": "click"}, {"value": 20, "action": "view"}]
    assert "there is no stream 'missing'" in run("peek", "missing", code=1)[1]
    # Bursts, and gaps of hours.
    for hour in range(5):
        for number in range(200):
            db.xadd("gaps", {"n": hour * 200 + number}, id=f"{hour * 3_600_000 + 1}-{number}")
    for count in (1, 199, 201, 1_000, 2_000):
        found = rows(run("peek", "gaps", "--last", "-n", str(count))[0])
        assert [int(row["n"]) for row in found] == [*range(1_000)][-count:]


def test_dtypes_are_found_out(run: Run) -> None:
    typed = [{**row, "value": int(str(row["value"]))} for row in ROWS]
    for verb in (["peek", "events"], ["read", "events"], ["tail", "events", "-e"]):
        assert rows(run(*verb, "--schema", "infer")[0]) == typed
    (told,) = json.loads(run("info", "events", "-f", "json")[0])
    assert {field["field"]: field["dtype"] for field in told["fields"]}["value"] == "i64"
    # Numbers are to the right in a table, so they are numbers there.
    lines = run("peek", "events", "-f", "table", "--columns", "value")[0].splitlines()
    assert lines == ["value", "   10", "   20"]


def test_a_table_shows_what_the_newest_entries_do_not_have(run: Run, db: redis.Redis) -> None:
    pipeline = db.pipeline(transaction=False)
    pipeline.xadd("changed", {"n": "abc", "old": "x"}, id="1-0")
    for number in range(1_100):
        pipeline.xadd("changed", {"n": number, "f": "1.5"}, id=f"{number + 2}-0")
    pipeline.execute()
    first = run("peek", "changed", "-n", "2", "-f", "table", "--columns", "n,old")[0]
    assert first.split() == ["n", "old", "abc", "x", "0", "null"]
    found = run("read", "changed", "-f", "table", "--where", "old = 'x'", "--columns", "_id")[0]
    assert found.split() == ["_id", "1-0"]
    lines = run("tail", "changed", "-e", "--from", "-", "-f", "table")[0].splitlines()
    assert lines[0].split() == ["_id", "_ts", "n", "old", "f"]
    assert len(lines) >= 1_102
    numbers = ("--from", "1000", "--where", "n > 1098 AND f < 2", "--columns", "n")
    assert run("read", "changed", "-f", "table", *numbers)[0].split() == ["n", "1099"]
    db.xadd("changed", {"n": "007", "f": "1e400"}, id="5000-0")
    assert run("peek", "changed", "-n", "1", "--last", "-f", "table")[0].split()[-2:] == [
        "007",
        "1e400",
    ]


def test_a_table_shows_dates_that_python_does_not_have(run: Run, db: redis.Redis) -> None:
    db.xadd("old", {"day": "0000-01-01", "at": "0000-01-01T00:00:00Z"}, id="1-0")
    db.xadd("old", {"day": "2024-01-31", "at": "2024-01-31T00:00:00Z"}, id="2-0")
    shown = ("--columns", "day,at", "--schema", "infer", "-f", "table")
    lines = run("peek", "old", *shown)[0].splitlines()
    assert lines[0].split() == ["day", "at"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["0000-01-01", "0000-01-01"],
        ["2024-01-31", "2024-01-31"],
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [0, 1]),
        (["--from", SECOND], [1]),
        (["--from", str(FIRST_MS + 1)], [1]),
        (["--from", "2024-01-01"], [0, 1]),
        (["--from", "2024-01-01T00:00:00.001Z"], [1]),
        (["--from", "@2024-01-01T01:00+01:00", "--to", "@1704067200"], [0]),
        (["--to", FIRST], [0]),
        (["--to", str(FIRST_MS)], [0]),
        (["--to", str(FIRST_MS - 1)], []),
        (["--from", "-10m"], []),
        (["--to", "now"], [0, 1]),
        (["--to", "-"], []),
        (["-n", "1"], [0]),
        (["-n", "0"], []),
        (["--where", "action = 'view'"], [1]),
        (["--where", "other is null and user_id like 'user_%'"], [0, 1]),
    ],
)
def test_a_range(run: Run, options: list[str], expected: list[int]) -> None:
    assert rows(run("read", "events", *options)[0]) == [ROWS[index] for index in expected]


def test_a_condition_on_numbers(run: Run) -> None:
    written, _ = run(
        *("read", "events", "--schema", "value:i64", "--where", "value > 10"),
        *("--columns", "value,_id"),
    )
    assert rows(written) == [{"value": 20, "_id": SECOND}]
    _, said = run("read", "events", "--where", "value >", code=1)
    assert said.startswith("redcol: ")
    assert said.count("\n") == 1


FORMATS: dict[str, Callable[[bytes], pl.DataFrame]] = {
    "jsonl": lambda data: pl.read_ndjson(io.BytesIO(data)),
    "json": lambda data: pl.read_json(io.BytesIO(data)),
    "csv": lambda data: pl.read_csv(io.BytesIO(data), schema_overrides={"value": pl.String}),
    "arrow": lambda data: pl.read_ipc_stream(io.BytesIO(data)),
    "parquet": lambda data: pl.read_parquet(io.BytesIO(data)),
}


@pytest.mark.parametrize("format_", FORMATS)
def test_formats(db: redis.Redis, format_: str, events: Server) -> None:
    # More than one batch.
    pipeline = db.pipeline(transaction=False)
    for number in range(2, 25_000):
        pipeline.xadd(
            "events", {"user_id": "ü\n", "value": number, "action": '"'}, id=f"{FIRST_MS + number}"
        )
    pipeline.execute()
    done = subprocess.run(
        [*COMMAND, "read", "events", "-f", format_],
        env=environment(events.url),
        capture_output=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    frame = FORMATS[format_](done.stdout)
    assert frame.columns == ["_id", "_ts", "user_id", "action", "value"]
    assert len(frame) == 25_000
    assert frame.head(2).rows(named=True) == ROWS
    assert frame.row(-1)[2:] == ("ü\n", '"', "24999")


@pytest.mark.parametrize(
    ("format_", "empty"), [("json", "[]\n"), ("jsonl", ""), ("csv", "a,_id\n")]
)
def test_nothing_in_each_format(run: Run, format_: str, empty: str) -> None:
    options = ("--schema", "a:str", "--columns", "a,_id", "-f", format_)
    assert run("read", "events", "--from", "-1m", *options)[0] == empty


def test_bytes_and_fields_that_come_late(run: Run, db: redis.Redis) -> None:
    db.xadd("odd", {"a": b"\xff\0"}, id="1-1")
    assert rows(run("read", "odd")[0]) == [{"_id": "1-1", "_ts": 1, "a": "\\xff\0"}]
    assert run("read", "odd", "-f", "table")[0].splitlines()[1].split() == [
        *("1-1", "1970-01-01", "00:00:00.001", r"\xff\x00")
    ]


def test_groups_consumers_and_pending_entries(run: Run) -> None:
    (group,) = rows(run("groups")[0])
    assert "lag_exact" not in group
    assert (group["group"], group["lag"], group["pending"]) == ("analytics", 0, 2)
    assert rows(run("groups", "ev*", "--exact")[0])[0]["lag_exact"] == 0
    for arguments in (("events",), ("events", "analytics")):
        (consumer,) = rows(run("consumers", *arguments)[0])
        assert (consumer["consumer"], consumer["pending"]) == ("worker-1", 2)
    found = rows(run("pending", "events", "analytics")[0])
    assert [(row["_id"], row["consumer"]) for row in found] == [
        *((FIRST, "worker-1"), (SECOND, "worker-1"))
    ]
    assert len(rows(run("pending", "events", "analytics", "-n", "1")[0])) == 1
    assert run("pending", "events", "analytics", "--idle", "1h")[0] == ""
    assert run("pending", "events", "analytics", "--consumer", "w")[0] == ""
    assert "NOGROUP" in run("pending", "events", "none", code=1)[1].upper()


def test_groups_are_created_set_back_and_deleted(run: Run, db: redis.Redis) -> None:
    assert rows(run("group", "create", "events", "late", "--at", "$")[0]) == [{"created": True}]
    assert rows(run("group", "create", "events", "late")[0]) == [{"created": False}]
    assert run("group", "create", "new", "g", "--create-stream", "-f", "table")[0] == (
        "Created group 'g'.\n"
    )

    def position(group: str) -> str:
        (found,) = [each for each in db.xinfo_groups("events") if each["name"] == group]
        return str(found["last-delivered-id"])

    assert position("late") == SECOND
    for to, expected in (
        ("0", "0-0"),
        (FIRST, FIRST),
        ("2024-01-01T00:00:00.001", f"{FIRST_MS}-{2**64 - 1}"),
        ("$", SECOND),
    ):
        run("group", "seek", "events", "late", to)
        assert position("late") == expected
    assert rows(run("group", "seek", "events", "late", "0")[0]) == [{"position": "0-0"}]
    _, said = run("group", "delete", "events", "late", code=2)
    assert "There is no terminal to ask on: say --yes." in said
    assert len(db.xinfo_groups("events")) == 2
    assert rows(run("group", "delete", "events", "late", "--yes")[0]) == [{"deleted": True}]
    assert rows(run("group", "delete", "events", "late", "-y")[0]) == [{"deleted": False}]
    assert len(db.xinfo_groups("events")) == 1


def test_pending_entries_are_acknowledged_claimed_and_released(run: Run, db: redis.Redis) -> None:
    assert rows(run("ack", "events", "analytics", FIRST, FIRST)[0]) == [{"acknowledged": 1}]
    assert run("claim", "events", "analytics", "w", "--idle", "1h")[0] == ""
    assert rows(run("claim", "events", "analytics", "worker-2", SECOND)[0]) == ROWS[1:]
    assert db.xpending("events", "analytics")["consumers"] == [{"name": "worker-2", "pending": 1}]
    assert rows(run("release", "events", "analytics", "worker-2", SECOND)[0]) == [{"released": 1}]
    found = run("pending", "events", "analytics", "--idle", "20d", "-f", "csv", "-q")[0]
    ids = "\n".join(line.split(",")[0] for line in found.splitlines()[1:])
    assert rows(run("ack", "events", "analytics", "-", stdin=ids)[0]) == [{"acknowledged": 1}]
    assert "Say which entries" in run("claim", "events", "analytics", "w", code=2)[1]


def test_streams_are_trimmed(run: Run, db: redis.Redis) -> None:
    for wrong in ((), ("--maxlen", "1", "--before", "5")):
        assert "one of the two" in run("trim", "events", *wrong, "--yes", code=2)[1]
    assert "say --yes" in run("trim", "events", "--maxlen", "0", code=2)[1]
    assert db.xlen("events") == 2
    deleted = rows(run("trim", "events", "--before", SECOND, "--exact", "--yes")[0])
    assert deleted == [{"deleted": 1}]
    assert rows(run("trim", "events", "--maxlen", "0", "--exact", "--yes")[0]) == [{"deleted": 1}]
    assert db.xlen("events") == 0


def test_tail_ends(run: Run, db: redis.Redis) -> None:
    assert rows(run("tail", "events", "-e")[0]) == ROWS
    assert rows(run("tail", "events", "-e", "-n", "1")[0]) == ROWS[1:]
    assert run("tail", "events", "-e", "-n", "0")[0] == ""
    assert rows(run("tail", "events", "-e", "-o", SECOND)[0]) == ROWS[1:]
    assert rows(run("tail", "events", "-e", "--where", "value = '10'")[0]) == ROWS[:1]
    db.xadd("other", {"value": 30}, id="5-5")
    both = rows(run("tail", "events", "other", "-e", "-n", "1")[0])
    assert [(row["_stream"], row["value"]) for row in both] == [("events", "20"), ("other", "30")]
    assert "there is no stream 'missing'" in run("tail", "missing", "-e", code=1)[1]


def test_tail_shows_what_comes(events: Server, db: redis.Redis) -> None:
    with subprocess.Popen(
        [*COMMAND, "tail", "events", "other", "-n", "1"],
        env=environment(events.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "there is no stream 'other'" in process.stderr.read()
        assert process.wait(60) == 1
    db.xadd("other", {"value": 1})
    with subprocess.Popen(
        [*COMMAND, "tail", "events", "other", "-n", "1", "--columns", "_stream,value"],
        env=environment(events.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert rows(process.stdout.readline() + process.stdout.readline()) == [
            *({"_stream": "events", "value": "20"}, {"_stream": "other", "value": "1"})
        ]
        for number in range(3):
            db.xadd("other", {"value": number})
            assert rows(process.stdout.readline()) == [{"_stream": "other", "value": str(number)}]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == ""


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "arrow"])
def test_what_was_exported_is_imported(
    run: Run, db: redis.Redis, tmp_path: Path, ending: str
) -> None:
    path = str(tmp_path / f"a.{ending}")
    pipeline = db.pipeline(transaction=False)
    for number in range(25_000):
        pipeline.xadd("large", {"n": f"{number:07}", "text": 'a"ü\n,'}, id=f"{5 + number}-1")
    pipeline.execute()
    run("export", "large", "-o", path)
    (told,) = rows(run("import", path, "copy", "--id-column", "_id")[0])
    assert told == {"stream": "copy", "written": 25_000, "last_id": "25004-1"}
    assert db.xrange("copy") == db.xrange("large")
    (told,) = rows(run("import", path, "copy", "--id-column", "_id", "--resume")[0])
    assert told["written"] == 0
    db.xadd("half", {"n": 0}, id="15000-1")
    out, said = run("import", path, "half", "--id-column", "_id", "--resume")
    assert rows(out)[0]["written"] == 10_004
    assert "passed over 14,996 rows that are not after 15000-1" in said
    (told,) = rows(run("import", path, "new", "--skip", "24990", "--maxlen", "5")[0])
    assert told["written"] == 10
    assert [entry["n"] for _, entry in db.xrange("new")][-1] == "0024999"
    # A failure in the second batch.
    db.xadd("late", {"n": 0}, id="1-1")
    db.config_set("maxmemory", db.info("memory")["used_memory"] + 250_000)
    try:
        _, said = run("import", path, "late", "--id-column", "_id", code=1)
    finally:
        db.config_set("maxmemory", 0)
    skip = re.search(r"To go on: --skip (\d+)\.", said)
    assert skip is not None, said
    refused = re.search(r"server refused ([\d, ]+);", said)
    sent = db.xlen("late") - 1
    assert 0 < sent < 25_000
    assert int(skip[1]) >= sent if refused else int(skip[1]) == sent
    # The server may refuse rows and then accept later ones. Ids only increase, so the refused rows
    # before the last entry cannot be added; the first run has told which they are.
    last = int(db.xinfo_stream("late")["last-generated-id"].partition("-")[0])
    places = re.findall(r"[\d,]*\d", refused[1]) if refused else []
    lost = sum(4 + int(place.replace(",", "")) < last for place in places)
    (told,) = rows(run("import", path, "late", "--id-column", "_id", "--resume")[0])
    assert db.xlen("late") == 25_001 - lost
    assert told["written"] == 25_000 - sent - lost


def test_a_claim_needs_its_columns(run: Run) -> None:
    words = ("claim", "events", "analytics", "worker-2", "--idle", "0s", "--schema", "infer")
    assert "does not find them out" in run(*words, code=2)[1]


def test_shells_complete(run: Run, events: Server, db: redis.Redis, tmp_path: Path) -> None:
    db.xadd("ev[1]", {"a": 1})
    words = {"bash": "complete -o", "zsh": "compdef", "fish": "complete --no-files"}
    for shell, word in words.items():
        assert word in run("completion", shell)[0]
    script = (
        'eval "$(redcol completion bash)"; COMP_WORDS=($1); COMP_CWORD=$2; '
        '_redcol_completion redcol; printf "%s\\n" "${COMPREPLY[@]}"'
    )

    def completed(words: str, at: int) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", script, "bash", words, str(at)],
            env=environment(events.url, PATH=on_path(tmp_path)),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stderr == ""
        return done.stdout.split()

    assert sorted(completed("redcol gr", 1)) == ["group", "groups"]
    assert completed("redcol peek e", 2) == ["ev[1]", "events"]
    assert completed("redcol peek ev[", 2) == ["ev[1]"]
    assert "--columns" in completed("redcol peek --", 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "a.txt", "s"], "add --format"),
        (["import", "a.csv", "s", "--resume"], "add --id-column"),
        (["export", "a", "-o", "a/", "--every", "5m"], "add --follow"),
        (["export", "a", "b", "-o", "a/", "--follow"], "is for one stream"),
        (["export", "a", "b", "-o", "a.csv"], "need a folder"),
        (["export", "a", "-o", "a/", "--bytes-per-file", "much"], "is not a size"),
        (["peek"], "Missing argument 'STREAM'"),
        (["peek", "events", "--what"], "No such option"),
        (["peek", "events", "-f", "xml"], "'xml' is not one of"),
        (["peek", "events", "--schema", "a"], "a schema is user:str"),
        (["peek", "events", "--schema", "a:what"], "There are: str, bytes"),
        (["peek", "events", "--schema", "a:datetime[days]"], "is not a dtype"),
        (["peek", "events", "--schema", "a:str,a:str"], "names 'a' twice"),
        (["read", "events", "--from", "soon"], "how long ago, such as -10m"),
        (["pending", "events", "analytics", "--idle", "soon"], "is not a time"),
        (["ack", "events", "analytics", "x"], "not an entry id"),
        (["ls", "-u", "http://x"], "redis://"),
        (["what"], "No such command"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], said: str) -> None:
    assert said in " ".join(run(*arguments, code=2)[1].split())


def test_errors_are_one_sentence(run: Run, db: redis.Redis) -> None:
    db.set("text", "x")
    for arguments in (("ls", "-u", "redis://localhost:1"), ("info", "text"), ("read", "text")):
        written, said = run(*arguments, code=1)
        assert written == ""
        assert said.startswith("redcol: ")
        assert said.count("\n") == 1
    _, said = run("peek", "events", "--schema", "action:i64", code=1)
    assert '"action"' in said
    assert "click" in said
    schema = ("--schema", "action:i64", "--columns", "action")
    assert rows(run("peek", "events", *schema, "--on-error", "null")[0]) == [{"action": None}] * 2
    assert run("read", "events", *schema, "--on-error", "skip", "-q")[0] == ""
    with pytest.raises(Exception, match="Connection refused"):
        run("ls", "-vv", "-u", "redis://localhost:1")


def test_the_password_comes_from_the_environment(
    run: Run, db: redis.Redis, events: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute_command("ACL", "SETUSER", "app", "reset", "on", ">p@ss/w:rd", "~*", "+@all")
    url = events.url.replace("unix://", "unix://app@")
    monkeypatch.setenv("REDCOL_PASSWORD", "p@ss/w:rd")
    assert rows(run("peek", "events", "-u", url)[0]) == ROWS
    assert rows(run("-u", url, "peek", "events")[0]) == ROWS
    monkeypatch.setenv("REDCOL_PASSWORD", "other")
    written, said = run("peek", "events", "-u", url, code=1)
    assert "other" not in written + said
    # The URL's own password counts.
    url = events.url.replace("unix://", "unix://app:p%40ss%2Fw%3Ard@")
    assert rows(run("peek", "events", "-u", url)[0]) == ROWS
    assert rows(run("peek", "events", "-u", f"{events.url}?username=app&password=p@ss/w:rd")[0])
    db.execute_command("ACL", "DELUSER", "app")


def test_a_pipe_that_closes_ends_it_quietly(events: Server, db: redis.Redis) -> None:
    pipeline = db.pipeline(transaction=False)
    for _ in range(30_000):
        pipeline.xadd("events", {"text": "x" * 100})
    pipeline.execute()
    for format_ in ("jsonl", "table", "csv"):
        with subprocess.Popen(
            [*COMMAND, "read", "events", "-f", format_],
            env=environment(events.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == running.PIPE_CLOSED


def test_help_loads_no_more_than_click(events: Server) -> None:
    program = (
        "import sys; from redcol.command.run import run; code = run(sys.argv[1:]); "
        "print(*sys.modules, sep='\\n', file=sys.stderr); sys.exit(code)"
    )

    def loaded(*arguments: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=environment(events.url),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return set(done.stderr.split())

    heavy = {"polars", "numpy", "pyarrow", "rich", "altair", "vl_convert", "plotext", "asyncio"}
    assert heavy & loaded("--help") == set()
    assert heavy & loaded("peek", "--help") == set()
    assert heavy & loaded("peek", "events") == {"polars"}
    assert heavy & loaded("peek", "events", "-f", "table") == {"polars", "rich"}


def test_every_verb_has_help_with_examples(run: Run) -> None:
    def look(command: object, *words: str) -> int:
        written = run(*words, "--help")[0]
        if hasattr(command, "commands"):
            return sum(look(each, *words, name) for name, each in command.commands.items())
        assert "\nExamples:\n  redcol " in written
        assert "\nOptions of every verb:\n" in written
        return 1

    assert look(root) > 12


def test_it_says_its_version_and_what_to_install(events: Server) -> None:
    done = piped(events.url, "--version")
    assert (done.returncode, done.stdout.startswith("redcol ")) == (0, True)
    program = "import sys; sys.modules['click'] = None; from redcol.command import main; "
    done = subprocess.run(
        [sys.executable, "-c", program + "sys.exit(main())"],
        env=environment(events.url),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert 'pip install "redcol[cli]"' in done.stderr
