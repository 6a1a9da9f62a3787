"""Every status that redcol.h documents for a function, brought about.

A status without a case here, or a case that is not documented, is a failure. Run as a program, it
makes one case in a process of its own: FUNCTION STATUS
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from ctypes import byref, c_char_p, c_int64, c_void_p
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "bindings/python/tests"))

import arrow_structs  # noqa: E402
from redcol import _native  # noqa: E402
from servers import FakeServer, Server  # noqa: E402

HEADER = (ROOT / "include/redcol.h").read_text()
STATUSES = {
    name: int(number)
    for name, number in re.findall(r"REDCOL_(?:ERROR_)?([A-Z_]+) = (-?\d+)", HEADER)
}


def functions() -> Iterator[tuple[str, str, list[str]]]:
    """Each function of the header: its name, the comment before it, its parameters."""
    found = re.finditer(
        r"/\*((?:(?!\*/).)*)\*/\n((?:[a-z][\w *]*?\bredcol_\w+\([^;]*\);\n)+)", HEADER, re.DOTALL
    )
    for match in found:
        comment = re.sub(r"\n \* ?", "\n", match[1])
        for name, parameters in re.findall(r"\b(redcol_\w+)\(([^;]*)\);", match[2]):
            names = [one.split()[-1].lstrip("*") for one in parameters.split(",")]
            yield name, comment, names


FUNCTIONS = {name: (comment, parameters) for name, comment, parameters in functions()}


def documented() -> set[tuple[str, str]]:
    pairs = set()
    for name, (comment, _) in FUNCTIONS.items():
        listed = re.search(r"^Errors: (.*?)\.(?:\s|$)", comment, re.DOTALL | re.MULTILINE)
        plain = re.sub(r"\([^)]*\)", "", listed[1]) if listed else ""
        words = set(re.findall(r"\b[A-Z][A-Z_]+\b", plain))
        words |= set(re.findall(r"\bREDCOL_(END|TIMEOUT)\b", comment)) if listed else set()
        assert words <= set(STATUSES), (name, words - set(STATUSES))
        pairs |= {(name, word) for word in words}
    return pairs


# -- Calls


def call(name: str, *arguments: Any) -> int:
    """Call a function; with an error_out, what goes in there is looked at and freed."""
    library = _native.library()
    function = getattr(library, name)
    if FUNCTIONS[name][1][-1] != "error_out":
        return int(function(*arguments))
    error = c_void_p(0x10)
    status = int(function(*arguments, byref(error)))
    assert bool(error.value) == (status < 0), "an error object exactly with an error"
    assert library.redcol_error_status(error) == min(status, 0)
    assert bool(library.redcol_error_message(error)) == (status < 0)
    library.redcol_free(error)
    return status


def released(struct: Any) -> bool:
    """Release a struct of Arrow; whether there was something to release."""
    callback = ctypes.cast(struct.release, c_void_p).value
    if callback:
        ctypes.CFUNCTYPE(None, c_void_p)(callback)(ctypes.addressof(struct))
    return bool(callback)


def free(handle: c_void_p) -> None:
    _native.library().redcol_free(handle)


def words(**options: object) -> Any:
    flat = [str(word).encode() for pair in options.items() for word in pair]
    return (c_char_p * (len(flat) + 1))(*flat, None)


FOLLOW = {"follow": "true", "block_ms": "50"}
GROUP = {**FOLLOW, "group": "g", "consumer": "c"}


class Reading:
    """A client of a server, an iterator of it, and the calls on them."""

    def __init__(self, url: str, *, timeout_ms: int = 300, **options: object) -> None:
        self.client, self.iter = c_void_p(), c_void_p()
        self.stream = b"s"
        timeouts = words(timeout_ms=timeout_ms, connect_timeout_ms=2000)
        assert call("redcol_open", url.encode(), timeouts, byref(self.client)) == 0
        self.options = options

    def start(self, schema: object = None) -> int:
        """redcol_read_stream; the iterator is for the other calls."""
        arguments = (self.client, self.stream, -1, schema, words(**self.options))
        return call("redcol_read_stream", *arguments, byref(self.iter))

    def start_again(self) -> int:
        free(self.iter)
        return self.start()

    def start_several(self, schema: object = None) -> int:
        names = (c_char_p * 1)(self.stream)
        arguments = (self.client, names, None, 1, schema, words(**self.options))
        return call("redcol_read_streams", *arguments, byref(self.iter))

    def next(self, wait_ms: int = -1) -> int:
        array, schema = arrow_structs.ArrowArray(), arrow_structs.ArrowSchema()
        status = call("redcol_iter_next", self.iter, wait_ms, byref(schema), byref(array))
        assert released(array) == released(schema) == (status == 0)
        return status

    def collect(self, wait_ms: int = -1) -> int:
        table = c_void_p(0x10)
        status = call("redcol_iter_collect", self.iter, wait_ms, byref(table))
        assert bool(table.value) == (status == 0)
        free(table)
        return status

    def ack(self) -> int:
        ids = (self.client, self.stream, -1, b"g", -1, b"1-1", -1)
        return call("redcol_ack", *ids, byref(c_int64()))

    def iter_ack(self) -> int:
        return call("redcol_iter_ack", self.iter, None, -1, b"1-1", -1, byref(c_int64()))

    def unread(self) -> int:
        return call("redcol_iter_unread", self.iter)

    def free(self) -> None:
        for handle in (self.iter, self.client):
            free(handle)


#: How each function is called on a Reading, and the options that its iterator needs.
CALLS: dict[str, tuple[Callable[[Reading], int], dict[str, str]]] = {
    "redcol_read_stream": (Reading.start, GROUP),
    "redcol_read_streams": (Reading.start_several, GROUP),
    "redcol_iter_next": (Reading.next, {}),
    "redcol_iter_collect": (Reading.collect, {}),
    "redcol_iter_ack": (Reading.iter_ack, GROUP),
    "redcol_iter_unread": (Reading.unread, FOLLOW),
    "redcol_ack": (Reading.ack, {}),
}


@contextlib.contextmanager
def prepared(function: str, url: str, **more: object) -> Iterator[Reading]:
    """All that comes before the call of `function`."""
    reading = Reading(url, **{**CALLS[function][1], **more})
    if not function.startswith("redcol_read"):
        assert reading.start() == 0
    yield reading
    reading.free()


Case = Callable[[str], int]
CASES: dict[tuple[str, str], Case] = {}


def case(status: str, *names: str) -> Callable[[Case], Case]:
    """A case for these functions; it is called with the function's name and gives the status."""

    def register(made: Case) -> Case:
        for name in names:
            CASES[name, status] = made
        return made

    return register


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
    _asking = {"redcol_ack", "redcol_iter_ack"}
    if _status != "PERMISSION":
        _asking |= {"redcol_read_stream", "redcol_read_streams"}
    if _status != "NO_GROUP":
        _asking |= {"redcol_iter_next", "redcol_iter_collect"}
    case(_status, *_asking)(functools.partial(answered, status=_status))


