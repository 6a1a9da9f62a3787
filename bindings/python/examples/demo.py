# SPDX-License-Identifier: Apache-2.0
"""Writes 100,000 events to a Redis stream and reads them back with redcol: `make demo`.

The server is a private one, which ends with the demo, or the one that REDIS_URL names.
"""

import contextlib
import os
import random
import time

import polars as pl
import redis

import redcol
from private_server import private_server

EVENTS = 100_000
FIRST_MS = 1_704_067_200_000  # 2024-01-01
SCHEMA = {
    "user": pl.String,
    "action": pl.Categorical,
    "page": pl.String,
    "value": pl.Int64,
    "amount": pl.Float64,
    "at": pl.Datetime("ms", "UTC"),
}


def write_events(url: str, stream: str) -> None:
    """Add what the visitors of a small shop do, one event every 250 ms or so."""
    random.seed(1)
    actions = {"view": 0, "search": 0, "add_to_cart": 1, "purchase": 3}
    chosen = random.choices(list(actions), weights=[70, 15, 10, 5], k=EVENTS)
    at = FIRST_MS
    with redis.from_url(url) as client:
        pipeline = client.pipeline(transaction=False)
        for number, action in enumerate(chosen, 1):
            at += random.randrange(1, 500)
            event = {
                "user": f"user_{random.randrange(2_000)}",
                "action": action,
                "page": f"/products/{random.randrange(300)}/{action}",
                "value": actions[action] * random.randrange(1, 5),
                "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000))
                + f".{at % 1000:03}Z",
            }
            if action == "purchase":
                event["amount"] = f"{random.lognormvariate(3, 1):.2f}"
            pipeline.xadd(stream, event, id=f"{at}-0")
            if number % 10_000 == 0:
                pipeline.execute()


def main() -> None:
    """Write, read and show what was read."""
    given = os.environ.get("REDIS_URL")
    stream = f"redcol-demo-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        url = given or stack.enter_context(private_server())
        print(f"Writing {EVENTS:,} events …")
        try:
            write_events(url, stream)
            start = time.perf_counter()
            frame = redcol.read_stream(url, stream, schema=SCHEMA)
            seconds = time.perf_counter() - start
        finally:
            with redis.from_url(url) as client:
                client.delete(stream)

    print(frame)
    print("What was done, and what it brought:")
    print(
        frame.group_by("action")
        .agg(
            pl.len().alias("events"),
            pl.col("user").n_unique().alias("users"),
            pl.col("amount").sum().round(2).alias("revenue"),
        )
        .sort("events", descending=True)
    )
    print(f"Read {len(frame):,} entries in {seconds:.3f} s: {len(frame) / seconds:,.0f} entries/s")


if __name__ == "__main__":
    main()
