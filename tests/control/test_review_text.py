"""What an approval is bound to: every change that concerns an offer gives another digest, and no other change does."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from liftgate.adapters.review_words import words
from liftgate.app.cli.review_print import show_item, show_list
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import check_bundle, load_bundle
from liftgate.domain.review import digest_of, needs_of

MODELS = Path(__file__).parents[1] / "cases" / "bundles" / "golden" / "models"
TEXT = """\
bundle: bank
currency: EUR
time_zone: Europe/Berlin
profile_purpose: personalization
features:
  age: {type: int, default: 0}
  spend: {type: float, default: 1.0, max_age: 1d}
  country: {type: string, values: [DE, FR, NL]}
  last_purchase_at: {type: timestamp}
  shoe: {type: int}
context:
  basket: {type: float}
  mood: {type: string, values: [good, bad]}
purposes:
  personalization: {denied_by: [gpc]}
  marketing_email: {}
models:
  likes: {version: 1, outcome: click, horizon: 1d}
review_classes:
  credit: {approvers: 2, role: compliance, valid_for: 90d}
review_policy: {value_above: 500.0}
groups:
  loans:
    sensitive: [credit]
    purposes: [personalization]
    channels: [web, app]
    eligible_if: 'profile.age >= 18'
    caps: [{max: 3, per: 7d}]
offers:
  loan:
    group: loans
    value: 9.0
    propensity: likes
    channels: [web]
    from: 2026-01-01T00:00:00Z
    until: 2027-01-01T00:00:00Z
    applicable_if: 'context.basket > 10.0'
    suitable_if: 'profile.spend < 500.0'
    suppress_if: 'profile.age > 99'
    caps: [{max: 1, per: 1d, counts: exposure, lease: 10m}]
    payload: {title: "Loan at 4.9 %"}
  other: {value: 1.0, eligible_if: 'profile.shoe > 40', payload: {title: Other}}
placements:
  hero: {offers: [loan, other], default_offer: other, select: {policy: epsilon_greedy, epsilon: 0.1}}
  side: {offers: [other], select: {policy: epsilon_greedy, epsilon: 0.1}}
layers:
  universal: {kind: holdout, unit: person, salt: one, share: 0.05, answer: none}
