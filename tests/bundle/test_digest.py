"""The digest changes with the meaning of a bundle, and with nothing else."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from liftgate.bundle.load import load_bundle

SMALL = Path(__file__).parents[1] / "cases" / "bundles" / "small"
DIGEST = load_bundle(SMALL).digest
MANIFEST = "models/tiny/1/model.yaml"


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the small bundle for the length of a with."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(SMALL, Path(folder) / "bundle"))


def everything() -> dict[str, Any]:
    """Return the small bundle as one document."""
    document: dict[str, Any] = {}
    for path in SMALL.glob("*.yaml"):
        document |= YAML(typ="safe", pure=True).load(path)
    # ISO times are text to us, and to YAML 1.2.
    offer = document["offers"]["winter-sale"]
    offer["from"], offer["until"] = "2025-11-01T00:00:00Z", "2035-03-01T00:00:00Z"
    return document


def test_the_digest_is_frozen() -> None:
    """The small bundle's digest is what it was: a change of the canonical form must raise digest.FORMAT and this number."""
    assert DIGEST == "7175d74eb53df52dbbc7c98f11c957c77c2c04387d50bc0f90eea10bc9cc718f"
    assert re.fullmatch("[0-9a-f]{64}", DIGEST)


def shuffled(value: Any, draw: st.DataObject) -> Any:
    """Return a document with the keys of every mapping in another order."""
    if isinstance(value, dict):
        keys = draw.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_order_of_keys_and_split_into_files_change_nothing(data: st.DataObject) -> None:
    """Any order of keys, any split of names over any files, with comments, gives the same digest."""
    document = shuffled(everything(), data)
    files: list[dict[str, Any]] = [{} for _ in range(3)]
    for section, value in document.items():
        if isinstance(value, dict):
            for name, entry in value.items():
                files[data.draw(st.integers(0, 2))].setdefault(section, {})[name] = entry
        else:
            files[data.draw(st.integers(0, 2))][section] = value
    with copied() as folder:
        for path in folder.glob("*.yaml"):
            path.unlink()
        for i, part in enumerate(files):
            with (folder / f"{data.draw(st.sampled_from('abc'))}{i}.yaml").open("w", encoding="utf-8") as file:
                file.write("# a comment\n")
                if part:
                    YAML(typ="safe", pure=True).dump(part, file)
        assert load_bundle(folder).digest == DIGEST


