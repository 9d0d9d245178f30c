"""What most teams would write: FastAPI on uvicorn with uvloop and httptools, JSON over HTTP/1.1."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from .decisions import decisions


class Context(BaseModel):
    """Where the person is asked for."""

    channel: str
    device: str
    locale: str = ""
    time_zone: str = ""


class DecideRequest(BaseModel):
    """The contract's request, in JSON."""

    request_id: str
    person_id: str
    placement_id: str
    slot_count: int = 1
    context: Context


class Slot(BaseModel):
    """One offer shown."""

    offer_id: str
    payload_json: str
    propensity: float
    value: float
    selection_probability: float


class DecideResponse(BaseModel):
    """The contract's answer, in JSON."""

    decision_id: str
    arm: int
    branch: int
    slots: list[Slot]
    reason: int
    bundle_digest: str
    valid_until_ms: int


def app(shop: Path, redis_port: int, log: Path) -> FastAPI:
    """Return the application."""
    found, ready = FastAPI(), decisions(shop, redis_port, log)

    # A response model is serialised by pydantic's own core; a plain dict goes through Python's json and costs more.
    @found.post("/decide")
    async def decide(request: DecideRequest) -> DecideResponse:
        asked: dict[str, Any] = {"channel": request.context.channel, "device": request.context.device}
        answer = await ready.decide(request.person_id, request.request_id, request.placement_id, asked)
        return DecideResponse(
            decision_id=answer.decision_id,
            arm=int(answer.arm),
            branch=int(answer.branch),
            slots=[Slot(**slot) for slot in answer.slots],
            reason=int(answer.reason),
            bundle_digest=answer.bundle_digest,
            valid_until_ms=answer.valid_until_ms,
        )

    return found


def main() -> None:
    """Run as `python -m tests.bench.peers.fastapi_server --shop DIR --redis-port R --log FILE --port P`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--shop", type=Path, required=True)
    parser.add_argument("--redis-port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    uvicorn.run(
        app(args.shop, args.redis_port, args.log), port=args.port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
