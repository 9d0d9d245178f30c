"""The order of files when several processes share the tests: long ones first, so that none is left alone with them at the end."""

from __future__ import annotations

import pytest

_LONG = ("faults", "loop", "app", "properties", "e2e", "bench", "control", "pipeline", "simulation", "replay")
"""Folders by what their slowest file takes, longest first."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort by folder in a process of pytest-xdist. Alone, the order stays what it is: quick answers first are worth more there."""
    if not hasattr(config, "workerinput"):
        return
    rank = {folder: place for place, folder in enumerate(_LONG)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(config.rootpath / "tests").parts[0], len(rank)))
