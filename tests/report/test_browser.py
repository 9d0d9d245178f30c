"""The page in a real browser: no error, nothing asked for, no scrolling sideways, and no serious mistake of accessibility.

Needs chromium, node, and the npm packages playwright-core and axe-core in a folder that LIFTGATE_NODE_MODULES names; skips without.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from liftgate.report.facts import Wanted, gather
from liftgate.report.page import render, told
from tests.report.shop_log import DAY_MS, write_shop
from tests.report.shop_world import write_world

MODULES = Path(os.environ.get("LIFTGATE_NODE_MODULES", "node_modules")).absolute()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCRIPT = Path(__file__).with_name("browse.mjs")
LACKING = [
    *([] if CHROMIUM else ["chromium"]),
    *([] if shutil.which("node") else ["node"]),
    *(f"npm package {name}" for name in ("playwright-core", "axe-core") if not (MODULES / name).is_dir()),
]
needs_browser = pytest.mark.skipif(bool(LACKING), reason=f"NOT CHECKED IN A BROWSER: {', '.join(LACKING)} not there (see docs/report.md)")


def browse(page: Path) -> list[dict[str, Any]]:
    """What the browser says of a page: at 375 and 1440 px, light and dark, everything folded out."""
    command = ["node", str(SCRIPT), str(MODULES), str(CHROMIUM), str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


@needs_browser
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["whole", "refused", "rich"])
def test_a_browser_has_nothing_to_say_against_the_page(tmp_path: Path, name: str) -> None:
    """No word on the console, no request, no scrolling sideways, nothing beyond the paper's edge, no serious violation.

    Of a whole log, of one that is refused, and of one with many arms, segments and inputs.
    """
    log = write_world(tmp_path / name, 1_200) if name == "rich" else tmp_path / name
    if name != "rich":
        write_shop(log, gap=name == "refused", people=600)
    facts = told(gather(Wanted(log, window="1d", window_ms=DAY_MS, n_star=500)))
    page = tmp_path / f"{name}.html"
    page.write_text(render(facts), encoding="utf-8")
    seen = browse(page)
    assert len(seen) == 4
    for one in seen:
        assert (one["said"], one["violations"]) == ([], []), one
        assert one["width"] <= one["asked"], one
        assert one.get("paper", 0) <= 650, one


@needs_browser
def test_the_browser_would_see_what_is_wrong(tmp_path: Path) -> None:
    """A page with a request, a wide element and an unreadable text is seen to have all three, on paper too."""
    page = tmp_path / "wrong.html"
    page.write_text(
        "<!doctype html><html lang=en><title>x</title><main><h1>x</h1><p style='width:3000px;color:#ddd;background:#fff'>Grey</p>"
        "<img src='missing.png' alt='none'></main></html>"
    )
    seen = browse(page)
    assert len(seen) == 4
    for one in seen:
        assert one["said"]
        assert "color-contrast" in one["violations"]
        assert one["width"] > one["asked"]
        assert one.get("paper", 3_000) > 650
