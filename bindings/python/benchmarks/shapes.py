# SPDX-License-Identifier: Apache-2.0
"""Streams of different shapes: how many fields, of what length and type, and what is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import events
import polars as pl

SENSORS = tuple(f"sensor-{number:03}" for number in range(200))
STATES = ("idle", "running", "stopped", "waiting for material")


def _mixed(number: int) -> int:
    return number * 2_654_435_761 % 2**32


def _wide(number: int) -> dict[str, str]:
    mixed = _mixed(number)
    return {f"field_{index}": str(mixed >> index) for index in range(20)}


def _long(number: int) -> dict[str, str]:
    mixed = _mixed(number)
    return {name: f"{mixed:010} {name} ".ljust(200, "x") for name in ("request", "response")}


def _floats(number: int) -> dict[str, str]:
    value = _mixed(number) / 2**32
    return {"x": f"{value:.17g}", "y": f"{value * 1e5:.17g}", "z": f"{-value / 3:.17g}"}


def _readings(number: int) -> dict[str, str]:
    mixed = _mixed(number)
    seconds = number % 86_400
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return {
        "sensor": SENSORS[mixed % len(SENSORS)],
        "state": STATES[mixed >> 30],
        "at": f"2024-0{1 + mixed % 9}-1{mixed % 10}T{clock}.{mixed % 1_000_000:06}",
        "until": f"2024-0{1 + mixed % 9}-2{mixed % 9} {clock}",
    }


@dataclass(frozen=True)
class Shape:
    """A stream's key, what its entries hold, and the columns that are read."""

    stream: str
    fields: Callable[[int], dict[str, str]]
    schema: dict[str, Any] | None
    #: How many entries, of a million, a benchmark takes: wide ones need more bytes.
    share: float = 1.0


EVENTS = Shape(
    events.STREAM,
    events.entry_fields,
    {"user_id": pl.String, "action": pl.String, "value": pl.Int64, "amount": pl.Float64},
)

SHAPES: dict[str, Shape] = {
    "4 fields": EVENTS,
    "4 fields, no schema": Shape(EVENTS.stream, EVENTS.fields, None),
    "2 of 20 fields": Shape("wide", _wide, {"field_7": pl.Int64, "field_19": pl.String}, 0.3),
    "200-byte strings": Shape("long", _long, {"request": pl.String, "response": pl.String}, 0.3),
    "17-digit floats": Shape("floats", _floats, dict.fromkeys("xyz", pl.Float64), 0.5),
    "categories, times": Shape(
        "readings",
        _readings,
        {
            "sensor": pl.Categorical,
            "state": pl.Enum(STATES),
            "at": pl.Datetime("us"),
            "until": pl.Datetime("ms"),
        },
        0.5,
    ),
}
