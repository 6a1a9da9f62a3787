# SPDX-License-Identifier: Apache-2.0
"""scan_stream: lazy, with columns, filters and slices done by the server; snapshots; errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import polars as pl
import pytest
import redis

import redcol
from redcol._snapshot import Snapshots
from scans import FIRST_MS, add_many, counting, requests
from servers import FakeServer, Server, free_port

SCHEMA = {"user": pl.String, "value": pl.Int64}
ts = pl.col("_ts")
IS_POLARS_2 = int(pl.__version__.split(".")[0]) >= 2
FIRST = 1_704_067_200_000


@pytest.fixture
def stream(db: redis.Redis, key: str) -> Iterator[str]:
    add_many(db, key, 1_000)
    yield key
    db.delete(key)


def test_the_guide(any_server: Server) -> None:
    import redcol as redis  # as the guide's polars_redis

    with any_server.client() as db:
        db.flushall()
        for index in range(150):
            fields = {"action": "click" if index % 2 else "view", "value": index * 2.5}
            db.xadd("events", fields, id=f"{FIRST + index}-0")
    # Create LazyFrame (no execution yet)
    lf = redis.scan_stream(
        any_server.url,
        stream="events",
        schema={"action": pl.Utf8, "value": pl.Float64},
    )

    # Apply lazy operations
    result = (
        lf.filter(pl.col("value") > 100).group_by("action").agg(pl.col("value").mean()).collect()
    )
    values = {"click": [], "view": []}
    for index in range(41, 150):
        values["click" if index % 2 else "view"].append(index * 2.5)
    means = {action: sum(found) / len(found) for action, found in values.items()}
    assert dict(result.rows()) == pytest.approx(means)


@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["schema", "discovered"])
def test_as_read_stream(server: Server, stream: str, schema: dict | None) -> None:
    arguments = {"schema": schema, "include_sequence": True, "start_id": FIRST_MS + 3, "count": 90}
    lazy = redcol.scan_stream(server.url, stream, **arguments)
    frame = redcol.read_stream(server.url, stream, **arguments)
    assert lazy.collect_schema() == frame.schema
    assert lazy.collect().equals(frame)
    assert lazy.collect(engine="streaming").equals(frame)
    assert isinstance(lazy, pl.LazyFrame)


def test_nothing_is_sent_before_a_query_runs(stream: str) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}"
    lazy = redcol.scan_stream(nobody, stream, schema=SCHEMA).filter(ts > 5).select("value")
    assert lazy.collect_schema() == {"value": pl.Int64}
    assert "SCAN" in lazy.explain()
    redcol.scan_stream(nobody, stream)
    with FakeServer(lambda _: b"+OK\r\n") as fake:
        redcol.scan_stream(fake.url, stream, schema=SCHEMA).select(ts).collect_schema()
        redcol.scan_stream(fake.url, stream)
        assert fake.commands == []


def test_only_the_columns_that_are_asked_for_are_decoded(
    server: Server, db: redis.Redis, key: str
) -> None:
    for number in range(50):
        db.xadd(key, {"good": number, "bad": "no number", "text": b"\xff"})
    lazy = redcol.scan_stream(server.url, key, schema={"bad": int, "good": int, "text": str})
    assert lazy.select(pl.len()).collect().item() == 50
    assert lazy.select("good").collect()["good"].to_list() == list(range(50))
    assert lazy.filter(pl.col("good") > 40).select("_id").collect().columns == ["_id"]
    assert lazy.select(pl.col("good").sum()).collect(engine="streaming").item() == 1225
    with requests() as seen:
        assert lazy.filter(pl.col("good") < 9).select("_ts", "good").collect().height == 9
    assert [one["include_id"] for one in seen] == ["false"]
    with pytest.raises(
        (redcol.ValueConversionError, pl.exceptions.ComputeError), match="no number"
    ):
        lazy.select("bad").collect()


def test_columns_in_any_order_and_none(server: Server, stream: str) -> None:
    lazy = redcol.scan_stream(server.url, stream, schema=SCHEMA, include_sequence=True)
    frame = redcol.read_stream(server.url, stream, schema=SCHEMA, include_sequence=True)
    for names in (["value", "_id"], ["_seq", "user", "_ts"], ["user"], ["_seq"]):
        assert lazy.select(names).collect().equals(frame.select(names))
    assert lazy.drop(lazy.collect_schema().names()).collect().width == 0
    bare = redcol.scan_stream(
        server.url, stream, schema={"user": str}, include_id=False, include_timestamp=False
    )
    assert bare.collect().equals(frame.select("user"))
    assert bare.select(pl.len()).collect().item() == 1_000


def test_slices_ask_for_no_more(server: Server, db: redis.Redis, key: str) -> None:
    add_many(db, key, 50_000)
    lazy = redcol.scan_stream(server.url, key, schema=SCHEMA)
    frame = redcol.read_stream(server.url, key, schema=SCHEMA)
    with counting(db) as everything:
        lazy.collect()
    for rows in (1, 100, 2_000):
        for sliced in (lazy.head(rows), lazy.limit(rows), lazy.select("user").head(rows)):
            with counting(db) as part:
                assert sliced.collect().equals(
                    frame.head(rows).select(sliced.collect_schema().names())
                )
            assert part[0] < (rows + 20) / 50_000 * everything[0]
    assert lazy.head(0).collect().shape == (0, 4)
    assert lazy.head(70).filter(ts > FIRST_MS + 30).collect().equals(frame[62:70])
    assert lazy.filter(ts > FIRST_MS + 30).head(7).collect().equals(frame[62:69])
    assert lazy.slice(7, 5).collect().equals(frame[7:12])
    assert lazy.tail(3).collect().equals(frame.tail(3))
    assert lazy.with_row_index().head(4).select("index").collect()["index"].to_list() == [
        0,
        1,
        2,
        3,
    ]


def test_count_and_ends_hold_with_filters(server: Server, stream: str) -> None:
    frame = redcol.read_stream(server.url, stream, schema=SCHEMA)
    lazy = redcol.scan_stream(
        server.url, stream, schema=SCHEMA, start_id=f"({FIRST_MS}-0", end_id=FIRST_MS + 99, count=50
    )
    assert lazy.collect().equals(frame[1:51])
    assert lazy.filter(ts >= FIRST_MS + 20).collect().equals(frame[40:51])
    assert lazy.filter(ts < FIRST_MS + 20).collect().equals(frame[1:40])
    assert lazy.head(45).filter(ts >= FIRST_MS + 20).collect().equals(frame[40:46])
    with requests() as seen:
        assert lazy.filter(ts < FIRST_MS + 2).collect().height == 3
        assert redcol.scan_stream(server.url, stream, schema=SCHEMA, count=0).collect().height == 0
        empty = redcol.scan_stream(server.url, stream, schema=SCHEMA, start_id="(1-1", end_id="1-1")
        assert empty.collect().height == 0
        assert redcol.scan_stream(server.url, stream, end_id="(0-0").collect().columns == [
            "_id",
            "_ts",
        ]
    assert [one["end_id"] for one in seen] == [f"{FIRST_MS + 1}-{2**64 - 1}"]


def test_one_percent_by_time_costs_one_percent(server: Server, db: redis.Redis, key: str) -> None:
    entries = 1_000_000
    add_many(db, key, entries)
    lazy = redcol.scan_stream(server.url, key, schema=SCHEMA)
    middle = FIRST_MS + entries // 4
    span = ts.is_between(middle, middle + entries // 200, closed="left")
    with counting(db) as everything:
        assert lazy.select(pl.len()).collect().item() == entries
    with counting(db) as part:
        got = lazy.filter(span).select("value").collect()
    assert got["value"].to_list() == list(range(entries // 2, entries // 2 + entries // 100))
    assert part[0] <= 0.011 * everything[0]
    db.delete(key)


@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["schema", "discovered"])
@pytest.mark.parametrize("planned", [False, True])
def test_a_query_sees_one_snapshot(
    server: Server, db: redis.Redis, stream: str, schema: dict | None, planned: bool
) -> None:
    lazy = redcol.scan_stream(server.url, stream, schema=schema)
    both = lazy.join(lazy, on="_id", how="full")
    several = pl.concat([lazy.select("_id"), lazy.select("_id"), lazy.select("_id")])
    counted = several.group_by("_id").len().filter(pl.col("len") != 3)
    if planned:  # Polars 1 keeps the plan, and asks no more for the schema
        both.collect_schema()
        counted.collect_schema()
        lazy.collect_schema()
    stop = threading.Event()

    def add() -> None:
        with server.client() as other:
            while not stop.is_set():
                other.xadd(stream, {"user": "u", "value": 1}, id="*")

    thread = threading.Thread(target=add)
    thread.start()
    try:
        heights = []
        for _ in range(10):
            got = both.collect()
            assert got["_id"].null_count() == got["_id_right"].null_count() == 0
            heights.append(got.height)
            got = both.collect(engine="streaming")
            assert got["_id"].null_count() == got["_id_right"].null_count() == 0
            assert counted.collect().height == 0
        frame, length = pl.collect_all([lazy, lazy.select(pl.len())])
        assert frame.height == length.item()
    finally:
        stop.set()
        thread.join()
    # Each query has a snapshot of its own; a busy machine may have added nothing in between.
    assert heights == sorted(heights)
    assert len(set(heights)) > 1


@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["schema", "discovered"])
def test_a_query_sees_what_was_added_before(
    server: Server, db: redis.Redis, stream: str, schema: dict | None
) -> None:
    lazy = redcol.scan_stream(server.url, stream, schema=schema)
    part = lazy.filter(pl.col("user") != "")
    lazy.collect_schema()
    part.collect_schema()
    part.explain()
    for round_ in range(10):
        assert lazy.collect().height == 1_000 + 2 * round_
        db.xadd(stream, {"user": "u", "value": 1})
        assert part.collect().height == 1_001 + 2 * round_
        db.xadd(stream, {"user": "u", "value": 1})
    for round_ in range(5):
        assert lazy.collect().height == 1_020 + round_
        db.xadd(stream, {"user": "u", "value": 1})


def test_snapshots_where_polars_shows_nothing() -> None:
    ends = iter(range(100))
    snapshots: Snapshots[int] = Snapshots()
    assert snapshots.begin(lambda: next(ends)) == 0
    snapshots.end()
    assert snapshots.begin(lambda: next(ends)) == 1
    snapshots.end()
    snapshots.planned()
    snapshots.planned()
    assert [snapshots.begin(lambda: next(ends)) for _ in range(4)] == [2, 2, 3, 3]

    def fail() -> int:
        raise OSError("no server")

    with pytest.raises(OSError, match="no server"):
        snapshots.begin(fail)
    assert snapshots.begin(lambda: next(ends)) == 4


def test_a_scan_changes_nothing(server: Server, db: redis.Redis, stream: str) -> None:
    db.xgroup_create(stream, "g", "0")
    before = db.xinfo_stream(stream), db.xinfo_groups(stream), db.dbsize()
    db.config_resetstat()
    clients = db.info("clients")["connected_clients"]
    redcol.scan_stream(server.url, stream).select(pl.len()).collect()
    assert (db.xinfo_stream(stream), db.xinfo_groups(stream), db.dbsize()) == before
    commands = {name.removeprefix("cmdstat_") for name in db.info("commandstats")}
    assert commands <= {
        "xrange",
        "xrevrange",
        "hello",
        "info",
        "config|resetstat",
        "xinfo|stream",
        "xinfo|groups",
        "dbsize",
        "select",
        "ping",
        "auth",
        "client|setname",
    }
    assert db.info("clients")["connected_clients"] == clients


def test_each_read_has_its_connection(server: Server, db: redis.Redis, stream: str) -> None:
    lazy = redcol.scan_stream(server.url, stream, schema=SCHEMA)
    before = db.info("stats")["total_connections_received"]
    lazy.collect()
    lazy.collect()
    assert db.info("stats")["total_connections_received"] == before + 2
    with redcol.connect(server.url) as client:
        kept = redcol.scan_stream(client, stream, schema=SCHEMA)
        assert kept.join(kept, on="_id").collect().height == 1_000
        assert redcol.read_stream(client, stream).height == 1_000


def test_discovered_columns(server: Server, db: redis.Redis, key: str) -> None:
    for number in range(70_000):
        if number in (0, 69_999):
            db.xadd(key, {"first" if number == 0 else "last": "x", b"\xff\x00": 1, "_id": "mine"})
    add_many(db, f"{key}-other", 1)
    lazy = redcol.scan_stream(server.url, key)
    names = ["_id", "_ts", "first", "\\xff\\x00", "_id_field", "last"]
    assert lazy.collect_schema().names() == names
    frame = redcol.read_stream(server.url, key)
    assert lazy.collect().equals(frame)
    assert lazy.select("\\xff\\x00", "last").collect().equals(frame.select("\\xff\\x00", "last"))
    assert lazy.select(pl.len()).collect().item() == 2
    assert lazy.select("first").collect().equals(frame.select("first"))
    assert lazy.select("_id_field").collect().equals(frame.select("_id_field"))
    typed = redcol.scan_stream(server.url, key, schema=frame.schema)
    assert typed.collect().equals(frame)
    assert typed.select("_id_field").collect()["_id_field"].to_list() == ["mine"] * 2
    nothing = redcol.scan_stream(server.url, "missing")
    assert nothing.collect().columns == ["_id", "_ts"]


def test_a_field_that_comes_later_is_not_lost(server: Server, db: redis.Redis, stream: str) -> None:
    lazy = redcol.scan_stream(server.url, stream)
    assert lazy.collect().width == 4
    db.xadd(stream, {"user": "u", "late": 1}, id=f"{FIRST_MS * 2}-7")
    for query in (lazy, lazy.select("value"), lazy.select(pl.len()), lazy.filter(ts > 7)):
        with pytest.raises((redcol.SchemaError, pl.exceptions.ComputeError)) as caught:
            query.collect()
        assert f'entry {FIRST_MS * 2}-7 has a field "late"' in str(caught.value)
        assert "pass schema=" in str(caught.value)
    assert lazy.filter(ts < FIRST_MS * 2).collect().height == 1_000
    assert redcol.scan_stream(server.url, stream).collect().columns[-1] == "late"
    with_schema = redcol.scan_stream(server.url, stream, schema=SCHEMA)
    assert with_schema.collect().height == 1_001


def test_structs_are_decoded_where_ids_are_not_asked_for(
    server: Server, db: redis.Redis, key: str
) -> None:
    db.xadd(key, {"point": '{"x": 1}', "list": "[1, 2]"}, id="1-1")
    db.xadd(key, {"point": '{"x": ', "list": "[3]"}, id="2-1")
    schema = {"point": pl.Struct({"x": pl.Int64}), "list": pl.List(pl.Int8)}
    lazy = redcol.scan_stream(server.url, key, schema=schema)
    assert lazy.select("list").collect()["list"].to_list() == [[1, 2], [3]]
    assert lazy.filter(ts == 1).select("point").collect().item() == {"x": 1}
    with pytest.raises(
        (redcol.ValueConversionError, pl.exceptions.ComputeError), match="entry 2-1"
    ):
        lazy.select("point").collect()
    lenient = redcol.scan_stream(server.url, key, schema=schema, on_error="null")
    assert lenient.select("point").collect()["point"].to_list() == [{"x": 1}, None]


@pytest.mark.parametrize(
    "argument",
    [
        {"group": "g"},
        {"consumer": "c"},
        {"block_ms": 0},
        {"auto_ack": True},
        {"create_group": False},
        {"group_start_id": "$"},
        {"claim_idle_ms": 5},
    ],
    ids=lambda argument: next(iter(argument)),
)
def test_groups_and_waiting_are_refused(argument: dict[str, object]) -> None:
    name = next(iter(argument))
    with pytest.raises(redcol.InvalidArgumentError, match=rf"{name}.* iter_stream") as caught:
        redcol.scan_stream("redis://localhost", "s", **argument)
    assert caught.value.status == -1


def test_defaults_of_what_is_refused_ask_for_nothing() -> None:
    redcol.scan_stream("redis://localhost", "s", group=None, block_ms=None, create_group=True)
    with pytest.raises(TypeError, match="batch_size"):
        redcol.scan_stream("redis://localhost", "s", batch_size=5)


def test_arguments_are_checked_at_once() -> None:
    for wrong in ({"start_id": "x"}, {"count": -1}, {"on_error": "no"}, {"timeout_ms": 0}):
        with pytest.raises(redcol.InvalidArgumentError):
            redcol.scan_stream("redis://localhost", "s", **wrong)
    with pytest.raises(redcol.InvalidArgumentError, match=r"iter_stream"):
        redcol.scan_stream("redis://localhost", "s", start_id="$")
    with pytest.raises(redcol.SchemaError):
        redcol.scan_stream("redis://localhost", "s", schema={"a": pl.Object})


def raised(lazy: pl.LazyFrame, kind: type[redcol.RedcolError]) -> str:
    """The message of a query's error: our own type, where Polars lets it through."""
    with pytest.raises(kind if IS_POLARS_2 else pl.exceptions.ComputeError) as caught:
        lazy.collect()
    assert IS_POLARS_2 or kind.__name__ in str(caught.value)
    with pytest.raises(kind if IS_POLARS_2 else pl.exceptions.ComputeError):
        lazy.collect(engine="streaming")
    return str(caught.value)


