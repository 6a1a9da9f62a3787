# SPDX-License-Identifier: Apache-2.0
"""Real clusters of three primaries, with replicas if wanted, on loopback ports."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from chaos.proxy import NONE, Plan, Proxy
from redis.crc import key_slot

from sentinels import wait_until
from servers import REDIS_7, Server

SLOTS = 16384
#: How soon the others take a node that does not answer to be down.
NODE_TIMEOUT_MS = 1500


def free_ports() -> int:
    """A port that is free, as is the one for the talk of the nodes, 10,000 above it."""
    for _ in range(1000):
        port = random.randrange(11000, 31000)
        with socket.socket() as one, socket.socket() as other, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10000))
            return port
    raise RuntimeError("no two free ports that are 10,000 apart")


class Node(Server):
    """A node that can be killed, stopped for a while, and brought back."""

    def __init__(self, binary: Path, args: tuple[str, ...], *, tls: bool, password: str | None):
        self.stopped = False
        self.password = password
        self.cluster_port = free_ports()
        options = ("--tls-port" if tls else "--port", str(self.cluster_port))
        options += ("--bind", "127.0.0.1")
        if tls:
            options += ("--tls-cluster", "yes", "--tls-replication", "yes")
        if password is not None:
            options += ("--requirepass", password, "--masterauth", password)
        options += ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
        options += ("--cluster-node-timeout", str(NODE_TIMEOUT_MS))
        options += ("--repl-diskless-sync-delay", "0", "--cluster-allow-replica-migration", "no")
        # The last port counts.
        super().__init__(binary, args=(*options, *args))
        self.port = self.cluster_port
        self.id = self.ask("CLUSTER", "MYID")

    def client(self, **arguments: Any) -> redis.Redis:
        return super().client(password=self.password, **arguments)

    def ask(self, *command: object) -> Any:
        with self.client(decode_responses=True, protocol=2) as db:
            for name in ("CLUSTER", "CLUSTER SLOTS", "CLUSTER NODES", "CLUSTER INFO"):
                db.set_response_callback(name, lambda answer, **_: answer)
            return db.execute_command(*command)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        self.stopped = True

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.stopped = False

    def restart(self) -> None:
        self.process = subprocess.Popen(self.process.args, stdout=self.log, stderr=self.log)
        self._wait_until_it_answers()

    @property
    def is_primary(self) -> bool:
        return bool(self.ask("INFO", "replication")["role"] == "master")

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None and not self.stopped


class Cluster:
    """Three primaries with a third of the slots each, and as many replicas as wanted of each."""

    def __init__(
        self,
        binary: Path = REDIS_7,
        *,
        replicas: int = 0,
        args: tuple[str, ...] = (),
        tls: bool = False,
        password: str | None = None,
    ):
        with contextlib.ExitStack() as stack:
            self.nodes = [
                stack.enter_context(Node(binary, args, tls=tls, password=password))
                for _ in range(3 * (1 + replicas))
            ]
            self.primaries = self.nodes[:3]
            bounds = [0, 5461, 10923, SLOTS]
            for index, node in enumerate(self.primaries):
                node.ask("CLUSTER", "ADDSLOTS", *range(bounds[index], bounds[index + 1]))
            for index, node in enumerate(self.nodes):
                node.ask("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
                node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
            wait_until(lambda: all(self.sees_all(node) for node in self.nodes), "all have met")
            for index, node in enumerate(self.nodes[3:]):
                primary = self.primaries[index % 3]
                wait_until(
                    lambda n=node, p=primary: n.ask("CLUSTER", "REPLICATE", p.id) == "OK", "replica"
                )
            self.await_whole()
            self.stack = stack.pop_all()

    def sees_all(self, node: Node) -> bool:
        return len(node.ask("CLUSTER", "NODES").splitlines()) == len(self.nodes)

    def is_whole(self) -> bool:
        """Whether all nodes that live see the same owners, and replicas that follow them."""
        return self.what_is_missing() is None

    def what_is_missing(self) -> str | None:
        """Why the cluster is not whole. Slots that are being moved count for whoever has them."""
        views: dict[object, list[int]] = {}
        for node in self.nodes:
            if not node.is_alive:
                continue
            if "cluster_state:ok" not in node.ask("CLUSTER", "INFO"):
                return f"for {node.port} the cluster is down:\n{node.ask('CLUSTER', 'NODES')}"
            lines = [line.split() for line in node.ask("CLUSTER", "NODES").splitlines()]
            if any("fail" in line[2] or "handshake" in line[2] for line in lines):
                return f"{node.port} sees:\n{node.ask('CLUSTER', 'NODES')}"
            roles = tuple(sorted((line[0], line[2].replace("myself,", "")) for line in lines))
            slots = [(line[0], *(slot for slot in line[8:] if slot[0] != "[")) for line in lines]
            views.setdefault((roles, tuple(sorted(slots))), []).append(node.port)
            info = node.ask("INFO", "replication")
            if info["role"] == "slave" and info["master_link_status"] != "up":
                return f"{node.port} does not follow yet: {info}"
        return None if len(views) == 1 else f"nodes see different things: {views}"

    def await_whole(self) -> None:
        wait_until(self.is_whole, lambda: f"a whole cluster: {self.what_is_missing()}")

    @property
    def url(self) -> str:
        return self.primaries[0].url

    def owner(self, key: str) -> Node:
        """The node that has this key, as one that lives sees it."""
        return self.owners()(key)

    def owners(self) -> Callable[[str], Node]:
        node = next(node for node in self.nodes if node.is_alive)
        ranges = node.ask("CLUSTER", "SLOTS")

        def owner(key: str) -> Node:
            slot = key_slot(key.encode())
            for first, last, primary, *_ in ranges:
                if first <= slot <= last:
                    return next(node for node in self.nodes if node.id == primary[2])
            raise LookupError(f"nobody has slot {slot}")

        return owner

    def db(self, key: str) -> redis.Redis:
        """redis-py, at the node that has this key."""
        return self.owner(key).client()

    def key_at(self, node: Node, name: str = "s") -> str:
        """A key that this node has."""
        owner = self.owners()
        return next(
            key for key in (f"{name}:{number}" for number in range(10000)) if owner(key) is node
        )

    def repair(self) -> None:
        """Bring back what was killed or stopped, and wait until all is well."""
        for node in self.nodes:
            if node.stopped:
                node.resume()
            if node.process.poll() is not None:
                node.restart()
        self.await_whole()

    # MARK: Moving slots

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot: int, source: Node, target: Node) -> None:
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
            command = ("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            wait_until(lambda c=command: self.is_migrated(source, c), "keys that move")

    def is_migrated(self, source: Node, command: tuple[object, ...]) -> bool:
        """False while a busy machine makes the nodes doubt each other."""
        try:
            source.ask(*command)
        except redis.ResponseError as error:
            if "CLUSTERDOWN" not in str(error):
                raise AssertionError(error) from error
            return False
        return True

    def end_move(self, slot: int, source: Node, target: Node) -> None:
        target.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)
        source.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)
        wait_until(lambda: self.has_moved(slot, target), f"all nodes see slot {slot} at its target")

    def has_moved(self, slot: int, target: Node) -> bool:
        """Whether all nodes see a slot at `target`, which is newer to them than all others.

        A slot is whose epoch is the highest. If another one moves before all nodes know the epoch
        of this move, its target may begin the same one, or none; an old message then gives the
        slot back in the eyes of one node, for ever.
        """
        epochs = set()
        for node in self.nodes:
            if not node.is_alive:
                continue
            lines = [line.split() for line in node.ask("CLUSTER", "NODES").splitlines()]
            primaries = [line for line in lines if "master" in line[2]]
            newest = max(primaries, key=lambda line: int(line[6]))
            if newest[0] != target.id:
                target.ask("CLUSTER", "BUMPEPOCH")
                return False
            epochs.add(newest[6])
            owner = next(
                primary[2]
                for first, last, primary, *_ in node.ask("CLUSTER", "SLOTS")
                if first <= slot <= last
            )
            if owner != target.id:
                return False
        return len(epochs) == 1

    def move(self, key: str, target: Node) -> None:
        """Give the slot of this key to another node, with its keys."""
        slot, source = key_slot(key.encode()), self.owner(key)
        if source is target:
            return
        self.begin_move(slot, source, target)
        self.move_keys(slot, source, target)
        self.end_move(slot, source, target)

    def other(self, node: Node) -> Node:
        """Another primary."""
        return next(other for other in self.primaries if other is not node)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            if node.stopped:
                node.resume()
        self.stack.close()


class Relays:
    """A proxy before each node, which disturbs its answers as `plan` says of each connection."""

    def __init__(self, cluster: Cluster, plan: Plan = lambda _: NONE):
        with contextlib.ExitStack() as stack:
            self.proxies = [
                stack.enter_context(Proxy(node.socket_path, plan)) for node in cluster.nodes
            ]
            self.stack = stack.pop_all()
        #: What `redcol.connect` needs to go through them.
        self.arguments = {
            "address_map": {
                f"127.0.0.1:{node.port}": proxy.url.removeprefix("redis://")
                for node, proxy in zip(cluster.nodes, self.proxies, strict=True)
            }
        }

    @property
    def url(self) -> str:
        return self.proxies[0].url

    def __enter__(self) -> Relays:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()
