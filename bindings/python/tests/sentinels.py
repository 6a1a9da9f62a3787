# SPDX-License-Identifier: Apache-2.0
"""A master, two replicas and three Sentinels that watch them, all real, on loopback ports."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis

from servers import REDIS_7, Server, free_port

SERVICE = "mymaster"
#: How soon a Sentinel takes a server that does not answer to be down.
DOWN_AFTER_MS = 500


def wait_until(what: Callable[[], bool], name: object = None, seconds: float = 60) -> None:
    """Wait for something that comes by itself.

    Meanwhile a server may not answer, and slots of a cluster may have no node. A name that is a
    function is called when the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError, OSError, LookupError):
            if what():
                return
        if time.monotonic() > deadline:
            told = name() if callable(name) else name
            raise AssertionError(f"not within {seconds} s: {told or what}")
        time.sleep(0.01)


class Sentinel:
    """One Sentinel."""

    def __init__(self, master: int, settings: tuple[str, ...] = ()):
        self.folder = Path(tempfile.mkdtemp(prefix="redcol-"))
        self.port = free_port()
        config = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {master} 2",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 2000",
            f"sentinel parallel-syncs {SERVICE} 2",
            *settings,
        ]
        path = self.folder / "sentinel.conf"
        path.write_text("\n".join(config) + "\n")
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [REDIS_7, path, "--sentinel"], stdout=self.log, stderr=self.log
        )

    def ask(self, *command: object) -> list[str]:
        """What it answers, as a flat list of texts."""
        with redis.Redis(port=self.port, socket_timeout=5, decode_responses=True, protocol=2) as db:
            db.set_response_callback("SENTINEL", lambda answer, **_: answer)
            return db.execute_command("SENTINEL", *command)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def pairs(answer: list[str]) -> dict[str, str]:
    return dict(zip(answer[::2], answer[1::2], strict=True))


class Node(Server):
    """A server that can be killed, stopped for a while, and brought back."""

    def __init__(self, master: int | None):
        self.stopped = False
        args = ["--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0", "--repl-timeout", "5"]
        super().__init__(REDIS_7, tcp=True, args=(*args, *replica_of(master)))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.stopped = False

    def restart(self, master: int | None = None) -> None:
        command = [*self.process.args, *replica_of(master)]  # the last one counts
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self._wait_until_it_answers()

    def info(self) -> dict[str, str]:
        with self.client() as db:
            return db.info("replication")


def replica_of(master: int | None) -> tuple[str, ...]:
    return ("--replicaof", f"127.0.0.1 {master}") if master else ()


class Sentinels:
    """The whole of it. Whoever breaks something calls `repair`."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(Node(None))
            self.nodes = [first, *(stack.enter_context(Node(first.port)) for _ in range(2))]
            self.sentinels = [Sentinel(first.port) for _ in range(3)]
            for sentinel in self.sentinels:
                stack.callback(sentinel.stop)
            for sentinel in self.sentinels:
                # Shorter than in life: these bound how soon they find each other, and how long a
                # master that comes back may think that it still is one.
                wait_until(
                    lambda s=sentinel: (
                        s.ask("DEBUG", "publish-period", "200", "info-period", "500") == "OK"
                    )
                )
            wait_until(self.is_whole)
            self.stack = stack.pop_all()

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def master_port(self) -> int:
        """What the Sentinels say."""
        return int(self.sentinels[0].ask("GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    @property
    def master(self) -> Node:
        port = self.master_port()
        return next(node for node in self.nodes if node.port == port)

    @property
    def replicas(self) -> list[Node]:
        port = self.master_port()
        return [node for node in self.nodes if node.port != port]

    @contextlib.contextmanager
    def db(self) -> Iterator[redis.Redis]:
        """redis-py, at the master of now."""
        with self.master.client() as db:
            yield db

    def is_whole(self) -> bool:
        """Whether all Sentinels see one master, two replicas that follow it, and each other."""
        port = self.master_port()
        for sentinel in self.sentinels:
            master = pairs(sentinel.ask("MASTER", SERVICE))
            if (int(master["port"]), master["flags"]) != (port, "master"):
                return False
            if master["num-other-sentinels"] != "2" or master["num-slaves"] != "2":
                return False
            for answer in sentinel.ask("REPLICAS", SERVICE):
                replica = pairs(answer)
                state = (replica["flags"], replica["master-link-status"], replica["master-port"])
                if state != ("slave", "ok", str(port)):
                    return False
        return all(
            node.info()["role"] == ("master" if node.port == port else "slave")
            for node in self.nodes
        )

    def repair(self) -> None:
        """Bring back what was killed or stopped, and wait until all is well."""
        for node in self.nodes:
            if node.stopped:
                node.resume()
            if node.process.poll() is not None:
                node.restart(self.master_port())
        wait_until(self.is_whole)

    def await_failover(self, old: int) -> float:
        """Wait until the Sentinels name another master; the time when they do."""
        wait_until(lambda: self.master_port() != old)
        return time.monotonic()

    def fail_over(self) -> None:
        """Ask for another master, as an administrator does."""
        old = self.master_port()
        self.sentinels[0].ask("FAILOVER", SERVICE)
        self.await_failover(old)

    def __enter__(self) -> Sentinels:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            if node.stopped:
                node.resume()
        self.stack.close()
