# SPDX-License-Identifier: Apache-2.0
"""docs/dtypes.md says which texts each dtype reads: every row of its tables is read."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import redis

import oracle
import redcol
from servers import Server
from test_oracle import write

PAGE = Path(__file__).parents[3] / "docs/dtypes.md"
NAMES = {
    "pl": pl,
    "Decimal": Decimal,
    "inf": float("inf"),
    "nan": float("nan"),
    "date": date,
    "time": time,
    "datetime": datetime,
    "timedelta": timedelta,
    "UTC": timezone.utc,
    "BERLIN": ZoneInfo("Europe/Berlin"),
}
PAIR = re.compile(r"`([^`]+)` → `([^`]+)`")
TEXT = re.compile(r"`([^`]+)`")


def rows() -> list[tuple[str, str, str]]:
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            dtype, reads, refuses = (*cells, "")[:3]
            found.append((dtype.strip("`"), reads, refuses.strip("| ")))
    return found


def evaluated(text: str) -> Any:
    return eval(text, dict(NAMES))


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, datetime) and wanted.tzinfo is not None:
        return bool(found == wanted and found.utcoffset() == wanted.utcoffset())
    return bool(found == wanted) or oracle.same(found, wanted)


@pytest.mark.parametrize(("dtype", "reads", "refuses"), rows(), ids=[row[0] for row in rows()])
def test_a_row_of_the_page(
    server: Server, db: redis.Redis, key: str, dtype: str, reads: str, refuses: str
) -> None:
    pairs = [(evaluated(text), evaluated(value)) for text, value in PAIR.findall(reads)]
    bad = [evaluated(text) for text in TEXT.findall(refuses)]
    assert pairs
    # Nothing in the cells but what is tested.
    assert not PAIR.sub("", reads).strip(", ")
    assert not TEXT.sub("", refuses).strip(", ")
    texts = [as_bytes(text) for text in [*(text for text, _ in pairs), *bad]]
    write(db, key, [(1, i) for i in range(1, len(texts) + 1)], [[b"v", text] for text in texts])
    schema = {"v": evaluated(dtype)}
    values = redcol.read_stream(server.url, key, schema=schema, on_error="null")["v"].to_list()
    for (text, wanted), found in zip(pairs, values, strict=False):
        assert same(found, wanted), (text, found, wanted)
    for index, text in enumerate(bad, len(pairs) + 1):
        assert values[index - 1] is None, text
        with pytest.raises(redcol.ValueConversionError):
            redcol.read_stream(server.url, key, schema=schema, start_id=f"1-{index}", count=1)
    if pairs:
        frame = redcol.read_stream(server.url, key, schema=schema, count=len(pairs))
        assert frame["v"].null_count() == sum(wanted is None for _, wanted in pairs)


def test_the_page_has_every_dtype() -> None:
    names = " ".join(dtype for dtype, _, _ in rows())
    kinds = [*oracle.INTEGER_BITS, *oracle.UNSIGNED_BITS, pl.String, pl.Binary, pl.Boolean]
    kinds += [pl.Float32, pl.Float64, pl.Decimal, pl.Date, pl.Time, pl.Datetime, pl.Duration]
    kinds += [pl.Categorical, pl.Enum, pl.Struct, pl.List, pl.Array, pl.Int128, pl.UInt128]
    assert [kind for kind in kinds if f"pl.{kind.__name__}" not in names] == []
