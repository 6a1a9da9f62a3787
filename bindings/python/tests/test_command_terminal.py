# SPDX-License-Identifier: Apache-2.0
"""The command in a pseudo-terminal: tables, colors, questions, and Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator

import pexpect
import pytest
import redis
from commands import FIRST_MS, fill, interrupt, shown, spawned, with_events
from rich.cells import cell_len

from servers import Server

events = pytest.fixture(scope="module")(with_events)


@pytest.fixture
def db(events: Server) -> Iterator[redis.Redis]:
    with events.client(decode_responses=True) as client:
        fill(client)
        yield client


def test_a_table_keeps_ids_whole_and_to_the_width(events: Server, db: redis.Redis) -> None:
    for number in range(3):
        fields = {"text": f"{number}" * 300, "ansi": "\x1b[31mred\x1b[0m\u202e", "wide": "漢" * 50}
        db.xadd("wide", fields, id=f"{FIRST_MS}-{10**15 + number}")
    for columns in (60, 80, 200):
        text, code = shown(events.url, "peek", "wide", "--no-color", columns=columns)
        assert code == 0
        lines = text.splitlines()
        assert len(lines) == (4 if columns > 60 else 5)
        assert all(cell_len(line) <= columns for line in lines)
        for number in range(3):
            assert f"{FIRST_MS}-{10**15 + number}" in text
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert r"\x1b[31mred" in text


def test_too_many_columns_are_named(events: Server, db: redis.Redis) -> None:
    db.xadd("many", {f"field_{number}": "x" * 20 for number in range(12)})
    text, _ = shown(events.url, "peek", "many")
    assert "Too narrow for field_" in text
    assert "field_11: use --columns, or -f jsonl." in " ".join(text.split())


@pytest.mark.parametrize(
    ("options", "variables", "has_color"),
    [([], {}, True), (["--no-color"], {}, False), ([], {"NO_COLOR": "1"}, False)],
)
def test_colors(
    events: Server, db: redis.Redis, options: list[str], variables: dict[str, str], has_color: bool
) -> None:
    db.xadd("events", {"other": "5"})
    text, code = shown(events.url, "peek", "events", *options, **variables)
    assert code == 0
    assert ("\x1b[1m_id" in text) is has_color
    assert ("\x1b" in text) is has_color


def test_numbers_are_to_the_right(events: Server, db: redis.Redis) -> None:
    db.xadd("events", {"value": 123_456})
    text, _ = shown(events.url, "peek", "events", "--schema", "value:i64", "--no-color")
    values = [line.rstrip() for line in text.splitlines()[1:]]
    assert [line.split()[-1] for line in values] == ["10", "20", "123456"]
    assert len({len(line) for line in values}) == 1


def test_what_deletes_asks(events: Server, db: redis.Redis) -> None:
    process = spawned(events.url, "trim", "events", "--maxlen", "0", "--exact")
    process.expect_exact("Delete the entries of 'events' but the newest 0? [y/N]: ")
    process.sendline("n")
    process.expect_exact("redcol: nothing was deleted.")
    process.expect(pexpect.EOF)
    process.close()
    assert (process.exitstatus, db.xlen("events")) == (1, 2)
    process = spawned(events.url, "group", "delete", "events", "analytics")
    process.expect_exact("[y/N]: ")
    interrupt(process)
    process.close()
    assert (process.exitstatus, len(db.xinfo_groups("events"))) == (130, 1)
    process = spawned(events.url, "trim", "events", "--maxlen", "0", "--exact")
    process.expect_exact("[y/N]: ")
    process.sendline("y")
    process.expect_exact("Deleted 2 entries.")
    process.expect(pexpect.EOF)
    process.close()
    assert (process.exitstatus, db.xlen("events")) == (0, 0)


def test_a_password_is_asked_for(events: Server, db: redis.Redis) -> None:
    db.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all")
    process = spawned(events.url.replace("unix://", "unix://app@"), "peek", "events", "-n", "1")
    process.expect_exact("Password: ")
    process.sendline("secret")
    process.expect_exact("click")
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0
    assert "secret" not in process.before
    db.execute_command("ACL", "DELUSER", "app")


def test_bytes_are_not_for_a_terminal(events: Server, db: redis.Redis) -> None:
    text, code = shown(events.url, "read", "events", "-f", "parquet")
    assert code == 2
    assert "not for a terminal" in text
