"""Review by the desk that servers run, against a reference of a few lines: nothing sensitive is served without a standing approval."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from liftgate.adapters.operators import Operator
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.load import load_bundle
from liftgate.domain.batch import Batch
from liftgate.domain.errors import CallerError, NotFound, Refused
from liftgate.domain.request import DecideRequest
from liftgate.guardrails.review import Review
from liftgate.pipeline.control_desk import ControlDesk
from liftgate.pipeline.controls import ControlPanel
from liftgate.pipeline.desk import Desk
from liftgate.pipeline.review_desk import ReviewDesk
from tests.fakes.controls import FakeAudit, FakeControls

FOLDER = Path(__file__).parents[1] / "cases" / "bundles" / "reviewed"
PEOPLE = {
    name: Operator(name, frozenset(roles))
    for name, roles in {"anna": ("compliance",), "ben": ("compliance",), "cleo": ("compliance", "reviewer"), "dora": ()}.items()
}
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
R = TypeVar("R")


def bundles() -> list[Bundle]:
    """Return the bundle, and the same after a one-character edit of the loan."""
    first = load_bundle(FOLDER)
    with tempfile.TemporaryDirectory() as directory:
        text = (FOLDER / "bundle.yaml").read_text().replace("title: Loan", "title: Boan")
        (Path(directory) / "bundle.yaml").write_text(text)
        return [first, load_bundle(Path(directory), FOLDER / "models")]


BUNDLES = bundles()
LOAN = BUNDLES[0].offer_index["loan"]


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def now_ms(self) -> int:
        """See `pipeline.ports.Clock`."""
        return self.ms


class ReviewMachine(RuleBasedStateMachine):
    """Edits, submissions, approvals, rejections, withdrawals, broken glass and time, in any order, by anyone."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock, self.store, self.panel, self.audit = Clock(), FakeControls(), ControlPanel(), FakeAudit()
        self.edited = 0
        self.desk = ReviewDesk(Desk(self.store, self.audit, self.clock, self.refresh), lambda: BUNDLES[self.edited])
        self.acts: dict[int, list[tuple[str, str, int, int]]] = {0: [], 1: []}
        self.audited = 0

    def teardown(self) -> None:
        self.loop.close()

    async def refresh(self) -> Any:
        controls = await self.store.read()
        self.panel.put(controls)
        return controls

    def run(self, work: Coroutine[Any, Any, R]) -> R | None:
        """Do it; None: it was refused."""
        try:
            return self.loop.run_until_complete(work)
        except (Refused, NotFound, CallerError):
            return None

    def done(self, act: str, who: str, until: int = 0) -> None:
        self.acts[self.edited].append((act, who, self.clock.ms, until))
        self.audited += 1

    @initialize()
    def begin(self) -> None:
        """anna submits the loan, and both others approve it: what follows is about taking that away."""
        self.submit("anna")
        self.judge("ben", "approve")
        self.judge("cleo", "approve")

    @rule(really=st.sampled_from([True, False, False]))
    def edit(self, really: bool) -> None:
        """One character of the loan is changed, or changed back."""
        self.edited = 1 - self.edited if really else self.edited

    @rule(hours=st.sampled_from([1, 1, 1, 24 * 45, 24 * 90]))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.clock.ms += hours * HOUR_MS

    @rule(who=st.sampled_from(sorted(PEOPLE)))
    def submit(self, who: str) -> None:
        """Somebody submits the loan as it is now."""
        review = BUNDLES[self.edited].reviews[LOAN]
        if self.run(self.desk.submit(PEOPLE[who], [(review.text.decode(), review.source)])) is not None:
            self.done("submit", who)

    @rule(
        who=st.sampled_from(["ben", "ben", "cleo", "cleo", "anna", "dora"]), act=st.sampled_from([*["approve"] * 6, "reject", "withdraw"])
    )
    def judge(self, who: str, act: str) -> None:
        """Somebody approves, rejects or withdraws the loan as it is now."""
        digest = BUNDLES[self.edited].reviews[LOAN].digest
        if self.run(self.desk.act(PEOPLE[who], act, digest, "why")) is not None:
            self.done(act, who)

    @rule(who=st.sampled_from(sorted(PEOPLE)), hours=st.sampled_from([0, 1, 24, 25]))
    def break_glass(self, who: str, hours: int) -> None:
        """Somebody breaks the glass for the loan as it is now."""
        digest = BUNDLES[self.edited].reviews[LOAN].digest
        if self.run(self.desk.act(PEOPLE[who], "break_glass", digest, "why", hours * HOUR_MS)) is not None:
            assert 0 < hours <= 24
            self.done("break_glass", who, self.clock.ms + hours * HOUR_MS)

    def may(self) -> bool:
        """The reference: two with the role, no authors, approved exactly this within 90 days and nobody said no since; or glass."""
        approvals, glass = {}, 0
        authors = {who for act, who, _, _ in self.acts[self.edited] if act in ("submit", "break_glass")}
        for act, who, at, until in self.acts[self.edited]:
            if act == "approve":
                approvals[who] = at
            elif act == "break_glass":
                glass = until
            elif act in ("reject", "withdraw"):
                approvals, glass = {}, 0
        good = [who for who, at in approvals.items() if who not in authors and who != "dora" and self.clock.ms < at + 90 * DAY_MS]
        return len(good) >= 2 or self.clock.ms < glass

    @invariant()
    def nothing_is_served_that_may_not_be(self) -> None:
        """The guardrail lets the loan pass exactly when the reference does; the other sensitive offers never."""
        bundle = BUNDLES[self.edited]
        batch = Batch([DecideRequest("r", "p", "bank")], np.array([self.clock.ms], dtype=np.int64))
        batch.controls = self.panel.columns(bundle)
        verdict = Review(bundle).evaluate(batch)
        assert verdict is not None
        assert bool(verdict.mask[0, LOAN]) is self.may()
        assert not any(verdict.mask[0, k] for k in bundle.reviews if k != LOAN)

    @invariant()
    def every_act_is_in_the_audit_chain(self) -> None:
        """As many acts were audited as were done."""
        assert len(self.audit.acts) == self.audited


ReviewMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestReview = ReviewMachine.TestCase


class Bench:
    """A desk with its hands free."""

    def __init__(self) -> None:
        self.clock, self.store, self.panel, self.audit = Clock(), FakeControls(), ControlPanel(), FakeAudit()
        self.in_force, self.published = BUNDLES[0], dict[str, frozenset[str]]()
        self.desk = ReviewDesk(Desk(self.store, self.audit, self.clock, self.refresh), lambda: self.in_force, self.publishers)
        self.digest = BUNDLES[0].reviews[LOAN].digest

    async def refresh(self) -> Any:
        controls = await self.store.read()
        self.panel.put(controls)
        return controls

    async def publishers(self, digest: str) -> frozenset[str]:
        return self.published.get(digest, frozenset())

    async def submit(self, who: str = "anna") -> None:
        review = BUNDLES[0].reviews[LOAN]
        await self.desk.submit(PEOPLE[who], [(review.text.decode(), review.source)])

    async def refusal(self, who: str, act: str, hours: int = 0) -> str:
        """Return in which words an act is refused, empty: it was done."""
        try:
            await self.desk.act(PEOPLE[who], act, self.digest[:8], "why", hours * HOUR_MS)
        except Refused as refused:
            return str(refused)
        return ""


async def test_refusals_say_why() -> None:
    """Each thing that may not be done is refused in words that name the reason."""
    bench = Bench()
    assert "submitted" in await bench.refusal("ben", "approve")
    await bench.submit()
    assert "another person" in await bench.refusal("anna", "approve")
    assert "lacks the role `compliance`" in await bench.refusal("dora", "approve")
    assert "24 hours" in await bench.refusal("ben", "break_glass", 25)
    assert await bench.refusal("ben", "break_glass", 24) == ""
    assert "followed up" in await bench.refusal("cleo", "break_glass", 1)
    assert await bench.refusal("ben", "reject") == ""
    assert "rejected" in await bench.refusal("cleo", "approve")


async def test_the_follow_up_of_a_broken_glass_stays_open_until_another_person_closes_it() -> None:
    """Neither time nor the person who broke it closes it; a withdrawal by another does."""
    bench = Bench()
    assert await bench.refusal("ben", "break_glass", 1) == ""
    bench.clock.ms += 100 * DAY_MS
    assert await bench.refusal("ben", "withdraw") == ""
    shown = await bench.desk.show(bench.digest)
    assert shown.item.standing().glass_open
    assert await bench.refusal("cleo", "withdraw") == ""
    assert not (await bench.desk.show(bench.digest)).item.standing().glass_open


async def test_a_text_that_was_tampered_with_is_another_item() -> None:
    """A submission whose text says fewer approvers than the bundle does approves nothing of the bundle."""
    bench = Bench()
    review = BUNDLES[0].reviews[LOAN]
    weak = review.text.replace(b'"approvers":2', b'"approvers":1')
    (item,) = await bench.desk.submit(PEOPLE["anna"], [(weak.decode(), "")])
    await bench.desk.act(PEOPLE["ben"], "approve", item.digest)
    columns = bench.panel.columns(BUNDLES[0])
    assert columns.approved_until_ms is not None
    assert not bench.clock.ms < columns.approved_until_ms[LOAN]


