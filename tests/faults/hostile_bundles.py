"""Bundles that may not go live: each a change of the good small one. Text, numbers, names, files, links and models meant to do harm."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.hostile_models import HOSTILE as HOSTILE_MODELS
from tests.faults.hostile_models import model as good_model

CASES = Path(__file__).parents[1] / "cases"
SMALL = CASES / "bundles" / "small"
Spoil = Callable[[Path], None]
MODEL = Path("models/tiny/1")


def swap(old: str, new: str) -> Spoil:
    """Return a change of the one place that says `old`."""

    def spoil(folder: Path) -> None:
        for path in (folder / "bundle.yaml", folder / "offers.yaml", folder / MODEL / "model.yaml"):
            text = path.read_text(encoding="utf-8")
            if old in text:
                path.write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogatepass"))
                return
        raise AssertionError(f"the small bundle does not say {old!r}")

    return spoil


def add(name: str, content: str | bytes) -> Spoil:
    """Return a change that adds a file."""

    def spoil(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))

    return spoil


def offer(body: str) -> Spoil:
    """Return a change that adds one more offer, in a file of its own."""
    return add("more.yaml", f"offers:\n  more: {body}\n")


def condition(text: str) -> Spoil:
    """Return a change that adds an offer with a condition."""
    return offer("{value: 1.0, eligible_if: " + repr(text) + "}")


def replaced(name: str, by: Callable[[Path], object]) -> Spoil:
    """Return a change that puts something else in a file's place."""

    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        by(folder / name)

    return spoil


def placed(name: str, by: Callable[[Path], object]) -> Spoil:
    """Return a change that makes something that is no ordinary file."""

    def spoil(folder: Path) -> None:
        by(folder / name)

    return spoil


