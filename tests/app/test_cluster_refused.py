"""Caps over several people and a Cluster do not go together, and the start says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from liftgate.app import settings
from liftgate.app.loading import load_live
from liftgate.app.wiring import files_of
from liftgate.domain.errors import BadInput

BUNDLES = Path(__file__).parents[1] / "cases" / "bundles"


def chosen(tmp_path: Path, redis: str, bundle: str) -> settings.Settings:
    """Return settings for a bundle of the tests and a store."""
    return settings.read({"bundle": BUNDLES / bundle, "redis": redis, "log": tmp_path / "log"})


@pytest.mark.parametrize("redis", ["redis+cluster://127.0.0.1:7000", "redis://127.0.0.1:7000?cluster=1"])
def test_caps_over_several_people_want_one_server(tmp_path: Path, redis: str) -> None:
    """A bundle with a cap by account or in total is refused on a Cluster, with the cap, its line, and what to do."""
    with pytest.raises(BadInput, match=r"bundle.yaml:\d+: .* by account counts over several people.*name one server"):
        load_live(files_of(chosen(tmp_path, redis, "caps")))


def test_everything_else_is_free(tmp_path: Path) -> None:
    """The same bundle loads for one server, and one with people's caps alone loads for a Cluster."""
    assert load_live(files_of(chosen(tmp_path, "redis://127.0.0.1:7000", "caps"))).caps.one_server
    assert not load_live(files_of(chosen(tmp_path, "redis+cluster://127.0.0.1:7000", "golden"))).caps.one_server