@case("NO_GROUP", "redcol_iter_next")
def the_group_is_gone(_: str) -> int:
    with Server() as server, server.client() as db:
        db.xgroup_create("s", "g", mkstream=True)
        reading = Reading(server.url, **GROUP, create_group="false")
        assert reading.start() == 0
        db.xgroup_destroy("s", "g")
        status = reading.next(5000)
        reading.free()
        return status


@case("CONNECTION", *(set(CALLS) - {"redcol_iter_unread"}))
def the_server_is_gone(function: str) -> int:
    with Server() as server:
        server.client().xadd("s", {"a": 1})
        with prepared(function, server.url) as reading:
            server.process.kill()
            server.process.wait()
            return CALLS[function][0](reading)


@case("NAME", *(set(CALLS) - {"redcol_iter_unread"}))
def the_name_is_gone(function: str) -> int:
    """In a process of its own, in which a file makes names unknown."""
    with Server(tcp=True) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with prepared(function, url) as reading:
            Path(os.environ["UNKNOWN_NAMES"]).touch()
            with server.client() as db:
                db.client_kill_filter(_type="normal", skipme=True)
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


def opening(url: str, **options: object) -> int:
    client = c_void_p(0x10)
    status = call("redcol_open", url.encode(), words(**options), byref(client))
    assert bool(client.value) == (status == 0)
    free(client)
    return status


