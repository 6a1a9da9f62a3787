# SPDX-License-Identifier: Apache-2.0
"""What the tests of consumer groups share."""

from __future__ import annotations

import time
from typing import Any

import polars as pl
import redis

GROUP = {"group": "g", "consumer": "c"}
SCHEMA = {"n": pl.Int64}


def add(db: redis.Redis, key: str, numbers: range | list[int]) -> list[str]:
    with db.pipeline(transaction=False) as pipeline:
        for number in numbers:
            pipeline.xadd(key, {"n": number})
        return [entry_id.decode() for entry_id in pipeline.execute()]


def pending(db: redis.Redis, key: str, consumer: str | None = None) -> list[str]:
    lines = db.xpending_range(key, "g", "-", "+", 10_000, consumer)
    return [line["message_id"].decode() for line in lines]


def wait_for_blocked(db: redis.Redis, clients: int = 1) -> None:
    """Until so many clients wait in the server."""
    deadline = time.monotonic() + 60
    while int(db.info("clients")["blocked_clients"]) < clients:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def ids_of(frames: Any) -> list[str]:
    return [entry_id for frame in frames for entry_id in frame["_id"]]
