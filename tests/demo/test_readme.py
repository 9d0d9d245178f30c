"""The README's bundle is a good one."""

from __future__ import annotations

import re
from pathlib import Path

from liftgate.bundle.load import check_bundle

README = Path(__file__).parents[2] / "README.md"


def test_bundle_of_the_readme_is_good(tmp_path: Path) -> None:
    """The YAML in the README passes the check as it stands; with a word misspelt it does not."""
    [text] = re.findall(r"^```yaml\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
    assert check_bundle(tmp_path).mistakes == ()
    (tmp_path / "shop.yaml").write_text(text.replace("profile.age", "profile.aeg"), encoding="utf-8")
    assert check_bundle(tmp_path).mistakes != ()
