"""Parquet beside the segments of a log, as `liftgate log seal` makes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIFTGATE = (sys.executable, "-m", "liftgate.app.cli.main")


def seal(log: Path) -> None:
    """Make it."""
    subprocess.run([*LIFTGATE, "log", "seal", str(log)], check=True, capture_output=True)
