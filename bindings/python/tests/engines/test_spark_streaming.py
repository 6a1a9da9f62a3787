# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import sparks
from servers import REDIS_6, Server

pytestmark = pytest.mark.filterwarnings("ignore")
SCHEMA = "_key string, _id string, n long"
#: How often a query is killed; ten times is the proof, fewer are enough each day.
SCRIPT = Path(__file__).with_name("spark_query.py")
KILLS = int(os.environ.get("REDCOL_SPARK_KILLS", "2"))


def fill(db, stream: str, numbers: range, *, first_ms: int = 1_000) -> None:
    with db.pipeline(transaction=False) as pipe:
        for number in numbers:
            pipe.xadd(stream, {"n": number}, id=f"{first_ms + number}-1")
        pipe.execute()


def offsets(folder: Path) -> list[dict]:
    """The offsets in a query's checkpoint."""
    files = sorted(
        (file for file in (folder / "checkpoint/offsets").iterdir() if file.name.isdigit()),
        key=lambda file: int(file.name),
    )
    return [json.loads(file.read_text().splitlines()[-1]) for file in files]


def test_batches_go_on_from_the_checkpoint(server, db, key, tmp_path):
    fill(db, key, range(100))
    frame = sparks.follow(server.url, key, SCHEMA, startingOffsets="earliest")
    sparks.run_once(frame, tmp_path)
    assert sorted(sparks.rows(tmp_path, "n")) == list(range(100))
    assert offsets(tmp_path) == [{key: {"id": "1099-1", "added": 100}}]
    fill(db, key, range(100, 150))
    sparks.run_once(frame, tmp_path)
    assert sorted(sparks.rows(tmp_path, "n")) == list(range(150))
    assert offsets(tmp_path)[-1] == {key: {"id": "1149-1", "added": 150}}


def test_a_micro_batch_has_at_most_so_many_entries(server, db, key, tmp_path):
    names = [f"{key}:{letter}" for letter in "abc"]
    for name, count in zip(names, (250, 7, 100), strict=True):
        fill(db, name, range(count))
    frame = sparks.follow(
        server.url,
        ",".join(names),
        SCHEMA,
        startingOffsets="earliest",
        maxEntriesPerTrigger=60,
        rowsPerPartition=10,
    )
    sparks.run_once(frame, tmp_path)
    assert Counter(sparks.rows(tmp_path, "n")) == Counter([*range(250), *range(7), *range(100)])
    places = [{name: {"id": "0-0", "added": 0} for name in names}, *offsets(tmp_path)]
    sizes = [
        sum(after[name]["added"] - before[name]["added"] for name in names)
        for before, after in itertools.pairwise(places)
    ]
    assert max(sizes) == 60
    assert sum(sizes) == 357
    # Each of them gets its share.
    assert places[1][names[1]]["added"] == 7
    assert min(places[1][name]["added"] for name in (names[0], names[2])) >= 20


@pytest.mark.parametrize(
    ("start", "found"),
    [("earliest", 100), ("latest", 0), ("1050", 50), ("1970-01-01T00:00:01.090Z", 10)],
)
def test_where_a_query_begins(server, db, key, start, found):
    from redcol.spark._source import RedcolDataSource

    fill(db, key, range(100))
    options = {"url": server.url, "stream": key, "startingOffsets": start}
    reader = RedcolDataSource(options).streamReader(_schema("n long"))
    first = reader.initialOffset()
    tasks = reader.partitions(first, reader.latestOffset(first, reader.getDefaultReadLimit()))
    assert sum(batch.num_rows for task in tasks for batch in reader.read(task)) == found
    # Nothing is skipped that is added now.
    fill(db, key, range(100, 103))
    tasks = reader.partitions(first, reader.latestOffset(first, reader.getDefaultReadLimit()))
    assert sum(batch.num_rows for task in tasks for batch in reader.read(task)) == found + 3


