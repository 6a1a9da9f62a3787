# SPDX-License-Identifier: Apache-2.0
"""Works in a consumer group without losing an entry.

Usage: group_worker.py [URL [STREAM [NAME]]]
Start as many workers as you like, each under its own name. Start a worker again under its old name.
"""

import os
import sys

import redcol


def main(url: str, stream: str = "events", consumer: str = "worker-1") -> None:
    """Print the sum of each batch, then acknowledge the batch."""
    with redcol.iter_stream(
        url,
        stream,
        group="sums",
        consumer=consumer,
        schema={"value": int},
        batch_size=1_000,
        claim_idle_ms=60_000,  # take over what another worker has held for a minute
        on_error="dead_letter",  # move entries away whose value is not a number,
        max_deliveries=5,  # and entries that five deliveries did not get acknowledged,
        dead_letter=f"{stream}:dead",  # to this stream, for someone to look at
        on_idle="stop",  # leave this out to wait for more, forever
    ) as batches:
        for batch in batches:
            print(f"sum: {batch['value'].sum()}")
            batches.ack(batch)  # a worker that ends before this line gets the batch again
        print(f"dead letters: {batches.stats.dead_lettered}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