"""
CONCERNS = [
    ("bundle: bank", "bundle: tank"),
    ("currency: EUR", "currency: USD"),
    ("time_zone: Europe/Berlin", "time_zone: Europe/Paris"),
    ("default: 0}", "default: 1}"),
    ("max_age: 1d", "max_age: 2d"),
    ("denied_by: [gpc]", "denied_by: []"),
    ("horizon: 1d", "horizon: 2d"),
    ("approvers: 2", "approvers: 1"),
    ("role: compliance", "role: compliancf"),
    ("valid_for: 90d", "valid_for: 91d"),
    ("sensitive: [credit]", "sensitive: [health]"),
    ("    purposes: [personalization]\n", "    purposes: [marketing_email]\n"),
    ("channels: [web, app]", "channels: [web, apq]"),
    ("age >= 18", "age >= 17"),
    ("age >= 18", "age > 18"),
    ("{max: 3, per: 7d}", "{max: 4, per: 7d}"),
    ("{max: 3, per: 7d}", "{max: 3, per: 8d}"),
    ("value: 9.0", "value: 9.1"),
    ("    propensity: likes\n", ""),
    ("channels: [web]", "channels: [app]"),
    ("from: 2026-01-01", "from: 2026-01-02"),
    ("until: 2027-01-01", "until: 2027-01-02"),
    ("basket > 10.0", "basket > 11.0"),
    ("spend < 500.0", "spend < 501.0"),
    ("age > 99", "age > 98"),
    ("{max: 1, per: 1d", "{max: 2, per: 1d"),
    ("counts: exposure, lease: 10m", "counts: decision"),
    ("lease: 10m", "lease: 11m"),
    ("4.9 %", "4.8 %"),
    ("side: {offers: [other]", "side: {offers: [other, loan]"),
    ("default_offer: other", "default_offer: loan"),
]
ELSEWHERE = [
    ("bundle: bank", "bundle: bank  # a comment"),
    ("value: 9.0", "value: 9.00"),
    ("eligible_if: 'profile.age >= 18'", "eligible_if: 'profile.age>=18'"),
    ("shoe: {type: int}", "shoe: {type: int, default: 42}"),
    ("mood: {type: string, values: [good, bad]}", "mood: {type: string, values: [good]}"),
    ("marketing_email: {}", "marketing_email: {denied_by: [gpc]}"),
    ("other: {value: 1.0", "other: {value: 2.0"),
    ("shoe > 40", "shoe > 41"),
    ("title: Other", "title: Another"),
    ("value_above: 500.0", "value_above: 600.0"),
    ("epsilon: 0.1}}\n  side", "epsilon: 0.2}}\n  side"),
    ("share: 0.05", "share: 0.06"),
    ("channels: [web, app]", "channels: [app, web]"),
]


def bundle_of(text: str, directory: Path) -> Bundle:
    """Return the compiled bundle of a text."""
    (directory / "bundle.yaml").write_text(text)
    return load_bundle(directory, MODELS)


def digest(text: str, directory: Path) -> str:
    """Return the digest under which the loan is reviewed."""
    bundle = bundle_of(text, directory)
    return bundle.reviews[bundle.offer_index["loan"]].digest


def changed(before: str, after: str) -> str:
    """Return the text with one thing changed."""
    assert before in TEXT
    return TEXT.replace(before, after, 1)


@pytest.mark.parametrize(("before", "after"), CONCERNS, ids=[f"{before.strip()} -> {after.strip()}" for before, after in CONCERNS])
def test_a_change_that_concerns_the_offer_voids_its_approval(before: str, after: str, tmp_path: Path) -> None:
    """Who gets it, when, where, how often, what they get, for what worth, and who must approve it: each change is another digest."""
    text = changed(before, after)
    if "default_offer: loan" in text:
        # A default offer may have no caps; the digests to compare are those without them.
        bare = [
            part.replace("    caps: [{max: 3, per: 7d}]\n", "").replace("    caps: [{max: 1, per: 1d, counts: exposure, lease: 10m}]\n", "")
            for part in (TEXT, text)
        ]
        assert digest(bare[0], tmp_path) != digest(bare[1], tmp_path)
        return
    assert digest(text, tmp_path) != digest(TEXT, tmp_path)


@pytest.mark.parametrize(("before", "after"), ELSEWHERE, ids=[f"{before} -> {after}" for before, after in ELSEWHERE])
def test_a_change_elsewhere_keeps_the_approval(before: str, after: str, tmp_path: Path) -> None:
    """Comments, spaces, order, other offers, inputs that it does not read, holdouts: the digest stays."""
    assert digest(changed(before, after), tmp_path) == digest(TEXT, tmp_path)


def test_another_model_file_voids_the_approval(tmp_path: Path) -> None:
    """The model's SHA-256 is in the text: other weights under the same version are another offer."""
    models = tmp_path / "models"
    shutil.copytree(MODELS, models)
    before = digest(TEXT, tmp_path)
    manifest = models / "likes" / "1" / "model.yaml"
    bundle = load_bundle(tmp_path, models)
    assert bundle.models[0].sha256 in bundle.reviews[bundle.offer_index["loan"]].text.decode()
    manifest.write_text(manifest.read_text().replace("base_rate: 0.25", "base_rate: 0.26"))
    bundle = load_bundle(tmp_path, models)
    assert bundle.reviews[bundle.offer_index["loan"]].digest != before


