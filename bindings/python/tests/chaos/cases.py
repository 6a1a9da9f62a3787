# SPDX-License-Identifier: Apache-2.0
"""Which cases run in `make test`, and which others in `make chaos` (REDCOL_CHAOS is set there)."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from servers import SERVERS

IS_WHOLE = bool(os.environ.get("REDCOL_CHAOS"))


def on_servers(name: str, some: list[tuple], everything: list) -> pytest.MarkDecorator:
    """Parametrizes `any_server` and `name`: with `some` pairs, or with each server and value."""
    pairs = list(itertools.product(SERVERS, everything)) if IS_WHOLE else some
    return pytest.mark.parametrize(
        ("any_server", name),
        [(SERVERS[server], value) for server, value in pairs],
        ids=[f"{server}-{value}" for server, value in pairs],
        indirect=["any_server"],
        scope="session",
    )


def new_seed() -> int:
    """REDCOL_SEED, to replay a run, or another one each time; printed."""
    seed = int(os.environ.get("REDCOL_SEED") or random.SystemRandom().randrange(1 << 30))
    print(f"REDCOL_SEED={seed}")
    return seed
