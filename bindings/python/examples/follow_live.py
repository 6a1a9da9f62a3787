# SPDX-License-Identifier: Apache-2.0
"""Prints what is added to a stream from now on, until Ctrl-C.

Usage: follow_live.py [URL [STREAM]]
"""

import os
import sys

import redcol


def main(url: str, stream: str = "events") -> None:
    """Print each new entry."""
    with redcol.iter_stream(url, stream, start_id="$", schema={"action": str}) as batches:
        print("following", flush=True)
        try:
            for batch in batches:  # after a lost connection it continues where it was
                for entry_id, action in batch.select("_id", "action").iter_rows():
                    print(f"{entry_id}: {action}", flush=True)
        except KeyboardInterrupt:
            print(f"stopped after {batches.stats.delivered} entries")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [os.environ.get("REDIS_URL", "redis://localhost")]))