def greeted_with(reply: bytes) -> int:
    with FakeServer(lambda _: reply) as server:
        return opening(server.url, connect_timeout_ms=300)


for _status in ("PERMISSION", "LOADING", "PROTOCOL", "AUTHENTICATION"):
    case(_status, "redcol_open")(lambda _, reply=ANSWERS[_status]: greeted_with(reply))
case("INVALID_ARGUMENT", "redcol_open")(lambda _: opening("http://localhost"))
case("CONNECTION", "redcol_open")(lambda _: opening("unix:///nowhere/s"))
case("NAME", "redcol_open")(lambda _: opening("redis://no-such-host.invalid"))
case("UNSUPPORTED", "redcol_open")(lambda _: opening("rediss://localhost"))


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
        kept = reading.client, reading.iter
        is_read = function.startswith("redcol_read")
        reading.client, reading.iter = handle, c_void_p() if is_read else handle
        status = CALLS[function][0](reading)
        reading.client, reading.iter = kept
        return status


@case("INVALID_ARGUMENT", *CALLS, *HANDLES)
def another_kind_of_handle(function: str) -> int:
    error = c_void_p()
    _native.library().redcol_open(b"nonsense", None, None, byref(error))
    status = with_handle(function, error)
    free(error)
    assert with_handle(function, c_void_p()) == status
    return status


@case("CLOSED", *CALLS)
def closed(function: str) -> int:
    with Server() as server, prepared(function, server.url) as reading:
        handle = reading.iter if function.startswith("redcol_iter") else reading.client
        assert call("redcol_close", handle) == call("redcol_close", handle) == 0
        if function == "redcol_iter_ack":
            # What was handed over can still be acknowledged, until the client is closed too.
            assert CALLS[function][0](reading) == 0
            assert call("redcol_close", reading.client) == 0
        return CALLS[function][0](reading)


@case("FORKED", *CALLS, *HANDLES)
def forked(function: str) -> int:
    with Server() as server, prepared(function if function in CALLS else "redcol_iter_next",
                                      server.url) as reading:  # fmt: skip
        child = os.fork()
        if child == 0:
            status = -1
            with contextlib.suppress(BaseException):
                if function in CALLS:
                    status = CALLS[function][0](reading)
                else:
                    status = call(function, reading.iter)
                    assert status == call(function, reading.client)
                reading.free()
            os._exit(-status)
        status = -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert CALLS["redcol_ack"][0](reading) in (0, STATUSES["NO_GROUP"])
        return status


@case("BUSY", "redcol_iter_next", "redcol_iter_collect", "redcol_iter_unread", "redcol_close")
def two_threads(function: str) -> int:
    """A second call comes while the first waits for a server that is stopped."""
    options = FOLLOW if function == "redcol_iter_unread" else {}
    with Server() as server:
        reading = Reading(server.url, **options)
        assert reading.start() == 0
        os.kill(server.process.pid, signal.SIGSTOP)
        first: list[int] = []

        def wait() -> None:
            while not first or first[-1] == STATUSES["BUSY"]:
                first.append(reading.next(20_000))

        waiting = threading.Thread(target=wait)
        waiting.start()
        status = 0
        deadline = time.monotonic() + 10
        while status != STATUSES["BUSY"] and time.monotonic() < deadline:
            if function == "redcol_close":
                time.sleep(0.05)
                status = call(function, reading.iter)
            else:
                arguments = () if function == "redcol_iter_unread" else (0,)
                status = CALLS[function][0](reading, *arguments)  # type: ignore[call-arg]
        call("redcol_cancel", reading.iter)
        os.kill(server.process.pid, signal.SIGCONT)
        waiting.join()
        assert first[-1] in (STATUSES["CANCELLED"], STATUSES["TIMED_OUT"])
        reading.free()
        return status


