"""A good bundle becomes the columns that its files say."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import check_bundle, load_bundle
from liftgate.domain.input import InputType

SMALL = Path(__file__).parents[1] / "cases" / "bundles" / "small"
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def small() -> Bundle:
    """The small bundle."""
    return load_bundle(SMALL)


def changed(tmp_path: Path, **replaced: tuple[str, str]) -> Path:
    """Return a copy of the small bundle with one text replaced in each named file."""
    folder = Path(shutil.copytree(SMALL, tmp_path / "bundle"))
    for name, (old, new) in replaced.items():
        path = folder / f"{name}.yaml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def test_features_are_packed_in_the_order_of_their_names(small: Bundle) -> None:
    """Columns are profile features by name, then the four built-in context strings, then declared context by name."""
    names = [column.name for column in small.schema.inputs]
    assert names[:5] == [f"profile.{name}" for name in ("age", "country", "days_since_purchase", "is_member", "last_purchase_at")]
    assert names[5:] == [f"context.{name}" for name in ("channel", "device", "locale", "time_zone", "basket_value", "country")]
    days = small.schema.inputs[2]
    assert (days.type, days.default, days.max_age_s) == (InputType.FLOAT, 365.0, 86_400.0)
    assert np.isnan(small.schema.inputs[0].default)


def test_context_texts_know_what_they_are_compared_with(small: Bundle) -> None:
    """A context string without declared values gets every literal that conditions compare it with, the channel every name that a rule
    knows; others keep theirs."""
    assert small.schema.inputs[small.schema.index["context.channel"]].values == ("app", "email", "web")
    assert small.schema.inputs[small.schema.index["context.device"]].values == ()
    assert small.schema.inputs[small.schema.index["context.country"]].values == ("DE", "FR", "NL")


def test_offers_stand_in_the_order_of_their_names(small: Bundle) -> None:
    """Index, value, source and payload of offers agree whatever the order in the files."""
    assert [offer.offer_id for offer in small.offers] == ["express-upgrade", "free-shipping", "welcome", "winter-sale"]
    assert [small.offer_index[offer.offer_id] for offer in small.offers] == [0, 1, 2, 3]
    assert small.value.tolist() == [2.5, 4.0, 0.1, 1.25]
    assert small.offers[1].source == "offers.yaml:9"
    assert small.offers[1].payload_json == '{"image":"ship.png","title":"Free shipping today"}'


def test_purposes_of_group_and_offer_are_united(small: Bundle) -> None:
    """An offer needs its own purposes and its group's; GPC denies where the bundle says so."""
    assert small.purposes == ("analytics", "marketing_email", "personalization")
    assert small.needs_purpose.tolist() == [[False, True, True], [False, False, True], [False] * 3, [False] * 3]
    assert small.gpc_denies.tolist() == [False, False, True]
    assert small.purposes[small.profile_purpose] == "personalization"


def test_profile_purpose_none_is_minus_one(tmp_path: Path) -> None:
    """`profile_purpose: none` must be written and means that no purpose is needed."""
    folder = changed(tmp_path, bundle=("profile_purpose: personalization", "profile_purpose: none"))
    assert load_bundle(folder).profile_purpose == -1


def test_channels(small: Bundle) -> None:
    """Offers without channels go out on all of them."""
    assert small.channels == ("app", "email", "web")
    assert small.needs_channel.tolist() == [True, True, False, False]
    assert small.on_channel[:2].tolist() == [[False, True, False], [True, False, True]]


def test_channels_of_group_and_offer_must_both_allow(tmp_path: Path) -> None:
    """Where group and offer both name channels, only the common ones remain."""
    folder = changed(
        tmp_path, offers=("    purposes: [personalization]\n", "    purposes: [personalization]\n    channels: [app, email]\n")
    )
    bundle = load_bundle(folder)
    assert [[c for c, on in zip(bundle.channels, row, strict=True) if on] for row in bundle.on_channel[:2]] == [["email"], ["app"]]


