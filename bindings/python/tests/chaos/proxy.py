# SPDX-License-Identifier: Apache-2.0
"""A loopback proxy between a client and a server that disturbs the answers, by plan or by seed."""

from __future__ import annotations

import contextlib
import random
import select
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: Requests at which a plan can begin to count.
NEW = b"\r\n>\r\n"
OWN = b"XREADGROUP"  # the first one
CLAIM = b"XAUTOCLAIM"
RANGE = b"XRANGE"
FOLLOW = b"XREAD\r\n"

#: How a connection ends for its client: orderly; with a reset; not at all, but nothing more comes;
#: with a reset, of which the server never hears.
End = Literal["close", "reset", "hold", "abandon"]
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time
_TICK = 0.02


@dataclass(frozen=True)
class Faults:
    """What becomes of the answers on one connection."""

    #: It ends after so many bytes, counted from the first request on that holds `since`.
    end_after: int | None = None
    since: bytes = b""
    end: End = "close"
    #: How many bytes go on at once, at least and at most; None: as they come.
    pieces: tuple[int, int] | None = None
    #: Seconds before what has come goes on, and after each piece.
    delay: float = 0.0
    gap: float = 0.0


NONE = Faults()
Plan = Callable[[int], Faults]


def random_plan(seed: int) -> Plan:
    """Faults for each connection, the same ones for the same seed."""

    def faults(number: int) -> Faults:
        rng = random.Random(f"{seed}/{number}")
        end_after = None
        if rng.random() < 0.7:
            # The greeting and what follows it; one reply; many.
            end_after = int(rng.choice([rng.uniform(0, 300), rng.uniform(0, 20_000), 200_000]))
        return Faults(
            end_after=end_after,
            end=rng.choices(["close", "reset", "hold", "abandon"], [3, 3, 1, 2])[0],
            pieces=rng.choice([None, None, (1, 1), (1, 40), (1, 3_000)]),
            delay=rng.choice([0, 0, 0, 0.001, 0.03]),
        )

    return faults


class Link:
    """One client's connection, and ours to the server for it."""

    def __init__(self, proxy: Proxy, number: int, client: socket.socket):
        self.proxy = proxy
        self.client = client
        self.faults = proxy.plan(number)
        self.rng = random.Random(f"{proxy.seed}/{number}/pieces")
        self.left: int | None = None
        #: How many bytes of answers went on.
        self.forwarded = 0
        self.requests = b""
        self.struck: End | None = None
        self._count()

    def _count(self) -> None:
        """Begin to count once the request has come."""
        if self.left is None and self.faults.end_after is not None:
            if self.faults.since in self.requests:
                self.left = self.faults.end_after
            else:
                self.requests = self.requests[-64:]

    def run(self) -> None:
        with contextlib.suppress(OSError), self.client, self.proxy.to_server() as server:
            end = self._relay(server)
            if end == "hold":
                self._drain_client()
            if end in ("reset", "abandon"):
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.client.close()
            if end in ("hold", "abandon"):
                # A server that has not heard of it goes on answering to nobody.
                self.proxy.stopping.wait(self.proxy.server_hears_after)

    def _relay(self, server: socket.socket) -> End:
        ends = [self.client, server]
        while not self.proxy.stopping.is_set():
            if self.struck is not None:
                return self.struck
            readable, _, _ = select.select(ends, [], [], _TICK)
            if self.client in readable:
                data = self.client.recv(65_536)
                if not data:
                    return "close"
                self.requests += data
                self._count()
                server.sendall(data)
            if server in readable:
                data = server.recv(65_536)
                if not data:
                    return "close"
                if not self._forward(data):
                    return self.faults.end
            if self.left == 0:
                return self.faults.end
        return "close"

    def _forward(self, data: bytes) -> bool:
        """Send an answer on; False once the connection is to end."""
        faults = NONE if self.proxy.is_calm else self.faults
        if faults.delay:
            time.sleep(faults.delay)
        if self.left is not None and not self.proxy.is_calm:
            data = data[: self.left]
            self.left -= len(data)
        while data and self.struck is None:
            size = len(data) if faults.pieces is None else self.rng.randint(*faults.pieces)
            self.client.sendall(data[:size])
            self.forwarded += size
            data = data[size:]
            if faults.gap:
                time.sleep(faults.gap)
        return self.left != 0 or self.proxy.is_calm

    def _drain_client(self) -> None:
        """Take what the client sends, and answer nothing, until it gives up."""
        while not self.proxy.stopping.is_set() and self.struck is None:
            if select.select([self.client], [], [], _TICK)[0] and not self.client.recv(65_536):
                return


class Proxy:
    """Listens on loopback TCP, and passes each connection to the unix socket of a server."""

    #: Seconds after which the server hears that a connection is gone that was held or abandoned.
    server_hears_after = 2.0

    def __init__(self, target: Path, plan: Plan = lambda _: NONE, *, seed: int = 0, unix=False):
        self.target = str(target)
        self.plan = plan
        self.seed = seed
        self.is_calm = False
        self.accepted = 0
        self.stopping = threading.Event()
        self.links: list[tuple[threading.Thread, Link]] = []
        self.folder = Path(tempfile.mkdtemp(prefix="redcol-"))
        if unix:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.folder / "p"))
            self.url = f"unix://{self.folder / 'p'}"
        else:
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.1", 0))
            self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        self.listener.listen(64)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if client.family == socket.AF_INET:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(self, self.accepted, client)
            self.accepted += 1
            thread = threading.Thread(target=link.run, daemon=True)
            self.links = [(other, at) for other, at in self.links if other.is_alive()]
            self.links.append((thread, link))
            thread.start()

    @contextlib.contextmanager
    def to_server(self):
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(self.target)
            yield server

    def begin(self, plan: Plan) -> None:
        """From the next connection on, which is number 0 again."""
        self.plan = plan
        self.accepted = 0

    def strike(self, end: End) -> None:
        """End all connections now."""
        for _, link in self.links:
            link.struck = end

    def calm(self) -> None:
        """No more faults; what is held is let go."""
        self.is_calm = True
        self.plan = lambda _: NONE
        self.strike("close")

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        for thread, _ in self.links:
            thread.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