def test_the_text_says_what_it_needs_and_hashes_to_its_digest(tmp_path: Path) -> None:
    """A text stands for itself: its needs and its digest come from it alone, and it can be put into words."""
    bundle = bundle_of(TEXT, tmp_path)
    (review,) = bundle.reviews.values()
    document = orjson.loads(review.text)
    assert (digest_of(review.text), needs_of(document["needs"])) == (review.digest, review.needs)
    said = "\n".join(words(review.text))
    for part in (
        'What people get: {"title": "Loan at 4.9 %"}',
        "Who may get it: they may have it only if their age is at least 18; where that is not known, no (from group loans)",
        "When it must wait: while their age is more than 99; where that is not known, too",
        "How often: at most 1 time that it is seen in any 1 day, for each person; a decision that is not seen yet holds its place",
        "Where: a candidate at hero",
        "Review: credit: 2 different people with the role compliance must approve",
        "Who may get it: consent to personalization: only an unexpired grant on record is a yes; Global Privacy Control denies it",
        "model likes version 1",
    ):
        assert part in said, part
    assert "{" not in said.replace('{"title": "Loan at 4.9 %"}', ""), "something has no words and is shown as JSON"
    assert words(b"{}") == ["The text cannot be put into words; read it as it is."]


MORE = """\
lists:
  hardship: {groups: [loans]}
exclusions:
  apart: {offers: [loan, other], within: 30d}
contact_policy:
  channels: {email: {max: 2, per: 7d}}
  quiet_hours: {from: "21:00", to: "08:00", channels: [email]}
channel_permissions: {email: marketing_email}
guardrails: {suppression: shadow}
"""
WORDED = [
    ("{groups: [loans]}", "is not shown the offers of group loans"),
    ("within: 30d", "is not offered the others for 30 days"),
    ("per: 7d}}\n  quiet", "on email a person is contacted at most 2 times in any 7 days"),
    ('from: "21:00"', "between 21:00 and 08:00 on the person's own clock nothing is shown on email"),
    ("{email: marketing_email}", "on email nothing is shown without consent to marketing_email"),
    ("{suppression: shadow}", "In shadow: suppression: what it would hold back is noted, and shown all the same"),
    ("pauses:", "after 2 dismissals within 30 days, its whole group waits for 90 days"),
    ("default: 0}", "their age (a whole number); where missing: taken as 0"),
    ("max_age: 1d", "where missing or older than 1 day"),
    ("shadow: [caps]", "in any 7 days, for each person, over all offers of group loans together"),
]


@pytest.mark.parametrize(("written", "said"), WORDED, ids=[said for _, said in WORDED])
def test_every_kind_of_rule_has_the_words_of_bundle_explain(written: str, said: str, tmp_path: Path) -> None:
    """What a reviewer reads has no milliseconds, no JSON but the payload, and no token of its own for each space."""
    more = "    caps: [{max: 3, per: 7d}]\n    pauses: [{of: dismiss, after: 2, within: 30d, for: 90d, scope: group}]\n    shadow: [caps]\n"
    text = changed("    caps: [{max: 3, per: 7d}]\n", more).replace("default_offer: other, ", "") + MORE
    assert written in text
    bundle = bundle_of(text, tmp_path)
    sentences = words(bundle.reviews[bundle.offer_index["loan"]].text)
    assert any(said in sentence for sentence in sentences), sentences
    assert not [one for one in sentences if "{" in one and not one.startswith("What people get")], sentences
    assert not [one for one in sentences if " . " in one], sentences


