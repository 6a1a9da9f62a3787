"""The stream that the benchmarks read, and a quick way to write it."""

from __future__ import annotations

import socket
from collections.abc import Callable

STREAM = "events"
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
    """Fill a stream. The bytes are made here, since clients need ten times as long."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(socket_path)
        connection.sendall(_command("CLIENT", "REPLY", "OFF"))
        for start in range(0, entries, 1_000):
            commands = []
            for number in range(start, min(start + 1_000, entries)):
                fields = [word for pair in fields_of(number).items() for word in pair]
                commands.append(_command("XADD", stream, entry_id(number), *fields))
            connection.sendall(b"".join(commands))
        connection.sendall(_command("CLIENT", "REPLY", "ON") + _command("XLEN", stream))
        answer = b""
        while answer.count(b"\r\n") < 2:
            answer += connection.recv(4096)
        if answer != b"+OK\r\n:%d\r\n" % entries:
            raise RuntimeError(f"the stream could not be written: {answer!r}")
