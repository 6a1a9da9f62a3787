# SPDX-License-Identifier: Apache-2.0
"""Every cause has its own class, a message that helps, and no credentials in it."""

from __future__ import annotations

import copy
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import redis

import arrow_structs
import redcol
from redcol import client, errors
from servers import REDIS_7, FakeServer, Server, free_port, silent

SECRET = "s3cr3t"
CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    with Server(REDIS_7) as server:
        with server.client() as db:
            db.execute_command("ACL SETUSER reader on >pw +xrange +select %R~open")
            db.xadd("open", {"a": 1})
            db.xadd("closed", {"a": 1})
            db.config_set("requirepass", SECRET)
        yield server


def login(server: Server, user: str) -> str:
    return server.url.replace("unix://", f"unix://{user}@")


def test_connection_refused() -> None:
    port = free_port()
    with pytest.raises(redcol.ConnectionFailedError, match=f"127.0.0.1:{port}") as caught:
        redcol.connect(f"redis://127.0.0.1:{port}")
    assert isinstance(caught.value, ConnectionError)
    assert type(caught.value) is redcol.ConnectionFailedError


def test_no_such_socket(tmp_path: Any) -> None:
    with pytest.raises(redcol.ConnectionFailedError, match="nothing-here"):
        redcol.read_stream(f"unix://{tmp_path}/nothing-here", "s")


def test_name_not_found() -> None:
    with pytest.raises(redcol.NameResolutionError, match=r"no-such-host\.invalid"):
        redcol.connect("redis://no-such-host.invalid")
    assert issubclass(redcol.NameResolutionError, redcol.ConnectionFailedError)


def test_a_socket_that_accepts_and_is_silent() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        began = time.monotonic()
        with pytest.raises(redcol.TimedOutError) as caught:
            redcol.connect(
                f"redis://:{SECRET}@127.0.0.1:{listener.getsockname()[1]}", connect_timeout_ms=200
            )
        assert 0.15 < time.monotonic() - began < 4
    assert isinstance(caught.value, TimeoutError)
    assert SECRET not in str(caught.value)


def test_a_server_that_falls_silent() -> None:
    def only_greets(command: list[bytes]) -> bytes | None:
        return None if command[0] == b"XRANGE" else b"+OK\r\n"

    with FakeServer(only_greets) as fake:
        began = time.monotonic()
        with pytest.raises(redcol.TimedOutError):
            redcol.read_stream(fake.url, "s", timeout_ms=200)
        assert 0.15 < time.monotonic() - began < 4


@pytest.mark.parametrize(
    "user", [f":wrong-{SECRET}", f"reader:wrong-{SECRET}", f"nobody:wrong-{SECRET}"]
)
def test_wrong_password(guarded: Server, user: str) -> None:
    with pytest.raises(redcol.AuthenticationError) as caught:
        redcol.connect(login(guarded, user))
    assert caught.value.server_code == "WRONGPASS"
    assert isinstance(caught.value, PermissionError)
    assert SECRET not in repr(caught.value)


def test_missing_password(guarded: Server) -> None:
    with pytest.raises(redcol.AuthenticationError) as caught:
        redcol.read_stream(guarded.url, "open")
    assert caught.value.server_code == "NOAUTH"


def test_right_passwords(guarded: Server) -> None:
    assert redcol.read_stream(login(guarded, f":{SECRET}"), "open").height == 1
    assert redcol.read_stream(login(guarded, "reader:pw"), "open").height == 1
    by_query = f"{guarded.url}?username=reader&password=pw&db=0"
    assert redcol.read_stream(by_query, "open").height == 1


def test_no_permission(guarded: Server) -> None:
    with pytest.raises(redcol.PermissionDeniedError, match="closed") as caught:
        redcol.read_stream(login(guarded, "reader:pw"), "closed")
    assert caught.value.server_code == "NOPERM"
    assert isinstance(caught.value, PermissionError)
    assert not isinstance(caught.value, redcol.AuthenticationError)


