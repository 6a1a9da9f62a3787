# SPDX-License-Identifier: Apache-2.0
"""Servers, or something in front of them, whose entries do not come in the order of their ids."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import redcol
from servers import FakeServer

STOP = {"on_idle": "stop", "block_ms": None}


def entry(entry_id: str) -> bytes:
    return b"*2\r\n$%d\r\n%s\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n" % (
        len(entry_id),
        entry_id.encode(),
    )


def page(*ids: str) -> bytes:
    return b"*%d\r\n" % len(ids) + b"".join(map(entry, ids))


def of_stream(*ids: str) -> bytes:
    return b"*1\r\n*2\r\n$1\r\ns\r\n" + page(*ids)


def answering(pages: Callable[[list[bytes]], bytes]) -> Callable[[list[bytes]], bytes]:
    """Pages in answer to what reads entries, and nothing to all else."""

    def answer(words: list[bytes]) -> bytes:
        match words[0]:
            case b"XRANGE" | b"XREAD" | b"XREADGROUP" | b"XAUTOCLAIM":
                return pages(words)
            case b"SCAN":
                return b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\ns\r\n"
            case b"XREVRANGE":
                return page("999999-0")
            case b"XPENDING":
                return b"*0\r\n"
            case _:
                return b"+OK\r\n"

    return answer


RANGES: dict[str, Callable[[str], Any]] = {
    "read_stream": lambda url: redcol.read_stream(url, "s"),
    "scan_stream": lambda url: redcol.scan_stream(url, "s", schema={"v": pl.Int8}).collect(),
    "read_streams": lambda url: redcol.read_streams(url, ["s"]),
    "pattern": lambda url: redcol.read_streams(url, "s*"),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_start_that_is_ignored(no_leaks: None, name: str) -> None:
    """Each page begins at the stream's beginning again: this would be read forever."""
    read = RANGES[name]

    def pages(words: list[bytes]) -> bytes:
        return page(*(f"{number}-0" for number in range(1, int(words[-1]) + 1)))

    with FakeServer(answering(pages)) as fake, pytest.raises(redcol.ProtocolError, match="1-0"):
        read(fake.url)


@pytest.mark.parametrize("ids", [("1-0", "3-0", "2-0"), ("1-0", "1-0"), ("2-1", "2-0")])
@pytest.mark.parametrize("name", RANGES)
def test_ids_that_do_not_increase(no_leaks: None, name: str, ids: tuple[str, ...]) -> None:
    with (
        FakeServer(answering(lambda _: page(*ids))) as fake,
        pytest.raises(redcol.ProtocolError, match=ids[-1]) as caught,
    ):
        RANGES[name](fake.url)
    assert caught.value.entry_id == ids[-1]


def test_ids_of_a_tail_that_do_not_increase(no_leaks: None) -> None:
    """What came in order before is read from, and then there is an error."""
    with (
        FakeServer(answering(lambda _: of_stream("1-0", "3-0", "2-0"))) as fake,
        redcol.iter_stream(fake.url, "s", batch_size=5, reconnect_timeout_ms=300) as batches,
        pytest.raises(redcol.ProtocolError, match=r"entry [12]-0"),
    ):
        list(batches)


def test_a_page_that_goes_past_its_end(no_leaks: None) -> None:
    with (
        FakeServer(answering(lambda _: page("1-0", "7-0"))) as fake,
        pytest.raises(redcol.ProtocolError, match=r"entry 7-0 where none after 5-\d+ was asked"),
    ):
        redcol.read_stream(fake.url, "s", end_id="5")


def test_a_tail_that_begins_again(no_leaks: None) -> None:
    with (
        FakeServer(answering(lambda _: of_stream("1-0", "2-0"))) as fake,
        redcol.iter_stream(fake.url, "s", batch_size=2, reconnect_timeout_ms=300) as batches,
    ):
        assert next(batches)["_id"].to_list() == ["1-0", "2-0"]
        with pytest.raises(redcol.ProtocolError, match="1-0"):
            next(batches)


@pytest.mark.parametrize("asked", ["own", "new"])
def test_a_group_out_of_order(no_leaks: None, asked: str) -> None:
    def pages(words: list[bytes]) -> bytes:
        if (asked == "new") == (words[-1] == b">"):
            return of_stream("2-0", "1-0")
        return of_stream()

    with FakeServer(answering(pages)) as fake, pytest.raises(redcol.ProtocolError, match="1-0"):
        redcol.read_stream(fake.url, "s", group="g", consumer="c")


def test_several_streams_each_have_their_order(no_leaks: None) -> None:
    answers = itertools.chain(
        [b"*2\r\n*2\r\n$1\r\ns\r\n" + page("5-0", "6-0") + b"*2\r\n$1\r\nt\r\n" + page("1-0")],
        itertools.repeat(b"*-1\r\n"),
    )
    with FakeServer(answering(lambda _: next(answers))) as fake:
        frame = pl.concat(redcol.iter_stream(fake.url, ["s", "t"], **STOP))
    assert frame["_id"].to_list() == ["5-0", "6-0", "1-0"]


@pytest.mark.parametrize("length", [b"536870913", b"9999999999"])
def test_no_limit_helps_with_a_value_that_no_server_has(no_leaks: None, length: bytes) -> None:
    huge = b"*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nv\r\n$" + length + b"\r\nxxx"
    with (
        FakeServer(answering(lambda _: huge)) as fake,
        pytest.raises(redcol.EntryTooLargeError, match="more than 536870912 bytes") as caught,
    ):
        redcol.read_stream(fake.url, "s")
    assert "limit" not in str(caught.value)
    assert "begin after it, or delete it" in str(caught.value)
