"""The programme's three files: its offers, its members and their log, read in place and counted by plain Python."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RECEIVED, VIEWED, COMPLETED, PAID = "offer received", "offer viewed", "offer completed", "transaction"
STEPS = (RECEIVED, VIEWED, COMPLETED)
NOBODY = 118
"""The age of a member who filled in nothing."""
FILES = ("portfolio.json.gz", "profile.json.gz", "transcript_partial.json.gz")


class Unexpected(ValueError):
    """A file is not the programme's; the message names the file, the line and what was wanted."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer of the portfolio."""

    name: str
    """Ours: kind, reward, difficulty and days, as in `discount-5-20-10d`."""
    key: str
    """The portfolio's."""
    kind: str
    reward: int
    """US dollars."""
    difficulty: int
    """US dollars to be spent for it."""
    days: int
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the log."""

    line: int
    person: str
    what: str
    hour: int
    offer: str
    """Our name of it; empty for a transaction."""
    amount: float
    """US dollars: of a transaction what was paid, of a completion the reward."""


@dataclass(frozen=True, slots=True)
class Member:
    """One customer; None: not said."""

    person: str
    since: int
    """Milliseconds since the Unix epoch."""
    age: int | None
    gender: str | None
    income: int | None

    @property
    def told(self) -> bool:
        """The member has said who they are."""
        return self.age is not None


@dataclass(frozen=True, slots=True)
class Programme:
    """All of it."""

    offers: tuple[Offer, ...]
    members: tuple[Member, ...]
    log: tuple[Happened, ...]

    def counts(self, what: str) -> Counter[str]:
        """Return how often something happened, by offer."""
        return Counter(each.offer for each in self.log if each.what == what)


def read(folder: Path) -> Programme:
    """Read the three files. Raises Unexpected, OSError."""
    offers = tuple(_offer(each) for each in _lines(folder / FILES[0]))
    name = {offer.key: offer.name for offer in offers}
    if len(set(name.values())) != len(offers):
        raise Unexpected(f"{folder / FILES[0]}: two offers are alike in kind, reward, difficulty and duration")
    members = tuple(_member(each) for each in _lines(folder / FILES[1]))
    path, known = folder / FILES[2], {member.person for member in members}
    log = []
    for number, each in enumerate(_lines(path), 1):
        happened = _happened(path, number, each, name)
        if happened.person not in known:
            raise Unexpected(f"{path}:{number}: names a person who is no member")
        log.append(happened)
    return Programme(offers, members, tuple(log))


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        found = []
        for number, line in enumerate(file, 1):
            try:
                found.append(json.loads(line))
            except ValueError:
                raise Unexpected(f"{path}:{number}: wants one JSON object a line") from None
    return found


def _offer(each: dict[str, Any]) -> Offer:
    try:
        reward, difficulty, days = int(each["reward"]), int(each["difficulty"]), int(each["duration"])
        kind = each["offer_type"]
        name = f"{kind}-{days}d" if kind == "informational" else f"{kind}-{reward}-{difficulty}-{days}d"
        return Offer(name, each["id"], kind, reward, difficulty, days, tuple(each["channels"]))
    except (KeyError, TypeError, ValueError):
        raise Unexpected(f"{FILES[0]}: wants reward, difficulty, duration, channels, offer_type and id in every line") from None


def _member(each: dict[str, Any]) -> Member:
    try:
        since = datetime.strptime(each["became_member_on"], "%Y%m%d").replace(tzinfo=UTC)
        age = None if each["age"] == NOBODY else int(each["age"])
        income = None if each["income"] is None else int(each["income"])
        return Member(each["id"], int(since.timestamp() * 1000), age, each["gender"], income)
    except (KeyError, TypeError, ValueError):
        raise Unexpected(f"{FILES[1]}: wants id, age, gender, income and became_member_on (YYYYMMDD) in every line") from None


def _happened(path: Path, number: int, each: dict[str, Any], name: dict[str, str]) -> Happened:
    try:
        what, value = each["event"], each["value"]
        # The file spells it both ways.
        offer = "" if what == PAID else name[value["offer id" if "offer id" in value else "offer_id"]]
        amount = float(value["amount"] if what == PAID else value["reward"] if what == COMPLETED else 0.0)
        if what not in (*STEPS, PAID):
            raise KeyError(what)
        return Happened(number, each["person"], what, int(each["time"]), offer, amount)
    except (KeyError, TypeError, ValueError):
        raise Unexpected(f"{path}:{number}: wants person, event, value and time of an event that the programme knows") from None