def test_new_streams_of_a_pattern_are_read_from_their_beginning(server, db, key, tmp_path):
    fill(db, f"{key}:a", range(3))
    frame = sparks.follow(server.url, f"{key}:*", SCHEMA, startingOffsets="1002")
    sparks.run_once(frame, tmp_path)
    fill(db, f"{key}:b", range(10, 15))
    fill(db, f"{key}:a", range(3, 5))
    sparks.run_once(frame, tmp_path)
    assert sorted(sparks.rows(tmp_path, "n")) == [2, 3, 4, *range(10, 15)]


def test_trimmed_entries_are_a_gap(server, db, key, tmp_path):
    from pyspark.errors import StreamingQueryException

    fill(db, key, range(20))
    frame = sparks.follow(server.url, key, SCHEMA, startingOffsets="earliest")
    sparks.run_once(frame, tmp_path)
    # What was read may go.
    db.xtrim(key, maxlen=0, approximate=False)
    fill(db, key, range(20, 25))
    sparks.run_once(frame, tmp_path)
    fill(db, key, range(25, 35))
    db.xtrim(key, maxlen=4, approximate=False)
    with pytest.raises(StreamingQueryException, match="lost 6 entries after 1024-1") as caught:
        sparks.run_once(frame, tmp_path)
    assert "failOnDataLoss=false" in str(caught.value)
    assert "\tat " not in str(caught.value)
    frame = sparks.follow(server.url, key, SCHEMA, failOnDataLoss="false")
    sparks.run_once(frame, tmp_path)
    assert sorted(sparks.rows(tmp_path, "n")) == [*range(25), *range(31, 35)]


@pytest.mark.parametrize("what", ["trimmed", "gone", "begun again"])
def test_gaps_between_planning_and_reading(server, db, key, what):
    from redcol import GapError
    from redcol.spark._source import RedcolDataSource

    fill(db, key, range(20))
    options = {"url": server.url, "stream": key, "startingOffsets": "earliest"}
    reader = RedcolDataSource(options).streamReader(_schema("n long"))
    first = reader.initialOffset()
    limit = reader.getDefaultReadLimit()
    [task] = reader.partitions(first, reader.latestOffset(first, limit))
    if what == "trimmed":
        db.xtrim(key, maxlen=15, approximate=False)
    else:
        db.delete(key)
    if what == "begun again":
        fill(db, key, range(5, 8))
    with pytest.raises(GapError) as caught:
        list(reader.read(task))
    assert caught.value.stream == key
    assert caught.value.lost_entries == (5 if what == "trimmed" else None)
    options["failOnDataLoss"] = "false"
    reader = RedcolDataSource(options).streamReader(_schema("n long"))
    rows = [row["n"] for batch in reader.read(task) for row in batch.to_pylist()]
    assert rows == {"trimmed": [*range(5, 20)], "gone": [], "begun again": [5, 6, 7]}[what]


def test_a_server_that_does_not_count_shows_gaps_of_whole_batches():
    from redcol import GapError
    from redcol.spark._source import RedcolDataSource

    with Server(REDIS_6) as server, server.client() as db:
        fill(db, "s", range(20))
        options = {"url": server.url, "stream": "s", "startingOffsets": "earliest"}
        reader = RedcolDataSource(options).streamReader(_schema("n long"))
        first = reader.initialOffset()
        end = reader.latestOffset(first, reader.getDefaultReadLimit())
        assert end == {"s": {"id": "1019-1"}}
        [task] = reader.partitions(first, end)
        assert sum(batch.num_rows for batch in reader.read(task)) == 20
        db.xtrim("s", maxlen=0)
        with pytest.raises(GapError, match="lost all entries after 0-0 and up to 1019-1"):
            reader.partitions(first, end)


