"""What the record says about people, as another bundle would have seen it: values, and where it says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Bools, Codes
from liftgate.domain.input import Floats, Input, InputType
from liftgate.domain.profile import ProfileState
from liftgate.domain.reason import InputState, Reason
from liftgate.replay.logged import Logged, LoggedInput

_STORED, _STALE, _MASKED = int(InputState.STORED), int(InputState.DEFAULT_STALE), int(InputState.MASKED)
_MISSING = int(InputState.DEFAULT_MISSING)


@dataclass(slots=True)
class Known:
    """Columns for one bundle: N people, I inputs, P purposes of that bundle."""

    inputs: Floats
    """[N, I]"""
    input_unknown: Bools
    """[N, I] the record does not say what this bundle would have read."""
    consent: Codes
    """[N, P]"""
    consent_unknown: Bools
    """[N, P]"""
    found: Bools
    """[N] a profile was found."""
    masked: Bools
    """[N] the profile is withheld."""
    input_state: Codes
    """[N, I] InputState."""
    channel: list[str | None]
    """[N] name, empty: none was sent; None: one whose name the record does not hold."""
    channel_not: frozenset[str]
    """Names that an unnamed channel is not."""


def known(logged: Logged, own: Bundle, bundle: Bundle) -> Known:
    """Return what `bundle` would have seen of decisions that were made under `own`."""
    consent, consent_unknown = (
        _consent(logged, own, bundle) if bundle is not own else (logged.consent, np.zeros(logged.consent.shape, np.bool_))
    )
    personal = np.array([one.name.startswith("profile.") for one in logged.inputs], dtype=np.bool_)
    found = np.isin(logged.state[:, personal], (_STORED, _STALE)).any(axis=1) | logged.masked
    said = logged.profile_state > 0
    found = np.where(said, logged.profile_state == 1 + ProfileState.FOUND, found)
    if bundle is own and [one.name for one in logged.inputs] == [one.name for one in bundle.schema.inputs]:
        # As it was used, whatever it would be today.
        none = np.zeros(logged.value.shape, dtype=np.bool_)
        names, others = _channel(logged, {one.name: i for i, one in enumerate(logged.inputs)})
        return Known(logged.value, none, consent, np.zeros_like(consent_unknown), found, found & logged.masked, logged.state, names, others)
    if bundle.profile_purpose < 0:
        masked, mask_unknown = np.zeros(logged.n, dtype=np.bool_), np.zeros(logged.n, dtype=np.bool_)
    else:
        masked = found & (consent[:, bundle.profile_purpose] != Reason.ALLOWED)
        mask_unknown = found & consent_unknown[:, bundle.profile_purpose]
    inputs = np.full((logged.n, len(bundle.schema.inputs)), np.nan)
    state = np.full(inputs.shape, _MISSING, dtype=np.uint8)
    unknown = np.ones(inputs.shape, dtype=np.bool_)
    at = {one.name: i for i, one in enumerate(logged.inputs)}
    for i, column in enumerate(bundle.schema.inputs):
        if column.name in at:
            inputs[:, i], unknown[:, i] = _input(logged, at[column.name], logged.inputs[at[column.name]], column)
            state[:, i] = logged.state[:, at[column.name]]
            if column.name.startswith("profile."):
                aged = (state[:, i] == _STORED) & ~(np.isinf(column.max_age_s) | (logged.age_s[:, at[column.name]] <= column.max_age_s))
                state[aged, i] = _STALE
    of_profile = np.arange(inputs.shape[1]) < bundle.schema.profile_count
    withheld = masked[:, None] & of_profile
    inputs = np.where(withheld, bundle.schema.defaults, inputs)
    unknown = (unknown & ~withheld) | (mask_unknown[:, None] & of_profile)
    channel, channel_not = _channel(logged, at)
    state[withheld] = _MASKED
    return Known(inputs, unknown, consent, consent_unknown, found, masked, state, channel, channel_not)


def _input(logged: Logged, i: int, was: LoggedInput, column: Input) -> tuple[Floats, Bools]:
    """Return ([N] what the bundle would have used, [N] not known) for one input that the record has."""
    value, state, age = logged.value[:, i].copy(), logged.state[:, i], logged.age_s[:, i]
    if was.type != column.type.value:
        return value, np.ones(logged.n, dtype=np.bool_)
    unknown = np.zeros(logged.n, dtype=np.bool_)
    if column.type is InputType.STRING and was.values != column.values:
        texts = {text: float(k) for k, text in enumerate(column.values)}
        other = value == -1
        moved = np.array([*(texts.get(text, -1.0) for text in was.values), -1.0])
        some = ~np.isnan(value)
        value[some] = moved[value[some].astype(np.intp)]
        # What was another text may be one that this bundle knows by name.
        unknown |= other & bool(set(column.values) - set(was.values))
    if column.name.startswith("profile."):
        fresh = np.isinf(column.max_age_s) | (age <= column.max_age_s)
        # The record keeps the default that was used, not the stale value itself.
        unknown |= (state == _STALE) & fresh
        unknown |= state == _MASKED
        default = (state != _STORED) | ~fresh
        unknown &= ~((state == _STORED) & ~fresh)
        value = np.where(default, column.default, value)
    return value, unknown


def _consent(logged: Logged, own: Bundle, bundle: Bundle) -> tuple[Codes, Bools]:
    n, names = logged.n, bundle.purposes
    consent = np.zeros((n, len(names)), dtype=np.uint8)
    unknown = np.ones(consent.shape, dtype=np.bool_)
    signal = (logged.consent == Reason.CONSENT_GPC).any(axis=1)
    signal_known = signal | bool(own.gpc_denies.any())
    before, after = _purposes(own), _purposes(bundle)
    for p, name in enumerate(names):
        if name not in logged.purposes or before.get(name) != after.get(name):
            continue
        code = logged.consent[:, logged.purposes.index(name)]
        was_signalled = code == Reason.CONSENT_GPC
        if bundle.gpc_denies[p]:
            consent[:, p] = np.where(signal, np.uint8(Reason.CONSENT_GPC), code)
            unknown[:, p] = ~signal_known
        else:
            consent[:, p] = code
            # The signal stood before what is stored: that is not in the record.
            unknown[:, p] = was_signalled
    return consent, unknown


def _purposes(bundle: Bundle) -> dict[str, Any]:
    """Return the purposes as written but for their signals, which are judged by themselves."""
    purposes = orjson.loads(bundle.canonical_form)["purposes"]
    return {name: {key: value for key, value in purpose.items() if key != "denied_by"} for name, purpose in purposes.items()}


def _channel(logged: Logged, at: dict[str, int]) -> tuple[list[str | None], frozenset[str]]:
    i = at.get("context.channel")
    if i is None:
        return [None] * logged.n, frozenset()
    values = logged.inputs[i].values
    names: list[str | None] = [*values, None, ""]
    codes = np.nan_to_num(logged.value[:, i], nan=len(values) + 1.0)
    codes[codes == -1] = len(values)
    return [names[code] for code in codes.astype(np.intp).tolist()], frozenset(values)
