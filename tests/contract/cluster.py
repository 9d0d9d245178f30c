"""A small Valkey Cluster on loopback, from the embedded server."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import redis

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from tests.ports import free_port

_SLOTS = 16384


class Cluster:
    """N primaries, without replicas unless `replicate` adds one. A context manager; `url` is what `connect` takes."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._stack = ExitStack()
        self.nodes: list[EmbeddedValkey] = []
        self.url = ""

    def __enter__(self) -> Cluster:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.nodes += [self._node() for _ in range(self._n)]
        clients: list[Any] = [redis.Redis(port=node.port) for node in self.nodes]
        share = -(-_SLOTS // self._n)
        for i, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", i * share, min(_SLOTS, (i + 1) * share) - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in self.nodes[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, self._bus(node))
        deadline = time.monotonic() + 15
        while not all(serves_all(client) for client in clients):
            _wait(deadline)
        for client in clients:
            client.close()
        self.url = f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def replicate(self, primary: EmbeddedValkey) -> EmbeddedValkey:
        """Start a replica of a primary and return it when it has the primary's data. Raises RuntimeError after 15 s."""
        node = self._node()
        with redis.Redis(port=primary.port) as first, redis.Redis(port=node.port) as second:
            first.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, self._bus(node))
            name = first.execute_command("CLUSTER", "MYID")
            deadline = time.monotonic() + 15
            while True:
                try:
                    second.execute_command("CLUSTER", "REPLICATE", name)
                    break
                except redis.ResponseError:  # it has not heard of the primary yet
                    _wait(deadline)
            while second.info("replication")["master_link_status"] != "up":
                _wait(deadline)
        return node

    def _node(self) -> EmbeddedValkey:
        options = (
            *("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000"),
            *("--cluster-require-full-coverage", "no"),
        )
        return self._stack.enter_context(EmbeddedValkey(port=free_port(), options=options))

    def _bus(self, node: EmbeddedValkey) -> int:
        with redis.Redis(port=node.port) as client:
            return int(client.config_get("cluster-port")["cluster-port"])


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError("the Cluster did not come together")
    time.sleep(0.05)


def serves_all(client: Any) -> bool:
    """Say whether a node sees every slot served."""
    info = client.execute_command("CLUSTER", "INFO")
    text = info if isinstance(info, dict) else dict(line.split(":", 1) for line in info.decode().split())
    return text["cluster_state"] == "ok" and int(text["cluster_slots_ok"]) == _SLOTS
