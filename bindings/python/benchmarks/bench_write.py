# SPDX-License-Identifier: Apache-2.0
"""How long writing a frame takes, compared with only sending the bytes that it becomes.

usage: bench_write.py [--rows N] [--rounds N] [--small]

Every contestant is a process of its own that lives through all rounds; they take turns, and the
server is emptied before each, since the speed of a machine drifts. Ratios are taken within a round,
and their median is shown. The floor sends the very bytes that redcol sends, made beforehand.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
import write_contestants
from rounds import Results, print_table, ratio
from workers import HERE, Worker, compile_floor, parse_arguments, refuse_debug_build

import redcol
from servers import Server

#: How many line ends the server answers to a row.
LINES_PER_ROW = {"stream": 2, "hashes": 6}


class Recorder:
    """Passes one connection on to a server, and keeps what is sent to it."""

    def __init__(self, directory: str, server: Server) -> None:
        self.path = f"{directory}/recorder"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._server = server
        self.sent = bytearray()

    def record(self) -> threading.Thread:
        thread = threading.Thread(target=self._relay, daemon=True)
        thread.start()
        return thread

    def _relay(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._server.socket_path))
            back = threading.Thread(target=self._pass_back, args=(server, client), daemon=True)
            back.start()
            while data := client.recv(1 << 18):
                self.sent += data
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            back.join()

    @staticmethod
    def _pass_back(server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(1 << 18):
                client.sendall(data)
        except OSError:
            pass  # the client has what it wants


def commands_of(directory: str, server: Server, how: str, rows: int) -> Path:
    """The commands that redcol sends for the rows, in a file; without its greeting."""
    recorder = Recorder(directory, server)
    thread = recorder.record()
    with redcol.connect(f"unix://{recorder.path}") as client:
        before = bytes(recorder.sent)
        write_contestants.write_redcol(client, write_contestants.frame(rows), how)
    thread.join()
    os.unlink(recorder.path)
    sent = bytes(recorder.sent[len(before) :])
    if how == "hashes":  # it asks first whether it may use transactions
        question = b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n"
        assert sent.startswith(question)
        sent = sent[len(question) :]
    path = Path(directory) / how
    path.write_bytes(sent)
    return path


def contestants(
    directory: str, server: Server, how: str, rows: int
) -> Iterator[tuple[str, Worker, str]]:
    floor = compile_floor("write_floor.c", directory)
    commands = commands_of(directory, server, how, rows)
    lines = str(LINES_PER_ROW[how] * rows)
    yield "floor", Worker(floor, str(server.socket_path), str(commands)), lines
    script = str(HERE / "write_contestants.py")
    for name in write_contestants.CONTESTANTS:
        yield name, Worker(sys.executable, script, name, server.url, str(rows)), how


def write_once(
    db: redis.Redis, worker: Worker, request: str, how: str, rows: int
) -> dict[str, Any]:
    db.flushall()
    result = worker.ask(request)
    found = db.xlen(write_contestants.KEY) if how == "stream" else db.dbsize()
    if found != rows:
        raise RuntimeError(f"{found} rows were written, not {rows}")
    return result


def run_rounds(directory: str, server: Server, how: str, rows: int, rounds: int) -> Results:
    workers = list(contestants(directory, server, how, rows))
    results: Results = {name: [] for name, *_ in workers}
    try:
        with server.client() as db:
            for number in range(rounds + 1):
                for name, worker, request in workers:
                    result = write_once(db, worker, request, how, rows)
                    if number > 0:  # the first round does not count
                        results[name].append(result)
            db.flushall()
    finally:
        for _, worker, _ in workers:
            worker.stop()
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    rows, rounds = parse_arguments(__doc__, arguments, 10_000, "rows")
    refuse_debug_build()
    print(f"{rows:,} rows of 4 fields written, medians of {rounds} rounds")
    for how in LINES_PER_ROW:
        with tempfile.TemporaryDirectory() as directory, Server() as server:
            results = run_rounds(directory, server, how, rows, rounds)
        print()
        print_table(results, rows, "floor", title=how, unit="rows")
        pipeline = ratio(results, "redis-py pipeline", "redcol")
        print(f"redis-py pipeline / redcol: {pipeline:.2f}")


if __name__ == "__main__":
    main()
