# SPDX-License-Identifier: Apache-2.0
"""Reads streams beside each other in gevent: in threads, since its patches do not reach redcol.

Usage: gevent_readers.py [URL]
"""

import os
import sys

import gevent

import redcol


def count(url: str, stream: str) -> int:
    """How many entries a stream has."""
    return len(redcol.read_stream(url, stream))


def main(url: str) -> None:
    """Print the entries of three streams; other greenlets run meanwhile."""
    threads = gevent.get_hub().threadpool
    streams = ["events", "sensor:a", "sensor:b"]
    counts = [threads.spawn(count, url, stream) for stream in streams]
    for stream, entries in zip(streams, counts, strict=True):
        print(f"{stream}: {entries.get()} entries")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
