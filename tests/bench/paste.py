"""Put the newest results into docs/performance.md, between their marks: `python -m tests.bench.paste`

`make bench`, `make soak` and `make profile` leave their tables in bench/results; what is not there stays as it is on the page. A run of
some parts (`--only`) is no bench: its table would take every other goal off the page.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from .processes import ROOT
from .results import FOLDER

PAGE = ROOT / "docs" / "performance.md"
_MARKED = "<!-- {name}: pasted by `python -m tests.bench.paste`, not written by hand -->\n{text}<!-- end of {name} -->"


def whole(bench: Path) -> bool:
    """Whether a run measured all parts: its first line begins with the command."""
    command = bench.read_text(encoding="utf-8").split(",", 1)[0]
    return command.startswith("`python -m tests.bench") and "--only" not in command


def newest(folder: Path = FOLDER) -> dict[str, Path]:
    """Return the newest file for each mark, as far as there is one."""
    soaks, benches = sorted(folder.glob("soak-*.md")), [path for path in sorted(folder.glob("2*.md")) if whole(path)]
    wanted = {
        "bench": benches[-1] if benches else None,
        "soak": soaks[-1] if soaks else None,
        "stages": folder / "profile" / "stages.md",
    }
    return {name: path for name, path in wanted.items() if path is not None and path.exists()}


def put(page: str, name: str, text: str) -> str:
    """Return the page with another text between the marks of that name. Raises ValueError where there are none."""
    mark = re.compile(rf"<!-- {name}: .*?-->\n.*?<!-- end of {name} -->", re.DOTALL)
    if len(mark.findall(page)) != 1:
        raise ValueError(f"{PAGE.name} has no place, or several, for {name}")
    return mark.sub(lambda _: _MARKED.format(name=name, text=f"\n{text.strip()}\n\n"), page)


def main() -> int:
    """Paste everything that is there, or what is named. Returns 1 when there is nothing."""
    found = {name: path for name, path in newest().items() if not sys.argv[1:] or name in sys.argv[1:]}
    page = PAGE.read_text(encoding="utf-8")
    for name, path in found.items():
        page = put(page, name, path.read_text(encoding="utf-8"))
        print(f"{name}: {path.relative_to(ROOT)}")
    PAGE.write_text(page, encoding="utf-8")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
