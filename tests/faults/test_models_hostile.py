"""No hostile model goes live: each is refused with its name, its file, what is wrong and how to mend it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from onnx import ModelProto, helper

from liftgate.adapters import onnx_models
from liftgate.adapters.onnx_models import SIZE_LIMIT, OnnxModels
from liftgate.bundle.compiled import Bundle, ModelInput, ModelSpec
from liftgate.domain.bucketing import Salt
from liftgate.domain.errors import BadInput
from tests.faults.hostile_models import (
    HOSTILE,
    WEIGHTS,
    custom_domain,
    function_model,
    if_model,
    loop_model,
    model,
    random_model,
    scan_model,
)

GOLDEN = np.array([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [0.3, -2.0, 1.0]])
WANTED = 1.0 / (1.0 + np.exp(-(GOLDEN @ WEIGHTS)))


def spec_of(directory: Path, raw: bytes) -> ModelSpec:
    """Write the bytes and pin exactly them."""
    (directory / "model.onnx").write_bytes(raw)
    return ModelSpec(
        name="purchase",
        version=3,
        directory=directory,
        sha256=sha256(raw).hexdigest(),
        size=len(raw),
        input_name="X",
        output_name="probabilities",
        inputs=tuple(ModelInput(i, None, 0.0) for i in range(3)),
        outputs=("bought",),
        output_columns=(0,),
        base_rates=(0.1,),
        golden_inputs=GOLDEN,
        golden_outputs=WANTED,
    )


def load(*specs: ModelSpec) -> OnnxModels:
    """Load what a bundle with these pins would load."""
    return OnnxModels.load(cast(Bundle, SimpleNamespace(models=specs)))


def refused(spec: ModelSpec, words: str) -> str:
    """The refusal names model and file, and says `words`."""
    with pytest.raises(BadInput, match=words) as caught:
        load(spec)
    message = str(caught.value)
    assert message.startswith("model purchase version 3: ")
    assert str(spec.directory / "model.onnx") in message
    assert "; " in message, "no mend"
    return message


def test_the_good_one_loads(tmp_path: Path) -> None:
    """Control: what every hostile file here is a change of does load and score."""
    spec = spec_of(tmp_path, model().SerializeToString())
    np.testing.assert_allclose(load(spec).score(spec, GOLDEN), WANTED, atol=1e-6)


@pytest.mark.parametrize(("make", "words"), HOSTILE, ids=[make.__name__ for make, _ in HOSTILE])
def test_hostile_model(tmp_path: Path, make: Callable[[], ModelProto], words: str) -> None:
    """A file whose digest is right and whose content is not is refused."""
    refused(spec_of(tmp_path, make().SerializeToString()), words)


def test_wrong_digest(tmp_path: Path) -> None:
    """One bit of the file differs from what the manifest pins."""
    raw = bytearray(model().SerializeToString())
    spec = spec_of(tmp_path, bytes(raw))
    raw[-20] ^= 1
    (tmp_path / "model.onnx").write_bytes(raw)
    refused(spec, "not the file that model.yaml names")


def test_wrong_size(tmp_path: Path) -> None:
    """The manifest's size is wrong, its digest is not."""
    spec = spec_of(tmp_path, model().SerializeToString())
    refused(replace(spec, size=spec.size + 1), "not the file that model.yaml names")


def test_every_truncation(tmp_path: Path) -> None:
    """Cut off anywhere, and pinned so, the file is refused."""
    raw = model().SerializeToString()
    for end in range(len(raw)):
        refused(spec_of(tmp_path, raw[:end]), "purchase")


def test_random_bytes(tmp_path: Path) -> None:
    """Hundreds of files of random bytes, half of them behind a plausible beginning, are refused."""
    head = model().SerializeToString()[:40]
    dice = Salt("random bytes")
    for turn in range(400):
        raw = b"".join(dice.hash64(f"{turn}/{i}").to_bytes(8, "little") for i in range(dice.bucket(str(turn), 60)))
        refused(spec_of(tmp_path, head + raw if turn % 2 else raw), "purchase")


def test_flipped_bytes(tmp_path: Path) -> None:
    """A good model with a damaged byte is refused, or gives its golden vectors all the same."""
    good = model().SerializeToString()
    place, damage = Salt("place"), Salt("damage")
    for turn in range(300):
        raw = bytearray(good)
        raw[place.bucket(str(turn), len(raw))] ^= 1 + damage.bucket(str(turn), 255)
        spec = spec_of(tmp_path, bytes(raw))
        try:
            models = load(spec)
        except BadInput:
            continue
        np.testing.assert_allclose(models.score(spec, GOLDEN), WANTED, atol=1e-5)