def test_times(small: Bundle) -> None:
    """`from` and `until` are milliseconds; absent ones never end."""
    assert small.starts_at_ms.tolist() == [-np.inf, -np.inf, -np.inf, 1_761_955_200_000.0]
    assert small.ends_at_ms.tolist() == [np.inf, np.inf, np.inf, 2_056_320_000_000.0]


def test_caps_of_a_group_count_over_all_its_offers(small: Bundle) -> None:
    """A group's cap is one cap over all its offers; leases default to ten minutes and are 0 where decisions count."""
    shipping, express, winter = small.caps
    assert (shipping.limit, shipping.window_ms, shipping.counts, shipping.lease_ms) == (3, 7 * DAY_MS, "decision", 0)
    assert shipping.offers.tolist() == [0, 1]
    assert (express.limit, express.counts, express.lease_ms, express.offers.tolist()) == (1, "exposure", 600_000, [0])
    assert (winter.limit, winter.window_ms, winter.lease_ms, winter.source) == (2, DAY_MS, 600_000, "offers.yaml:34")
    assert small.offer_caps == ((0, 1), (0,), (), (2,))
    assert winter.name == "winter-sale: at most 2 exposures per 1d"


def test_cap_ids_are_stable(tmp_path: Path, small: Bundle) -> None:
    """A cap keeps its id, and with it people's history, when its maximum changes; another window is another cap."""
    same = load_bundle(changed(tmp_path, offers=("{max: 3, per: 7d", "{max: 5, per: 168h")))
    assert same.cap_ids.tolist() == small.cap_ids.tolist()
    assert same.caps[0].limit == 5
    assert [int.from_bytes(cap.cap_id, "little") for cap in small.caps] == small.cap_ids.tolist()
    shutil.rmtree(tmp_path / "bundle")
    other = load_bundle(changed(tmp_path, offers=("{max: 3, per: 7d", "{max: 3, per: 8d")))
    assert other.cap_ids[0] != small.cap_ids[0]
    assert other.cap_ids[1:].tolist() == small.cap_ids[1:].tolist()


def test_models(small: Bundle) -> None:
    """Offers point at the output of their model; offers without a model have propensity 1."""
    (tiny,) = small.models
    assert (tiny.name, tiny.version, tiny.input_name, tiny.output_name, tiny.outputs) == ("tiny", 1, "input", "probability", ("purchase",))
    assert [small.schema.inputs[item.input].name for item in tiny.inputs] == ["profile.age", "profile.days_since_purchase"]
    assert tiny.golden_inputs.shape == (4, 2)
    assert tiny.golden_outputs.shape == (4, 1)
    assert small.offer_model.tolist() == [-1, 0, -1, -1]
    assert small.base_rate.tolist() == [1.0, 0.12, 1.0, 1.0]


def test_one_hot_inputs_hold_the_code_of_their_value(tmp_path: Path) -> None:
    """`equals` becomes the column number of the value, for declared and for undeclared context strings."""
    folder = changed(tmp_path)
    manifest = folder / "models" / "tiny" / "1" / "model.yaml"
    text = manifest.read_text(encoding="utf-8")
    text = text.replace("{input: profile.age, missing: 0.0}", "{input: profile.country, equals: FR, missing: 0}")
    text = text.replace("{input: profile.days_since_purchase, missing: 365.0}", "{input: context.channel, equals: Zoo, missing: 0.5}")
    manifest.write_text(text, encoding="utf-8")
    bundle = load_bundle(folder)
    assert [(item.equals, item.missing) for item in bundle.models[0].inputs] == [(1.0, 0.0), (0.0, 0.5)]
    assert bundle.schema.inputs[bundle.schema.index["context.channel"]].values == ("Zoo", "app", "email", "web")


def test_the_tiny_model_is_what_its_script_makes() -> None:
    """The committed model's golden rows follow from the formula in the script that made it."""
    (tiny,) = load_bundle(SMALL).models
    logits = tiny.golden_inputs @ np.array([0.02, -0.01]) - 1.0
    np.testing.assert_allclose(tiny.golden_outputs[:, 0], 1 / (1 + np.exp(-logits)), atol=1e-8)


