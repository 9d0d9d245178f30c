"""What a bundle says about consent, as columns: defaults by jurisdiction, permissions by channel, the purpose of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.schema_consent import ChannelPermission, Purpose
from liftgate.bundle.sections import Draft
from liftgate.domain.reason import Reason

Bools = NDArray[np.bool_]
_NONE = np.zeros((0, 0), dtype=np.bool_)
_CODES = {"allow": Reason.ALLOWED, "deny": Reason.CONSENT_DENIED_BY_DEFAULT}


@dataclass(frozen=True, slots=True)
class ConsentRules:
    """P purposes, J jurisdictions, C channels that need a permission."""

    experiment_purpose: int = -1
    """Index of the purpose without which nobody is enrolled in a layer; -1: none is needed."""
    jurisdictions: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Every jurisdiction that a default names."""
    defaults: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((1, 0), dtype=np.uint8))
    """[J + 1, P] ALLOWED, CONSENT_DENIED_BY_DEFAULT, or CONSENT_MISSING where none is declared; the last row: any other jurisdiction."""
    channels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    channel_needs: Bools = field(default_factory=lambda: _NONE)
    """[C + 2, P] what the channel needs; then that of any other channel: nothing; last that of no channel: everything that any needs."""

    def needs_of(self, channel: str) -> int:
        """Return the row of `channel_needs` for a request's channel. Which permission an unnamed channel needs is unknown: all of them."""
        return self.channels.get(channel, len(self.channels)) if channel else len(self.channels) + 1


def consent_rules(draft: Draft, purposes: Sequence[str]) -> ConsentRules:
    """Return what a draft without mistakes says."""
    index = {name: p for p, name in enumerate(purposes)}
    declared = draft.section("purposes", Purpose)
    names = sorted({jurisdiction for purpose in declared.values() for jurisdiction in purpose.default})
    defaults = np.full((len(names) + 1, len(purposes)), Reason.CONSENT_MISSING, dtype=np.uint8)
    jurisdictions = {name: j for j, name in enumerate(names)}
    for name, purpose in declared.items():
        for jurisdiction, answer in purpose.default.items():
            defaults[jurisdictions[jurisdiction], index[name]] = _CODES[answer]
    permissions = draft.section("channel_permissions", ChannelPermission)
    needs = np.zeros((len(permissions) + 2, len(purposes)), dtype=np.bool_)
    for c, permission in enumerate(permissions.values()):
        needs[[c, -1], index[permission.root]] = True
    for column in (defaults, needs):
        column.setflags(write=False)
    experiment = draft.head.get("experiment_purpose", "none")
    return ConsentRules(
        experiment_purpose=-1 if experiment == "none" else index[experiment],
        jurisdictions=MappingProxyType(jurisdictions),
        defaults=defaults,
        channels=MappingProxyType({name: c for c, name in enumerate(permissions)}),
        channel_needs=needs,
    )
