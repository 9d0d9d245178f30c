"""A bundle whose every part says which version it is of, and what answers and records must say of one version and no other."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from liftgate.v1.decision_pb2 import DecideResponse

LARGEST = 1_999
_NUMBER = re.compile(r"-(\d+)$|_(\d+)$")


def rate(version: int) -> float:
    """Return the probability that the version's model gives to everyone."""
    return (version + 1) / (LARGEST + 2)


def write(folder: Path, version: int) -> Path:
    """Write one version, models included, to a folder that is not there yet."""
    model = folder / "models" / "likes" / str(version)
    model.mkdir(parents=True)
    raw = _model(version)
    (model / "model.onnx").write_bytes(raw)
    (model / "model.yaml").write_text(
        f"sha256: {hashlib.sha256(raw).hexdigest()}\nsize: {len(raw)}\nopset: 17\ninput: x\noutput: p\n"
        f"inputs:\n  - {{input: context.basket_{version}, missing: 0.0}}\n"
        f"outputs:\n  - {{name: like, column: 0, base_rate: {rate(version)!r}}}\n"
        f"golden: {{inputs: [[0.0], [5.0]], outputs: [[{rate(version)!r}], [{rate(version)!r}]]}}\n"
        f"card: {{what: version {version}}}\n"
    )
    offers = "\n".join(
        f"  {name}-{version}: {{value: {version + 1}.0, propensity: likes, channels: [c-{version}, web], "
        f'eligible_if: "!has(context.basket_{version}) || context.basket_{version} >= 0.0", payload: {{version: {version}}}{caps}}}'
        for name, caps in (("plain", ""), ("capped", ", caps: [{max: 500, per: 1d, counts: decision}]"))
    )
    (folder / "bundle.yaml").write_text(
        f"bundle: shop-{version}\ncurrency: EUR\ntime_zone: UTC\nprofile_purpose: purpose_{version}\n"
        f"features:\n  age_{version}: {{type: int}}\n"
        f"context:\n  basket_{version}: {{type: float}}\n"
        f"purposes:\n  purpose_{version}: {{}}\n"
        f"models:\n  likes: {{version: {version}, outcome: click, horizon: 1d}}\n"
    )
    # Some parts in a file of their own: a load that saw half of a change would mix the two.
    (folder / "offers.yaml").write_text(
        f"offers:\n{offers}\n"
        f"placements:\n  home: {{offers: [plain-{version}, capped-{version}], select: {{policy: epsilon_greedy, epsilon: 0.5}}}}\n"
        f"layers:\n  layer-{version}: {{kind: holdout, unit: person, salt: salt-{version}, share: 0.1, answer: none}}\n"
    )
    return folder


def _model(version: int) -> bytes:
    """P = sigmoid(0 * x + logit(rate))."""
    logit = np.log(rate(version) / (1 - rate(version)))
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])],
        "likes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.zeros((1, 1), np.float32), "w"), numpy_helper.from_array(np.array([logit], np.float32), "b")],
    )
    raw: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    return raw


def _of_name(name: str) -> int:
    found = _NUMBER.search(name)
    assert found is not None, name
    return int(found[1] or found[2])


def _of_rate(probability: float) -> int:
    return round(probability * (LARGEST + 2)) - 1


def in_answer(answer: DecideResponse, versions: Mapping[str, int]) -> set[int]:
    """Return every version that an answer speaks of; `versions` maps digests."""
    found = {versions[answer.bundle_digest]}
    for slot in answer.slots:
        payload = json.loads(slot.payload_json)["version"]
        found |= {_of_name(slot.offer_id), payload, round(slot.value) - 1, _of_rate(slot.propensity)}
    if answer.HasField("explanation"):
        for one in answer.explanation.candidates:
            found.add(_of_name(one.offer_id))
    return found


def in_record(row: Mapping[str, Any], versions: Mapping[str, int]) -> set[int]:
    """Return every version that a record speaks of."""
    found = {versions[row["bundle_digest"]], _of_name(row["bundle"])}
    found |= {model["version"] for model in row["models"]}
    found |= {_of_name(name) for name in (*row["candidate_offer_id"], *row["offered"], *row["would_offer"], *row["purpose"])}
    found |= {_of_name(one["layer"]) for one in row["assignments"]}
    found |= {round(value) - 1 for value in row["candidate_value"] if value == value}
    found |= {_of_rate(value) for value in row["candidate_propensity"] if value == value}
    names = {one["name"] for one in row["inputs"]}
    found |= {_of_name(name) for name in names if name.startswith(("profile.age_", "context.basket_"))}
    return found
