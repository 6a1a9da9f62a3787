# SPDX-License-Identifier: Apache-2.0
"""Every status that redcol.h documents for a function, brought about.

A status without a case here, or a case that is not documented, is a failure. Run as a program, it
makes one case in a process of its own: FUNCTION STATUS
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from ctypes import byref, c_void_p
from pathlib import Path
from typing import Any

import observing_cases  # noqa: F401
import pytest
import write_cases  # noqa: F401
from frames import Frame
from statuses import (
    ASKING,
    CALLS,
    CASES,
    FOLLOW,
    FUNCTIONS,
    GROUP,
    STATUSES,
    STEERING,
    STEERING_GROUPS,
    Reading,
    Writing,
    a_table,
    call,
    case,
    documented,
    free,
    opening,
    prepared,
    released,
    subject,
)

import arrow_structs
from redcol import _native
from servers import FakeServer, Server
from tls_files import Relay, TLSServer, files

# -- What a server answers

ANSWERS = {
    "AUTHENTICATION": b"-NOAUTH Authentication required.\r\n",
    "PERMISSION": b"-NOPERM no permissions\r\n",
    "WRONG_TYPE": b"-WRONGTYPE Operation against a key\r\n",
    "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
    "SERVER": b"-ERR something else\r\n",
    "PROTOCOL": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "UNSUPPORTED": b"-MOVED 1 127.0.0.1:1\r\n",
    "NO_GROUP": b"-NOGROUP No such key or consumer group\r\n",
    "TIMED_OUT": None,
}


class OddServer(FakeServer):
    """Greets, makes groups, has no entries, and answers the rest, once `odd`, with that."""

    def __init__(self) -> None:
        self.odd: bytes | None = b""
        super().__init__(self._answer)

    def _answer(self, command: list[bytes]) -> bytes | None:
        if command[0] in (b"HELLO", b"PING", b"SELECT") or self.odd == b"":
            return b"*-1\r\n" if command[0] == b"XREADGROUP" else b"+OK\r\n"
        return self.odd


def answered(function: str, status: str) -> int:
    with OddServer() as server, prepared(function, server.url) as reading:
        server.odd = ANSWERS[status]
        return CALLS[function][0](reading)


@case("PERMISSION", "redcol_read_stream", "redcol_read_streams")
def the_last_entry_may_not_be_looked_up(function: str) -> int:
    """That a group may not be made is no error: somebody else may have made it."""
    with OddServer() as server:
        reading = Reading(server.url, **FOLLOW, start_id="$")
        server.odd = ANSWERS["PERMISSION"]
        status = CALLS[function][0](reading)
        reading.free()
        return status


for _status in ANSWERS:
    _asking = set(ASKING)
    if _status == "WRONG_TYPE":
        _asking -= {"redcol_subscribe"}
    if _status == "PERMISSION":
        _asking -= {"redcol_read_stream", "redcol_read_streams"}
    if _status == "NO_GROUP":
        _asking &= {"redcol_ack", "redcol_read_stream", "redcol_read_streams",
                    "redcol_iter_connect", "redcol_list_consumers", "redcol_list_pending",
                    *STEERING_GROUPS}  # fmt: skip
    case(_status, *_asking)(functools.partial(answered, status=_status))


@case("NO_GROUP", "redcol_iter_next", "redcol_iter_ack")
def the_group_is_gone(function: str) -> int:
    with Server() as server, server.client() as db:
        statuses = []
        for create_group in ("true", "false"):
            db.xgroup_create("s", "g", mkstream=True)
            reading = Reading(server.url, **GROUP, create_group=create_group)
            assert reading.start() == 0
            db.xgroup_destroy("s", "g")
            if function == "redcol_iter_ack" or create_group == "false":
                statuses.append(CALLS[function][0](reading))
            reading.free()
        # Where the group is created again, there is nothing to acknowledge.
        assert statuses[:-1] == ([0] if function == "redcol_iter_ack" else [])
        return statuses[-1]


@case("CONNECTION", *ASKING)
def the_server_is_gone(function: str) -> int:
    with Server() as server:
        server.client().xadd("s", {"a": 1})
        with prepared(function, server.url) as reading:
            if function == "redcol_writer_stop":
                os.kill(server.process.pid, signal.SIGSTOP)
                reading.run(0)  # so that there is an answer to wait for
            server.process.kill()
            server.process.wait()
            return CALLS[function][0](reading)


@case("NAME", *ASKING)
def the_name_is_gone(function: str) -> int:
    """In a process of its own, in which a file makes names unknown."""
    with Server(tcp=True) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with prepared(function, url) as reading:
            Path(os.environ["UNKNOWN_NAMES"]).touch()
            with server.client() as db:
                db.client_kill_filter(_type="normal", skipme=True)
            if isinstance(reading, Writing):  # one that has to connect
                reading.frame = Frame()
                assert reading.start() == 0
                assert function == "redcol_writer_run" or reading.run() == STATUSES["NAME"]
            return CALLS[function][0](reading)


@case("TLS", *ASKING)
def the_certificate_is_another(function: str) -> int:
    with (
        Server() as server,
        Relay(server.socket_path) as relay,
        # A handshake may take longer than the other cases wait for an answer.
        prepared(function, relay.url(), timeout_ms=60_000) as reading,
    ):
        relay.present(files().expired)
        with server.client() as db:
            db.client_kill_filter(_type="normal", skipme=True)
        relay.wait_until_all_have_ended()
        if isinstance(reading, Writing):  # one that has to connect
            reading.frame = Frame()
            assert reading.start() == 0
            assert function == "redcol_writer_run" or reading.run() == STATUSES["TLS"]
        return CALLS[function][0](reading)


NAME_SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
      (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(
          RTLD_NEXT, "getaddrinfo");
  return access(getenv("UNKNOWN_NAMES"), F_OK) == 0 ? EAI_NONAME
                                                    : next(node, service, hints, result);
}
"""

