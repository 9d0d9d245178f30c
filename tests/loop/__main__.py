"""Run every loop with 500 runs, say how far it is, and print what was found: `make loops`.

    python -m tests.loop [--runs N] [--processes N] [test file ...]

Exit code: pytest's; 0 where every interval holds what it promises, every control misses it, and every refusal is one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> int:
    """Run pytest over this folder, its processes sharing the worlds."""
    parser = argparse.ArgumentParser(prog="python -m tests.loop", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=500, help="of every loop (default 500; 24 to 1,000)")
    parser.add_argument(
        "--processes", type=int, default=min(os.cpu_count() or 1, 4), help="that share the work (default: the cores, at most 4)"
    )
    parser.add_argument("files", nargs="*", help="test files (default: all)")
    given = parser.parse_args()
    if not 24 <= given.runs <= 1000 or given.processes < 1:
        parser.error("--runs is 24 to 1000, --processes at least 1")
    with tempfile.TemporaryDirectory(prefix="liftgate-loops-") as folder:
        return _run(given.runs, given.processes, given.files or [str(HERE)], Path(folder))


def _run(runs: int, processes: int, files: list[str], folder: Path) -> int:
    sheet, said = folder / "sheet.jsonl", folder / "pytest.txt"
    sheet.touch()
    surroundings = os.environ | {"LIFTGATE_TEST_LOOPS": str(runs), "LIFTGATE_LOOPS_SHEET": str(sheet)}
    asked = ["-p", "no:cacheprovider", f"--basetemp={folder / 'work'}", "-n", str(processes), "--dist", "loadfile", *files]
    started = time.time()
    with said.open("w") as out, sheet.open() as lines:
        ran = subprocess.Popen([sys.executable, "-m", "pytest", *asked], env=surroundings, stdout=out, stderr=subprocess.STDOUT)
        try:
            while ran.poll() is None:
                time.sleep(0.5)
                _progress(lines.readlines(), started)
        finally:
            if ran.poll() is None:
                ran.terminate()
                ran.wait()
        _progress(lines.readlines(), started)
    # What pytest says from its first failure or from the table on; its dots are nothing to read.
    text = said.read_text()
    starts = [at for name in ("= ERRORS =", "= FAILURES =", "= loops, ") if (at := text.find(name)) >= 0]
    print()
    print(text[text.rfind("\n", 0, min(starts)) + 1 :] if starts else text, end="")
    print(f"{time.time() - started:.0f} s with {processes} processes")
    return ran.returncode


def _progress(lines: list[str], started: float) -> None:
    for line in lines:
        one: dict[str, Any] = json.loads(line)
        minutes, seconds = divmod(int(one["at"] - started), 60)
        print(f"[{minutes:2}:{seconds:02}] {one.get('progress') or _words(one['row'])}", flush=True)


def _words(row: dict[str, Any]) -> str:
    held = "" if row["held"] is None else f": {row['held']} of {row['runs']} hold it"
    refused = f": {row['refused']} of {row['runs']} refused" if row["refused"] else ""
    return f"{row['loop']}, {row['reading']}{held}{refused}"


if __name__ == "__main__":
    sys.exit(main())
