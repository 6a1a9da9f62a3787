# SPDX-License-Identifier: Apache-2.0
"""Nodes of a cluster that no real one would be: they send redcol round in circles, or claim what
cannot be. It ends in time, in little memory, and with an error that says what is wrong."""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from test_made_up_sentinel import listening, strings

import redcol
from servers import free_port

HELLO = strings("server", "redis", "mode", "cluster", "role", "master")
#: Much longer than anything here should take on a busy machine; less than any endless loop.
SECONDS = 60


def slots(*ranges: tuple[int, int, str, int]) -> bytes:
    """The answer to CLUSTER SLOTS: first, last, host and port."""
    lines = [
        f"*3\r\n:{first}\r\n:{last}\r\n*2\r\n${len(host)}\r\n{host}\r\n:{port}\r\n"
        for first, last, host, port in ranges
    ]
    return f"*{len(lines)}\r\n{''.join(lines)}".encode()


class Nodes:
    """Nodes with ports of their own, which answer as `slots` and `answer` say."""

    def __init__(self, stack: contextlib.ExitStack, count: int = 2):
        self.asked: list[list[bytes]] = []
        self.slots: Callable[[int], bytes] = lambda _: b"*0\r\n"
        self.answer: Callable[[int], bytes] = lambda _: b"*0\r\n"
        self.ports = [
            stack.enter_context(listening(lambda command, n=number: self.reply(n, command)))
            for number in range(count)
        ]

    def reply(self, number: int, command: list[bytes]) -> bytes:
        if command[0] == b"HELLO":
            return HELLO
        if command[0] == b"CLIENT":
            return b"+OK\r\n"
        self.asked.append(command)
        if command[:2] == [b"CLUSTER", b"SLOTS"]:
            return self.slots(number)
        if command[0] == b"CLUSTER":
            return b"-ERR unknown subcommand\r\n"
        return self.answer(number)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.ports[0]}"

    def count(self, name: bytes) -> int:
        return sum(command[0] == name for command in self.asked)


@pytest.fixture
def nodes():  # type: ignore[no-untyped-def]
    with contextlib.ExitStack() as stack:
        yield Nodes(stack)


def read(url: str, timeout_ms: int = 600) -> pl.DataFrame:
    return redcol.read_stream(url, "s", timeout_ms=timeout_ms, connect_timeout_ms=5000)


def test_nodes_that_name_each_other(nodes: Nodes) -> None:
    """MOVED there and back, without end."""
    nodes.slots = lambda _: slots((0, 16383, "127.0.0.1", nodes.ports[0]))
    nodes.answer = lambda n: f"-MOVED 3828 127.0.0.1:{nodes.ports[1 - n]}\r\n".encode()
    began = time.monotonic()
    with pytest.raises(redcol.ServerError, match="do not agree on which of them has the key"):
        read(nodes.url)
    assert time.monotonic() - began < SECONDS
    # At once only a few times, and then with pauses.
    assert 5 < nodes.count(b"XRANGE") < 60


@pytest.mark.parametrize("kind", ["MOVED", "ASK"])
def test_a_node_that_names_itself(nodes: Nodes, kind: str) -> None:
    nodes.slots = lambda _: slots((0, 16383, "127.0.0.1", nodes.ports[0]))
    nodes.answer = lambda _: b"-%s 3828 127.0.0.1:%d\r\n" % (kind.encode(), nodes.ports[0])
    if kind == "ASK":
        reply = nodes.answer
        nodes.answer = lambda n: b"+OK\r\n" if nodes.asked[-1] == [b"ASKING"] else reply(n)
    with pytest.raises(redcol.ServerError, match="do not agree"):
        read(nodes.url)
    assert 3 < nodes.count(b"XRANGE") < 60
    with pytest.raises(redcol.ServerError, match="do not agree"):
        redcol.iter_stream(nodes.url, "s", start_id="$")
    with pytest.raises(redcol.ServerError, match="do not agree"):
        redcol.ack_entries(nodes.url, "s", "g", ["1-1"], timeout_ms=600)


def test_an_answer_to_asking_that_is_none(nodes: Nodes) -> None:
    nodes.slots = lambda _: slots((0, 16383, "127.0.0.1", nodes.ports[0]))
    nodes.answer = lambda n: (
        f"-ASK 3828 127.0.0.1:{nodes.ports[1]}\r\n".encode() if n == 0 else b"-ERR what\r\n"
    )
    with pytest.raises(redcol.RedcolError, match="something else in answer to ASKING"):
        read(nodes.url)


def test_slots_that_nobody_has(nodes: Nodes) -> None:
    nodes.slots = lambda _: slots((0, 99, "127.0.0.1", nodes.ports[1]))
    nodes.answer = lambda _: b"-CLUSTERDOWN Hash slot not served\r\n"
    with pytest.raises(redcol.ServerError, match="Hash slot not served"):
        read(nodes.url)
    assert nodes.count(b"XRANGE") < 60


@pytest.mark.parametrize(
    "answer",
    [
        b"*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n",
        b"*1\r\n*3\r\n:9\r\n:0\r\n*2\r\n$1\r\na\r\n:1\r\n",
        b"*1\r\n*3\r\n:0\r\n:9\r\n*2\r\n$1\r\na\r\n:0\r\n",
        b"*2\r\n:0\r\n:1\r\n",
        b"+OK\r\n",
        slots(*[(0, 0, "127.0.0.1", 1)] * 16_385),
        slots(*[(n, n, "127.0.0.1", n + 1) for n in range(1_025)]),
    ],
)
def test_slots_that_cannot_be(nodes: Nodes, answer: bytes) -> None:
    nodes.slots = lambda _: answer
    with pytest.raises(redcol.ProtocolError, match="slots of a cluster that cannot be"):
        read(nodes.url)


