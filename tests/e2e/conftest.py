"""Both transports, on the event loop that serves in production."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Any]:
    """Run this folder's tests on the loop of `liftgate serve`."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(params=["native", "grpcio"])
def transport(request: pytest.FixtureRequest) -> Literal["native", "grpcio"]:
    """Each door in turn."""
    door: Literal["native", "grpcio"] = request.param
    return door
