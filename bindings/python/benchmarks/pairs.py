# SPDX-License-Identifier: Apache-2.0
"""Something and its floor, one right after the other, since the speed of a machine drifts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

Result = dict[str, Any]


class Pair(NamedTuple):
    """What a floor and what stands on it have taken."""

    floor: Result
    mine: Result


def take_pairs(floor: Callable[[], Result], mine: Callable[[], Result], rounds: int) -> list[Pair]:
    """So many pairs, after one that loads and warms and does not count."""
    return [Pair(floor(), mine()) for _ in range(rounds + 1)][1:]


def ratio(pairs: Sequence[Pair], of: str = "seconds") -> float:
    """The median of the ratios within the pairs."""
    return median(pair.mine[of] / pair.floor[of] for pair in pairs)


def print_header(title: str) -> None:
    print(f"{title:24}{'floor s':>9}{'redcol s':>9}{'ratio':>7}{'CPU s/million':>15}")


def print_pairs(name: str, pairs: Sequence[Pair], entries: int) -> None:
    floor = median(pair.floor["seconds"] for pair in pairs)
    mine = median(pair.mine["seconds"] for pair in pairs)
    cpu = median(pair.mine["cpu"] for pair in pairs) / entries * 1e6
    print(f"{name:24}{floor:9.3f}{mine:9.3f}{ratio(pairs):7.2f}{cpu:15.3f}", flush=True)