def many(*spoils: Spoil) -> Spoil:
    """Return all of the changes as one."""

    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def sparse(size: int) -> Callable[[Path], None]:
    """Return what makes a file of so many zeros."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return make


def loop(path: Path) -> None:
    """Make a link to itself."""
    path.symlink_to(path.name)


def with_model(raw: bytes) -> Spoil:
    """Return a change that pins other bytes as the model, with the right size and hash."""

    def spoil(folder: Path) -> None:
        (folder / MODEL / "model.onnx").write_bytes(raw)
        (folder / MODEL / "model.yaml").write_text(
            f"sha256: {hashlib.sha256(raw).hexdigest()}\nsize: {len(raw)}\nopset: 17\ninput: X\noutput: probabilities\n"
            "inputs:\n  - {input: profile.age, missing: 0.0}\n  - {input: profile.days_since_purchase, missing: 0.0}\n"
            "  - {input: context.basket_value, missing: 0.0}\n"
            "outputs:\n  - {name: bought, column: 0, base_rate: 0.1}\n"
            "golden: {inputs: [[1.0, 2.0, 3.0]], outputs: [[0.9975273768433653]]}\ncard: {what: hostile}\n"
        )

    return spoil


def good_other_model(folder: Path) -> None:
    """The control: the same way of pinning, with a model that is taken."""
    with_model(good_model().SerializeToString())(folder)


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(ord('b') + i)}: &{chr(ord('b') + i)} [{', '.join(['*' + chr(ord('a') + i)] * 9)}]\n" for i in range(9)
)
CYRILLIC_A, ZERO_WIDTH, OVERRIDE = "\u0430", "\u200b", "\u202e"

TEXTS: dict[str, Spoil] = {
    "a billion laughs": add("laughs.yaml", LAUGHS),
    "an alias to itself": add("self.yaml", "offers: &o\n  more: *o\n"),
    "a merge key": add("merge.yaml", "offers:\n  more:\n    <<: {value: 1.0}\n"),
    "a merge key with an anchor": add("merge.yaml", "offers:\n  one: &one {value: 1.0}\n  two: {<<: *one}\n"),
    "a Python object": add("object.yaml", "offers: !!python/object/apply:os.system ['true']\n"),
    "a Python module": add("object.yaml", "offers: !!python/module:os\n"),
    "a tag of one's own": add("tag.yaml", "offers: !offers {}\n"),
    "a binary": add("tag.yaml", "offers:\n  more: {value: !!binary MS4w}\n"),
    "a set": add("tag.yaml", "offers: !!set {more}\n"),
    "a float by tag": add("tag.yaml", "offers:\n  more: {value: !!float '1'}\n"),
    "an unknown directive": add("head.yaml", "%YAML 9.9\n---\noffers: {}\n"),
    "a tag directive": add("head.yaml", "%TAG ! tag:evil.example,2000:\n---\noffers: !x {}\n"),
    "two documents": add("two.yaml", "offers: {more: {value: 1.0}}\n---\noffers: {}\n"),
    "a document after its end": add("two.yaml", "offers: {more: {value: 1.0}}\n...\n---\nbundle: other\n"),
    "maps 40 deep": add("deep.yaml", "offers: " + "{a: " * 40 + "1" + "}" * 40 + "\n"),
    "lists 10,000 deep": add("deep.yaml", "offers: " + "[" * 10_000 + "]" * 10_000 + "\n"),
    "lists 100,000 deep and open": add("deep.yaml", "offers: " + "[" * 100_000),
    "blocks 60 deep": add("deep.yaml", "".join("  " * i + "a:\n" for i in range(60))),
    "a complex key": add("key.yaml", "? [offers]\n: {}\n"),
    "a key that is a map": add("key.yaml", "? {offers: 1}\n: {}\n"),
    "an empty key": add("key.yaml", ": 1\n"),
    "a key twice": add("key.yaml", "offers: {more: {value: 1.0}}\noffers: {less: {value: 1.0}}\n"),
    "a key twice in an offer": offer("{value: 1.0, value: 2.0}"),
    "a key twice, quoted once": offer("{value: 1.0, 'value': 2.0}"),
    "an offer twice over files": add("more.yaml", "offers: {welcome: {value: 1.0}}\n"),
    "a tab for a space": add("tab.yaml", "offers:\n\tmore: {value: 1.0}\n"),
    "an open quote": add("open.yaml", "offers: {more: {value: 'one}}\n"),
    "an open bracket": add("open.yaml", "offers: {more: {value: 1.0}\n"),
    "a list at the top": add("top.yaml", "- offers\n"),
    "a number at the top": add("top.yaml", "42\n"),
    "a text at the top": add("top.yaml", "offers\n"),
    "a NUL": add("bytes.yaml", b"offers: {}\x00\n"),
    "an escape character": add("bytes.yaml", b"offers: {more: {value: 1.0, payload: {a: \x1b[2J}}}\n"),
    "UTF-16": add("bytes.yaml", "offers: {}\n".encode("utf-16")),
    "Latin-1": add("bytes.yaml", "offers: {caf\u00e9: {value: 1.0}}\n".encode("latin-1")),
    "overlong UTF-8": add("bytes.yaml", b"offers: {\xc0\xaf: {value: 1.0}}\n"),
    "a lone surrogate": add("bytes.yaml", "offers: {\ud800: {value: 1.0}}\n"),
    "an escaped surrogate": add("bytes.yaml", 'offers: {"\\ud800": {value: 1.0}}\n'),
    "four mebibytes and one": add("large.yaml", b"#" + b" " * (4 << 20)),
    "a hundred megabytes of text": add("large.yaml", b"a: 1\n" * 20_000_000),
    "four times four megabytes": many(*(add(f"large{number}.yaml", b"#" + b" " * 4_000_000) for number in range(4))),
    "only comments": many(*(add(name, "# nothing\n") for name in ("bundle.yaml", "offers.yaml"))),
    "nothing at all": many(*(replaced(name, lambda path: None) for name in ("bundle.yaml", "offers.yaml"))),
    "257 files": many(*(add(f"f{number:03d}.yaml", "offers: {}\n") for number in range(257))),
    "20,000 offers": add("many.yaml", "offers:\n" + "".join(f"  o{number}: {{value: 1.0}}\n" for number in range(20_000))),
    "a Cyrillic letter in a name": add("more.yaml", f"offers: {{welc{CYRILLIC_A}me: {{value: 1.0}}}}\n"),
    "a name that cannot be seen": add("more.yaml", f"offers: {{welcome{ZERO_WIDTH}: {{value: 1.0}}}}\n"),
    "a name written backwards": add("more.yaml", f"offers: {{{OVERRIDE}emoclew: {{value: 1.0}}}}\n"),
    "a name with a line break": add("more.yaml", 'offers: {"wel\\ncome": {value: 1.0}}\n'),
    "a name with a NUL": add("more.yaml", 'offers: {"wel\\0come": {value: 1.0}}\n'),
    "a name of 10,000 letters": add("more.yaml", "offers: {? " + "x" * 10_000 + " : {value: 1.0}}\n"),
    "a name of nothing": add("more.yaml", "offers: {'': {value: 1.0}}\n"),
    "a name that climbs": add("more.yaml", "offers: {../../welcome: {value: 1.0}}\n"),
    "a bidirectional section": add("more.yaml", f"{OVERRIDE}offers: {{}}\n"),
    "a full-width number": offer("{value: \uff11.0}"),
}

NUMBERS: dict[str, Spoil] = {
    **{
        f"a value of {text}": swap("value: 4.00", f"value: {text}")
        for text in (
            ".nan",
            ".inf",
            "-.inf",
            "1e999",
            "-1.0",
            "0",
            "-0.0",
            "true",
            "null",
            "'4.00'",
            "[4.0]",
            "{a: 1}",
            "1_000",
            "1,5",
            "4.00 EUR",
            "9" * 399,
            "9" * 5_000,
            "0x",
        )
    },
    **{
        f"an epsilon of {text}": swap("epsilon: 0.10", f"epsilon: {text}")
        for text in (".nan", ".inf", "-0.1", "1.01", "true", "half", "1e400", "")
    },
    **{f"a share of {text}": swap("share: 0.05", f"share: {text}") for text in (".nan", "-0.05", "1.5", "0.00000000001", "'0.05'")},
    **{f"{text} slots": swap("slots: 2", f"slots: {text}") for text in ("0", "-1", "11", "1e3", "2.5", "99999999999999999999", "two")},
    **{f"a cap of {text}": swap("max: 3, per", f"max: {text}, per") for text in ("0", "-3", "513", "3.5", "1e9", "18446744073709551616")},
    **{
        f"a window of {text}": swap("{max: 3, per: 7d,", f"{{max: 3, per: {text},")
        for text in ("0s", "-7d", "7", "7y", "99999999999999999d", "1e9d", "P7D", "'7 d'", ".inf", "7d7d7d7dx")
    },
    **{f"a lease of {text}": swap("lease: 10m", f"lease: {text}") for text in ("0m", "-10m", "900d", "10")},
    **{
        f"a date of {text}": swap("from: 2025-11-01T00:00:00Z", f"from: {text}")
        for text in (
            "2025-02-30T00:00:00Z",
            "2025-11-01T25:00:00Z",
            "99999-01-01T00:00:00Z",
            "2025-11-01",
            "2025-11-01T00:00:00",
            "yesterday",
            "1761955200",
            "2040-01-01T00:00:00Z",
        )
    },
    **{
        f"a model version of {text}": swap("{version: 1,", f"{{version: {text},")
        for text in ("0", "-1", "1.0", "../1", "4294967296", "1e99")
    },
    **{f"a horizon of {text}": swap("horizon: 7d", f"horizon: {text}") for text in ("0d", "-7d", "soon")},
    **{f"a validity of {text}": swap("valid_for: 5m", f"valid_for: {text}") for text in ("0s", "-5m", "5")},
    **{f"a base rate of {text}": swap("base_rate: 0.12", f"base_rate: {text}") for text in ("0", "1", "-0.1", ".nan", "1e-400")},
    **{f"a golden output of {text}": swap("[0.013519640]", f"[{text}]") for text in (".nan", "1.1", "-0.1", "0.5", "x", "")},
    **{f"a golden input of {text}": swap("[18.0, 365.0]", f"[{text}]") for text in (".inf, 1.0", "18.0", "18.0, 365.0, 1.0", "a, b")},
}

MEANINGS: dict[str, Spoil] = {
    "a group in a group": swap("    purposes: [personalization]\n", "    purposes: [personalization]\n    group: shipping\n"),
    "two groups in a circle": add("groups.yaml", "groups: {a: {group: b}, b: {group: a}}\n"),
    "a group that is its own offer": swap("group: shipping\n    value: 4.00", "group: free-shipping\n    value: 4.00"),
    "a list of groups": swap("group: shipping\n    value: 4.00", "group: [shipping, shipping]\n    value: 4.00"),
    "an offer that is not there": swap("[free-shipping, winter-sale, welcome]", "[free-shipping, winter-sale, welcome, ghost]"),
    "a placement of placements": swap("[free-shipping, winter-sale, welcome]", "[home.hero]"),
    "a default offer that is not there": swap("default_offer: welcome", "default_offer: ghost"),
    "a purpose that is not there": swap("purposes: [marketing_email]", "purposes: [ghost]"),
    "a model that is not there": swap("propensity: tiny", "propensity: ghost"),
    "an output that is not there": swap("propensity: tiny", "propensity: {model: tiny, output: ghost}"),
    "an unknown currency": swap("currency: EUR", "currency: euro"),
    "an unknown zone": swap("Europe/Berlin", "Europe/Atlantis"),
    "a zone that is a path": swap("Europe/Berlin", "../../../etc/passwd"),
    "a zone of nothing": swap("time_zone: Europe/Berlin", "time_zone: ''"),
    "a bundle without a name": swap("bundle: small", "bundle: ''"),
    "a bundle that is a list": swap("bundle: small", "bundle: [small]"),
    "an unknown section": add("more.yaml", "ofers: {}\n"),
    "an unknown key": offer("{value: 1.0, elegible_if: 'true'}"),
    "an unknown policy": swap("policy: epsilon_greedy, epsilon: 0.10", "policy: greediest"),
    "a feature that is read as code": swap("age: {type: int, default: null}", "age: {type: '__import__'}"),
    "a feature default of another type": swap("age: {type: int, default: null}", "age: {type: int, default: old}"),
    "a feature default of nan": swap("default: 365.0", "default: .nan"),
    "values twice": swap("[DE, FR]}\n  days", "[DE, DE]}\n  days"),
    "a salt of nothing": swap("salt: universal-2026h2", "salt: ''"),
    "a layer of no kind": swap("kind: holdout", "kind: everything"),
    "a payload of 100 KiB": offer("{value: 1.0, payload: {a: " + "x" * 102_400 + "}}"),
    "a payload with nan": offer("{value: 1.0, payload: {a: .nan}}"),
    "a payload with infinity": offer("{value: 1.0, payload: {a: .inf}}"),
    "a model's inputs in another order than it was made": swap("golden:\n", "extra: 1\ngolden:\n"),
    "a model input that is not there": swap("input: profile.age", "input: profile.ghost"),
    "a model input that is a path": swap("input: profile.age", "input: ../../profile.age"),
    "a model output twice": swap("base_rate: 0.12}", "base_rate: 0.12}\n  - {name: purchase, column: 0, base_rate: 0.12}"),
    "a model column that is not there": swap("column: 0", "column: 7"),
    "a model column below nothing": swap("column: 0", "column: -1"),
    "a model's input by another name": swap("input: input", "input: ghost"),
    "a model's output by another name": swap("output: probability", "output: ghost"),
    "a hash of another file": swap("sha256: b885", "sha256: 0000"),
    "a hash in capitals": swap("sha256: b885bb65", "sha256: B885BB65"),
    "a hash of nothing": swap("sha256: b885", "sha256: ''\nnothing: b885"),
    "a size of another file": swap("size: 188", "size: 189"),
    "a size below nothing": swap("size: 188", "size: -188"),
    "a size of 100 MB": swap("size: 188", "size: 104857600"),
}

CONDITIONS: dict[str, Spoil] = {
    f"the condition {text[:40]!r}": condition(text)
    for text in (
        "",
        " ",
        "1",
        "'yes'",
        "profile",
        "profile.age",
        "profile.ghost > 1",
        "profile['age'] > 1",
        "profile.age > 1 &&",
        "profile.age >> 1",
        "profile.age = 18",
        "profile.age > '18'",
        "profile.age > 18.0",
        "profile.country > 'DE'",
        "profile.country == 'XX'",
        "profile.age > 99999999999999999999999999",
        "profile.age > -9223372036854775809",
        "profile.age > 1e999",
        "profile.__class__ == 1",
        "__import__('os').system('true')",
        "exec('1')",
        "profile.country.matches('(a+)+$')",
        "[1, 2, 3].all(x, x > 0)",
        "profile.age in [" + "1, " * 20_000 + "1]",
        "(" * 5_000 + "true" + ")" * 5_000,
        "!" * 20_000 + "profile.is_member",
        " && ".join(["profile.age > 1"] * 5_000),
        "profile.age > 1; DROP TABLE offers",
        "profile.age > 1\x00",
        "duration('forever') > duration('1h')",
        "timestamp('never') < now",
        "now - now > 1",
        "has(profile)",
        "has(1)",
        "offer.ghost > 1",
        "\u202eeurt",
    )
}

FILES: dict[str, Spoil] = {
    "a link out of the folder": placed("link.yaml", lambda path: path.symlink_to("/etc/passwd")),
    "a relative link out of the folder": placed("link.yaml", lambda path: path.symlink_to("../../../../../../../../etc/hostname")),
    "a link to nothing": placed("link.yaml", lambda path: path.symlink_to("nowhere.yaml")),
    "a link to itself": placed("link.yaml", loop),
    "a link to endless zeros": placed("link.yaml", lambda path: path.symlink_to("/dev/zero")),
    "a pipe": placed("pipe.yaml", os.mkfifo),
    "a folder called like a file": placed("folder.yaml", lambda path: path.mkdir()),
    "a file of the wrong kind": add("more.yml", "offers: {}\n"),
    "a file of JSON": add("more.json", "{}"),
    "100 MB of zeros": placed("zeros.yaml", sparse(100_000_000)),
    "a file whose name breaks the line": add("a\nb.yaml", "offers: [\n"),
    "a file whose name is no text": add("\udcff.yaml", "offers: [\n"),
    "a model that is a link out": replaced("models/tiny/1/model.onnx", lambda path: path.symlink_to("/etc/passwd")),
    "a model of endless zeros": replaced("models/tiny/1/model.onnx", lambda path: path.symlink_to("/dev/zero")),
    "a model that is a pipe": replaced("models/tiny/1/model.onnx", os.mkfifo),
    "a model of 100 MB": replaced("models/tiny/1/model.onnx", sparse(100_000_000)),
    "a model of nothing": replaced("models/tiny/1/model.onnx", sparse(0)),
    "a model that is not there": replaced("models/tiny/1/model.onnx", lambda path: None),
    "a manifest that is a link out": replaced("models/tiny/1/model.yaml", lambda path: path.symlink_to("/etc/passwd")),
    "a manifest that is a pipe": replaced("models/tiny/1/model.yaml", os.mkfifo),
    "a manifest of 100 MB": replaced("models/tiny/1/model.yaml", sparse(100_000_000)),
    "a manifest of nothing": replaced("models/tiny/1/model.yaml", sparse(0)),
    "a manifest with a bomb": add("models/tiny/1/model.yaml", LAUGHS),
    "a model folder that climbs": swap("tiny: {version: 1", "../tiny: {version: 1"),
    "a model folder by its whole path": swap("tiny: {version: 1", "/etc: {version: 1"),
    "no models at all": lambda folder: shutil.rmtree(folder / "models"),
}


def hostile() -> Iterator[tuple[str, Spoil]]:
    """Yield every hostile bundle as (name, change of the small bundle's copy)."""
    for group in (TEXTS, NUMBERS, MEANINGS, CONDITIONS, FILES):
        yield from group.items()
    for make, _ in HOSTILE_MODELS:
        yield f"the model {make.__name__}", with_model(make().SerializeToString())
    yield "a pickle for a model", with_model(b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.")
    for case in sorted((CASES / "bundle_bad").iterdir()):
        yield f"the case {case.name}", _case(case)


def _case(case: Path) -> Spoil:
    def spoil(folder: Path) -> None:
        shutil.rmtree(folder)
        shutil.copytree(case, folder)

    return spoil