def test_a_million_slots(nodes: Nodes) -> None:
    million = slots(*[(0, 0, "127.0.0.1", 1)]) * 1_000_001
    million = b"*1000001\r\n" + million.replace(b"*1\r\n*3", b"*3")
    nodes.slots = lambda _: million
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(redcol.ProtocolError, match=r"a reply of more than|elements"):
        read(nodes.url)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024, "in KiB"


def test_a_name_that_nobody_knows(nodes: Nodes) -> None:
    nodes.slots = lambda _: slots((0, 16383, "node.invalid", 7000))
    with pytest.raises(redcol.NameResolutionError, match=r"node\.invalid:7000"):
        read(nodes.url)


def test_a_map_of_nodes_that_are_gone(nodes: Nodes) -> None:
    """The nodes that are named do not answer; the one that names them does."""
    gone = free_port()
    nodes.slots = lambda _: slots((0, 16383, "127.0.0.1", gone))
    with pytest.raises(
        redcol.ConnectionFailedError, match=f"connecting to redis://127.0.0.1:{gone}"
    ):
        read(nodes.url)
    assert nodes.count(b"CLUSTER") < 60


def test_a_search_while_a_node_is_down(nodes: Nodes) -> None:
    """It begins again and again at the node that lives, with pauses that become longer."""
    gone = free_port()
    nodes.slots = lambda _: slots(
        (0, 8191, "127.0.0.1", nodes.ports[0]), (8192, 16383, "127.0.0.1", gone)
    )

    def answer(_: int) -> bytes:
        # A search without pauses is ended, so that this test ends.
        if nodes.count(b"SCAN") > 200:
            return b"-ERR searched too often\r\n"
        return b"*2\r\n$1\r\n0\r\n*0\r\n"

    nodes.answer = answer
    with pytest.raises(
        redcol.ConnectionFailedError, match=f"connecting to redis://127.0.0.1:{gone}"
    ):
        redcol.read_streams(nodes.url, "*", timeout_ms=1_500)
    assert 1 < nodes.count(b"SCAN") < 40


class Together(Nodes):
    """Each answers its first question of a kind only when all were asked one of that kind."""

    def __init__(self, stack: contextlib.ExitStack):
        self.waiting: dict[bytes, threading.Barrier] = {}
        self.seen: set[tuple[int, bytes]] = set()
        self.lock = threading.Lock()
        super().__init__(stack, count=3)
        bounds = [(0, 5461), (5462, 10922), (10923, 16383)]
        self.slots = lambda _: slots(
            *((*bounds[n], "127.0.0.1", port) for n, port in enumerate(self.ports))
        )

    def reply(self, number: int, command: list[bytes]) -> bytes:
        name = command[0]
        if name in (b"HELLO", b"CLIENT", b"CLUSTER"):
            return super().reply(number, command)
        with self.lock:
            is_first = (number, name) not in self.seen
            self.seen.add((number, name))
            together = self.waiting.setdefault(name, threading.Barrier(3))
        if is_first:
            together.wait(SECONDS)
        return b"*2\r\n$1\r\n0\r\n*0\r\n" if name == b"SCAN" else b"-ERR no such key\r\n"


@pytest.mark.parametrize("what", ["a read", "a list", "a list by name"])
def test_nodes_are_asked_at_the_same_time(what: str) -> None:
    with contextlib.ExitStack() as stack:
        nodes = Together(stack)
        limits: dict[str, Any] = {"timeout_ms": 1000 * SECONDS}
        if what == "a read":
            assert len(redcol.read_streams(nodes.url, "*", **limits)) == 0
        else:
            # The names are at the third, the first and the second node.
            streams = "*" if what == "a list" else ["a", "b", "c"]
            assert len(redcol.list_streams(nodes.url, streams, **limits)) == 0
        assert {number for number, _ in nodes.seen} == {0, 1, 2}


def test_a_user_who_may_not_ask_for_slots(nodes: Nodes) -> None:
    nodes.slots = lambda _: b"-NOPERM no permissions to run the 'cluster|slots' command\r\n"
    with pytest.raises(redcol.RedcolError, match="asking for the slots of the cluster"):
        read(nodes.url)


def test_a_node_that_is_none_any_more(nodes: Nodes) -> None:
    """The others are nodes, and one that was named is a server of its own."""
    with contextlib.ExitStack() as stack:
        alone = stack.enter_context(listening(lambda _: b"+OK\r\n"))
        nodes.slots = lambda _: slots((0, 16383, "127.0.0.1", alone))
        with pytest.raises(redcol.UnsupportedError, match="is no node of a cluster"):
            read(nodes.url)


def test_an_iterator_goes_on_when_the_nodes_agree_again(nodes: Nodes) -> None:
    nodes.slots = lambda _: slots((0, 16383, "127.0.0.1", nodes.ports[0]))
    entry = b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$1\r\n7\r\n"
    circles = [40]

    def answer(number: int) -> bytes:
        if nodes.asked[-1][0] != b"XREAD":
            return b"*0\r\n"
        circles[0] -= 1
        if circles[0] > 0:
            return f"-MOVED 3828 127.0.0.1:{nodes.ports[1 - number]}\r\n".encode()
        return entry

    nodes.answer = answer
    circles[0] = 8
    with redcol.iter_stream(nodes.url, "s") as batches:
        assert next(batches)["n"].to_list() == ["7"]
