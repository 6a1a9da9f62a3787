# SPDX-License-Identifier: Apache-2.0
"""Connections, readers and the server fail at random: all that was added is delivered.

A failure names its seed; with REDCOL_SEED=<seed> the same faults come again.
"""

from __future__ import annotations

import os

import pytest

from cases import new_seed
from ledger import Ledger
from servers import SERVERS

SECONDS = float(os.environ.get("REDCOL_LEDGER_SECONDS", "20"))
MEMBERS = {
    "auto": ["auto"],
    "manual": ["manual"],
    "asyncio": ["asyncio"],
    "mixed": ["auto", "manual", "asyncio"],
}


def balance(server: str, members: str, seconds: float) -> None:
    with Ledger(SERVERS[server], MEMBERS[members], new_seed()) as ledger:
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
