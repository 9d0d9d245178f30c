"""Fetch: everything known about the batch's people in one round trip, made into input columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import repeat
from operator import attrgetter, not_

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Codes
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.profile import Profiles, ProfileState, unavailable
from liftgate.domain.reason import InputState, Reason
from liftgate.domain.suppression import membership
from liftgate.domain.verdict import parse as parse_verdicts
from liftgate.pipeline.consent import read_consent
from liftgate.pipeline.live import Live
from liftgate.pipeline.ports import Fetched, PersonKey
from liftgate.pipeline.stages import Stage
from liftgate.pipeline.streams import follow
from liftgate.pipeline.targeting import target
from liftgate.pipeline.walk import Walk
from liftgate.pipeline.withheld_claim import partly_held_out

_PERSON_ID, _ACCOUNT_ID, _DRY_RUN = attrgetter("person_id"), attrgetter("account_id"), attrgetter("dry_run")
_NO, _UNNAMED = repeat(False), repeat("")
_UNREAD = repeat(b"")
"""No membership that can be read."""
# Arrays, for numpy takes longer over a number of Python's than over a column.
_STORED, _FOUND, _ALLOWED = (np.array(one, dtype=np.uint8) for one in (InputState.STORED, ProfileState.FOUND, Reason.ALLOWED))
_SECOND, _NO_TIME = np.array(1000.0), np.array(0.0)
_DEFAULT_STALE, _MASKED = np.uint8(InputState.DEFAULT_STALE), np.uint8(InputState.MASKED)


async def fetch(walk: Walk) -> None:
    """Fill in the batch's fetch columns. Of whom the store is away everything personal is missing, and the row falls back."""
    batch, live = walk.batch, walk.live
    bundle, caps = live.bundle, live.caps
    unsure, certain, by_account, verdicts, lists, features = live.reads
    requests, held = batch.requests, batch.held_out.tolist()
    people = list(
        map(
            PersonKey,
            map(_PERSON_ID, requests),
            held,
            held if unsure else _NO,
            repeat(certain),
            map(_ACCOUNT_ID, requests) if by_account else _UNNAMED,
            repeat(verdicts),
            repeat(lists),
            repeat(features),
            map(not_, map(_DRY_RUN, requests)),
        )
    )
    if batch.withheld is not None:
        # Judged by both histories: what was shown, and what would have been.
        for row in np.flatnonzero(np.logical_or.reduce(batch.withheld, axis=1)).tolist():
            people[row].ghost = people[row].both = True
    # Only where the bundle needs them: stores without counters of everybody's are none the wiser.
    totals = (caps.total_ids,) if caps.total_ids else ()
    try:
        fetched = await walk.ports.profiles.fetch(people, bundle.schema, walk.budget_s, *totals)
    except StoreUnavailable as error:
        walk.ports.observer.fell_back(Stage.FETCH, type(error).__name__, batch.requests)
        walk.forced = [Reason.PROFILE_STORE_UNAVAILABLE] * batch.n
        nothing = [None] * batch.n
        fetched = Fetched(unavailable(bundle.schema, batch.n), nothing, nothing)
    if fetched.away:
        _fall_back(walk, fetched.away)
    walk.name(fetched.keys)
    batch.profile_state = fetched.profiles.state
    read_consent(batch, live, fetched.consent)
    if lists:
        _read_lists(batch, bundle, fetched)
    if verdicts:
        batch.verdicts = [parse_verdicts(fetched.verdicts.get(row)) for row in range(batch.n)]
    caps.read(batch, _histories(batch, fetched) if fetched.real_history else fetched.history, fetched)
    if features:
        follow(batch, live, fetched)
    _read_inputs(batch, live, fetched.profiles)
    if bundle.layer_if:
        target(batch, bundle)


def _fall_back(walk: Walk, away: Collection[int]) -> None:
    """Send the rows whose server did not answer to their fallback."""
    for row in away:
        walk.forced[row] = Reason.PROFILE_STORE_UNAVAILABLE
    walk.ports.observer.fell_back(Stage.FETCH, StoreUnavailable.__name__, [walk.batch.requests[row] for row in sorted(away)])


def _read_lists(batch: Batch, bundle: Bundle, fetched: Fetched) -> None:
    """Say who is on which do-not-contact list, and of whom it cannot be told."""
    lists, n = bundle.suppressions.lists, batch.n
    batch.listed, batch.listed_unknown = np.zeros((n, len(lists)), dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    raws = list(map(fetched.lists.get, range(n), _UNREAD))
    if raws.count(None) == n:
        # As mostly: nobody is on any.
        return
    for row, raw in enumerate(raws):
        if raw is not None:
            on = membership(raw)
            batch.listed[row] = [on is not None and each.name in on for each in lists]
            batch.listed_unknown[row] = on is None


def _histories(batch: Batch, fetched: Fetched) -> Sequence[bytes | None]:
    """Return [N] contact histories: of who is partly held out both, real and ghost; of who turned out not to be held out the real one."""
    history, accounts = list(fetched.history), dict(fetched.account_history)
    partly = partly_held_out(batch)
    for row, real in fetched.real_history.items():
        if row in partly:
            history[row] = _together(real or b"", history[row] or b"")
        elif not batch.held_out[row]:
            history[row] = real
            if row in accounts:
                accounts[row] = fetched.real_account_history.get(row)
    fetched.account_history = accounts
    return history


def _together(real: bytes, ghost: bytes) -> bytes:
    """Return both histories as one; damage to either is damage to both."""
    return b"?" if len(real) % ENTRY.size or len(ghost) % ENTRY.size else real + ghost


def _read_inputs(batch: Batch, live: Live, profiles: Profiles) -> None:
    """Make the input columns: what is stored where it may be read and is fresh, the declared default elsewhere."""
    bundle = live.bundle
    schema, f = bundle.schema, bundle.schema.profile_count
    found = batch.profile_state == _FOUND
    if batch.controls.personalization_stopped:
        masked = found
    elif bundle.profile_purpose >= 0:
        # On booleans, greater: the one and not the other.
        masked = found > (batch.consent[:, bundle.profile_purpose] == _ALLOWED)
    else:
        masked = np.zeros(batch.n, dtype=np.bool_)
    inputs = np.concatenate((profiles.value, live.contexts.matrix(batch.requests)), axis=1)
    age = np.empty(inputs.shape)
    age[:, f:] = np.nan
    np.maximum((batch.now_ms / _SECOND)[:, None] - profiles.at_s, _NO_TIME, out=age[:, :f])
    any_masked = True in masked.tobytes()
    if any_masked:
        # From here on nothing stored about a masked person exists.
        inputs[masked, :f] = age[masked, :f] = np.nan
    unusable = np.isnan(inputs)
    state: Codes = unusable + _STORED  # DEFAULT_MISSING is one more
    holes = unusable[:, :f]
    if schema.ages:
        # A feature with a max_age and no known time is stale: unknown is never fresh.
        fresh = age[:, :f] <= schema.max_age_s
        fresh |= schema.ageless
        if False in fresh.tobytes():
            stale = ~(fresh | holes)
            # What is missing is not fresh either.
            if True in stale.tobytes():
                np.copyto(state[:, :f], _DEFAULT_STALE, where=stale)
                holes |= stale
                batch.stale = stale
    if any_masked:
        state[masked, :f] = _MASKED
    if True in holes.tobytes():
        np.copyto(inputs[:, :f], schema.defaults[:f], where=holes)
    batch.masked, batch.inputs, batch.input_state, batch.input_age_s = masked, inputs, state, age
