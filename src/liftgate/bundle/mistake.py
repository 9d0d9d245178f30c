"""What is wrong with a bundle: every mistake with its place and its mend, and cautions that refuse nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from liftgate.domain.errors import BadInput

LONGEST = 1_000
"""Characters of one part of a mistake, about."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that keeps a bundle from being used. Ordered by file, line and field."""

    file: str
    """Relative to the bundle's folder, or `models/<name>/<version>/model.yaml`."""
    line: int
    """1 and up; 0: the file or folder as a whole."""
    field: str
    """Path such as `offers.free-shipping.value`; empty: the file as a whole."""
    problem: str
    mend: str
    """What to write instead."""

    def __post_init__(self) -> None:
        # Names and values come from files: what a terminal would obey, or not show, is written out.
        for name in ("file", "field", "problem", "mend"):
            text = getattr(self, name)
            if len(text) > LONGEST or not text.isprintable():
                object.__setattr__(self, name, _written_out(text))

    @property
    def place(self) -> str:
        """`file:line`, or the file alone."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.place}: {field}{self.problem}; {self.mend}"


def _written_out(text: str) -> str:
    """Return printable characters alone, a line break as `\\n`, a lone surrogate as `\\ud800`; a long one is cut in its middle."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}...{text[-LONGEST // 4 :]}"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


@dataclass(frozen=True, slots=True, order=True)
class Caution:
    """Something that works and is probably not meant. Refuses nothing."""

    file: str
    line: int
    field: str
    text: str

    @property
    def place(self) -> str:
        """`file:line`, or the file alone."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.place}: {self.field}: {self.text}"


class BundleError(BadInput):
    """A bundle with at least one mistake. Carries every mistake found, sorted by file and line."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(map(str, self.mistakes)))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like a name, None if none does."""
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return `did you mean X?` for the nearest known name, else `otherwise`."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near else otherwise


def one_of(known: Iterable[str], limit: int = 8) -> str:
    """Return the known names in words, shortened to `limit`."""
    names = sorted(known)
    if not names:
        return "none is defined"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return "known: " + ", ".join(f"`{name}`" for name in names[:limit]) + more
