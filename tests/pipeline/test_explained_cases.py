"""Every golden case, and so every reason, explained: by the answer itself, and from the log alone with what it keeps of the bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters.explanation_from_log import LogExplanations
from liftgate.v1.decision_pb2 import DecideResponse
from tests.pipeline.explained import check_explained
from tests.pipeline.test_decide_cases import CASES, arrange
from tests.pipeline.workbench import BUNDLES, workbench

ANSWERED = [(topic, case) for topic, case in CASES if case["want"].get("record") != "none" and "error" not in case["want"]]


@pytest.mark.parametrize(("topic", "case"), ANSWERED, ids=[f"{topic}: {case['says']}" for topic, case in ANSWERED])
async def test_case_is_explained(topic: str, case: dict[str, Any], valkey_url: str, tmp_path: Path) -> None:
    """The explanation from the log names a stage and, where a rule spoke, its line for every candidate, and is the one that went out."""
    given = case.get("given", {})
    async with workbench(valkey_url, tmp_path, BUNDLES / given.get("bundle", "golden"), given.get("on_log_failure", "refuse")) as bench:
        request = await arrange(bench, case, given.get("person", "person-0"))
        answer = DecideResponse.FromString(await bench.batcher.submit(replace(request, explain=True), bench.live))
        if request.dry_run:
            assert not answer.explanation.decision_id
            return
        (record,) = bench.records
        logged = check_explained(bench.live.bundle, answer.explanation, record, tmp_path)
        assert LogExplanations(tmp_path).explain(record.decision_id) == logged