def test_wrong_type(server: Server, db: redis.Redis, key: str) -> None:
    db.set(key, "no stream")
    with pytest.raises(redcol.WrongTypeError, match=key) as caught:
        redcol.read_stream(server.url, key)
    assert (caught.value.server_code, caught.value.stream) == ("WRONGTYPE", key)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", redcol.ServerLoadingError),
        (b"-ERR something else\r\n", redcol.ServerError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", redcol.ProtocolError),
        (b"*1\r\n*2\r\n$3\r\nx-y\r\n*0\r\n", redcol.ProtocolError),
        (b"*2000000000\r\n", redcol.ProtocolError),
    ],
    ids=["loading", "other", "http", "no-id", "bomb"],
)
def test_answers_of_odd_servers(reply: bytes, expected: type[Exception]) -> None:
    def answer(command: list[bytes]) -> bytes:
        return reply if command[0] == b"XRANGE" else b"+OK\r\n"

    with FakeServer(answer) as fake, pytest.raises(expected) as caught:
        redcol.read_stream(fake.url, "s", timeout_ms=1000)
    assert type(caught.value) is expected


def test_loading_while_connecting() -> None:
    with FakeServer(lambda _: b"-LOADING wait\r\n") as fake:
        with pytest.raises((redcol.ServerLoadingError, redcol.TimedOutError)) as caught:
            redcol.read_stream(fake.url, "s", timeout_ms=500, connect_timeout_ms=500)
        assert caught.value.server_code == "LOADING"
        assert type(caught.value) is redcol.ServerLoadingError


def test_missing_group(any_server: Server) -> None:
    with any_server.client() as db:
        db.xadd("acks", {"a": 1})
    for key in ("acks", "no-such-key"):
        with pytest.raises(redcol.NoGroupError) as caught:
            redcol.ack_entries(any_server.url, key, "no-group", ["1-1"])
        assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@h",
        "localhost:6379",
        "",
        f"redis://user:{SECRET}@h:port",
        f"redis://:{SECRET}@h:0",
        f"redis://:{SECRET}@h:65536",
        f"redis://:{SECRET}@h/database",
        f"redis://:{SECRET}@h/-1",
        f"redis://h?passwrd={SECRET}",
        f"redis://:{SECRET}%zz@h",
        f"redis://:{SECRET}@[::1",
        f"unix://:{SECRET}@relative",
        f"redis://:{SECRET}\0@h",
        f"redis://:{SECRET}\ud800@h",
        None,
        b"redis://h",
        6379,
    ],
)
def test_bad_urls(url: Any) -> None:
    with pytest.raises(redcol.InvalidArgumentError) as caught:
        redcol.connect(url)
    assert isinstance(caught.value, ValueError)
    assert SECRET not in str(caught.value)