@case("CANCELLED", "redcol_iter_next", "redcol_iter_collect", "redcol_ack", "redcol_iter_ack")
def cancelled(function: str) -> int:
    with Server() as server, prepared(function, server.url) as reading:
        os.kill(server.process.pid, signal.SIGSTOP)  # so that the call has to wait
        assert call("redcol_cancel", reading.client if "ack" in function else reading.iter) == 0
        status = CALLS[function][0](reading)
        os.kill(server.process.pid, signal.SIGCONT)
        assert CALLS[function][0](reading) in (0, STATUSES["NO_GROUP"])  # it goes on
        return status


# -- What was read


@case("END", "redcol_iter_next", "redcol_iter_collect")
def all_was_given(function: str) -> int:
    with Server() as server, prepared(function, server.url) as reading:
        assert CALLS[function][0](reading) == 0
        assert CALLS[function][0](reading) == CALLS[function][0](reading)
        return CALLS[function][0](reading)


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


@case("SCHEMA", "redcol_read_stream", "redcol_read_streams")
def a_schema_that_is_released(function: str) -> int:
    with Server() as server, prepared(function, server.url) as reading:
        return CALLS[function][0](reading, byref(arrow_structs.ArrowSchema()))  # type: ignore


@case("TIMEOUT", "redcol_iter_next", "redcol_iter_collect")
def not_yet(function: str) -> int:
    with OddServer() as server, prepared(function, server.url) as reading:
        server.odd = None
        call_now = CALLS[function][0]
        assert call_now(reading, 20) == STATUSES["TIMEOUT"]  # type: ignore[call-arg]
        return call_now(reading, 0)  # type: ignore[call-arg]


@case("TIMEOUT", "redcol_open", "redcol_read_stream", "redcol_read_streams", "redcol_ack",
      "redcol_iter_ack")  # fmt: skip
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


@contextlib.contextmanager
def a_table() -> Iterator[c_void_p]:
    with Server() as server, prepared("redcol_iter_next", server.url) as reading:
        server.client().xadd("s", {"a": 1})
        table = c_void_p()
        assert call("redcol_iter_collect", reading.iter, -1, byref(table)) == 0
    yield table
    free(table)


def of_table(function: str, table: object, requested: object = None) -> int:
    is_stream = function == "redcol_table_stream"
    out = arrow_structs.ArrowArrayStream() if is_stream else arrow_structs.ArrowSchema()
    status = call(function, table, requested, byref(out))
    assert released(out) == (status == 0)
    return status


TABLES = ("redcol_table_stream", "redcol_table_schema")


@case("SCHEMA", *TABLES)
def a_requested_schema_that_is_released(function: str) -> int:
    with a_table() as table:
        assert of_table(function, table) == 0
        return of_table(function, table, byref(arrow_structs.ArrowSchema()))


@case("INVALID_ARGUMENT", *TABLES)
def no_table(function: str) -> int:
    with Server() as server, prepared("redcol_iter_next", server.url) as reading:
        assert call("redcol_table_rows", reading.iter) == call("redcol_table_rows", None) == -1
        assert of_table(function, None) == STATUSES["INVALID_ARGUMENT"]
        return of_table(function, reading.client)


# -- The tests


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = _native.live_objects()
    yield
    assert _native.live_objects() == before


def test_every_documented_status_has_a_case() -> None:
    assert documented() - set(CASES) == set(), "documented, but without a case"
    assert set(CASES) - documented() == set(), "a case, but not documented"
    assert len(CASES) > 90


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
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
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
