# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from test_spark_batch import POLARS, SPARK, VALUES

import redcol
import sparks
from proxy import NONE, Faults, Proxy

pytestmark = pytest.mark.filterwarnings("ignore")


def write(frame, url: str, mode: str = "append", **options) -> None:
    frame.write.format("redcol").options(url=url, **options).mode(mode).save()


def test_what_was_written_is_read_again(server, db, key):
    names = [name for name in POLARS if not name.startswith("_")]
    for place in range(4):
        entry = {name: VALUES[name][place] for name in names}
        db.xadd(key, {name: text for name, text in entry.items() if text is not None} | {"x": 1})
    schema = ",".join(SPARK.replace(", value", "").split(" _seq long,")[1:])
    frame = sparks.read(server.url, key, schema).coalesce(1)
    write(frame, server.url, stream=f"{key}:copy")
    dtypes = {name: POLARS[name] for name in names}
    copied, first = (
        redcol.read_stream(
            server.url, stream, schema=dtypes, include_id=False, include_timestamp=False
        )
        for stream in (f"{key}:copy", key)
    )
    # An entry must have a field: the row of nulls is not written.
    assert len(copied) == 3
    assert copied.equals(first.head(3))


def test_rows_go_to_the_streams_and_ids_that_they_name(server, db, key):
    frame = sparks.session().createDataFrame(
        [(f"{key}:{n % 3}", f"{n + 1}-5", n) for n in range(30)], "target string, id string, n long"
    )
    frame = frame.coalesce(1)
    write(frame, server.url, streamColumn="target", idColumn="id", maxlen="5", approximate="false")
    for number in range(3):
        entries = db.xrange(f"{key}:{number}")
        assert len(entries) == 5
        assert entries[-1] == (f"{28 + number}-5".encode(), {b"n": str(27 + number).encode()})


def test_a_query_writes_at_least_once(server, db, key, tmp_path):
    with db.pipeline(transaction=False) as pipe:
        for number in range(500):
            pipe.xadd(key, {"n": number})
        pipe.execute()
    frame = sparks.follow(server.url, key, "n long", startingOffsets="earliest")
    options = {"url": server.url, "stream": f"{key}:copy"}
    sparks.run_once(frame, tmp_path, form="redcol", **options)
    copied = redcol.read_stream(server.url, f"{key}:copy", schema={"n": pl.Int64})
    assert copied["n"].to_list() == list(range(500))


def test_tasks_that_lose_their_connection_are_tried_again(server, db, key):
    """Reads give the same rows. A write that is tried again has written some of them before."""
    with db.pipeline(transaction=False) as pipe:
        for number in range(2_000):
            pipe.xadd(key, {"n": number})
        pipe.execute()
    plan = {0: Faults(end_after=4_000), 1: Faults(end_after=9_000)}
    frame = sparks.read(server.url, key, "n long").repartition(2)
    with Proxy(Path(server.socket_path), lambda number: plan.get(number, NONE)) as proxy:
        write(frame, proxy.url, stream=f"{key}:copy")
    copied = redcol.read_stream(server.url, f"{key}:copy", schema={"n": pl.Int64})
    assert set(copied["n"]) == set(range(2_000))
    assert 2_000 < len(copied) <= 3 * 2_000


def test_an_idempotent_write_has_each_row_once(server, db, key):
    """Tasks are cut off in the middle, and may not come back; then they are tried again."""
    with db.pipeline(transaction=False) as pipe:
        for number in range(20_000):
            pipe.xadd(key, {"n": number})
        pipe.execute()
    user = ("ACL", "SETUSER", "app")
    db.execute_command(*user, "reset", "on", ">word", "~*", "+@all")

    def plan(number: int) -> Faults:
        """Two are cut, and those that come then are turned away."""
        if number in (2, 4):
            db.execute_command(*user, "off" if number == 2 else "on")
        return {0: Faults(end_after=9_000), 1: Faults(end_after=50_000)}.get(number, NONE)

    frame = sparks.read(server.url, key, "n long").repartitionByRange(2, "n")
    before = failed_tasks()
    with Proxy(Path(server.socket_path), plan) as proxy:
        url = proxy.url.replace("redis://", "redis://app:word@")
        write(frame, url, stream=f"{key}:copy", idempotent="true")
    db.execute_command("ACL", "DELUSER", "app")
    assert failed_tasks() > before
    copied = redcol.read_stream(server.url, f"{key}:copy", schema={"n": pl.Int64})
    assert len(copied) == 20_000
    assert set(copied["n"]) == set(range(20_000))
    # Attempts that are late find the epoch over, for a day.
    [name] = db.keys(f"redcol:fence:{{{key}:copy}}:*")
    assert db.hgetall(name) == {b"0": b"1:-1", b"1": b"1:-1"}
    assert 0 < db.ttl(name) <= 86_400


def failed_tasks() -> int:
    """How many tasks have failed, of all that the event log knows."""
    lines = [
        line
        for file in sparks.EVENTS.rglob("*")
        if file.is_file()
        for line in file.read_text().splitlines()
    ]
    return sum("SparkListenerTaskEnd" in line and '"Failed":true' in line for line in lines)


def test_an_idempotent_query_writes_each_row_once(server, db, key, tmp_path):
    """A micro-batch whose end was not noted is written again, in a query that begins anew."""
    with db.pipeline(transaction=False) as pipe:
        for number in range(500):
            pipe.xadd(key, {"n": number}, id=f"1-{number + 1}")
        pipe.execute()
    options = {"url": server.url, "stream": f"{key}:copy", "idempotent": "true"}
    frame = sparks.follow(
        server.url, key, "n long", startingOffsets="earliest", maxEntriesPerTrigger=200
    )
    for _ in range(2):
        sparks.run_once(frame, tmp_path, form="redcol", **options)
        copied = redcol.read_stream(server.url, f"{key}:copy", schema={"n": pl.Int64})
        assert copied["n"].to_list() == list(range(500))
        # As if the query had been killed before it could note that.
        last = max(
            (tmp_path / "checkpoint/commits").glob("[0-9]*"), key=lambda file: int(file.name)
        )
        last.unlink()
        (last.parent / f".{last.name}.crc").unlink(missing_ok=True)
    [name] = db.keys(f"redcol:fence:{{{key}:copy}}:*")
    assert db.hgetall(name) == {b"0": b"2:99"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"streamColumn": "id", "idempotent": "true"}, "option idempotent needs option stream"),
        ({"stream": "a}b", "idempotent": "true"}, "no other key can be in the slot"),
        ({}, "a sink needs option stream"),
        ({"stream": "a", "streamColumn": "n"}, "one of the two"),
        ({"stream": "a", "onError": "skip"}, "option on_error is for a source"),
        ({"stream": "a", "startingOffsets": "latest"}, r"is for spark\.readStream"),
        ({"stream": "a", "minId": "soon"}, "min_id 'soon' is not an entry id"),
        ({"stream": "a", "maxlen": "-1"}, "option maxlen must be a whole number"),
    ],
)
def test_options_of_a_sink_are_checked(server, options, message):
    with pytest.raises(Exception, match=message) as caught:
        write(sparks.session().range(3), server.url, **options)
    assert "\tat " not in str(caught.value)


def test_nothing_is_overwritten(server):
    with pytest.raises(Exception, match="entries can only be appended"):
        write(sparks.session().range(3), server.url, "overwrite", stream="a")