async def test_texts_that_are_no_reviews_are_refused() -> None:
    """JSON in another form than the canonical one, another kind, or no JSON is INVALID_ARGUMENT and stores nothing."""
    bench, text = Bench(), BUNDLES[0].reviews[LOAN].text.decode()
    for wrong in (
        "",
        "{}",
        text + " ",
        text.replace('"kind":"offer"', '"kind":"start"'),
        text.replace('"needs":[', '"needs":[],"x":['),
        "\ud800",
    ):
        try:
            await bench.desk.submit(PEOPLE["anna"], [(wrong, "")])
        except CallerError:
            continue
        raise AssertionError(f"taken: {wrong[:60]!r}")
    assert await bench.store.version() == 0


async def test_two_at_once_lose_no_act() -> None:
    """Approvals that meet at the store are all kept: who is overtaken is judged anew."""
    bench = Bench()
    await bench.submit()
    await asyncio.gather(*(bench.desk.act(PEOPLE[who], "approve", bench.digest) for who in ("ben", "cleo")))
    item = (await bench.store.read()).items[bench.digest]
    assert sorted(act.by for act in item.acts) == ["anna", "ben", "cleo"]
    assert item.state(bench.clock.ms) == "approved"
    assert len(bench.audit.acts) == len(set(itertools.chain(bench.audit.acts)))


async def test_taking_the_mark_away_does_not_get_round_review() -> None:
    """An offer that was under review and is sensitive no more waits until a reviewer who is no author of it withdraws."""
    bench = Bench()
    await bench.submit()
    for who in ("ben", "cleo"):
        assert await bench.refusal(who, "approve") == ""
    with tempfile.TemporaryDirectory() as directory:
        text = (FOLDER / "bundle.yaml").read_text().replace("credit: {sensitive: [credit], ", "credit: {")
        (Path(directory) / "bundle.yaml").write_text(text)
        unmarked = load_bundle(Path(directory), FOLDER / "models")

    def passes() -> bool:
        batch = Batch([DecideRequest("r", "p", "bank")], np.array([bench.clock.ms], dtype=np.int64))
        batch.controls = bench.panel.columns(unmarked)
        verdict = Review(unmarked).evaluate(batch)
        assert verdict is not None
        return bool(verdict.mask[0, unmarked.offer_index["loan"]])

    assert not passes()
    assert await bench.refusal("ben", "withdraw") == ""
    assert not passes(), "it was sensitive then: that took the approvals back, and nothing else"
    bench.in_force = unmarked
    bench.clock.ms += 1
    assert await bench.refusal("anna", "withdraw") == ""
    assert not passes()
    bench.clock.ms += 1
    assert await bench.refusal("ben", "withdraw") == ""
    assert passes()


async def test_who_published_it_does_not_approve_it() -> None:
    """Whoever submitted it: who published the bundle in force is an author of what it says, and of what another bundle says is none."""
    bench = Bench()
    await bench.submit()
    bench.published = {BUNDLES[0].digest: frozenset({"ben"}), BUNDLES[1].digest: frozenset({"cleo"})}
    assert "ben published the bundle in force" in await bench.refusal("ben", "approve")
    assert await bench.refusal("ben", "reject") == ""
    await bench.submit()
    assert await bench.refusal("cleo", "approve") == ""


async def test_stopping_again_voids_requests_to_start() -> None:
    """What was stopped anew after somebody asked to start it stays stopped, whoever approves that; asked anew, it starts."""
    bench = Bench()
    controls = ControlDesk(Desk(bench.store, bench.audit, bench.clock, bench.refresh), lambda: BUNDLES[0])
    ben, cleo = (Operator(name, frozenset({"operator"})) for name in ("ben", "cleo"))
    await controls.stop(PEOPLE["dora"], "offer", "loan", "wrong rate")
    asked = await controls.start(ben, "offer", "loan", "mended")
    bench.clock.ms += 1
    await controls.stop(PEOPLE["dora"], "offer", "loan", "still wrong")
    with pytest.raises(Refused, match="was stopped again"):
        await bench.desk.act(cleo, "approve", asked)
    assert [stop.subject for stop in bench.panel.controls.stops] == ["offer/loan"]
    await bench.desk.act(cleo, "approve", await controls.start(ben, "offer", "loan", "mended"))
    assert bench.panel.controls.stops == ()
