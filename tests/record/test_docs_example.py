"""The example in docs/record.md runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from liftgate.record.frame import FRAME_OVERHEAD, HEADER_SIZE, Header, Stream, encode_frames
from liftgate.v1.record_pb2 import DecisionRecord, SlotProbabilities

DOCS = Path(__file__).parents[2] / "docs" / "record.md"


def test_the_example_reads_a_log(tmp_path: Path) -> None:
    """The Python block of the docs reads a log and prints what it says it prints."""
    record = DecisionRecord(
        decision_id="ab" * 16,
        arm=1,  # type: ignore[arg-type]
        offered=["b"],
        candidate_offer_id=["a", "b"],
        slots=[SlotProbabilities(probability=[0.75, 0.25])],
    ).SerializeToString()
    header = Header(Stream.DECISION, b"w" * 16, b"b" * 16, 0, 5)
    (tmp_path / "decision-1.seg").write_bytes(header.encode() + encode_frames([record, record], 0))
    [example] = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[0].startswith("1 decisions, Counter({'TREATMENT': 1})")
    assert "chosen with probability 0.250" in done.stdout


def test_the_sizes_in_the_docs_are_the_sizes_in_the_code() -> None:
    """The tables of bytes add up to the header and the frame that the code writes."""
    header, frame = DOCS.read_text().split("| header, 64 bytes |")[1].split("| frame |")
    sizes = [
        sum(int(size) for size in re.findall(r"^\| [a-z ]+ \| (\d+) \|", part, re.MULTILINE)) for part in (header, frame.split("### ")[0])
    ]
    assert sizes == [HEADER_SIZE, FRAME_OVERHEAD]
