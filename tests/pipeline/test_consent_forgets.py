"""What events say of a person goes when the use of the profile ends, or begins anew."""

from __future__ import annotations

import pytest

from liftgate.domain.consent_record import ConsentRecord
from liftgate.pipeline.consent_store import Author, set_consent
from tests.fakes.audit import FakeAudit
from tests.fakes.consent import FakeConsentStore

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000


async def set_one(store: FakeConsentStore, status: str, purpose: str = "profile", **times: int) -> bool:
    """Set one purpose's record, and say whether the person's feature state went with it."""
    before = len(store.forgotten)
    record = ConsentRecord(purpose=purpose, status=status, **times)  # type: ignore[arg-type]
    await set_consent(store, FakeAudit(), b"p" * 16, Author("x"), "ada", record, NOW_MS, profile_purpose="profile", left_s=lambda: 5.0)
    return len(store.forgotten) > before


@pytest.mark.parametrize("status", ["withdrawn", "denied", "objected", "expired", "pending"])
async def test_what_ends_the_use_of_the_profile_takes_it_away(status: str) -> None:
    """Whatever says no to the profile's purpose removes the state, and so does the yes after it: nothing from between may count."""
    store = FakeConsentStore()
    assert not await set_one(store, "granted", given_at_ms=NOW_MS - 2 * DAY_MS)
    assert await set_one(store, status)
    assert await set_one(store, "granted", given_at_ms=NOW_MS)
    assert not await set_one(store, "granted", given_at_ms=NOW_MS + 1), "a yes that renews a yes takes nothing away"


async def test_other_purposes_and_first_yeses_take_nothing() -> None:
    """Another purpose's no leaves it; so does a first yes, for a default may have let it be kept; an expired yes is a no."""
    store = FakeConsentStore()
    assert not await set_one(store, "denied", purpose="marketing")
    assert not await set_one(store, "granted", given_at_ms=NOW_MS - 2 * DAY_MS, expires_at_ms=NOW_MS - DAY_MS)
    assert await set_one(store, "granted", given_at_ms=NOW_MS)
