# SPDX-License-Identifier: Apache-2.0
"""The cases of test_statuses.py about frames: bad ones, and rows that cannot be written."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from frames import Frame
from statuses import CALLS, Writing, call, case, prepared

from servers import Server

STARTING = ("redcol_write_stream", "redcol_write_hashes", "redcol_write_messages")
GOING_ON = ("redcol_writer_run", "redcol_writer_stop")


def starting(function: str, frame: Frame, **options: object) -> int:
    with Server() as server, prepared(function, server.url, **options) as writing:
        writing.frame = frame
        return CALLS[function][0](writing)


@case("SCHEMA", *STARTING)
def a_type_that_is_none(function: str) -> int:
    return starting(function, Frame(n_format=b"nonsense"))


@case("VALUE", *STARTING)
def no_schema_comes(function: str) -> int:
    return starting(function, Frame(get_schema=errno.EIO))


@case("MEMORY", *STARTING)
def no_memory_for_a_schema(function: str) -> int:
    return starting(function, Frame(get_schema=errno.ENOMEM))


@contextlib.contextmanager
def prepared_writer(frame: Frame | None = None, **options: object) -> Iterator[Writing]:
    """A writer of a frame to the stream "s"; with options of hashes, of those."""
    with Server() as server:
        writing = Writing(server.url, timeout_ms=20_000, **options)
        writing.frame = frame or writing.frame
        assert (writing.start_hashes() if options else writing.start()) == 0
        yield writing
        writing.free()


def going_on(function: str, frame: Frame, **options: object) -> int:
    """The error of the frame, which comes again from all that follows."""
    with prepared_writer(frame, **options) as writing:
        first = writing.run()
        assert writing.run() == first
        assert call("redcol_cancel", writing.writer) == 0
        return CALLS[function][0](writing)


@case("VALUE", *GOING_ON)
def a_null_key(function: str) -> int:
    value = going_on(function, Frame([[(1, "k"), (2, None)]]), if_exists="append")
    assert going_on(function, Frame(get_next=errno.EIO)) == value
    return value


@case("SCHEMA", *GOING_ON)
def a_malformed_batch(function: str) -> int:
    return going_on(function, Frame(missing=1000))


@case("MEMORY", *GOING_ON)
def no_memory_for_a_batch(function: str) -> int:
    return going_on(function, Frame(get_next=errno.ENOMEM))


@case("KEY_EXISTS", *GOING_ON)
def the_key_is_there(function: str) -> int:
    with Server() as server, prepared("redcol_write_hashes", server.url, if_exists="fail") as write:
        server.client().hset("k", "a", 1)
        assert write.start_hashes() == 0
        status = CALLS[function][0](write)
        assert server.client().hgetall("k") == {b"a": b"1"}
        assert (write.statistic("refused"), write.statistic("written")) == (1, 0)
        return status
