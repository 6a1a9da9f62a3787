# SPDX-License-Identifier: Apache-2.0
"""Text with and without an offset becomes what Polars' str.to_datetime makes of it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import redis

import redcol
from servers import Server
from test_oracle import write

ZONES = [
    *("UTC", "GMT", "Etc/GMT+5", "US/Eastern", "Europe/Berlin", "Europe/London"),
    *("Europe/Dublin", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Asia/Tokyo"),
    *("America/Nuuk", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Gaza", "Africa/Casablanca"),
    *("Africa/Monrovia", "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Apia"),
    *("Pacific/Chatham", "Antarctica/Troll", "America/Argentina/Buenos_Aires"),
]
TEXTS = [
    *("2024-06-01T12:00:00", "2024-06-01T12:00:00Z", "2024-06-01T12:00:00+02:00"),
    *("2024-06-01 12:00:00+0200", "2024-06-01T12:00:00+02", "2024-06-01T12:00Z", "2024-06-01"),
    *("2024-06-01 12:00", "2024-06-01T12:00:00.123456789", "2024-06-01T12:00:00.5-03:30"),
    *("2024-03-31T02:30:00", "2024-10-27T02:30:00", "2024-06-01T12:00:00z", "2024-06-01Z"),
    *("2024-06-01t12:00:00", "2024-06-01T12:00:00 Z", "2024-13-01", "noon", "1000", ""),
]
#: What redcol reads, although Polars asks for a format first.
READ_BESIDES = {"2024-06-01Z", "2024-06-01t12:00:00", "1000"}
#: What Polars reads, and redcol refuses: space is part of a value.
REFUSED_BESIDES = {"2024-06-01T12:00:00 Z"}


def read(server: Server, db: redis.Redis, key: str, texts: list[str], dtype: Any) -> pl.Series:
    db.delete(key)
    ids = [(1, index) for index in range(1, len(texts) + 1)]
    write(db, key, ids, [[b"t", text.encode()] for text in texts])
    return redcol.read_stream(server.url, key, schema={"t": dtype}, on_error="null")["t"]


def as_polars_reads(text: str, dtype: pl.Datetime) -> Any:
    """The value; None where Polars gives none, or one of another dtype."""
    try:
        found = pl.Series([text]).str.to_datetime(
            time_unit=dtype.time_unit, time_zone=dtype.time_zone
        )
    except pl.exceptions.PolarsError:
        return None
    return found[0] if found.dtype == dtype else None


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_texts_are_read_as_polars_reads_them(
    server: Server, db: redis.Redis, key: str, unit: Any, zone: str | None
) -> None:
    dtype = pl.Datetime(unit, zone)
    values = read(server, db, key, TEXTS, dtype)
    for text, found in zip(TEXTS, values, strict=True):
        if text in READ_BESIDES:
            assert as_polars_reads(text, dtype) is None
        elif text in REFUSED_BESIDES:
            assert found is None
        else:
            assert found == as_polars_reads(text, dtype), text


def local_times() -> list[str]:
    """Seconds around changes of clocks, and any others."""
    generator = random.Random(7)
    found = {datetime(1970, 1, 1), datetime(2099, 12, 31, 23, 59, 59), datetime(1850, 1, 1)}
    for zone in ZONES:
        known = ZoneInfo(zone)
        for year in (1947, 1972, 1996, 2011, 2024, 2040, 2099):
            moment = datetime(year, 1, 1, tzinfo=timezone.utc)
            before = moment.astimezone(known).utcoffset()
            for _ in range(366 * 2):
                moment += timedelta(hours=12)
                after = moment.astimezone(known).utcoffset()
                if after == before or before is None or after is None:
                    continue
                low, high = moment - timedelta(hours=12), moment
                while high - low > timedelta(seconds=1):
                    middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
                    changed = middle.astimezone(known).utcoffset() == after
                    low, high = (low, middle) if changed else (middle, high)
                for offset in (before, after):
                    local = (high + offset).replace(tzinfo=None)
                    found |= {local + timedelta(seconds=n) for n in (-1, 0, 1, -1800, 1800)}
                before = after
    found |= {
        datetime(1850, 1, 1) + timedelta(seconds=generator.randrange(250 * 365 * 86_400))
        for _ in range(300)
    }
    return sorted(moment.isoformat() for moment in found if moment.year < 2100)


LOCAL_TIMES = local_times()


@pytest.mark.parametrize("zone", ZONES)
def test_local_times_of_a_zone(server: Server, db: redis.Redis, zone: str) -> None:
    dtype = pl.Datetime("us", zone)
    found = read(server, db, "local", LOCAL_TIMES, dtype)
    naive = pl.Series(LOCAL_TIMES).str.to_datetime(time_unit="us")
    wanted = naive.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    different = [
        (text, one, other)
        for text, one, other in zip(LOCAL_TIMES, found, wanted, strict=True)
        if one != other
    ]
    assert different == []


def test_after_2099(server: Server, db: redis.Redis, key: str) -> None:
    texts = ["2100-07-01T00:00:00", "2150-01-01T00:00:00", "2150-01-01T00:00:00Z"]
    changing = read(server, db, key, texts, pl.Datetime("us", "Europe/Berlin"))
    assert changing.is_null().to_list() == [True, True, False]
    steady = read(server, db, key, texts, pl.Datetime("us", "Asia/Kolkata"))
    assert steady[0] == as_polars_reads(texts[0], pl.Datetime("us", "Asia/Kolkata"))
    assert steady.null_count() == 0


def test_the_error_says_what_the_text_lacks(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"t": "2024-06-01T12:00:00+02:00"})
    with pytest.raises(redcol.ValueConversionError, match="needs a column with a time zone"):
        redcol.read_stream(server.url, key, schema={"t": pl.Datetime("us")})
    db.xadd(key, {"t": "2024-03-31T02:30:00"}, id="*")
    with pytest.raises(redcol.ValueConversionError, match="local time in Europe/Berlin"):
        redcol.read_stream(server.url, key, schema={"t": pl.Datetime("us", "Europe/Berlin")})


PROGRAM = """
import sys, polars as pl, redcol
for zone in ("Europe/Berlin", "UTC"):
    dtype = pl.Datetime("us", zone)
    frame = redcol.read_stream(sys.argv[1], sys.argv[2], schema={"t": dtype}, on_error="null")
    print(frame["t"].is_null().to_list())