def test_errors_of_a_query(server: Server, db: redis.Redis, key: str) -> None:
    db.set(key, "text")
    assert "another type" in raised(
        redcol.scan_stream(server.url, key, schema=SCHEMA), redcol.WrongTypeError
    )
    with pytest.raises(pl.exceptions.ComputeError, match=r"WrongTypeError: .*another type"):
        redcol.scan_stream(server.url, key).collect()
    nobody = redcol.scan_stream(f"redis://127.0.0.1:{free_port()}", key, schema=SCHEMA)
    raised(nobody, redcol.ConnectionFailedError)
    with FakeServer(lambda c: b"*1\r\n$1\r\nx\r\n" if c[0] == b"XREVRANGE" else b"+OK\r\n") as fake:
        raised(redcol.scan_stream(fake.url, key, schema=SCHEMA), redcol.ProtocolError)
    client = redcol.connect(server.url)
    lazy = redcol.scan_stream(client, key, schema=SCHEMA)
    client.close()
    raised(lazy, redcol.ClosedError)


def test_rights(server: Server, db: redis.Redis, stream: str) -> None:
    rights = {"enabled": True, "passwords": ["+secret"], "keys": [stream], "reset": True}
    db.acl_setuser("scan", **rights, commands=["+xrange"])
    url = server.url.replace("unix://", "unix://scan:secret@")
    lazy = redcol.scan_stream(url, stream, schema=SCHEMA)
    message = raised(lazy, redcol.PermissionDeniedError)
    assert "xrevrange" in message
    assert "secret" not in message
    db.acl_setuser("scan", **rights, commands=["+xrange", "+xrevrange"])
    assert lazy.collect().height == 1_000
    db.acl_deluser("scan")


def test_a_read_that_is_given_up_leaves_nothing(
    server: Server, db: redis.Redis, key: str, no_leaks: None
) -> None:
    add_many(db, key, 200_000)
    lazy = redcol.scan_stream(server.url, key, schema=SCHEMA)
    before = db.info("clients")["connected_clients"]
    for _ in range(3):
        assert lazy.filter(pl.col("value") >= 0).head(5).collect().height == 5
        with pytest.raises(pl.exceptions.PolarsError):
            lazy.select(pl.col("user").cast(pl.Int64)).collect()
    assert lazy.select(pl.len()).collect().item() == 200_000
    assert db.info("clients")["connected_clients"] == before
    db.delete(key)