SAME = [
    ("offers.yaml", "value: 4.00", "value: 4"),
    ("offers.yaml", "per: 7d, counts: decision", "per: 168h"),
    ("offers.yaml", "counts: exposure, lease: 10m", "counts: exposure"),
    ("offers.yaml", "counts: exposure, lease: 10m", "counts: exposure, lease: 600s"),
    ("offers.yaml", "from: 2025-11-01T00:00:00Z", "from: 2025-11-01T02:00:00+02:00"),
    ("offers.yaml", "'profile.age >= 18'", "'profile.age>=18 // of age'"),
    ("offers.yaml", '\'context.country in ["DE", "NL"]\'', "\"context.country in ['DE', 'NL']\""),
    ("offers.yaml", "channels: [web, app]", "channels: [app, web]"),
    ("offers.yaml", "offers: [free-shipping, winter-sale, welcome]", "offers: [welcome, winter-sale, free-shipping]"),
    ("offers.yaml", "propensity: tiny", "propensity: {model: tiny, output: purchase}"),
    ("offers.yaml", "    slots: 2\n    valid_for: 5m", "    slots: 2"),
    ("offers.yaml", "payload: {title: Welcome}", "payload: {'title': \"Welcome\"}"),
    ("bundle.yaml", "age: {type: int, default: null}", "age: {type: int}"),
    ("bundle.yaml", "default: 365.0", "default: 365"),
    ("bundle.yaml", "currency: EUR", "currency: EUR\nguardrails: {suppression: enforce}"),
    (MANIFEST, "missing: 0.0", "missing: 0"),
    (MANIFEST, "# Made by", "# Made with care by"),
]
OTHER = [
    ("bundle.yaml", "bundle: small", "bundle: tall"),
    ("bundle.yaml", "currency: EUR", "currency: USD"),
    ("bundle.yaml", "Europe/Berlin", "Europe/Paris"),
    ("bundle.yaml", "profile_purpose: personalization", "profile_purpose: none"),
    ("bundle.yaml", "default: null", "default: 30"),
    ("bundle.yaml", "default: 365.0", "default: 364.0"),
    ("bundle.yaml", "max_age: 1d", "max_age: 2d"),
    ("bundle.yaml", "is_member: {type: bool}", "is_member: {type: int}"),
    ("bundle.yaml", "country: {type: string, values: [DE, FR]}", "country: {type: string, values: [FR, DE]}"),
    ("bundle.yaml", "country: {type: string, values: [DE, FR, NL]}", "country: {type: string, values: [DE, FR, NL, ES]}"),
    ("bundle.yaml", "denied_by: [gpc]", "denied_by: []"),
    ("bundle.yaml", "analytics: {}", "analyses: {}"),
    ("bundle.yaml", "horizon: 7d", "horizon: 8d"),
    ("bundle.yaml", "outcome: purchase", "outcome: visit"),
    ("bundle.yaml", "salt: universal-2026h2", "salt: universal-2026h1"),
    ("bundle.yaml", "share: 0.05", "share: 0.050001"),
    ("bundle.yaml", "answer: none", "answer: default_offer"),
    ("offers.yaml", "value: 4.00", "value: 4.01"),
    ("offers.yaml", "    group: shipping\n    value: 2.50", "    value: 2.50"),
    ("offers.yaml", "    propensity: tiny\n", ""),
    ("offers.yaml", "max: 3", "max: 4"),
    ("offers.yaml", "counts: decision", "counts: exposure"),
    ("offers.yaml", "lease: 10m", "lease: 11m"),
    ("offers.yaml", "channels: [web, app]", "channels: [web]"),
    ("offers.yaml", "purposes: [marketing_email]", "purposes: []"),
    ("offers.yaml", "until: 2035-03-01", "until: 2035-03-02"),
    ("offers.yaml", "profile.age >= 18", "profile.age > 18"),
    ("offers.yaml", 'duration("72h")', 'duration("71h")'),
    ("offers.yaml", "suppress_if: 'profile", "eligible_if: 'profile"),
    ("offers.yaml", "Winter sale", "Winter Sale"),
    ("offers.yaml", "slots: 2", "slots: 3"),
    ("offers.yaml", "valid_for: 5m", "valid_for: 6m"),
    ("offers.yaml", "default_offer: welcome", "#"),
    ("offers.yaml", "epsilon: 0.10", "epsilon: 0.11"),
    ("offers.yaml", "offers: {groups: [shipping]}", "offers: [free-shipping, express-upgrade]"),
    ("offers.yaml", "suppress_if: 'profile", "suitable_if: 'profile"),
    ("offers.yaml", "suppress_if: 'profile", "shadow: [suppress_if]\n    suppress_if: 'profile"),
    ("bundle.yaml", "currency: EUR", "currency: EUR\nguardrails: {suppression: shadow}"),
    ("bundle.yaml", "currency: EUR", "currency: EUR\nlists: {blocked: {}}"),
    ("bundle.yaml", "currency: EUR", "currency: EUR\nlists: {blocked: {channels: [email]}}"),
    ("bundle.yaml", "currency: EUR", "currency: EUR\nexclusions: {one: {offers: [free-shipping, winter-sale], within: 7d}}"),
    ("bundle.yaml", "currency: EUR", "currency: EUR\nexclusions: {one: {offers: [free-shipping, winter-sale], within: 8d}}"),
    ("bundle.yaml", "currency: EUR", 'currency: EUR\ncontact_policy: {quiet_hours: {from: "21:00", to: "08:00"}}'),
    ("bundle.yaml", "currency: EUR", 'currency: EUR\ncontact_policy: {quiet_hours: {from: "21:00", to: "08:01"}}'),
    (MANIFEST, "missing: 0.0", "missing: 1.0"),
    (MANIFEST, "base_rate: 0.12", "base_rate: 0.13"),
    (MANIFEST, "[40.0, 2.5]", "[41.0, 2.5]"),
    (MANIFEST, "name: purchase", "name: bought"),
]


def digest_with(change: tuple[str, str, str]) -> str:
    """Return the digest after one replacement."""
    name, old, new = change
    with copied() as folder:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        if (name, old) == ("offers.yaml", "suppress_if: 'profile"):
            # The offer's own eligible_if has to make room.
            text = text.replace("    eligible_if: 'profile.age >= 18'\n", "")
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        return load_bundle(folder).digest


@pytest.mark.parametrize("change", SAME, ids=lambda change: f"{change[1]} -> {change[2]}")
def test_another_way_to_say_the_same_changes_nothing(change: tuple[str, str, str]) -> None:
    """Numbers, durations, times, layout and defaults written out are normalised before the digest."""
    assert digest_with(change) == DIGEST


@pytest.mark.parametrize("change", OTHER, ids=lambda change: f"{change[1]} -> {change[2]}")
def test_any_change_of_meaning_changes_the_digest(change: tuple[str, str, str]) -> None:
    """Everything that can make a decision or its record come out differently is part of the digest."""
    assert digest_with(change) != DIGEST


def test_the_changes_all_differ_from_one_another() -> None:
    """No two of the changed bundles share a digest."""
    digests = [digest_with(change) for change in OTHER]
    assert len(set(digests)) == len(OTHER)
