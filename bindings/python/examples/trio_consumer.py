# SPDX-License-Identifier: Apache-2.0
"""Follows a stream in a loop of trio, which redcol's sockets take no part in: a thread waits.

Usage: trio_consumer.py [URL [STREAM]]
"""

import os
import sys

import trio

import redcol


async def main(url: str, stream: str = "events") -> None:
    """Print how many entries the stream had."""
    entries = 0
    with redcol.iter_stream(url, stream, on_idle="stop") as batches:  # or on_idle="wait"
        while (batch := await trio.to_thread.run_sync(next, batches, None)) is not None:
            entries += len(batch)
    print(f"{stream}: {entries} entries")


if __name__ == "__main__":
    trio.run(main, *(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