def test_permuted_features(tmp_path: Path) -> None:
    """A manifest whose features stand in another order than the model was trained on is caught by the golden vectors."""
    spec = spec_of(tmp_path, model().SerializeToString())
    refused(replace(spec, golden_inputs=GOLDEN[:, [1, 0, 2]]), "feature order")


@pytest.mark.parametrize(
    "golden",
    [(np.empty((0, 3)), np.empty((0, 1))), (GOLDEN, WANTED[:2]), (GOLDEN[:, :2], WANTED)],
    ids=["none", "unpaired", "narrow"],
)
def test_golden_vectors_are_needed(tmp_path: Path, golden: tuple[Any, Any]) -> None:
    """A manifest without usable golden vectors proves nothing."""
    spec = spec_of(tmp_path, model().SerializeToString())
    refused(replace(spec, golden_inputs=golden[0], golden_outputs=golden[1]), "golden vectors are missing")


def test_too_large_is_not_read(tmp_path: Path) -> None:
    """A file above the limit is refused by its size: this one would take a terabyte to read."""
    spec = spec_of(tmp_path, b"")
    os.truncate(tmp_path / "model.onnx", 1 << 40)
    refused(replace(spec, size=1 << 40), f"more than the {SIZE_LIMIT}")


def test_missing_file(tmp_path: Path) -> None:
    """There is no file."""
    spec = spec_of(tmp_path, b"")
    (tmp_path / "model.onnx").unlink()
    refused(spec, "cannot be read")


def test_pipe(tmp_path: Path) -> None:
    """A named pipe is refused and does not hold up the start."""
    spec = spec_of(tmp_path, b"")
    (tmp_path / "model.onnx").unlink()
    os.mkfifo(tmp_path / "model.onnx")
    refused(spec, "no regular file")


def test_doubled_domain(tmp_path: Path) -> None:
    """A node that names two domains is refused: which of them counts depends on the parser."""
    node = helper.make_node("Gelu", ["z"], ["probabilities"], domain="com.microsoft").SerializeToString() + b"\x3a\x00"
    built = model()
    raw = built.SerializeToString()
    plain = built.graph.node[1].SerializeToString()
    graph = built.graph.SerializeToString()
    tampered = graph.replace(b"\x0a" + bytes([len(plain)]) + plain, b"\x0a" + bytes([len(node)]) + node)
    assert tampered != graph
    built.ClearField("graph")
    rest = built.SerializeToString()
    assert len(tampered) < 0x4000
    raw = rest + b"\x3a" + bytes([len(tampered) & 0x7F | 0x80, len(tampered) >> 7]) + tampered
    refused(spec_of(tmp_path, raw), "stands twice")


def test_two_graphs(tmp_path: Path) -> None:
    """A second graph, which parsers would merge into the first, is refused."""
    raw = model().SerializeToString()
    refused(spec_of(tmp_path, raw + raw), "2 graphs")


def test_another_format_behind_a_mask(tmp_path: Path) -> None:
    """Bytes that also carry the mark of ONNX Runtime's own format are read as what was checked, an ONNX model."""
    built = model()
    built.producer_name = "xxORTM"
    raw = built.SerializeToString()
    assert raw[:1] == b"\x08", "the first field is ir_version, two bytes"
    moved = raw[2:] + raw[:2]
    assert moved[4:8] == b"ORTM"
    spec = spec_of(tmp_path, moved)
    np.testing.assert_allclose(load(spec).score(spec, GOLDEN), WANTED, atol=1e-6)


def test_every_mistake_at_once(tmp_path: Path) -> None:
    """Two bad models are both named, and the good one between them changes nothing."""
    specs = []
    for name, raw in (("first", b"\x01"), ("good", model().SerializeToString()), ("last", if_model().SerializeToString())):
        (tmp_path / name).mkdir()
        specs.append(replace(spec_of(tmp_path / name, raw), name=name))
    with pytest.raises(BadInput) as caught:
        load(*specs)
    lines = str(caught.value).splitlines()
    assert [line.split()[1] for line in lines] == ["first", "last"]


@pytest.mark.parametrize("make", [if_model, loop_model, scan_model, function_model, random_model, custom_domain])
def test_without_the_check_it_would_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], ModelProto]) -> None:
    """Control: with the structural check gone, none of these is refused for its structure, so it is the check that refuses."""
    monkeypatch.setattr(onnx_models, "check", lambda raw: ())
    monkeypatch.setattr(onnx_models, "WARM_UP_ROWS", ())
    monkeypatch.setattr(onnx_models._Loaded, "score", lambda loaded, rows: WANTED)
    load(spec_of(tmp_path, make().SerializeToString()))
