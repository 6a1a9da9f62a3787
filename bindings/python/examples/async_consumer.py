# SPDX-License-Identifier: Apache-2.0
"""Works in a consumer group in an event loop.

Usage: async_consumer.py [URL [STREAM]...]
"""

import asyncio
import os
import sys

import redcol


async def consume(url: str, stream: str) -> None:
    """Print how many entries the stream had; acknowledge each batch after its work is done."""
    entries = 0
    batches = redcol.stream_batches(
        url, stream, group="loop", consumer="worker-1", schema={"value": int}, on_idle="stop"
    )
    async with batches:
        async for batch in batches:  # while it waits, the loop runs everything else
            entries += len(batch)
            await batches.ack(batch)
    print(f"{stream}: {entries} entries, {batches.stats.acknowledged} acknowledged")


async def main(url: str, *streams: str) -> None:
    """Consume all streams at the same time."""
    await asyncio.gather(*(consume(url, stream) for stream in streams or ["events"]))


if __name__ == "__main__":
    arguments = sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]
    asyncio.run(main(*arguments))
