# SPDX-License-Identifier: Apache-2.0
"""Entries that were gone before they were read: noticed, counted, logged, and raised if wanted."""

from __future__ import annotations

import logging

import pytest
import redis

import redcol
from grouping import GROUP, SCHEMA, add
from servers import Server

STOP = {"on_idle": "stop", "block_ms": 100}


def reconnect(db: redis.Redis) -> None:
    """An iterator looks at its streams when it has a new connection."""
    db.client_kill_filter(_type="normal", skipme=True)


def lose(db: redis.Redis, key: str, added: int, kept: int) -> list[str]:
    """Adds entries, of which only the last ones are there when anybody asks."""
    ids = add(db, key, range(added))
    db.xtrim(key, maxlen=kept, approximate=False)
    return ids


def counts_added(db: redis.Redis) -> bool:
    return int(db.info("server")["redis_version"].split(".")[0]) >= 7


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_the_numbers_and_the_ids(
    url: str, any_db: redis.Redis, key: str, group: dict[str, str]
) -> None:
    first = add(any_db, key, range(3))
    with redcol.iter_stream(
        url, key, **group, schema=SCHEMA, on_gap="raise", on_idle="empty", block_ms=20
    ) as batches:
        assert next(batches)["n"].to_list() == [0, 1, 2]
        reconnect(any_db)
        assert len(next(batches)) == 0  # it has looked at the stream
        ids = lose(any_db, key, 10, 4)
        reconnect(any_db)
        if counts_added(any_db):
            with pytest.raises(redcol.GapError, match="lost 6 entries") as caught:
                next(batches)
            assert (caught.value.after_id, caught.value.before_id) == (first[-1], ids[6])
            assert (caught.value.lost_entries, caught.value.stream) == (6, key)
            assert isinstance(caught.value, LookupError)
        assert next(batches)["n"].to_list() == [6, 7, 8, 9]
        # The same gap is not counted again.
        reconnect(any_db)
        assert len(next(batches)) == 0
        assert batches.stats.lost_entries == (6 if counts_added(any_db) else 0)