# -- Opening


def greeted_with(reply: bytes) -> int:
    with FakeServer(lambda _: reply) as server:
        return opening(server.url, connect_timeout_ms=3_000)


for _status in ("PERMISSION", "LOADING", "PROTOCOL", "AUTHENTICATION"):
    case(_status, "redcol_open")(lambda _, reply=ANSWERS[_status]: greeted_with(reply))
case("INVALID_ARGUMENT", "redcol_open")(lambda _: opening("http://localhost"))
case("CONNECTION", "redcol_open")(lambda _: opening("unix:///nowhere/s"))
case("NAME", "redcol_open")(lambda _: opening("redis://no-such-host.invalid"))
case("UNSUPPORTED", "redcol_open")(lambda _: greeted_with(ANSWERS["UNSUPPORTED"]))


@case("TLS", "redcol_open")
def an_unknown_authority(_: str) -> int:
    with TLSServer() as server:
        return opening(f"rediss://localhost:{server.tls_port}")


@case("INVALID_ARGUMENT", "redcol_credentials_new", "redcol_credentials_set")
def credentials_without(function: str) -> int:
    if function == "redcol_credentials_new":
        return call(function, None, None, None, byref(c_void_p()))
    return call(function, None, b"app", -1, b"one", -1)


@case("SERVER", "redcol_open")
def no_such_database(_: str) -> int:
    with Server() as server:
        return opening(f"{server.url}?db=99")


@case("TIMED_OUT", "redcol_open")
def nobody_greets(_: str) -> int:
    with FakeServer(lambda _: None) as server:
        return opening(server.url, connect_timeout_ms=200)


# -- Handles


HANDLES = ("redcol_cancel", "redcol_close")


def with_handle(function: str, handle: Any) -> int:
    """Call `function` with this handle where its first parameter is."""
    if function in HANDLES:
        return call(function, handle)
    with Server() as server, prepared(function, server.url) as reading:
        kept = getattr(reading, subject(function))
        setattr(reading, subject(function), handle)
        status = CALLS[function][0](reading)
        setattr(reading, subject(function), kept)
        return status


@case("INVALID_ARGUMENT", *CALLS, *HANDLES)
def another_kind_of_handle(function: str) -> int:
    error = c_void_p()
    _native.library().redcol_open(b"nonsense", None, None, byref(error))
    status = with_handle(function, error)
    free(error)
    assert with_handle(function, c_void_p()) == status
    with a_table() as table:
        assert with_handle(function, table) == status
    return status


