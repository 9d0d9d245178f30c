"""The bad bundles under tests/cases/bundle_bad and what `liftgate bundle check` says of each.

`python -m tests.bundle.bad_bundles` writes every expected.txt anew; read the difference before you commit it.
"""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from liftgate.app.cli.bundle import app

FOLDER = Path(__file__).parents[1] / "cases" / "bundle_bad"
CASES = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())


def said(name: str) -> tuple[int, str]:
    """Return the exit code and the text of `check` for a case."""
    result = CliRunner().invoke(app, ["check", str(FOLDER / name)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def main() -> None:
    """Write what is said today."""
    for name in CASES:
        (FOLDER / name / "expected.txt").write_text(said(name)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
