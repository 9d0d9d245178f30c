"""What the docs say holds: generated pages are current, links lead somewhere, commands exist, Python examples run."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")})
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
GENERATED = {
    "docs/configuration.md": [sys.executable, "-m", "liftgate.app.configuration"],
    "docs/bundle-schema.json": [sys.executable, "-m", "liftgate.app.cli.main", "bundle", "schema"],
    "docs/bundle-tests-schema.json": [sys.executable, "-m", "liftgate.app.cli.main", "bundle", "schema", "--tests"],
}


def stale() -> Iterator[str]:
    """Yield generated pages that are not what their source gives."""
    for name, command in GENERATED.items():
        wanted = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        if (ROOT / name).read_text(encoding="utf-8").strip() != wanted.strip():
            yield f"{name}: not current; run `make docs` and commit the result"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the usual hosts make them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+\s+(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> Iterator[str]:
    """Yield relative links that lead nowhere."""
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            yield f"{page.relative_to(ROOT)}: the link {target} leads nowhere"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield f"{page.relative_to(ROOT)}: {target} has no such heading"


def wrong_commands(page: Path) -> Iterator[str]:
    """Yield shell examples that name a make target, a subcommand or a flag that does not exist."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for language, _, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if language not in {"console", "sh", "bash", "shell"}:
            continue
        for line in body.replace("\\\n", " ").splitlines():
            words = line.strip().removeprefix("$ ").split("#")[0].split()
            if words[:1] == ["make"]:
                named = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
                yield from (f"{page.relative_to(ROOT)}: `make {word}` is no target" for word in named[:1] if word not in targets)
            elif words[:1] == ["liftgate"]:
                yield from (f"{page.relative_to(ROOT)}: {mistake}" for mistake in wrong_flags(words))


def wrong_flags(words: list[str]) -> Iterator[str]:
    """Yield what is wrong with one `liftgate` command line, by its own help."""
    names = [word for word in words[1:3] if re.fullmatch(r"[a-z][a-z-]*", word)]
    while names:
        shown = subprocess.run(
            [sys.executable, "-m", "liftgate.app.cli.main", *names, "--help"], capture_output=True, text=True, check=False
        )
        if shown.returncode == 0:
            break
        names.pop()
    else:
        yield f"`{' '.join(words[:3])}`: no such command"
        return
    flags = set(re.findall(r"--[a-z-]+", shown.stdout))
    yield from (
        f"`liftgate {' '.join(names)}` has no {word}" for word in words if word.startswith("--") and word.split("=")[0] not in flags
    )


def failing_examples(page: Path) -> Iterator[str]:
    """Yield Python examples that do not run in an empty folder. One marked `python no-run`, or that wants arguments, is compiled only."""
    for language, marks, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if language != "python":
            continue
        try:
            compile(body, f"{page.relative_to(ROOT)}", "exec")
        except SyntaxError as err:
            yield f"{page.relative_to(ROOT)}: a Python example does not compile: {err}"
            continue
        if "no-run" not in marks and "sys.argv" not in body:
            with tempfile.TemporaryDirectory() as elsewhere:
                # Where nothing listens: whatever serves on this machine is not to be asked, nor told.
                away = body.replace("127.0.0.1:7420", "127.0.0.1:1")
                run = subprocess.run([sys.executable, "-c", away], capture_output=True, text=True, check=False, cwd=elsewhere, timeout=120)
            if run.returncode:
                yield f"{page.relative_to(ROOT)}: a Python example fails: {run.stderr.strip().splitlines()[-1]}"


def main() -> int:
    """Print every mistake; return 1 when there is one."""
    mistakes = [*stale()]
    for page in PAGES:
        mistakes += [*dead_links(page), *wrong_commands(page), *failing_examples(page)]
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    print(f"docs: {len(PAGES)} pages, {len(mistakes)} mistakes")
    return int(bool(mistakes))


if __name__ == "__main__":
    sys.exit(main())
