"""What holds for all tests: the order of files when several processes share them, and the same examples in every run."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

_LONG = ("faults", "loop", "app", "properties", "e2e", "bench", "control", "pipeline", "simulation", "replay")
"""Folders by what their slowest file takes, longest first."""

# How long an example takes is the machine's affair. Whoever looks for more examples than those of every run says LIFTGATE_TEST_SEEDS=all.
settings.register_profile(
    "liftgate",
    deadline=None,
    derandomize=os.environ.get("LIFTGATE_TEST_SEEDS") != "all",
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("liftgate")
# ONNX Runtime, whoever loads it: no test sends its maker anything.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort by folder in a process of pytest-xdist: long ones first, so that none is left alone with them at the end.

    Alone, the order stays what it is: quick answers first are worth more there.
    """
    if not hasattr(config, "workerinput"):
        return
    rank = {folder: place for place, folder in enumerate(_LONG)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(config.rootpath / "tests").parts[0], len(rank)))
