"""Connections, readers and the server fail at random: what was added is delivered, and then acknowledged.

A failure names its seed; with REDCOL_SEED=<seed> the same faults come again.
"""

from __future__ import annotations

import os
import random

import pytest
from ledger import Ledger

from servers import REDIS_6, REDIS_7, VALKEY_9

SECONDS = float(os.environ.get("REDCOL_LEDGER_SECONDS", "20"))
SERVERS = {"r7": REDIS_7, "r6": REDIS_6, "v9": VALKEY_9}
MEMBERS = {
    "auto": ["auto"],
    "manual": ["manual"],
    "asyncio": ["asyncio"],
    "mixed": ["auto", "manual", "asyncio"],
}


def new_seed() -> int:
    return int(os.environ.get("REDCOL_SEED") or random.SystemRandom().randrange(1 << 30))


def balance(server: str, members: str, seconds: float) -> None:
    seed = new_seed()
    print(f"REDCOL_SEED={seed}")
    with Ledger(SERVERS[server], MEMBERS[members], seed) as ledger:
        ledger.run(seconds)
        ledger.drain()
        ledger.check()
    print(dict(ledger.done))


@pytest.mark.parametrize("server", SERVERS)
def test_three_members(server: str) -> None:
    balance(server, "mixed", SECONDS)


@pytest.mark.parametrize(
    ("server", "members"), [("r7", "auto"), ("r6", "manual"), ("v9", "asyncio")]
)
def test_one_member(server: str, members: str) -> None:
    """Nobody else can claim its entries: none of them may come twice to one reader."""
    balance(server, members, SECONDS / 2)