def test_placements(small: Bundle) -> None:
    """Candidates come from lists and from groups; the default offer need not be a candidate."""
    email, hero = small.placements
    assert (email.placement_id, email.offers.tolist(), email.default_offer, email.slots, email.epsilon) == ("email.top", [0, 1], -1, 1, 0.2)
    assert (hero.offers.tolist(), hero.default_offer, hero.slots, hero.valid_for_ms) == ([1, 2, 3], 2, 2, 300_000)
    assert small.candidates.tolist() == [[True, True, False, False], [False, True, True, True]]


def test_all_offers(tmp_path: Path) -> None:
    """`offers: all` makes every offer a candidate."""
    bundle = load_bundle(changed(tmp_path, offers=("offers: [free-shipping, winter-sale, welcome]", "offers: all")))
    assert bundle.candidates[1].all()


def test_layers_hold_exact_shares(tmp_path: Path, small: Bundle) -> None:
    """A share is a whole number of millionths."""
    assert [(layer.salt, layer.boundary, layer.answer) for layer in small.layers] == [("universal-2026h2", 50_000, "none")]
    assert load_bundle(changed(tmp_path, bundle=("share: 0.05", "share: 0.290003"))).layers[0].boundary == 290_003


def test_equal_conditions_become_one_rule(tmp_path: Path, small: Bundle) -> None:
    """Conditions that compute the same are evaluated once, however they are laid out."""
    assert [rule.offers.tolist() for rule in small.eligible_if] == [[0, 1], [1], [3]]
    folder = changed(tmp_path, offers=("  welcome:\n", '  welcome:\n    eligible_if: \'(context.country  in ["DE","NL"]) // same\'\n'))
    assert [rule.offers.tolist() for rule in load_bundle(folder).eligible_if] == [[0, 1, 2], [1], [3]]


def test_offer_constants_are_folded(tmp_path: Path) -> None:
    """A condition on `offer.*` is decided at load and differs from offer to offer."""
    folder = changed(tmp_path, offers=('\'context.country in ["DE", "NL"]\'', "'offer.value > 3.0 || profile.age > 30'"))
    bundle = load_bundle(folder)
    inputs, now = np.full((1, len(bundle.schema.inputs)), np.nan), np.zeros(1)
    answers = {int(k): rule.condition.evaluate(inputs, now) for rule in bundle.eligible_if[:2] for k in rule.offers}
    assert [[bool(x[0]) for x in answers[k]] for k in (0, 1)] == [[False, True], [True, False]]


def test_rules_say_where_they_stand(small: Bundle) -> None:
    """Each rule of an offer names file and line; those of its group come first."""
    assert small.rule_source["eligible_if", 1] == "offers.yaml:4, offers.yaml:14"
    assert small.rule_source["suppress_if", 0] == "offers.yaml:23"


def test_nothing_in_a_bundle_can_be_changed(small: Bundle) -> None:
    """Columns are read-only, so that threads and batches can share them."""
    for column in (
        small.value,
        small.candidates,
        small.needs_purpose,
        small.cap_ids,
        small.eligible_if[0].offers,
        small.placements[0].offers,
    ):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0
    with pytest.raises(TypeError):
        small.offer_index["x"] = 1  # type: ignore[index]


def test_models_are_found_beside_the_folder_or_where_said(tmp_path: Path, small: Bundle) -> None:
    """Models stand in the folder, else beside it, else where the caller says; their place is no part of the digest."""
    folder = changed(tmp_path)
    shutil.move(folder / "models", tmp_path / "models")
    assert load_bundle(folder).digest == small.digest
    shutil.move(tmp_path / "models", tmp_path / "elsewhere")
    assert load_bundle(folder, tmp_path / "elsewhere").digest == small.digest