#: What works on a handle that was closed.
ON_CLOSED = {"redcol_writer_ids", "redcol_iter_stream", "redcol_iter_position"}


@case("CLOSED", *(set(CALLS) - ON_CLOSED))
def closed(function: str) -> int:
    with Server() as server, prepared(function, server.url) as reading:
        handle = getattr(reading, subject(function))
        assert call("redcol_close", handle) == call("redcol_close", handle) == 0
        if function in ("redcol_iter_ack", "redcol_iter_lag"):
            # What was handed over can still be acknowledged, until the client is closed too.
            assert CALLS[function][0](reading) == 0
            assert call("redcol_close", reading.client) == 0
        return CALLS[function][0](reading)


@case("FORKED", *CALLS, *HANDLES)
def forked(function: str) -> int:
    """Also freeing in the child disturbs nobody: the parent's handles go on."""
    with Server() as server, contextlib.ExitStack() as stack:
        kinds = [function] if function in CALLS else ["redcol_iter_next", "redcol_writer_run"]
        readings = [stack.enter_context(prepared(kind, server.url)) for kind in kinds]
        child = os.fork()
        if child == 0:
            statuses = set()
            with contextlib.suppress(BaseException):
                for kind, reading in zip(kinds, readings, strict=True):
                    if function in CALLS:
                        statuses.add(CALLS[function][0](reading))
                    else:
                        statuses.add(call(function, getattr(reading, subject(kind))))
                        statuses.add(call(function, reading.client))
                    reading.free()
            os._exit(-statuses.pop() if len(statuses) == 1 else 0)
        status = -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for reading in readings:
            assert reading.ack() in (0, STATUSES["NO_GROUP"])
            if isinstance(reading, Writing) and reading.writer:
                assert reading.run() == 0
                assert server.client().xlen("s") == 1
        return status


WRITER = ("redcol_writer_run", "redcol_writer_stop", "redcol_writer_ids")


@case("BUSY", "redcol_iter_connect", "redcol_iter_next", "redcol_iter_collect",
      "redcol_iter_unread", *WRITER, "redcol_close")  # fmt: skip
def two_threads(function: str) -> int:
    """A second call comes while the first waits for a server that is stopped."""
    if function == "redcol_close":
        assert while_another_waits(function, "redcol_writer_run") == STATUSES["BUSY"]
    return while_another_waits(
        function, "redcol_writer_run" if function in WRITER else "redcol_iter_next"
    )


def is_inside(reading: Reading) -> bool:
    """Whether another thread is inside a call."""
    if isinstance(reading, Writing):
        return reading.statistic("unknown") == -1
    return reading.next(0) == STATUSES["BUSY"]


def while_another_waits(function: str, waiting: str) -> int:
    options: dict[str, object] = {**FOLLOW} if function == "redcol_iter_unread" else {}
    # The first call is still waiting when the second comes, however slow the machine.
    options["timeout_ms"] = 20_000
    with Server() as server, prepared(waiting, server.url, **options) as reading:
        handle = getattr(reading, subject(waiting))
        os.kill(server.process.pid, signal.SIGSTOP)
        first: list[int] = []

        def wait() -> None:
            while not first or first[-1] == STATUSES["BUSY"]:
                first.append(CALLS[waiting][0](reading, 20_000))

        thread = threading.Thread(target=wait)
        thread.start()
        status = 0
        deadline = time.monotonic() + 60
        while status != STATUSES["BUSY"] and time.monotonic() < deadline:
            if function in ("redcol_close", "redcol_writer_stop") and not is_inside(reading):
                continue  # once it had its turn, there would be nothing to wait for
            if function == "redcol_close":
                status = call(function, handle)
            elif function == "redcol_writer_stop":
                status = reading.stop_now(0)
            else:
                arguments = () if function.endswith(("_unread", "_ids")) else (0,)
                status = CALLS[function][0](reading, *arguments)
        # Closing cancels the call that waits, which may have ended by now.
        if isinstance(reading, Writing) and function != "redcol_close":
            assert reading.statistic("unknown") == -1
        call("redcol_cancel", handle)
        os.kill(server.process.pid, signal.SIGCONT)
        thread.join()
        assert first[-1] in (STATUSES["CANCELLED"], STATUSES["TIMED_OUT"])
        return status


