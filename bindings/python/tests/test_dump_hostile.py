# SPDX-License-Identifier: Apache-2.0
"""Answers to DUMP that are damaged, cut or sent in drips: no row that the server would not give."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pytest
import redis
from polars.testing import assert_frame_equal

import redcol
from servers import SERVERS, FakeServer, Server, read_commands

KEY = "s"
SCHEMA = {"n": pl.Binary, "a": pl.Binary, "b": pl.Binary}
#: The version of the format, and the checksum.
TRAILER = 10


def checksum_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x95AC9329AC4BC9B5 if value & 1 else 0)
        table.append(value)
    return table


TABLE = checksum_table()


def checked(payload: bytes) -> bytes:
    """The payload with the checksum that it should have in place of its own."""
    value = 0
    for byte in payload[:-8]:
        value = value >> 8 ^ TABLE[(value ^ byte) & 0xFF]
    return payload[:-8] + value.to_bytes(8, "little")


def end_of_nodes(payload: bytes) -> int:
    """Where the entries end in the dump of a stream that is not compressed."""
    place = 2
    for _ in range(payload[1]):
        place += 17
        first = payload[place]
        if first >> 6 == 0:
            place += 1 + first
        else:
            place += 2 + ((first & 0x3F) << 8 | payload[place + 1])
    return place


def bulk(payload: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(payload), payload)


class Dumping(FakeServer):
    """Has one stream, whose dump is `payload`."""

    def __init__(self, payload: bytes):
        self.payload = payload
        super().__init__(self._answer)

    def _answer(self, words: list[bytes]) -> bytes:
        answers = {b"XLEN": b":5\r\n", b"DUMP": bulk(self.payload)}
        return answers.get(words[0], b"+OK\r\n")


def read(client: redcol.Client, key: str, transfer: str) -> pl.DataFrame | None:
    """The stream's rows; None if it is refused."""
    try:
        return redcol.read_stream(
            client,
            key,
            schema=SCHEMA,
            transfer=transfer,
            include_timestamp=False,
            include_sequence=True,
        )
    except (redcol.ProtocolError, redcol.UnsupportedError):
        return None


@dataclass
class Original:
    """A server that looks at what it restores, and the dump of a stream of its."""

    server: Server
    db: redis.Redis
    client: redcol.Client
    payload: bytes

    def restored(self, payload: bytes) -> pl.DataFrame | None:
        """What XRANGE gives once the payload is restored; None if it is refused."""
        self.db.delete("copy")
        try:
            self.db.restore("copy", 0, payload)
        except redis.ResponseError:
            return None
        return read(self.client, "copy", "entries")


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def original(request: pytest.FixtureRequest) -> Iterator[Original]:
    args = ("--sanitize-dump-payload", "yes")
    with (
        Server(request.param, args=args) as server,
        server.client() as db,
        redcol.connect(server.url) as client,
    ):
        db.config_set("rdbcompression", "no")
        db.config_set("stream-node-max-entries", 3)
        for number, value in enumerate([0, -1, 5_000, 70_000, "text"], 1):
            db.xadd(KEY, {"n": value, "a": f"{number}"}, id=f"{number}-0")
        db.xadd(KEY, {"b": "x" * 70}, id="9-1")
        db.xdel(KEY, "2-0")
        db.xgroup_create(KEY, "g", "0")
        db.xreadgroup("g", "c", {KEY: ">"}, count=1)
        payload = db.dump(KEY)
        assert isinstance(payload, bytes)
        assert checked(payload) == payload
        yield Original(server, db, client, payload)