def test_one_default_and_a_list_of_one_are_the_same_bundle(tmp_path: Path) -> None:
    """A list of one default has the digest of the default alone, another order of a longer one has another, and slots keep theirs."""
    text = "bundle: d\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: none\noffers: {a: {value: 1.0}, b: {value: 1.0}, c: {value: 1.0}}\n"
    place = "placements: {{home: {{offers: [a], slots: 2, default_offer: {said}, select: {{policy: greedy}}}}}}\n"
    found = {}
    for said in ("b", "[b]", "[b, c]", "[c, b]"):
        folder = tmp_path / said
        folder.mkdir()
        (folder / "bundle.yaml").write_text(text + place.format(said=said), encoding="utf-8")
        found[said] = load_bundle(folder)
    assert found["b"].digest == found["[b]"].digest
    assert len({bundle.digest for bundle in found.values()}) == 3
    assert [bundle.placements[0].defaults for bundle in found.values()] == [(1,), (1,), (1, 2), (2, 1)]


def test_a_placement_needs_a_default_only_for_holdouts_that_concern_it(tmp_path: Path) -> None:
    """A holdout of a programme that answers the default is no reason to warn where it withholds nothing."""
    text = "bundle: d\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: none\ngroups: {ship: {}}\n"
    text += "offers: {a: {value: 1.0, group: ship}, b: {value: 1.0}}\nplacements:\n"
    text += "".join(
        f"  {name}: {{offers: [{offer}], select: {{policy: greedy}}}}\n" for name, offer in (("one", "a"), ("two", "b"), ("six", "a"))
    )
    text += "layers: {out: {kind: holdout, groups: [ship], placements: [one, two], salt: s, share: 0.1, answer: default_offer}}\n"
    (tmp_path / "bundle.yaml").write_text(text, encoding="utf-8")
    said = [(caution.field, caution.text) for caution in check_bundle(tmp_path).cautions if "default_offer" in caution.text]
    assert said == [("placements.one", "has no default_offer, so layer `out` answers held-out people with none here")]
    (tmp_path / "bundle.yaml").write_text(text.replace("groups: [ship], placements: [one, two], ", ""), encoding="utf-8")
    said = [(caution.field, caution.text) for caution in check_bundle(tmp_path).cautions if "default_offer" in caution.text]
    assert [field for field, _ in said] == ["placements.one", "placements.two", "placements.six"]


def test_cautions_refuse_nothing(tmp_path: Path) -> None:
    """Too little exploration, nobody held out, unreachable offers, empty groups and never-true rules are told, and the bundle loads."""
    folder = changed(
        tmp_path,
        bundle=("share: 0.05", "share: 0"),
        offers=("select: {policy: epsilon_greedy, epsilon: 0.20}", "select: {policy: epsilon_greedy, epsilon: 0}"),
    )
    extra = "groups:\n  empty: {}\noffers:\n  hidden: {value: 1.0, eligible_if: 'offer.value > 2.0'}\nplacements:\n"
    extra += "  rare: {offers: [welcome, winter-sale], default_offer: welcome, select: {policy: epsilon_greedy, epsilon: 0.004}}\n"
    (folder / "more.yaml").write_text(extra, encoding="utf-8")
    checked = check_bundle(folder)
    assert checked.bundle is not None
    assert [(caution.field, caution.text) for caution in checked.cautions] == [
        ("layers", "nobody is held out: what the offers achieve cannot be measured"),
        ("groups.empty", "has no offer"),
        ("offers.hidden", "`eligible_if` is always false: it is never shown"),
        ("offers.hidden", "is in no placement and is never shown"),
        ("placements.rare.select.epsilon", "shows each of 2 offers with probability 0.002 at least: importance weights up to 500"),
        ("placements.email.top.select.epsilon", "0 explores nothing: what is not chosen today can never be learned about"),
    ]


def test_exploration_says_how_rare_an_offer_can_be() -> None:
    """The smallest exploration probability is epsilon over the candidates, the largest weight its reciprocal."""
    email, hero = check_bundle(SMALL).exploration
    assert (email.smallest_probability, email.largest_weight) == (0.1, 10.0)
    assert hero.smallest_probability == pytest.approx(0.1 / 3)