@case("CANCELLED", "redcol_iter_connect", "redcol_iter_next", "redcol_iter_collect",
      "redcol_ack", "redcol_iter_ack", "redcol_iter_lag", "redcol_last_id", "redcol_list_streams",
      "redcol_list_groups", "redcol_list_consumers", "redcol_list_pending", "redcol_partitions",
      "redcol_writer_run", "redcol_writer_stop", *STEERING)  # fmt: skip
def cancelled(function: str) -> int:
    with Server() as server, prepared(function, server.url, timeout_ms=20_000) as reading:
        os.kill(server.process.pid, signal.SIGSTOP)  # so that the call has to wait
        if isinstance(reading, Writing):
            assert reading.run(0) == STATUSES["TIMEOUT"]
        # What has a connection of its own is cancelled by the client.
        is_clients = function.endswith(("ack", "lag"))
        handle = reading.client if is_clients else getattr(reading, subject(function))
        assert call("redcol_cancel", handle) == 0
        ask = reading.stop_now if function == "redcol_writer_stop" else None
        status = ask() if ask else CALLS[function][0](reading)
        os.kill(server.process.pid, signal.SIGCONT)
        goes_on = (0, STATUSES["NO_GROUP"], STATUSES["END"])
        assert (ask() if ask else CALLS[function][0](reading)) in goes_on
        return status


# -- What was read


@case("END", "redcol_iter_next", "redcol_iter_collect")
def all_was_given(function: str) -> int:
    with Server() as server, prepared(function, server.url) as reading:
        assert CALLS[function][0](reading) == 0
        assert CALLS[function][0](reading) == CALLS[function][0](reading)
        return CALLS[function][0](reading)


@case("TOO_LARGE", "redcol_iter_next", "redcol_iter_collect")
def an_entry_that_is_too_large(function: str) -> int:
    with Server() as server:
        server.client().xadd("s", {"a": 1, "b": 2})
        reading = Reading(server.url, entry_fields_max=1)
        assert reading.start() == 0
        status = CALLS[function][0](reading)
        reading.free()
        return status


@case("VALUE", "redcol_iter_next", "redcol_iter_collect")
def a_value_does_not_fit(function: str) -> int:
    with Server() as server, prepared(function, server.url) as reading:
        server.client().xadd("s", {"a": b"\xff"})
        return CALLS[function][0](reading)


@case("SCHEMA", "redcol_iter_next", "redcol_iter_collect")
def too_many_columns(function: str) -> int:
    with Server() as server, prepared(function, server.url, columns_max=1) as reading:
        server.client().xadd("s", {"a": 1, "b": 2})
        return CALLS[function][0](reading)


@case("SCHEMA", "redcol_read_stream", "redcol_read_streams", "redcol_read_ranges",
      "redcol_claim_entries", "redcol_subscribe")  # fmt: skip
def a_schema_that_is_released(function: str) -> int:
    with Server() as server, prepared(function, server.url) as reading:
        return CALLS[function][0](reading, byref(arrow_structs.ArrowSchema()))


@case("END", "redcol_last_id")
def no_entry(_: str) -> int:
    with Server() as server, prepared("redcol_last_id", server.url) as reading:
        server.client().xadd("s", {"a": 1}, id="1-1")
        assert reading.last_id() == 0
        server.client().delete("s")
        return reading.last_id()


@case("PENDING", "redcol_delete_consumer")
def a_consumer_has_pending_entries(_: str) -> int:
    with Server() as server, prepared("redcol_delete_consumer", server.url) as reading:
        with server.client() as db:
            db.xgroup_create("s", "g", mkstream=True)
            db.xadd("s", {"a": 1}, id="1-1")
            assert reading.delete_consumer() == 0
            db.xreadgroup("g", "c", {"s": ">"})
        return reading.delete_consumer()


@case("TIMEOUT", "redcol_iter_connect", "redcol_iter_next", "redcol_iter_collect",
      "redcol_writer_run", "redcol_writer_stop")  # fmt: skip
def not_yet(function: str) -> int:
    with OddServer() as server, prepared(function, server.url) as reading:
        server.odd = None
        call_now = CALLS[function][0]
        assert call_now(reading, 20) == STATUSES["TIMEOUT"]
        return call_now(reading, 0)


