"""Damaged bundle files: whatever the bytes, the answer is a bundle or a list of mistakes, never another exception."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liftgate.bundle.load import check_bundle

SMALL = Path(__file__).parents[1] / "cases" / "bundles" / "small"
FILES = ["bundle.yaml", "offers.yaml", "models/tiny/1/model.yaml", "models/tiny/1/model.onnx"]
PIECES = [
    b"{",
    b"}",
    b"[",
    b"'",
    b'"',
    b":",
    b"- ",
    b"&a ",
    b"*a",
    b"!!x ",
    b"\n",
    b"    ",
    b"null",
    b".nan",
    b"1e999",
    b"-1",
    b"0",
    b"\xff",
    b"\x00",
    b"%",
    b"? ",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(FILES),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 30), st.one_of(st.sampled_from(PIECES), st.binary(max_size=6))), min_size=1, max_size=4
    ),
)
def test_any_damage_is_a_mistake_or_harmless(name: str, damage: list[tuple[float, int, bytes]]) -> None:
    """Bytes cut out and put in anywhere, in any file, end in a compiled bundle or in mistakes with a file and a mend."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(SMALL, Path(scratch) / "bundle"))
        raw = (folder / name).read_bytes()
        for where, cut, put in damage:
            at = int(where * len(raw))
            raw = raw[:at] + put + raw[at + cut :]
        (folder / name).write_bytes(raw)
        checked = check_bundle(folder)
        assert (checked.bundle is None) == bool(checked.mistakes)
        assert all(mistake.file and mistake.problem and mistake.mend for mistake in checked.mistakes)
