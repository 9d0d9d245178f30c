"""An answer that the data cannot carry: which, why, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no number. Codes are lower_snake_case, listed in docs/measurement.md, and never change their meaning."""

    code: str
    why: str
    """One plain sentence with the figures that led here."""
    what_to_do: str
    """The next step of the person who asked."""

    def as_json(self) -> dict[str, str]:
        """Return the three fields by name."""
        return asdict(self)


def several(count: int, one: str, more: str) -> str:
    """Return a count with the words that go with it: `1 row has`, `2,000 rows have`."""
    return f"{count:,} {one if count == 1 else more}"


class Refused(Exception):
    """The question is fine and the data cannot carry an answer. Commands print `.refusal` and end with 3."""

    def __init__(self, code: str, why: str, what_to_do: str) -> None:
        super().__init__(f"{code}: {why}")
        self.refusal = Refusal(code, why, what_to_do)


class Misused(Exception):
    """The question itself is wrong: no such file or column, an option that makes no sense. Commands print the words and end with 2."""
