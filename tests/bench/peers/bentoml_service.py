"""A BentoML service of one API, JSON over HTTP/1.1: one worker in the process of the server."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import bentoml

from .decisions import decisions

_SETTINGS = "PEER_BENTOML"


@bentoml.service(
    workers=1,
    traffic={"timeout": 30, "max_concurrency": 512},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Decisions:
    """Answers the contract's request in JSON."""

    def __init__(self) -> None:
        shop, port, log = os.environ[_SETTINGS].split("|")
        self._decisions = decisions(Path(shop), int(port), Path(log))

    @bentoml.api
    async def decide(self, request_id: str, person_id: str, placement_id: str, slot_count: int, context: dict[str, str]) -> dict[str, Any]:
        """Answer one request."""
        answer = await self._decisions.decide(person_id, request_id, placement_id, dict(context))
        return {
            "decision_id": answer.decision_id,
            "arm": int(answer.arm),
            "branch": int(answer.branch),
            "slots": answer.slots,
            "reason": int(answer.reason),
            "bundle_digest": answer.bundle_digest,
            "valid_until_ms": answer.valid_until_ms,
        }


def main() -> None:
    """Run as `python -m tests.bench.peers.bentoml_service --shop DIR --redis-port R --log FILE --port P`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--shop", type=Path, required=True)
    parser.add_argument("--redis-port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    os.environ |= {
        _SETTINGS: f"{args.shop.resolve()}|{args.redis_port}|{args.log.resolve()}",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(args.log.resolve().parent / "bentoml"),
    }
    serve = ["serve", f"{__spec__.name}:Decisions", "--host", "127.0.0.1", "--port", str(args.port), "-q"]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *serve])


if __name__ == "__main__":
    main()
