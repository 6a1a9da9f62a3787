# SPDX-License-Identifier: Apache-2.0
"""The table of docs/rights.md: they are enough, and none of them can be left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add
from servers import REDIS_6, Server

PAGE = Path(__file__).resolve().parents[3] / "docs/rights.md"
PASSWORD = "s3cr3t"
LIMITED = f"unix://limited:{PASSWORD}@"


def table() -> dict[str, list[str]]:
    """What can be done, and the rights for it."""
    part = PAGE.read_text().partition("| to | rights |\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^ *\| ([^|]+) \| `((?:[^`])+)` \|$", part, re.M)
    return {to: rights.replace("\\|", "|").split() for to, rights in rows}


def follow(url: str, key: str, **arguments: Any) -> None:
    with redcol.iter_stream(
        url, key, schema=SCHEMA, on_idle="empty", block_ms=10, **arguments
    ) as batches:
        next(batches)
        next(batches)


def member(url: str, key: str, **arguments: Any) -> None:
    """A member that has entries to acknowledge, waits, and looks at what is pending meanwhile."""
    common = {"auto_ack": True, "on_idle": "stop", "block_ms": 1_100, "claim_idle_ms": 0}
    with redcol.iter_stream(url, key, **GROUP, **common, schema=SCHEMA, **arguments) as batches:
        for _ in batches:
            pass


def letters(url: str, key: str) -> None:
    member(url, key, create_group=False, on_error="dead_letter", dead_letter=f"{key}-dead")


def hashes(url: str, key: str, **arguments: Any) -> None:
    frame = pl.DataFrame({"_key": ["a", "b"], "n": [1, 2]})
    redcol.write_hashes(url, frame, key_prefix=key, **arguments)


#: What is done for each row of the table.
CALLS: dict[str, Callable[[str, str], object]] = {
    "read a range": lambda url, key: redcol.read_stream(url, key, schema=SCHEMA),
    "read a range of times before now": lambda url, key: redcol.read_stream(
        url, key, start_id="-1h"
    ),
    'read a range with `if_missing="raise"`': lambda url, key: redcol.read_stream(
        url, key, if_missing="raise"
    ),
    "read the newest entries, or infer a schema": lambda url, key: redcol.read_stream(
        url, key, schema=redcol.infer_schema(url, key), last=2
    ),
    "read the streams of a pattern": lambda url, key: redcol.read_streams(url, f"{key}*"),
    "scan a stream lazily": lambda url, key: redcol.scan_stream(url, key, schema=SCHEMA).collect(),
    "follow a stream": follow,
    'follow a stream from `"$"`': lambda url, key: follow(url, key, start_id="$"),
    "acknowledge entries": lambda url, key: redcol.ack_entries(url, key, "g", ["1-1"]),
    "read as a member of a group that is there": (
        lambda url, key: member(url, key, create_group=False)
    ),
    "create the group too": member,
    'create it at `"$"`': lambda url, key: member(url, key, group_start_id="$"),
    "move dead letters": letters,
    "move dead letters without scripts": letters,
    "create a group": lambda url, key: redcol.create_group(url, key, "g"),
    "delete a group": lambda url, key: redcol.delete_group(url, key, "g"),
    "set a group's position": lambda url, key: redcol.seek_group(url, key, "g", "$"),
    "delete a consumer": lambda url, key: redcol.delete_consumer(url, key, "g", "c"),
    "delete a consumer with `force`": lambda url, key: redcol.delete_consumer(
        url, key, "g", "other", force=True
    ),
    "release entries": lambda url, key: redcol.release(
        url, key, "g", "other", redcol.read_stream(str(url).replace(LIMITED, "unix://"), key)
    ),
    "claim entries": lambda url, key: redcol.claim(url, key, "g", "c", ["1-1"]),
    "claim idle entries": lambda url, key: redcol.claim(url, key, "g", "c", min_idle_ms=0),
    "trim a stream": lambda url, key: redcol.trim_stream(url, key, maxlen=1),
    "delete entries": lambda url, key: redcol.delete_entries(url, key, ["1-1"]),
    "write entries": lambda url, key: redcol.write_stream(url, pl.DataFrame({"n": [1]}), key),
    "write hashes": hashes,
    "write hashes with `ttl`": lambda url, key: hashes(url, key, ttl=10),
    'write hashes with `if_exists="append"`': lambda url, key: hashes(url, key, if_exists="append"),
    'write hashes with `if_exists="append"` and `ttl`': (
        lambda url, key: hashes(url, key, if_exists="append", ttl=10)
    ),
    'write hashes with `if_exists="fail"`': lambda url, key: hashes(url, key, if_exists="fail"),
}


#: What is done to a group that is there.
HAVING_A_GROUP = {
    "acknowledge entries",
    "delete a group",
    "set a group's position",
    "delete a consumer",
    "delete a consumer with `force`",
    "release entries",
    "claim entries",
    "claim idle entries",
}


def test_every_row_is_tried() -> None:
    assert set(table()) == set(CALLS)


def prepare(db: redis.Redis, key: str, to: str) -> None:
    """Entries, one of them for the dead letters; and a group, in which another holds one."""
    db.delete(*db.keys(f"{key}*"), "")
    add(db, key, range(3))
    if "dead letters" in to:
        db.xadd(key, {"n": "no number"})
    if to in HAVING_A_GROUP or "that is there" in to or "dead letters" in to:
        db.xgroup_create(key, "g", "0")
        db.xreadgroup("g", "other", {key: ">"}, count=1)


@pytest.mark.parametrize("to", CALLS)
def test_rights(any_server: Server, any_db: redis.Redis, key: str, to: str) -> None:
    rights = table()[to]
    url = any_server.url.replace("unix://", LIMITED)
    # Only readers do with rights for reading, and 6.2 knows no such.
    reads = list(CALLS).index(to) < 8 and any_server.process.args[0] != REDIS_6

    def allow(given: list[str]) -> None:
        keys = f"%R~{key}*" if reads else f"~{key}*"
        any_db.execute_command(
            "ACL", "SETUSER", "limited", "reset", "on", f">{PASSWORD}", keys, *given
        )

    for missing in rights:
        prepare(any_db, key, to)
        allow([right for right in rights if right != missing])
        with pytest.raises(redcol.PermissionDeniedError) as caught:
            CALLS[to](url, key)
        command = missing.removeprefix("+").partition("|")[0]
        said = str(caught.value)
        # Some servers do not say which command of a transaction or a script was refused.
        assert command.upper() in said or f"'{command}" in said
        assert PASSWORD not in said
    prepare(any_db, key, to)
    allow(rights)
    CALLS[to](url, key)
    any_db.execute_command("ACL", "DELUSER", "limited")
