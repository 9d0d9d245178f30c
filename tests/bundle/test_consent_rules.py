"""What a bundle says about consent: as columns, in its digest, and in what a reviewer approves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.domain.reason import Reason

TEXT = """
bundle: consents
currency: EUR
time_zone: UTC
profile_purpose: personalization
experiment_purpose: experiments
purposes:
  personalization: {default: {EU: deny}}
  marketing_email: {default: {EU: deny, US: allow}}
  marketing_sms: {}
  experiments: {}
channel_permissions: {email: marketing_email, sms: marketing_sms}
offers:
  plain: {value: 1.0}
  loan: {value: 9.0, sensitive: [credit]}
placements:
  home: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.1}}
"""
Load = Callable[[str], Bundle]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return what compiles a bundle's text."""

    def compiled(text: str) -> Bundle:
        (tmp_path / "bundle.yaml").write_text(text)
        return load_bundle(tmp_path)

    return compiled


def test_columns(load: Load) -> None:
    """Defaults stand by jurisdiction, permissions by channel; what is not declared is a missing record, and no channel needs them all."""
    bundle = load(TEXT)
    rules, place = bundle.consent, {name: p for p, name in enumerate(bundle.purposes)}
    assert place[bundle.purposes[rules.experiment_purpose]] == place["experiments"]
    assert dict(rules.jurisdictions) == {"EU": 0, "US": 1}
    deny, allow, none = int(Reason.CONSENT_DENIED_BY_DEFAULT), int(Reason.ALLOWED), int(Reason.CONSENT_MISSING)
    assert rules.defaults[:, place["personalization"]].tolist() == [deny, none, none]
    assert rules.defaults[:, place["marketing_email"]].tolist() == [deny, allow, none]
    assert rules.defaults[:, place["marketing_sms"]].tolist() == [none, none, none]
    needs = {
        channel: {name for name, p in place.items() if rules.channel_needs[rules.needs_of(channel), p]}
        for channel in ("email", "sms", "web", "")
    }
    assert needs == {"email": {"marketing_email"}, "sms": {"marketing_sms"}, "web": set(), "": {"marketing_email", "marketing_sms"}}


def test_a_bundle_that_says_nothing_of_it(load: Load) -> None:
    """Without these keys nobody needs consent to experiments, no jurisdiction has a default and no channel a permission."""
    text = TEXT.replace("experiment_purpose: experiments\n", "").replace(
        "channel_permissions: {email: marketing_email, sms: marketing_sms}\n", ""
    )
    for default in ("{default: {EU: deny}}", "{default: {EU: deny, US: allow}}"):
        text = text.replace(default, "{}")
    bundle = load(text)
    assert (bundle.consent.experiment_purpose, dict(bundle.consent.jurisdictions), dict(bundle.consent.channels)) == (-1, {}, {})
    assert load(text.replace("bundle: consents", "bundle: consents\nexperiment_purpose: none")).digest == bundle.digest


CHANGES = [
    ("personalization: {default: {EU: deny}}", "personalization: {default: {EU: allow}}"),
    ("marketing_email: {default: {EU: deny, US: allow}}", "marketing_email: {default: {EU: deny}}"),
    ("marketing_sms: {}", "marketing_sms: {default: {US: allow}}"),
    ("email: marketing_email,", "email: marketing_sms,"),
    ("sms: marketing_sms}", "}"),
]


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=[after for _, after in CHANGES])
def test_every_change_is_a_change_of_what_was_reviewed(load: Load, before: str, after: str) -> None:
    """A default or a permission that is edited gives the bundle another digest, and a sensitive offer another text to approve."""
    assert TEXT.count(before) == 1
    (old,), (new,) = load(TEXT).reviews.values(), load(TEXT.replace(before, after)).reviews.values()
    assert old.digest != new.digest
    digests = {load(TEXT).digest, load(TEXT.replace(before, after)).digest}
    assert len(digests) == 2
