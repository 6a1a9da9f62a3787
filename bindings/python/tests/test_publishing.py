# SPDX-License-Identifier: Apache-2.0
"""Frames that are published as messages: what is sent, in which order, and what is told of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import redis
from chaos.proxy import Faults, Proxy
from test_pubsub import take

import redcol
from clusters import Cluster
from sentinels import Sentinels
from servers import REDIS_7, FakeServer, Server

NOWHERE = "redis://127.0.0.1:1"


@pytest.fixture
def channel(key: str) -> str:
    return f"channel:{key}"


def heard(listener: Any, count: int) -> list[bytes]:
    """So many messages of a subscription of redis-py, in their order."""
    found: list[bytes] = []
    while len(found) < count:
        message = listener.get_message(ignore_subscribe_messages=True, timeout=60)
        if message is not None:
            found.append(message["data"])
    return found


def listening(db: redis.Redis, channel: str) -> Any:
    listener = db.pubsub()
    listener.subscribe(channel)
    while listener.get_message(timeout=60) is None:
        pass
    return listener


# -- Messages


def test_json_comes_back_as_the_same_values(url: str, any_db: redis.Redis, channel: str) -> None:
    assert any_db.ping()
    df = pl.DataFrame(
        {
            "i": [1, None, -(2**63)],
            "u": [2**64 - 1, 0, None],
            "f": [1.5, None, -0.0],
            "b": [True, False, None],
            's"\\\n\u00e9': ['a"b\\c\n\x01', None, "\U0001f600"],
            "d": [date(2024, 1, 31), None, date(1, 1, 1)],
            "t": [datetime(2024, 1, 31, 1, 2, 3, 4, timezone.utc), None, None],
            "p": [timedelta(days=1, microseconds=1), None, timedelta(0)],
            "m": [Decimal("1.50"), None, Decimal("-0.01")],
            "l": [[1, None], [], None],
            "r": [{"x": 1, "y": ["a"]}, None, {"x": None, "y": None}],
            "e": ["red", None, "red"],
        },
        schema_overrides={"u": pl.UInt64, "m": pl.Decimal(10, 2), "e": pl.Enum(["red"])},
    )
    with redcol.iter_pubsub(
        url,
        channel,
        schema=df.schema,
        include_channel=False,
        include_timestamp=False,
        batch_timeout_ms=0,
    ) as messages:
        assert redcol.publish(url, df, channel) == 3
        assert take(messages, 3).equals(df)


def test_a_message_is_one_json_object(server: Server, db: redis.Redis, channel: str) -> None:
    listener = listening(db, channel)
    df = pl.DataFrame({"a": [1, None], "b": ['"', "x"]})
    assert redcol.publish(server.url, df, channel) == 2
    assert heard(listener, 2) == [b'{"a":1,"b":"\\""}', b'{"a":null,"b":"x"}']
    listener.close()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "", "\n"], [b"a", b"", b"\n"]),
        ([b"\xff\x00", b""], [b"\xff\x00", b""]),
        ([1, -2], [b"1", b"-2"]),
        ([[1, 2]], [b"[1,2]"]),
    ],
)
def test_raw_messages(
    server: Server, db: redis.Redis, channel: str, values: list[Any], expected: list[bytes]
) -> None:
    """A null is not published."""
    listener = listening(db, channel)
    df = pl.DataFrame({"m": [None, *values, None]})
    assert redcol.publish(server.url, df, channel, message_format="raw") == len(expected)
    assert heard(listener, len(expected)) == expected
    listener.close()


def test_each_row_has_its_channel(server: Server, db: redis.Redis, channel: str) -> None:
    """All come in the order of the rows. Whoever does not listen is not counted."""
    names = [channel + "1", channel + "2", channel + "none"]
    df = pl.DataFrame({"c": names * 1_000, "n": range(3_000)})
    with redcol.iter_pubsub(
        server.url, names[:2], schema={"n": pl.Int64}, batch_timeout_ms=0
    ) as messages:
        with redcol.connect(server.url) as client:
            assert redcol.publish(client, df, channel_column="c") == 2_000
        frame = take(messages, 2_000)
    expected = df.filter(pl.col("c") != names[2])
    assert frame["_channel"].to_list() == expected["c"].to_list()
    assert frame["n"].to_list() == expected["n"].to_list()
    assert db.ping()


def test_more_than_is_under_way_at_once(server: Server, db: redis.Redis, channel: str) -> None:
    """Several batches of a frame, and messages that are larger than what is sent at once."""
    texts = ["x" * size for size in (0, 1, 3_000_000, 5, 70_000)] * 3
    told: list[int] = []
    df = pl.concat([pl.DataFrame({"m": texts[:7]}), pl.DataFrame({"m": texts[7:]})], rechunk=False)
    with redcol.iter_pubsub(server.url, channel, batch_timeout_ms=0) as messages:
        receivers = redcol.publish(
            server.url,
            df,
            channel,
            message_format="raw",
            progress=lambda rows, _bytes, _total: told.append(rows),
        )
        assert receivers == len(texts)
        assert take(messages, len(texts))["message"].to_list() == texts
    assert told[-1] == len(texts)
    assert redcol.publish(server.url, df.clear(), channel, message_format="raw") == 0
    assert db.ping()


# -- What cannot be right


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "give either a channel, or channel_column"),
        ({"channel": "a", "channel_column": "c"}, "give either a channel, or channel_column"),
        ({"channel_column": "d"}, "no column 'd'"),
        ({"channel": "a", "message_format": "csv"}, "message_format"),
        ({"channel": "a", "message_format": "raw"}, "the frame has 2 of them"),
        ({"channel": 5}, "channel"),
        ({"channel": "a", "df": pl.DataFrame({"b": [b"x"]})}, "JSON has no bytes"),
        ({"channel": "a", "df": pl.DataFrame({"b": [[b"x"]]})}, "no bytes"),
        ({"channel": "a", "df": pl.DataFrame()}, "no column"),
        ({"channel_column": "c", "df": pl.DataFrame({"c": ["x"]})}, "no column"),
        ({"channel_column": "c", "df": pl.DataFrame({"c": [["x"]], "n": [1]})}, "text or numbers"),
        ({"channel_column": "c", "df": pl.DataFrame({"c": ["x", None], "n": [1, 2]})}, "null"),
        ({"channel": "a", "sharded": 1}, "sharded"),
        ({"channel": "a", "df": [1]}, "df must be"),
    ],
)
def test_what_cannot_be_right(arguments: dict[str, Any], said: str) -> None:
    """Nothing listens at this address, and nobody tries."""
    given = {"df": pl.DataFrame({"c": ["x"], "n": [1]}), **arguments}
    errors = (redcol.InvalidArgumentError, redcol.SchemaError, redcol.ValueConversionError)
    with pytest.raises(errors, match=said):
        redcol.publish(NOWHERE, **given)


def test_a_value_that_json_cannot_hold(server: Server, db: redis.Redis, channel: str) -> None:
    """The rows before it are published, and the error says so."""
    listener = listening(db, channel)
    df = pl.DataFrame({"x": [1.0, float("nan"), 2.0]})
    with pytest.raises(redcol.ValueConversionError, match="JSON") as caught:
        redcol.publish(server.url, df, channel)
    error = caught.value
    assert (error.row, error.field, error.written) == (1, "x", 1)
    assert f'row 1, channel "{channel}": column "x": NaN' in str(error)
    assert "1 message was published" in str(error)
    assert heard(listener, 1) == [b'{"x":1.0}']
    listener.close()


def test_a_null_channel_of_another_frame(server: Server, channel: str) -> None:
    import pyarrow

    table = pyarrow.table({"c": [channel, None], "n": [1, 2]})
    with pytest.raises(redcol.ValueConversionError, match="the channel is null") as caught:
        redcol.publish(server.url, table, channel_column="c")
    assert (caught.value.row, caught.value.written) == (1, 1)


def test_rights(server: Server, db: redis.Redis, channel: str) -> None:
    db.acl_setuser("speaker", enabled=True, nopass=True, commands=["+publish"], channels=["mine"])
    url = f"unix://speaker:x@{server.socket_path}"
    df = pl.DataFrame({"c": ["mine", "yours"], "n": [1, 2]})
    assert redcol.publish(url, df[:1], channel_column="c") == 0
    with pytest.raises(redcol.PermissionDeniedError) as caught:
        redcol.publish(url, df, channel_column="c")
    assert (caught.value.row, caught.value.written) == (1, 1)
    assert caught.value.refused_rows == [1]
    db.acl_deluser("speaker")


# -- Servers that fail


ROWS = 20_000


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("after", [0, 1, 4, 22, 4_000])
def test_cut_while_messages_are_published(
    server: Server, db: redis.Redis, channel: str, end: Any, after: int
) -> None:
    """What is known and what is not is said, and nothing is published twice."""
    listener = listening(db, channel)
    faults = Faults(end_after=after, since=b"PUBLISH", end=end)
    df = pl.DataFrame({"n": range(ROWS)})
    with Proxy(server.socket_path, lambda _: faults, unix=True) as proxy:
        with pytest.raises(redcol.ConnectionFailedError, match="it is unknown") as caught:
            redcol.publish(proxy.url, df, channel)
        assert proxy.accepted == 1
    error = caught.value
    assert error.written == after // len(b":1\r\n")
    assert f"{error.written} message" in str(error)
    assert error.unknown_rows is not None
    assert error.unknown_rows[0] == error.written
    db.publish(channel, "end")
    numbers: list[int] = []
    while (message := heard(listener, 1)[0]) != b"end":
        numbers.append(json.loads(message)["n"])
    # The proxy may still pass on what it had received when the other end was closed.
    assert numbers == list(range(len(numbers)))
    assert error.written <= len(numbers) <= error.unknown_rows[-1] + 1
    listener.close()


def test_a_server_that_refuses_for_now_is_asked_again() -> None:
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    seen: list[bytes] = []

    def answer(command: list[bytes]) -> bytes:
        if command[0] != b"PUBLISH":
            return b"+OK\r\n"
        seen.append(command[2])
        return loading if len(seen) <= 3 else b":2\r\n"

    with FakeServer(answer) as fake:
        df = pl.DataFrame({"m": ["a", "b", "c"]})
        assert redcol.publish(fake.url, df, "c", message_format="raw") == 6
    assert seen[-3:] == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    "strange",
    [b":-1\r\n", b":99999999999999\r\n", b"$1\r\n1\r\n", b"+OK\r\n", b"*0\r\n", b"$-1\r\n"],
)
def test_strange_answers(strange: bytes) -> None:
    with (
        FakeServer(lambda command: strange if command[0] == b"PUBLISH" else b"+OK\r\n") as fake,
        pytest.raises(redcol.ProtocolError) as caught,
    ):
        redcol.publish(fake.url, pl.DataFrame({"a": [1]}), "c")
    assert caught.value.written == 0


# -- Other servers


def test_at_the_master_of_a_service(channel: str) -> None:
    df = pl.DataFrame({"n": [1, 2]})
    with (
        Sentinels() as sentinels,
        redcol.iter_pubsub(
            sentinels.url, channel, schema=df.schema, batch_timeout_ms=0
        ) as messages,
    ):
        assert redcol.publish(sentinels.url, df, channel) == 2
        assert take(messages, 2)["n"].to_list() == [1, 2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(REDIS_7) as started:
        yield started


def test_one_node_passes_messages_on(cluster: Cluster, channel: str) -> None:
    df = pl.DataFrame({"c": [channel, channel + "2"] * 500, "n": range(1_000)})
    one, other = cluster.primaries[:2]
    with redcol.iter_pubsub(
        one.url, [channel, channel + "2"], schema={"n": pl.Int64}, batch_timeout_ms=0
    ) as messages:
        redcol.publish(other.url, df, channel_column="c")
        assert take(messages, 1_000)["n"].to_list() == list(range(1_000))


def test_sharded_channels(cluster: Cluster, channel: str) -> None:
    """One channel at its node, whichever node is asked first; several at all nodes at once."""
    df = pl.DataFrame({"n": range(500)})
    names = [cluster.key_at(node, channel) for node in cluster.primaries]
    for name in names:
        with redcol.iter_pubsub(
            cluster.primaries[0].url, name, sharded=True, schema=df.schema, batch_timeout_ms=0
        ) as messages:
            assert redcol.publish(cluster.primaries[1].url, df, name, sharded=True) == 500
            assert take(messages, 500)["n"].to_list() == list(range(500))
            several = pl.DataFrame({"c": names * 500, "n": range(500 * len(names))})
            url = cluster.primaries[1].url
            assert redcol.publish(url, several, channel_column="c", sharded=True) == 500
            expected = several.filter(pl.col("c") == name)["n"].to_list()
            assert take(messages, 500)["n"].to_list() == expected


def test_a_slot_that_moved_is_found(cluster: Cluster, channel: str) -> None:
    source, target = cluster.primaries[:2]
    name = cluster.key_at(source, channel)
    df = pl.DataFrame({"c": [name] * 10, "n": range(10)})
    with redcol.connect(source.url) as client:
        assert redcol.publish(client, df, channel_column="c", sharded=True) == 0
        cluster.move(name, target)
        with redcol.iter_pubsub(
            target.url, name, sharded=True, schema={"n": pl.Int64}, batch_timeout_ms=0
        ) as messages:
            assert redcol.publish(client, df, channel_column="c", sharded=True) == 10
            assert redcol.publish(client, df.drop("c"), name, sharded=True) == 10
            assert take(messages, 20)["n"].to_list() == [*range(10), *range(10)]
    cluster.move(name, source)
