# SPDX-License-Identifier: Apache-2.0
"""Handles in a bad way: freed, left in the middle of a call, given lengths that nothing has."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from ctypes import byref, c_char_p, c_int64, c_uint64, c_void_p
from pathlib import Path

import pytest
from frames import Frame
from statuses import FUNCTIONS, GROUP, STATUSES, Reading, Writing, call, free, words
from test_c_examples import ROOT, build, run

sys.path.insert(0, str(ROOT / "bindings/python/tests"))

import redcol
from servers import Server

INVALID = STATUSES["INVALID_ARGUMENT"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


def test_calls_that_never_return(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pthread_cancel or longjmp left can be closed and freed; what was freed is noticed."""
    # Under AddressSanitizer: such a call keeps its small objects forever.
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    source = Path(__file__).with_name("abandoned.c")
    program = build(["gcc", "-std=c11"], source, tmp_path / "abandoned")
    ended = run(program, server.url, "empty")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "client was freed before, or was never a handle of redcol's\n"


def test_a_written_frame_is_released_at_once(server: Server) -> None:
    """When all rows are written, not only when the writer is freed."""
    writing = Writing(server.url, timeout_ms=20_000)
    assert writing.start() == 0
    while (status := writing.run()) == STATUSES["TIMEOUT"]:
        pass
    assert status == 0
    assert writing.frame.unreleased == 0
    assert writing.ids() == 0
    writing.free()


@pytest.mark.parametrize("size", [256 * 1024, 20 << 20], ids=["256 kB", "20 MB"])
def test_the_error_about_a_long_key(size: int, server: Server) -> None:
    """The server repeats the key, which is no reason to take it for another server."""
    key = b"k" * size
    with redcol.connect(server.url, timeout_ms=20_000) as client:
        with pytest.raises(redcol.NoGroupError):
            redcol.ack_entries(client, key, "g", ["1-1"])
        with server.client() as db:
            before = db.info("stats")["total_connections_received"]
        with pytest.raises(redcol.NoGroupError):
            redcol.read_stream(client, key, group="g", consumer="c", create_group=False)
        with server.client() as db:
            assert db.info("stats")["total_connections_received"] - before <= 2


OPTIONS = {
    "redcol_read_streams": GROUP,
    "redcol_claim_entries": {"group": "g", "consumer": "c"},
}
HUGE = [(512 << 20) + 1, 1 << 40, 2**63 - 1]


@pytest.mark.parametrize("length", HUGE, ids=["512 MiB and 1", "1 TiB", "INT64_MAX"])
def test_lengths_that_nothing_has(length: int, server: Server) -> None:
    """In every function that takes one; and a negative one that is not -1."""
    reading, writing = Reading(server.url, **GROUP), Writing(server.url)
    assert reading.start() == 0
    tried = set()
    for name, (_, parameters) in FUNCTIONS.items():
        for wrong in parameters:
            if not wrong.endswith("_length") and wrong != "stream_lengths":
                continue
            for size in (length, -length):
                out, frame = c_void_p(), Frame()
                given = {
                    "client": reading.client,
                    "iter": reading.iter,
                    "frame": byref(frame.stream),
                    "pattern": b"*" if wrong == "pattern_length" else None,
                    "streams": None if wrong == "pattern_length" else (c_char_p * 1)(b"s"),
                    "stream_count": 0 if wrong == "pattern_length" else 1,
                    "stream_lengths": (c_int64 * 1)(size if wrong == "stream_lengths" else 1),
                    **dict.fromkeys(("stream", "channel"), b"s"),
                    "group": b"g",
                    "entry_ids": b"1-1",
                    "consumer": b"c",
                    "start_id": b"0",
                    "min_id": None,
                    **dict.fromkeys(("created_out", "deleted_out"), byref(c_int64())),
                    **dict.fromkeys(("pending_out", "released_out"), byref(c_int64())),
                    **dict.fromkeys(("create_stream", "force", "approximate", "maxlen"), 1),
                    "request": 16,  # refused before anybody looks at it
                    "user": b"app",
                    "password": b"one",
                    "schema": None,
                    "options": words(**OPTIONS.get(name, {})),
                    **dict.fromkeys(("acknowledged_out", "lag_out"), byref(c_int64())),
                    "milliseconds_out": byref(c_uint64()),
                    "sequence_out": byref(c_uint64()),
                    **dict.fromkeys(("iter_out", "writer_out", "table_out"), byref(out)),
                }
                given |= {one: -1 for one in parameters if one.endswith("_length")}
                if wrong != "stream_lengths":
                    given[wrong] = size
                arguments = [given[one] for one in parameters if one != "error_out"]
                assert call(name, *arguments) == INVALID, (name, wrong, size)
                assert not out
                tried.add((name, wrong))
    assert len(tried) >= 10
    reading.free()
    writing.free()


def test_texts_that_are_too_long(server: Server) -> None:
    """As a key with a length of -1, as a URL and as an option."""
    text = ctypes.create_string_buffer((512 << 20) + 2)
    ctypes.memset(text, ord("1"), len(text) - 1)
    long = ctypes.cast(text, c_char_p)
    reading = Reading(server.url)
    client = c_void_p()
    options = (c_char_p * 3)(b"timeout_ms", long, None)
    assert call("redcol_open", long, None, byref(client)) == INVALID
    assert call("redcol_open", server.url.encode(), options, byref(client)) == INVALID
    assert call("redcol_last_id", reading.client, long, -1, None, None) == INVALID
    reading.free()


def test_a_handle_of_another_kind_or_none() -> None:
    table = ctypes.create_string_buffer(64)
    assert call("redcol_table_rows", ctypes.cast(table, c_void_p)) == -1
    free(ctypes.cast(table, c_void_p))