def test_tls_is_never_replaced_by_plain_text() -> None:
    with FakeServer(silent) as fake:
        host = f"rediss://:{SECRET}@127.0.0.1:1"
        with pytest.raises((redcol.UnsupportedError, redcol.ConnectionFailedError)) as caught:
            redcol.connect(host)
        assert fake.commands == []
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:pw@host:1/2?db=3", "redis://host:1"),
        ("REDISS://host", "REDISS://host"),
        ("redis://:p?w@host", "redis://***"),
        ("redis://pw/w@host", "redis://***"),
        ("redis://:pw@x@host", "redis://***"),
        ("redis://host?password=pw@x", "redis://***"),
        ("redis://host/0?username=user&password=pw", "redis://host"),
        ("redis://:pw@[::1]:2", "redis://[::1]:2"),
        ("unix://user:pw@/run/s?password=pw", "unix:///run/s"),
        ("unix:///run/s", "unix:///run/s"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert client._shown(url) == shown


def test_repr_of_a_client(guarded: Server) -> None:
    with redcol.connect(login(guarded, "reader:pw")) as connected:
        assert repr(connected) == f"<redcol.Client {guarded.url}>"
    assert repr(connected) == f"<redcol.Client {guarded.url}, closed>"
    connected.close()
    with pytest.raises(redcol.ClosedError):
        redcol.read_stream(connected, "open")
    with pytest.raises(redcol.ClosedError):
        redcol.ack_entries(connected, "open", "g", ["1-1"])


def test_a_forgotten_client_warns(server: Server, no_leaks: None) -> None:
    with pytest.warns(ResourceWarning, match="unclosed <redcol.Client"):
        redcol.connect(server.url)


def test_no_connection_is_left_behind(server: Server, db: redis.Redis, key: str) -> None:
    before = len(db.client_list())
    redcol.read_stream(server.url, key)
    db.xadd(key, {"a": "x"})
    with pytest.raises(redcol.ValueConversionError):
        redcol.read_stream(server.url, key, schema={"a": int})
    deadline = time.monotonic() + 60
    while len(db.client_list()) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(db.client_list()) == before


def test_a_child_cannot_use_its_parents_client(server: Server, db: redis.Redis, key: str) -> None:
    db.xadd(key, {"a": 1})
    # In a process of its own: this one has threads, and forking it would warn of that.
    program = f"""
import os, redcol
client = redcol.connect({server.url!r})
pid = os.fork()
if pid == 0:
    try:
        redcol.read_stream(client, {key!r})
    except redcol.ForkedError:
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert redcol.read_stream(client, {key!r}).height == 1
client.close()
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=child_environment())


def child_environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize("cls", CLASSES)
def test_classes(cls: type[redcol.RedcolError]) -> None:
    error = cls("what happened", status=-99, field="f", value="v")
    assert isinstance(error, redcol.RedcolError)
    assert (str(error), error.args) == ("what happened", ("what happened",))
    assert repr(error) == f"{cls.__name__}('what happened')"
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is cls
        assert (str(twin), vars(twin)) == (str(error), vars(error))
    assert cls().status == cls.status
    assert (
        cls is redcol.RedcolError or len(cls.__mro__) > 4 or cls.__bases__ == (redcol.RedcolError,)
    )


def test_statuses_are_those_of_the_header() -> None:
    assert [cls.status for cls in CLASSES if cls.status] == sorted(
        {cls.status for cls in CLASSES if cls.status}, key=[c.status for c in CLASSES].index
    )
    for status in range(-23, 0):
        error = errors.from_status(status, "m", {"dtype": "tsm:UTC"})
        assert error.status == type(error).status == status
        assert error.dtype == "Datetime(time_unit='ms', time_zone='UTC')"
    assert type(errors.from_status(-77, "m", {})) is redcol.RedcolError


@pytest.mark.parametrize(
    "dtype",
    [
        *(pl.Int8(), pl.UInt32(), pl.Boolean(), pl.Float32(), pl.String(), pl.Binary(), pl.Date()),
        *(pl.Time(), pl.Datetime("us"), pl.Datetime("ns", "UTC"), pl.Duration("ms")),
        pl.Decimal(9, 3),
    ],
    ids=str,
)
def test_dtype_names_are_those_of_polars(dtype: pl.DataType) -> None:
    capsule = pl.Schema({"a": dtype}).__arrow_c_schema__()
    column = arrow_structs.schema_in(capsule).children[0].contents
    assert errors.dtype_name(column.format.decode()) == str(dtype)


def test_a_closed_iterator_or_client_is_not_entered(url: str, key: str) -> None:
    client = redcol.connect(url)
    batches = redcol.iter_stream(client, key)
    batches.close()
    with pytest.raises(redcol.ClosedError, match="make another one"), batches:
        pass
    client.close()
    with pytest.raises(redcol.ClosedError, match="connect again"), client:
        pass