def test_what_changed_is_said_in_words_and_as_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Between what was approved and what is asked for: the sentences that differ, then the lines of the stored text."""
    old, new = (bundle_of(text, tmp_path).reviews[0] for text in (TEXT, changed("max: 3, per: 7d", "max: 4, per: 7d")))
    item = {
        "state": "PENDING",
        "kind": "offer",
        "review_id": new.digest,
        "subject": "offer/loan",
        "until_ms": 0,
        "source": "",
        "bundle": "bank",
    }
    item |= {"in_force": True, "acts": [], "missing": [], "authors": [], "follow_up_open": False}
    answer = {"item": item, "words": words(new.text), "text": new.text.decode()}
    show_item(answer | {"approved_text": old.text.decode(), "approved_review_id": old.digest})
    lines = capsys.readouterr().out.splitlines()
    after = lines[lines.index(f"What changed since {old.digest[:12]} was approved") :]
    assert [line.strip()[:44] for line in after[1:3]] == [
        "-How often: at most 3 times in any 7 days, f",
        "+How often: at most 4 times in any 7 days, f",
    ]
    assert [line.split()[0] for line in after if '"max"' in line] == ["-", "+"]
    assert lines.count("  Who may get it") == 1


def test_a_broken_glass_that_is_over_is_no_approval_that_ran_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The list says that the glass was broken, that a follow-up is open, and who may not close it."""
    act = {"act": "break_glass", "by": "ben", "roles": ["compliance"], "at_ms": 1, "reason": "x", "until_ms": 2}
    item = {
        "state": "EXPIRED",
        "kind": "offer",
        "review_id": "ab" * 32,
        "subject": "offer/loan",
        "until_ms": 0,
        "source": "",
        "bundle": "bank",
    }
    item |= {"in_force": True, "acts": [act], "missing": ["2 more approvals"], "authors": ["ada", "ben"], "follow_up_open": True}
    show_list([item])
    said = capsys.readouterr().out
    for part in ("break-glass is over, not shown", "FOLLOW-UP", "not by ada, ben, who submitted it or broke the glass"):
        assert part in said, said
    show_list([], "No decision waits for a verdict.")
    assert capsys.readouterr().out == "No decision waits for a verdict.\n"


@pytest.mark.parametrize(("section", "name"), [("offer", "moon_phase"), ("bundle_wide", "moon")])
def test_a_kind_of_rule_without_words_is_said_as_written(section: str, name: str, tmp_path: Path) -> None:
    """A key that this version does not know, of the offer or of the bundle, is in the sentences all the same."""
    (review,) = bundle_of(TEXT, tmp_path).reviews.values()
    document = orjson.loads(review.text)
    document[section][name] = {"full": [1]}
    said = words(orjson.dumps(document))
    assert any("Other rules, as written" in one and name in one and "[1]" in one for one in said), said
    document["offer"]["caps"][0]["weather"] = "rain"
    assert any('weather: "rain"' in one for one in words(orjson.dumps(document)))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("sensitive: [credit]", {("credit", 2, "compliance")}),
        ("sensitive: [credit, health]", {("credit", 2, "compliance"), ("health", 1, "reviewer")}),
        ("sensitive: true", {("sensitive", 1, "reviewer")}),
        ("sensitive: true\n    review: {approvers: 3, role: board}", {("group loans", 3, "board")}),
        ("sensitive: [credit]\n    review: {approvers: 3, role: board}", {("credit", 2, "compliance"), ("group loans", 3, "board")}),
    ],
)
def test_every_rule_that_concerns_an_offer_must_be_met(change: str, wanted: set[tuple[str, int, str]], tmp_path: Path) -> None:
    """Classes' rules, the group's and the offer's own add up; what has none wants one reviewer."""
    bundle = bundle_of(changed("sensitive: [credit]", change), tmp_path)
    (review,) = bundle.reviews.values()
    assert {(need.because, need.approvers, need.role) for need in review.needs} == wanted


@pytest.mark.parametrize(
    ("offer", "classes"),
    [
        ("{value: 500.0}", set()),
        ("{value: 500.01}", {"price"}),
        ("{value: 1.0, caps: [{max: 5, per: 1d, scope: total}]}", set()),
    ],
)
def test_price_makes_sensitive_above_the_limit(offer: str, classes: set[str], tmp_path: Path) -> None:
    """Worth above the limit is sensitive, worth at the limit is not."""
    text = changed("other: {value: 1.0, eligible_if: 'profile.shoe > 40', payload: {title: Other}}", f"other: {offer}")
    bundle = bundle_of(text.replace("default_offer: other, ", ""), tmp_path)
    review = bundle.reviews.get(bundle.offer_index["other"])
    assert {need.because for need in review.needs} == classes if review else not classes