def damaged(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Each byte changed in some ways, and where."""
    for place in range(len(payload) - 8):
        for bits in (0x01, 0x80, 0xFF):
            one = bytearray(payload)
            one[place] ^= bits
            yield place, bytes(one)


def test_changed_bytes(original: Original) -> None:
    whole = original.restored(original.payload)
    assert whole is not None
    assert whole.height == 5
    entries_end = end_of_nodes(original.payload)
    with Dumping(original.payload) as fake, redcol.connect(fake.url) as client:
        found = read(client, KEY, "dump")
        assert found is not None
        assert_frame_equal(found, whole)
        given = refused = 0
        for place, payload in damaged(original.payload):
            fake.payload = payload
            assert read(client, KEY, "dump") is None, f"byte {place} with a wrong checksum"
            fake.payload = checked(payload)
            found = read(client, KEY, "dump")
            if found is None:
                refused += 1
                continue
            given += 1
            expected = original.restored(fake.payload)
            if expected is None:
                # What a server knows about groups says nothing about the entries.
                assert place >= entries_end, f"byte {place}: {payload.hex()} {found}"
                expected = whole
            assert_frame_equal(found, expected)
        assert given > 100
        assert refused > 100


def test_prefixes(original: Original) -> None:
    value = original.payload[:-TRAILER]
    version = original.payload[-TRAILER:-8]
    with Dumping(b"") as fake, redcol.connect(fake.url) as client:
        for end in range(len(value)):
            fake.payload = checked(value[:end] + version + bytes(8))
            assert read(client, KEY, "dump") is None, f"{end} bytes"
            fake.payload = original.payload[:end]
            assert read(client, KEY, "dump") is None, f"{end} bytes without a checksum"


class Cutting(FakeServer):
    """Has one stream. One answer to DUMP is cut after `cut` bytes, and the connection lost."""

    def __init__(self, payload: bytes):
        self.reply = bulk(payload)
        self.cut: int | None = None
        super().__init__(lambda _: b"+OK\r\n")

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            for words in read_commands(stream):
                self.commands.append(words)
                if words[0] != b"DUMP":
                    connection.sendall(b":5\r\n" if words[0] == b"XLEN" else b"+OK\r\n")
                elif (cut := self.cut) is None:
                    connection.sendall(self.reply)
                else:
                    self.cut = None
                    connection.sendall(self.reply[:cut])
                    return


def test_cut_answers(original: Original) -> None:
    whole = original.restored(original.payload)
    assert whole is not None
    with Cutting(original.payload) as fake, redcol.connect(fake.url) as client:
        size = len(fake.reply)
        for cut in [0, 1, 4, 6, 7, 30, size // 2, size - 10, size - 2, size - 1]:
            fake.cut = cut
            found = read(client, KEY, "dump")
            assert found is not None
            assert fake.cut is None
            assert_frame_equal(found, whole)


class Dripping(Dumping):
    """Sends one byte at a time."""

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            for words in read_commands(stream):
                for byte in self._answer(words):
                    connection.sendall(bytes([byte]))


def test_drips(original: Original) -> None:
    whole = original.restored(original.payload)
    assert whole is not None
    with Dripping(original.payload) as fake, redcol.connect(fake.url) as client:
        found = read(client, KEY, "dump")
        assert found is not None
        assert_frame_equal(found, whole)


@pytest.mark.parametrize(
    "answer",
    [b":5\r\n", b"+OK\r\n", b"*0\r\n", b"$-2\r\n", b"$x\r\n", b"$99999999999999\r\n", b"%0\r\n"],
)
def test_what_is_no_dump(no_leaks: None, answer: bytes) -> None:
    def answers(words: list[bytes]) -> bytes:
        return {b"XLEN": b":5\r\n", b"DUMP": answer}.get(words[0], b"+OK\r\n")

    with FakeServer(answers) as fake, pytest.raises(redcol.ProtocolError):
        redcol.read_stream(fake.url, KEY, schema=SCHEMA, transfer="dump")


@pytest.mark.parametrize("answer", [b"+OK\r\n", b":-1\r\n", b"$1\r\n5\r\n", b"$-1\r\n"])
def test_what_is_no_length(no_leaks: None, answer: bytes) -> None:
    def answers(words: list[bytes]) -> bytes:
        return {b"XLEN": answer}.get(words[0], b"+OK\r\n")

    with FakeServer(answers) as fake, pytest.raises(redcol.ProtocolError):
        redcol.read_stream(fake.url, KEY, schema=SCHEMA, transfer="dump")