try:
    redcol.read_stream(sys.argv[1], sys.argv[2], schema={"t": pl.Datetime("us", "Europe/Berlin")})
except redcol.ValueConversionError as error:
    print("TZDIR" in str(error))
"""


@pytest.mark.parametrize("content", [None, b"", b"TZif2", b"TZif2" + b"\xff" * 200, b"x" * 5000])
def test_without_data_of_the_zone(
    server: Server, db: redis.Redis, key: str, tmp_path: Any, content: bytes | None
) -> None:
    db.xadd(key, {"t": "2024-06-01T12:00:00"})
    db.xadd(key, {"t": "2024-06-01T12:00:00Z"})
    if content is not None:
        (tmp_path / "Europe").mkdir()
        (tmp_path / "Europe/Berlin").write_bytes(content)
    environment = {
        **os.environ, "TZDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)
    }  # fmt: skip
    command = [sys.executable, "-c", PROGRAM, server.url, key]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[True, False]\n[False, False]\nTrue\n", "")


@pytest.mark.parametrize("zone", ["../etc/passwd", "/etc/localtime", "Europe/../Asia/Tokyo", "."])
def test_names_lead_to_no_other_folder(
    server: Server, db: redis.Redis, key: str, zone: str
) -> None:
    import pyarrow as pa

    db.xadd(key, {"t": "2024-06-01T12:00:00"})
    events = redcol.read_arrow(
        server.url, key, schema={"t": pa.timestamp("us", zone)}, on_error="null"
    )
    assert pa.table(events)["t"].null_count == 1


def test_an_offset_as_a_zone(server: Server, db: redis.Redis, key: str) -> None:
    import pyarrow as pa

    db.xadd(key, {"t": "2024-06-01T12:00:00"})
    events = redcol.read_arrow(server.url, key, schema={"t": pa.timestamp("s", "+05:30")})
    moment = datetime(2024, 6, 1, 6, 30, tzinfo=timezone.utc)
    assert pa.table(events)["t"].cast(pa.int64())[0].as_py() == int(moment.timestamp())
