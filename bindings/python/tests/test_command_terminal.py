# SPDX-License-Identifier: Apache-2.0
"""The command in a pseudo-terminal: tables, colors, questions, and Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable

import pexpect
import pyte
import pytest
import redis
from commands import FIRST_MS, interrupt, shown, spawned, with_database, with_events
from rich.cells import cell_len

from servers import REDIS_7, Server

events = pytest.fixture(scope="module")(with_events)
db = pytest.fixture(with_database)


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


def test_times_get_shorter_before_they_are_left_out(events: Server, db: redis.Redis) -> None:
    db.xadd("times", {"text": "x" * 40}, id=f"{FIRST_MS + 1_234}-0")
    for columns, shown_time in [(100, "00:00:01.234"), (57, "00:00:01"), (45, "00:00")]:
        text, _ = shown(events.url, "peek", "times", "--no-color", columns=columns)
        assert f"  2024-01-01 {shown_time}  x" in text.splitlines()[1]
    text, _ = shown(events.url, "info", "times", "--no-color")
    assert "2024-01-01 00:00:01.234\n" in text.replace("\r", "")


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


class Screen:
    """The screen of `top` in a terminal of 110 by 20 characters."""

    def __init__(self, url: str, *arguments: str) -> None:
        self.process = spawned(url, "top", *arguments, rows=20, columns=110)
        self.screen = pyte.Screen(110, 20)
        self.stream = pyte.Stream(self.screen)

    def until(self, is_there: Callable[[list[str]], bool]) -> list[str]:
        """The lines, once they are as they should be."""
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            lines = [line.rstrip() for line in self.screen.display]
            if is_there(lines):
                return lines
            try:
                self.stream.feed(self.process.read_nonblocking(65_536, timeout=1))
            except pexpect.TIMEOUT:
                continue
        raise AssertionError("\n".join(self.screen.display))

    def press(self, keys: str) -> None:
        self.process.send(keys)


def names(lines: list[str]) -> list[str]:
    """The first words of the table's lines."""
    return [line.split()[0] for line in lines[4:] if line.strip()]


def test_top(events: Server, db: redis.Redis) -> None:
    db.xadd("big", {"a": 1})
    for number in range(500):
        db.xadd("other", {"a": number})
    db.xgroup_create("other", "late", "0")
    screen = Screen(events.url, "-i", "0.2")
    lines = screen.until(lambda lines: "analytics" in " ".join(lines) and "▁" in " ".join(lines))
    assert lines[0].startswith("3 streams, by name")
    assert names(lines) == ["big", "events", "analytics", "other", "late"]
    assert lines[3].split() == [
        *(
            "stream",
            "/",
            "group",
            "length",
            "rate/s",
            "lag",
            "pending",
            "consumers",
            "last",
            "minutes",
        )
    ]
    (events_line,) = [line.split() for line in lines if line.startswith("events")]
    assert events_line[1:6] == ["2", "0.0", "0", "2", "1"]
    screen.press("s")
    screen.until(lambda lines: names(lines) == ["other", "late", "events", "analytics", "big"])
    screen.press("r")
    screen.until(lambda lines: names(lines) == ["big", "events", "analytics", "other", "late"])
    screen.press("rss")
    lines = screen.until(lambda lines: "by lag" in lines[0])
    assert names(lines)[:2] == ["other", "late"]
    screen.press("g")
    screen.until(lambda lines: "late" not in names(lines))
    screen.press("/eve")
    lines = screen.until(lambda lines: names(lines) == ["events"])
    assert lines[0].endswith("filter: eve_")
    screen.press("x\x7f\n")
    screen.until(lambda lines: lines[0].endswith("filter: eve"))
    # A rate, and its picture.
    for _ in range(50):
        db.xadd("events", {"a": 1})
    screen.until(lambda lines: names(lines) == ["events"] and "█" in lines[4])
    screen.press("\x1b")
    screen.until(lambda lines: len(names(lines)) == 3)
    screen.press("q")
    screen.process.expect(pexpect.EOF)
    screen.process.close()
    assert screen.process.exitstatus == 0
    assert shown(events.url, "top", "-i", "0")[1] == 2


def test_top_goes_on_when_the_server_is_away(db: redis.Redis) -> None:
    with Server(REDIS_7) as server:
        with server.client() as other:
            other.xadd("s", {"a": 1})
        screen = Screen(server.url, "-i", "0.2")
        screen.until(lambda lines: names(lines) == ["s"])
        server.process.kill()
        server.process.wait()
        screen.until(lambda lines: "connect" in lines[1].lower())
        screen.press("q")
        screen.process.expect(pexpect.EOF)
        screen.process.close()
        assert screen.process.exitstatus == 0


def test_a_plot_in_the_terminal(events: Server, db: redis.Redis) -> None:
    for minute in range(30):
        for number in range(minute):
            db.xadd("rising", {"n": number % 2}, id=f"{FIRST_MS + minute * 60_000 + number}-0")
    text, code = shown(events.url, "plot", "rising", "--every", "1m", "--no-color")
    assert code == 0
    lines = text.splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    assert "rising: entries in 1m" in lines[0]
    assert "01-01 00:01" in lines[-1]
    assert "\x1b" not in text

    # It rises from the left to the right.
    def left_end(line: str) -> int:
        return next((at for at, each in enumerate(line) if "\u2800" < each <= "\u28ff"), 99)

    drawn = [left_end(line) for line in lines if left_end(line) < 99]
    assert len(drawn) > 5
    assert drawn == sorted(drawn, reverse=True)
    text, _ = shown(events.url, "plot", "rising", "--by", "n", "--groups")
    assert "\x1b[38" in text


def test_bytes_are_not_for_a_terminal(events: Server, db: redis.Redis) -> None:
    text, code = shown(events.url, "read", "events", "-f", "parquet")
    assert code == 2
    assert "not for a terminal" in text