@pytest.mark.parametrize("group", [{}, GROUP], ids=["no group", "group"])
def test_it_is_logged_and_nothing_is_raised(
    url: str,
    any_db: redis.Redis,
    key: str,
    group: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    add(any_db, key, range(3))
    with redcol.iter_stream(
        url, key, **group, schema=SCHEMA, on_idle="empty", block_ms=20
    ) as batches:
        next(batches)
        reconnect(any_db)
        next(batches)
        lose(any_db, key, 5, 2)
        reconnect(any_db)
        with caplog.at_level(logging.WARNING, "redcol"):
            assert next(batches)["n"].to_list() == [3, 4]
        assert batches.stats.lost_entries == (3 if counts_added(any_db) else 0)
    lines = [line.getMessage() for line in caplog.records if key in line.getMessage()]
    wanted = [line for line in lines if "lost 3 entries" in line]
    assert len(wanted) == counts_added(any_db)


def test_a_group_whose_members_were_away(any_db: redis.Redis, url: str, key: str) -> None:
    """It is looked at before the first new entries are read."""
    add(any_db, key, range(3))
    with redcol.iter_stream(url, key, **GROUP, auto_ack=True, schema=SCHEMA, **STOP) as batches:
        assert len(next(batches)) == 3
        list(batches)
    lose(any_db, key, 10, 4)
    with redcol.iter_stream(url, key, **GROUP, auto_ack=True, schema=SCHEMA, **STOP) as batches:
        assert sum(map(len, batches)) == 4
        assert batches.stats.lost_entries == (6 if counts_added(any_db) else 0)


@pytest.mark.parametrize("end", [STOP, {"until": "now"}], ids=["stop", "until now"])
def test_entries_that_were_gone_soon_after_the_beginning(
    url: str, any_db: redis.Redis, key: str, end: dict[str, object]
) -> None:
    """An iterator looks at a stream before it reads it."""
    if not counts_added(any_db):
        return
    ids = add(any_db, key, range(100))
    with redcol.iter_stream(
        url, key, schema=SCHEMA, batch_size=5, on_gap="raise", **end
    ) as batches:
        assert next(batches)["n"].to_list() == list(range(5))
        any_db.xtrim(key, maxlen=20, approximate=False)
        read, errors, is_over = 5, [], False
        while not is_over:
            try:
                for batch in batches:
                    read += len(batch)
                is_over = True
            except redcol.GapError as error:
                errors.append(error)
        assert read < 100
        assert batches.stats.lost_entries == 100 - read
        (error,) = errors
        assert (error.lost_entries, error.before_id) == (100 - read, ids[-1])


def all_of(batches: redcol.StreamIterator) -> tuple[int, list[redcol.GapError]]:
    """How many entries come until the end, and the gaps."""
    read, errors = 0, []
    while True:
        try:
            for batch in batches:
                read += len(batch)
            return read, errors
        except redcol.GapError as error:
            errors.append(error)


@pytest.mark.parametrize(
    ("end", "group", "left"),
    [
        (STOP, {}, "nothing"),
        (STOP, {}, "later ones"),
        ({"until": "now"}, {}, "nothing"),
        ({"until": "now"}, {}, "later ones"),
        (STOP, GROUP, "nothing"),
    ],
)
def test_entries_that_were_gone_up_to_the_end(
    url: str,
    any_db: redis.Redis,
    key: str,
    end: dict[str, object],
    group: dict[str, str],
    left: str,
) -> None:
    """An iterator looks once more before it says that there is nothing more."""
    ids = add(any_db, key, range(2_000))
    with redcol.iter_stream(
        url, key, **group, schema=SCHEMA, batch_size=5, on_gap="raise", **end
    ) as batches:
        assert next(batches)["n"].to_list() == list(range(5))
        after = add(any_db, key, range(2_000, 2_003)) if left == "later ones" else [None]
        any_db.xtrim(key, maxlen=3 if after[0] else 0, approximate=False)
        read, errors = all_of(batches)
        lost = sum(error.lost_entries or 0 for error in errors)
        # What is added later is not wanted until "now".
        wanted = 2_000 if after == [None] or "until" in end else 2_003
        if counts_added(any_db):
            assert 5 + read + lost == wanted
            assert lost > 1_000
            (error,) = errors
            # Part of it may have been on its way: that it came before the gap is known only if
            # nothing came after it.
            came = ids[4 + min(read, 1_995)] if wanted == 2_000 else ids[4]
            assert (error.after_id, error.before_id) == (came, after[0])
            assert f"after {error.after_id}" in str(error)
        elif "until" in end:
            assert "at least 1 entries" in str(errors[0])
        assert batches.stats.lost_entries == lost
    if not group:
        # Nothing is missed of what is there.
        with redcol.iter_stream(url, key, schema=SCHEMA, on_gap="raise", **end) as batches:
            assert all_of(batches)[1] == []


def test_a_stream_that_was_deleted_while_it_was_read(
    url: str, any_db: redis.Redis, key: str
) -> None:
    ids = add(any_db, key, range(2_000))
    with redcol.iter_stream(
        url, key, schema=SCHEMA, batch_size=5, on_gap="raise", until="now"
    ) as batches:
        next(batches)
        any_db.delete(key)
        read, (error,) = all_of(batches)
        lost = 1_995 - read if counts_added(any_db) else 1
        assert (error.lost_entries, error.before_id) == (lost, None)
        assert error.after_id == ids[4 + read]


def test_where_a_gap_begins(url: str, any_db: redis.Redis, key: str) -> None:
    """What came in the first answer stood together: the gap comes after it."""
    if not counts_added(any_db):
        return
    ids = add(any_db, key, range(2_000))
    with redcol.iter_stream(
        url, key, schema=SCHEMA, batch_size=450, on_gap="raise", **STOP
    ) as batches:
        assert len(next(batches)) == 450
        any_db.xtrim(key, maxlen=1, approximate=False)
        _, (error,) = all_of(batches)
        assert error.after_id == ids[449]
        assert error.before_id == ids[-1]


def test_entries_that_were_gone_between_two_reads(url: str, any_db: redis.Redis, key: str) -> None:
    """A look that finds the reader in the middle notices what was missed before, too."""
    if not counts_added(any_db):
        return
    add(any_db, key, range(3))
    with redcol.iter_stream(
        url, key, schema=SCHEMA, on_idle="empty", block_ms=20, batch_size=10
    ) as batches:
        next(batches)
        reconnect(any_db)
        assert len(next(batches)) == 0
        lose(any_db, key, 20, 15)
        assert len(next(batches)) == 10
        reconnect(any_db)
        assert len(next(batches)) == 5
        reconnect(any_db)
        assert len(next(batches)) == 0
        assert batches.stats.lost_entries == 5


def test_what_was_trimmed_before_the_beginning_is_no_gap(
    url: str, any_db: redis.Redis, key: str
) -> None:
    lose(any_db, key, 20, 5)
    for group in ({}, GROUP):
        with redcol.iter_stream(
            url, key, **group, schema=SCHEMA, on_gap="raise", on_idle="empty", block_ms=20
        ) as batches:
            assert len(next(batches)) == 5
            reconnect(any_db)
            assert len(next(batches)) == 0
            # Nor is what was read, and trimmed after that.
            any_db.xtrim(key, maxlen=0, approximate=False)
            reconnect(any_db)
            assert len(next(batches)) == 0
            assert batches.stats.lost_entries == 0
        add(any_db, key, range(5))


def test_an_entry_that_was_seen_and_is_gone(url: str, any_db: redis.Redis, key: str) -> None:
    """Also a server that does not count what was added shows that this is missing."""
    lost = 3 if counts_added(any_db) else 1
    add(any_db, key, range(3))
    with redcol.iter_stream(
        url, key, **GROUP, batch_size=1, schema=SCHEMA, on_gap="raise"
    ) as batches:
        next(batches)
        reconnect(any_db)
        assert next(batches)["n"].to_list() == [1]  # it has seen that one is left
        lose(any_db, key, 4, 2)
        reconnect(any_db)
        with pytest.raises(redcol.GapError) as caught:
            next(batches)
        assert caught.value.lost_entries == lost
        assert [next(batches)["n"][0], next(batches)["n"][0]] == [2, 3]
        assert batches.stats.lost_entries == lost


def test_a_stream_that_was_begun_again(url: str, any_db: redis.Redis, key: str) -> None:
    last = any_db.xadd(key, {"n": 1}, id="5-0").decode()
    with redcol.iter_stream(
        url, key, schema=SCHEMA, on_gap="raise", on_idle="empty", block_ms=20
    ) as batches:
        next(batches)
        any_db.delete(key)
        any_db.xadd(key, {"n": 2}, id="1-0")
        reconnect(any_db)
        with pytest.raises(redcol.GapError, match="begun again") as caught:
            next(batches)
        assert (caught.value.after_id, caught.value.before_id) == (last, "1-0")
        assert caught.value.lost_entries is None
        assert next(batches)["n"].to_list() == [2]
        assert batches.stats.resets == 1


def test_a_user_who_may_not_ask(any_server: Server, any_db: redis.Redis, key: str) -> None:
    add(any_db, key, range(3))
    any_db.acl_setuser(
        "blind", enabled=True, passwords=["+one"], keys=["*"], commands=["+@all", "-xinfo"],
        reset=True,
    )  # fmt: skip
    url = any_server.url.replace("unix://", "unix://blind:one@")
    for group in ({}, GROUP):
        with redcol.iter_stream(url, key, **group, schema=SCHEMA, **STOP) as batches:
            assert sum(map(len, batches)) == 3
            with pytest.raises(redcol.PermissionDeniedError):
                batches.lag()
    any_db.acl_deluser("blind")
