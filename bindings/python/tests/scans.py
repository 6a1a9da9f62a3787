# SPDX-License-Identifier: Apache-2.0
"""What tests of scan_stream share: quick streams, a view of requests, the server's counters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import redis

from redcol import _native

_ADD = """
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  redis.call('XADD', KEYS[1], string.format('%d-%d', 1000000 + math.floor(i / 2), i % 2),
    'user', string.format('a user with number %07d', i % 50000), 'value', string.format('%07d', i))
end
"""
FIRST_MS = 1_000_000
SERVER_PATIENCE_ENTRIES = 20_000


def add_many(db: redis.Redis, key: str, entries: int) -> None:
    """Entries of the same size, two in every millisecond from FIRST_MS on, made by the server."""
    for start in range(0, entries, SERVER_PATIENCE_ENTRIES):
        end = min(start + SERVER_PATIENCE_ENTRIES, entries) - 1
        db.eval(_ADD, 1, key, start, end)


@contextlib.contextmanager
def requests() -> Iterator[list[dict[str, str]]]:
    """The options of all reads that are begun here, as the library gets them."""
    seen: list[dict[str, str]] = []
    begin = _native.read_streams

    def read_streams(client, streams, schema_capsule, options):
        seen.append(dict(options))
        return begin(client, streams, schema_capsule, options)

    with mock.patch.object(_native, "read_streams", read_streams):
        yield seen


def sent_bytes(db: redis.Redis) -> int:
    """What the server has sent to all its clients so far."""
    return int(db.info("stats")["total_net_output_bytes"])


@contextlib.contextmanager
def counting(db: redis.Redis) -> Iterator[list[int]]:
    """The bytes that the server sends inside the block, without those of the questions for them."""
    sent_bytes(db)
    before = sent_bytes(db)
    question = sent_bytes(db) - before
    counted: list[int] = []
    begin = sent_bytes(db)
    yield counted
    counted.append(sent_bytes(db) - begin - question)