@pytest.mark.parametrize(
    ("caps", "sensitive"),
    [
        ("", True),
        (", caps: [{max: 101, per: day, scope: total}]", True),
        (", caps: [{max: 100, per: day, scope: total}]", False),
        (", caps: [{max: 100, per: day, scope: total}], shadow: [caps]", True),
        (", caps: [{max: 100, per: day, scope: total, counts: click}]", True),
        (", caps: [{max: 100, per: day}]", True),
    ],
)
def test_reach_makes_sensitive_without_a_small_total_cap(caps: str, sensitive: bool, tmp_path: Path) -> None:
    """No total cap that holds is unlimited reach, and one in shadow holds nobody back; a cap at the limit is not above it."""
    text = TEXT.replace("{value_above: 500.0}", "{reach_above: 100}").replace(", payload: {title: Other}", caps)
    bundle = bundle_of(text.replace("default_offer: other, ", ""), tmp_path)
    assert (bundle.offer_index["other"] in bundle.reviews) is sensitive


def test_caps_in_shadow_everywhere_limit_nobodys_reach(tmp_path: Path) -> None:
    """A total cap that would keep the reach small does not where the bundle runs all caps in shadow."""
    caps = ", caps: [{max: 100, per: day, scope: total}]"
    text = TEXT.replace("{value_above: 500.0}", "{reach_above: 100}").replace(", payload: {title: Other}", caps)
    text = text.replace("default_offer: other, ", "")
    reviewed = []
    for i, shadow in enumerate(("", "guardrails: {caps: shadow}\n")):
        (tmp_path / str(i)).mkdir()
        bundle = bundle_of(text + "\n" + shadow, tmp_path / str(i))
        reviewed.append(bundle.offer_index["other"] in bundle.reviews)
    assert reviewed == [False, True]


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("sensitive: [credit]", "sensitive: [crdit]", "no class `crdit`"),
        ("sensitive: [credit]", "sensitive: []", "list of classes"),
        ("  other: {value: 1.0,", "  other: {value: 1.0, review: {approvers: 2},", "nothing here is sensitive"),
        ("approvers: 2", "approvers: 0", "approvers"),
        ("valid_for: 90d", "valid_for: 0d", "valid_for"),
        ("value_above: 500.0", "value_abov: 500.0", "value_abov"),
        ("value_above: 500.0", "value_above: lots", "value_above"),
    ],
)
def test_mistakes_name_their_place(before: str, after: str, problem: str, tmp_path: Path) -> None:
    """What is wrong about review is refused with file and line."""
    text = changed(before, after)
    if "review: {approvers" in after:
        text = text.replace("review_policy: {value_above: 500.0}\n", "")
    (tmp_path / "bundle.yaml").write_text(text)
    found = [str(mistake) for mistake in check_bundle(tmp_path, MODELS).mistakes]
    assert any(problem in line and line.startswith("bundle.yaml:") for line in found), found


@pytest.mark.parametrize(
    ("section", "voids"),
    [
        ("lists:\n  call-me-not: {offers: [third]}\n", False),
        ("lists:\n  call-me-not: {}\n", True),
        ("exclusions:\n  apart: {offers: [third, fourth], within: 30d}\n", False),
        ("exclusions:\n  apart: {offers: [loan, third], within: 30d}\n", True),
        ("guardrails: {suppression: shadow}\n", True),
        ("contact_policy:\n  channels: {email: {max: 2, per: 7d}}\n", True),
    ],
)
def test_rules_of_the_whole_bundle_void_where_they_concern_the_offer(section: str, voids: bool, tmp_path: Path) -> None:
    """Lists and exclusions among other offers keep the approval; what concerns this one, or everything, voids it."""
    more = TEXT.replace("placements:\n", "  third: {value: 1.0}\n  fourth: {value: 1.0}\nplacements:\n")
    assert digest(more, tmp_path) == digest(TEXT, tmp_path)
    assert (digest(more + section, tmp_path) != digest(TEXT, tmp_path)) is voids