@case("TIMEOUT", "redcol_open", "redcol_read_stream", "redcol_read_streams", "redcol_ack",
      "redcol_subscribe",
      "redcol_iter_ack", "redcol_iter_lag", "redcol_last_id", "redcol_list_streams",
      *STEERING)  # fmt: skip
def a_signal_comes(function: str) -> int:
    """The server is silent for longer than the signal takes."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    main = threading.main_thread().ident or 0
    timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGUSR1))
    try:
        if function == "redcol_open":
            with FakeServer(lambda _: None) as server:
                timer.start()
                return opening(server.url, connect_timeout_ms=5000)
        with OddServer() as server, prepared(function, server.url) as reading:
            server.odd = None
            timer.start()
            return CALLS[function][0](reading)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


# -- Tables


def of_table(function: str, table: object, requested: object = None) -> int:
    is_stream = function == "redcol_table_stream"
    out = arrow_structs.ArrowArrayStream() if is_stream else arrow_structs.ArrowSchema()
    wanted = () if function == "redcol_infer_schema" else (requested,)
    status = call(function, table, *wanted, byref(out))
    assert released(out) == (status == 0)
    return status


TABLES = ("redcol_table_stream", "redcol_table_schema")


@case("SCHEMA", *TABLES)
def a_requested_schema_that_is_released(function: str) -> int:
    with a_table() as table:
        assert of_table(function, table) == 0
        return of_table(function, table, byref(arrow_structs.ArrowSchema()))


@case("INVALID_ARGUMENT", *TABLES, "redcol_infer_schema")
def no_table(function: str) -> int:
    with Server() as server, prepared("redcol_iter_next", server.url) as reading:
        assert call("redcol_table_rows", reading.iter) == call("redcol_table_rows", None) == -1
        assert of_table(function, None) == STATUSES["INVALID_ARGUMENT"]
        return of_table(function, reading.client)


# -- Schemas from text


def schema_of(text: bytes | None) -> int:
    schema = arrow_structs.ArrowSchema()
    status = call("redcol_schema_new", text, byref(schema))
    assert released(schema) == (status == 0)
    return status


@case("INVALID_ARGUMENT", "redcol_schema_new")
def no_text(_: str) -> int:
    assert schema_of(b"value:l,name:vu") == 0
    assert schema_of(b"\xff:l") == STATUSES["INVALID_ARGUMENT"]
    return schema_of(None)


@case("SCHEMA", "redcol_schema_new")
def no_such_format(_: str) -> int:
    return schema_of(b"value:nonsense")


# -- The tests


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = _native.live_objects()
    yield
    assert _native.live_objects() == before


def test_every_documented_status_has_a_case() -> None:
    assert documented() - set(CASES) == set(), "documented, but without a case"
    assert set(CASES) - documented() == set(), "a case, but not documented"
    assert len(CASES) > 150


def test_every_function_says_whether_it_blocks_and_who_may_call_it() -> None:
    assert set(FUNCTIONS) == set(_native.SIGNATURES)
    for name, (comment, parameters) in FUNCTIONS.items():
        if name.startswith("redcol_capsule_"):
            continue
        text = " ".join(comment.split())
        assert re.search(r"\b[Bb]lock(s|ing)?\b", text), name
        assert re.search(r"[Aa]ny thread|threads are those", text), name
        if parameters[-1] == "error_out":
            assert "Errors: " in text, name


@pytest.mark.parametrize(("function", "status"), sorted(CASES))
def test_status(function: str, status: str, tmp_path: Path, shim: Path) -> None:
    if status != "NAME" or function == "redcol_open":
        assert CASES[function, status](function) == STATUSES[status]
        return
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "UNKNOWN_NAMES": str(tmp_path / "unknown"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, __file__, function, status]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert (ended.stdout, ended.stderr) == (f"{STATUSES[status]}\n", "")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shim")
    source = folder / "names.c"
    source.write_text(NAME_SHIM)
    library = folder / "names.so"
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", library, "-ldl"], check=True)
    return library


if __name__ == "__main__":
    print(CASES[sys.argv[1], sys.argv[2]](sys.argv[1]))
