"""What is said of people whose server did not answer, while that of others did: nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import nan
from typing import TypeVar

from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.profile import ProfileState
from liftgate.pipeline.ports import Fetched

V = TypeVar("V")


def mark_away(fetched: Fetched, away: Collection[int]) -> Fetched:
    """Say that the servers of the people at `away` did not answer, and nothing else of them. Raises StoreUnavailable: it is everybody."""
    if not away:
        return fetched
    if len(away) == len(fetched.consent):
        raise StoreUnavailable("no server of these people answered")
    profiles, rows = fetched.profiles, list(away)
    # Copies: columns may be views of what cannot be written to.
    profiles.state, profiles.value, profiles.at_s = profiles.state.copy(), profiles.value.copy(), profiles.at_s.copy()
    profiles.state[rows] = ProfileState.UNAVAILABLE
    profiles.value[rows] = profiles.at_s[rows] = nan
    fetched.away = away
    fetched.consent, fetched.history = _without(fetched.consent, away), _without(fetched.history, away)
    fetched.keys = _without(fetched.keys, away)
    fetched.real_history, fetched.lists = _but(fetched.real_history, away), _but(fetched.lists, away)
    fetched.account_history, fetched.real_account_history = _but(fetched.account_history, away), _but(fetched.real_account_history, away)
    fetched.verdicts, fetched.features, fetched.told = _but(fetched.verdicts, away), _but(fetched.features, away), _but(fetched.told, away)
    return fetched


def _without(values: Sequence[bytes | None], away: Collection[int]) -> list[bytes | None]:
    return [None if row in away else value for row, value in enumerate(values)]


def _but(values: Mapping[int, V], away: Collection[int]) -> dict[int, V]:
    return {row: value for row, value in values.items() if row not in away}