def test_tasks_of_a_server_that_does_not_count():
    from redcol.spark._source import RedcolDataSource

    with Server(REDIS_6) as server, server.client() as db:
        fill(db, "s", range(200))
        options = {"url": server.url, "stream": "s", "startingOffsets": "earliest"}
        reader = RedcolDataSource(options | {"rowsPerPartition": "50"}).streamReader(
            _schema("n long")
        )
        first, limit = reader.initialOffset(), reader.getDefaultReadLimit()
        end = reader.latestOffset(first, limit)
        assert end == {"s": {"id": "1199-1", "parts": 4}}
        tasks = reader.partitions(first, end)
        assert tasks == reader.partitions(first, end)
        sizes = [sum(batch.num_rows for batch in reader.read(task)) for task in tasks]
        assert len(sizes) >= 4
        assert sum(sizes) == 200
        assert max(sizes) <= 100
        # A few new entries are one task, although the stream is large.
        fill(db, "s", range(200, 205))
        [task] = reader.partitions(end, reader.latestOffset(end, limit))
        assert sum(batch.num_rows for batch in reader.read(task)) == 5


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("startingOffsets", "first", "must be earliest, latest, an entry id, or a time"),
        ("startId", "5", r"option start_id is for spark\.read\."),
        ("failOnDataLoss", "no", "option fail_on_data_loss must be true or false, not 'no'"),
    ],
)
def test_options_of_a_query_are_checked(server, option, value, message):
    from pyspark.errors import StreamingQueryException

    frame = sparks.follow(server.url, "a", SCHEMA, **{option: value})
    query = frame.writeStream.format("noop").start()
    with pytest.raises(StreamingQueryException, match=message):
        query.awaitTermination(60)


def _schema(text: str):
    from pyspark.sql.types import StructType

    return StructType.fromDDL(text)


def test_a_query_that_is_killed_writes_each_entry_once(tmp_path):
    """While a producer writes; each life is ended by SIGKILL, at any moment of its work."""
    chance = random.Random(11)
    total = 100_000
    with Server(tcp=True) as server, server.client() as db:

        def produce() -> None:
            with server.client() as producer:
                for first in range(0, total, 500):
                    fill(producer, "s", range(first, first + 500))
                    time.sleep(0.02)

        producer = threading.Thread(target=produce)
        producer.start()
        for life in range(KILLS + 1):
            query = subprocess.Popen(
                [sys.executable, SCRIPT, server.url, "s", str(tmp_path), str(24_000 // KILLS)],
                env=os.environ | sparks.environment(tmp_path / "spark"),
                stdout=subprocess.DEVNULL,
                stderr=(tmp_path / f"log-{life}").open("wb"),
                start_new_session=True,
            )
            try:
                if life < KILLS:
                    _await_progress(query, tmp_path, chance.randint(1, 3), f"{999 + total}-1")
                    time.sleep(chance.uniform(0, 1))
                else:
                    producer.join()
                    _await_end(query, tmp_path, f"{999 + total}-1")
            finally:
                os.killpg(query.pid, signal.SIGKILL)
                query.wait()
        assert db.xlen("s") == total
    found = Counter(sparks.rows(tmp_path, "n"))
    assert found == Counter(range(total))


def _commits(folder: Path) -> int:
    place = folder / "checkpoint/commits"
    return sum(file.name.isdigit() for file in place.iterdir()) if place.is_dir() else 0


def _await_progress(query: subprocess.Popen, folder: Path, batches: int, last: str) -> None:
    """Some micro-batches more, or all that there will be."""
    wanted, deadline = _commits(folder) + batches, time.monotonic() + 120
    while _commits(folder) < wanted and not _has_planned(folder, last):
        assert query.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _has_planned(folder: Path, last: str) -> bool:
    if not (folder / "checkpoint/offsets").is_dir():
        return False
    done = offsets(folder)
    return bool(done) and done[-1]["s"]["id"] == last


def _await_end(query: subprocess.Popen, folder: Path, last: str) -> None:
    deadline = time.monotonic() + 240
    while True:
        assert query.poll() is None
        assert time.monotonic() < deadline
        if _has_planned(folder, last) and _commits(folder) == len(offsets(folder)):
            return
        time.sleep(0.1)
