# SPDX-License-Identifier: Apache-2.0
"""Contestants that take turns, round by round: what they have taken, as a table."""

from __future__ import annotations

from statistics import median
from typing import Any

#: What each contestant has taken in each round: "seconds" and "cpu", and what it has done.
Results = dict[str, list[dict[str, Any]]]


def ratio(results: Results, name: str, other: str) -> float:
    """The median of the ratios within the rounds."""
    rounds = zip(results[name], results[other], strict=True)
    return median(mine["seconds"] / others["seconds"] for mine, others in rounds)


def print_table(
    results: Results, entries: int, floor: str, *, title: str = "", unit: str = "entries"
) -> None:
    """A line for each contestant, with its ratio to the one that is called `floor`."""
    print(f"{title:20}{'seconds':>9}{'/' + floor:>13}{unit + '/s':>12}{'CPU s/million':>15}")
    for name, rounds in results.items():
        seconds = median(result["seconds"] for result in rounds)
        cpu = median(result["cpu"] for result in rounds) / entries * 1e6
        print(
            f"{name:20}{seconds:9.3f}{ratio(results, name, floor):13.2f}"
            f"{entries / seconds:12,.0f}{cpu:15.3f}"
        )
