# SPDX-License-Identifier: Apache-2.0
"""The streams that the benchmarks read, and a quick way to write them."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

STREAM = "events"
MANY = "many:"
FIRST_MS = 1_704_067_200_000
ACTIONS = ("click", "view", "add_to_cart", "checkout_completed")


def entry_id(number: int) -> str:
    """The id of an entry, counted from 0: two in every millisecond."""
    return f"{FIRST_MS + number // 2}-{number % 2}"


def entry_fields(number: int) -> dict[str, str]:
    """Two strings, an int and a float, of the lengths that events have."""
    mixed = number * 2_654_435_761 % 2**32
    return {
        "user_id": f"user_{mixed % 50_000}",
        "action": ACTIONS[mixed >> 30],
        "value": str(mixed % 1_000),
        "amount": f"{mixed % 1_000_000 / 100:.2f}",
    }


def _command(*words: str) -> bytes:
    """A command in Redis' protocol; the words are ASCII."""
    parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*{len(words)}\r\n{parts}".encode()


def write_events(
    socket_path: str,
    entries: int,
    stream: str = STREAM,
    fields_of: Callable[[int], dict[str, str]] = entry_fields,
) -> None:
    """Fill a stream."""
    _write(socket_path, ((stream, number) for number in range(entries)), fields_of)


def many_name(number: int) -> str:
    """The name of one of many streams."""
    return f"{MANY}{number:06}"


def write_many(socket_path: str, streams: int, entries_each: int) -> None:
    """Fill many streams with the entries that `write_events` writes into one."""
    entries = range(streams * entries_each)
    named = ((many_name(number // entries_each), number) for number in entries)
    _write(socket_path, named, entry_fields)


def _write(
    socket_path: str,
    entries: Iterator[tuple[str, int]],
    fields_of: Callable[[int], dict[str, str]],
) -> None:
    """Add entries to streams. The bytes are made here, since clients need ten times as long."""
    written: Counter[str] = Counter()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(socket_path)
        connection.sendall(_command("CLIENT", "REPLY", "OFF"))
        stream = STREAM
        while page := list(islice(entries, 1_000)):
            commands = []
            for stream, number in page:
                written[stream] += 1
                fields = [word for pair in fields_of(number).items() for word in pair]
                commands.append(_command("XADD", stream, entry_id(number), *fields))
            connection.sendall(b"".join(commands))
        connection.sendall(_command("CLIENT", "REPLY", "ON") + _command("XLEN", stream))
        answer = b""
        while answer.count(b"\r\n") < 2:
            answer += connection.recv(4096)
        if answer != b"+OK\r\n:%d\r\n" % written[stream]:
            raise RuntimeError(f"the streams could not be written: {answer!r}")
