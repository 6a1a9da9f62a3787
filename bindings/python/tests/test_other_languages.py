# SPDX-License-Identifier: Apache-2.0
"""The consumers in other languages: each reads, works, acknowledges and ends."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import Server

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "bindings/examples"
LIBRARY = Path(os.environ.get("REDCOL_LIBRARY", ROOT / ".build/release/libredcol.so"))
PAGE = ROOT / "docs/other-languages.md"
#: How each is run, with Debian's packages. One that is missing is an error.
PROGRAMS = {
    "consume_group.lua": ["luajit"],
    "consume_group.rb": ["ruby", "-w"],
    "ConsumeGroup.java": ["java", "-cp", "/usr/share/java/jna.jar"],
}
ENTRIES = 250
VALUES = {row: row - 1000 for row in range(ENTRIES) if row % 3}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a stream in which every third entry has no value."""
    with Server(tcp=True) as server:
        with server.client() as db:
            for row in range(ENTRIES):
                db.xadd("events", {"value": VALUES[row]} if row in VALUES else {"other": "text"})
            db.set("text", "no stream")
        yield server


def consume(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAMS[name], str(EXAMPLES / name), *arguments]
    environment = {**os.environ, "REDCOL_LIBRARY": str(LIBRARY)}
    # Each needs a second or two; a JVM on a busy machine may need many times that.
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.parametrize("name", PROGRAMS)
def test_consumer_sums_and_acknowledges(name: str, server: Server) -> None:
    # Two goes, the first of which ends in the middle of a batch.
    for consumer, first, last in (("one", 0, 130), ("two", 130, ENTRIES)):
        result = consume(name, server.url, "events", name, consumer, str(last - first))
        total = sum(value for row, value in VALUES.items() if first <= row < last)
        printed = f"{last - first} entries, sum {total}\n"
        assert (result.returncode, result.stdout, result.stderr) == (0, printed, "")
    with server.client() as db:
        assert db.xpending("events", name)["pending"] == 0
        consumers = {member["name"] for member in db.xinfo_consumers("events", name)}
    assert consumers == {b"one", b"two"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_consumer_says_what_is_wrong(name: str, server: Server) -> None:
    result = consume(name, server.url, "text", "group", "one", "1")
    assert (result.returncode, result.stdout) == (1, "")
    assert "text" in result.stderr
    assert "WRONGTYPE" in result.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_consumer_is_short_and_on_the_page(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    assert len(text.splitlines()) <= 60
    shown = re.findall(r"^```(?:lua|ruby|java)\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert text in shown


def test_the_page_shows_every_example() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(PROGRAMS)
