"""Charges that only say that something happened: never refused, and never more than two of a kind in a history."""

from __future__ import annotations

from liftgate.domain.contact_history import ENTRY
from liftgate.pipeline.ports import MARKER, Amendment, Charge, Claim, ClaimStatus
from tests.contract.conftest import Backend

NOW = 1_781_524_800_000
DAY = 86_400_000.0


def claim(number: int, *charges: Charge) -> Claim:
    """Return a claim of the same person, a millisecond after the one before."""
    return Claim("ada", False, "", b"finger..", number.to_bytes(8, "big"), charges, NOW + number, b"", b"")


def marker(number: int, cap: bytes = b"marker..") -> Charge:
    """Return a marker that lasts a day from the claim of that number."""
    return Charge(cap, MARKER, NOW + number + DAY, NOW + number + DAY)


async def entries(backend: Backend) -> list[tuple[bytes, int]]:
    """Return (cap, number of the reservation) of the stored history."""
    raw = await backend.history("ada") or b""
    return [(cap, int.from_bytes(reservation, "big")) for cap, reservation, _, _ in ENTRY.iter_unpack(raw)]


async def test_the_newest_two_are_kept(backend: Backend) -> None:
    """A thousand markers are all made and leave two entries, the newest; other caps' entries stay as they are."""
    reservations = backend.reservations()
    plain = Charge(b"counted.", 5, NOW + DAY, NOW + DAY)
    assert (await reservations.reserve([claim(0, plain, marker(0))]))[0].status is ClaimStatus.MADE
    outcomes = await reservations.reserve([claim(i, marker(i)) for i in range(1, 1_000)])
    assert {outcome.status for outcome in outcomes} == {ClaimStatus.MADE}
    assert sorted(await entries(backend)) == [(b"counted.", 0), (b"marker..", 998), (b"marker..", 999)]


async def test_one_is_left_when_the_other_is_given_back(backend: Backend) -> None:
    """A claim that came to nothing takes its own marker along and leaves the one before."""
    reservations = backend.reservations()
    made = [claim(i, marker(i)) for i in range(5)]
    await reservations.reserve(made)
    await reservations.amend([Amendment(made[4], b"")])
    assert await entries(backend) == [(b"marker..", 3)]


async def test_kinds_do_not_mix(backend: Backend) -> None:
    """Markers of several caps in one claim are kept apart, two of each."""
    reservations = backend.reservations()
    await reservations.reserve([claim(i, marker(i, b"marker.a"), marker(i, b"marker.b")) for i in range(4)])
    assert sorted(await entries(backend)) == [(b"marker.a", 2), (b"marker.a", 3), (b"marker.b", 2), (b"marker.b", 3)]


async def test_counted_charges_are_all_kept(backend: Backend) -> None:
    """The control: a charge that counts leaves an entry each time."""
    reservations = backend.reservations()
    await reservations.reserve([claim(i, Charge(b"counted.", 2**40, NOW + DAY, NOW + DAY)) for i in range(4)])
    assert len(await entries(backend)) == 4
