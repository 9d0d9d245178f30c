"""What may stand in `tests/*.yaml` of a bundle's folder. Its JSON Schema is published in docs/bundle-tests-schema.json."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from liftgate.bundle.field_types import Name, Strict, TimestampMs, refuse

Moment = Annotated[str, StringConstraints(min_length=1)]
"""ISO 8601 with a zone, or `2 days ago`, `in 3 hours`, counted from the case's `now`."""
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Attribute = str | bool | int | float
Some = Annotated[
    list[Name], BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=Name | list[Name])
]
"""One name or several."""
NOTHING = "nothing"

Status = Literal["granted", "denied", "withdrawn", "expired", "pending", "objected"]


def _record(value: Any) -> Any:
    return {"status": value} if isinstance(value, str) else value


class ConsentEntry(Strict):
    """What is stored about one purpose."""

    status: Status = Field(description="What the person said last.", examples=["granted"])
    given: Moment | None = Field(None, description="When it was given.", examples=["30 days ago"])
    expires: Moment | None = Field(None, description="When it ends.", examples=["in 1 hour"])
    withdrawn: Moment | None = Field(None, description="When it was withdrawn.", examples=["1 hour ago"])
    basis: str | None = Field(None, description="Lawful basis.", examples=["consent"])
    jurisdiction: str | None = Field(None, description="Whose law it was given under.", examples=["EU"])
    source: str | None = Field(None, description="Where it was collected.", examples=["checkout"])
    mechanism: str | None = Field(None, description="How.", examples=["double-opt-in"])
    notice_version: str | None = Field(None, description="Version of the notice that the person saw.", examples=["2026-05"])
    policy_version: str | None = Field(None, description="Version of the policy.", examples=["2026-05"])


class Person(Strict):
    """Somebody, as the store knows them."""

    like: Name | None = Field(None, description="Another person of the file; what is written here changes or adds to it.", examples=["ada"])
    profile: dict[str, Any] | None = Field(
        None, description="Features; those left out are missing. Absent: no profile is stored.", examples=[{"age": 40, "country": "DE"}]
    )
    stored: Moment | None = Field(None, description="When the features were stored; absent: just now.", examples=["2 days ago"])
    ages: dict[str, Moment] = Field(
        default_factory=dict, description="When single features were stored.", examples=[{"views": "2 hours ago"}]
    )
    consent: dict[str, Annotated[ConsentEntry, BeforeValidator(_record, json_schema_input_type=Status | ConsentEntry)]] | None = Field(
        None, description="What is stored for each purpose. Absent: nothing is.", examples=[{"personalization": "granted"}]
    )
    history: list[str] = Field(
        default_factory=list,
        description="What the person has had and done: `had OFFER 2 days ago`, `was offered OFFER 5 minutes ago`, "
        "`dismissed OFFER twice 1 hour ago on email`.",
        examples=[["had free-shipping 2 days ago"]],
    )
    lists: list[Name] = Field(default_factory=list, description="Do-not-contact lists that the person is on.", examples=[["blocked"]])
    unreadable: list[Literal["profile", "consent", "history", "lists"]] = Field(
        default_factory=list, description="What is stored and cannot be read.", examples=[["profile"]]
    )
    account: str | None = Field(None, description="The account or household that the request names.", examples=["household-7"])
    account_history: list[str] = Field(
        default_factory=list,
        description="What others of the account have had and done; what the person has is counted there too.",
        examples=[["had free-shipping 2 days ago"]],
    )
    held_out: Name | None = Field(None, description="Layer that holds the person out; absent: none does.", examples=["universal-2026h2"])
    arms: dict[Name, Name] = Field(
        default_factory=dict,
        description="By layer drawn by person: the arm that they are in, or `outside`; absent: one that changes nothing, if there is one.",
        examples=[{"hero-explore": "softmax"}],
    )
    id: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        None, description="Exactly this person id; absent: one that fits `held_out` and `arms` is found.", examples=["customer-17"]
    )
    session: str | None = Field(None, description="The session that the request names.", examples=["visit-1"])
    visitor: str | None = Field(None, description="The visitor that the request names.", examples=["browser-1"])


class Situation(Strict):
    """The moment of a request, as the caller sees it."""

    like: Name | None = Field(None, description="Another context of the file; what is written here changes it.", examples=["web"])
    channel: str = Field("", description="Where it will be shown.", examples=["web"])
    device: str = Field("", description="The device.", examples=["mobile"])
    locale: str = Field("", description="The locale.", examples=["de-DE"])
    time_zone: str = Field("", description="The person's IANA time zone; absent: the file's.", examples=["Europe/Berlin"])
    jurisdiction: str = Field("", description="Whose law holds, as the caller sends it.", examples=["EU"])
    attributes: dict[str, Attribute] = Field(default_factory=dict, description="Attributes by name.", examples=[{"basket_value": 40.0}])
    gpc: bool = Field(False, description="The request carries Global Privacy Control.", examples=[True])


class Want(Strict):
    """What must come of it. Only what is written is compared."""

    allowed: list[Name] | None = Field(None, description="Exactly the candidates that pass every guardrail.", examples=[["welcome"]])
    reasons: dict[Name, str] = Field(
        default_factory=dict, description="Why an offer was (not) allowed; docs/decide.md lists them.", examples=[{"loan": "NOT_ELIGIBLE"}]
    )
    shadow: dict[Name, str] = Field(
        default_factory=dict,
        description="Why an offer would have been denied by what runs in shadow; `nothing`: it would not.",
        examples=[{"loan": "SUPPRESSED"}],
    )
    chosen: Some | None = Field(None, description="What the policy chose, in slot order; or `nothing`.", examples=["free-shipping"])
    probability: dict[Name, Probability] = Field(
        default_factory=dict, description="P(chosen) for the first slot, to six decimal places.", examples=[{"free-shipping": 0.95}]
    )
    answer: Some | None = Field(None, description="What the caller is answered, in slot order; or `nothing`.", examples=["welcome"])
    default: bool | None = Field(None, description="What is answered is the placement's default offer.", examples=[True])
    would_offer: Some | None = Field(
        None,
        description="What would have been answered, where something else is: to held-out people, where offers are withheld, at placements "
        "that learn; or `nothing`.",
        examples=["free-shipping"],
    )
    withheld: Some | None = Field(
        None, description="What is not shown because the person is in a holdout of it; or `nothing`.", examples=["free-shipping"]
    )
    refused: dict[Name, str] | None = Field(
        None,
        description="Exactly the offers of the caller's own choice that are not answered, and why.",
        examples=[{"loan": "NOT_ELIGIBLE"}],
    )
    reason: str | None = Field(None, description="Why the decision came out so; docs/decide.md lists them.", examples=["OFFERED"])
    degraded: bool | None = Field(None, description="A stage could not run.", examples=[False])

    @model_validator(mode="after")
    def _something(self) -> Want:
        if not self.model_fields_set:
            raise refuse("wants nothing: it could not fail", "say what must come of it, for example `allowed: [welcome]`")
        return self


def _tag(value: Any) -> str | None:
    if isinstance(value, (str, list)):
        return "by_name"
    return "written" if isinstance(value, (dict, Strict)) else None


def _either(noun: str) -> Any:
    return Discriminator(
        _tag,
        custom_error_type="refused",
        custom_error_message="{problem}",
        custom_error_context={"problem": f"wants a name, a list of names, or a {noun} in full", "mend": f"write the name of a {noun}"},
    )


PersonOf = Annotated[Annotated[Some, Tag("by_name")] | Annotated[Person, Tag("written")], _either("person")]
ContextOf = Annotated[Annotated[Some, Tag("by_name")] | Annotated[Situation, Tag("written")], _either("context")]


def _anywhere() -> Any:
    return Situation.model_validate({})


Approved = Annotated[
    list[Name],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=Literal["all"] | list[Name]),
]
ALL = "all"


class Case(Strict):
    """One line of the table. Lists of people or contexts stand for every combination."""

    says: str | None = Field(None, description="What it shows, in a sentence.", examples=["Nobody under 18 is offered credit."])
    person: PersonOf = Field(description="Name in `persons:`, a list of names, or the person.", examples=["ada"])
    context: ContextOf = Field(
        default_factory=_anywhere, description="Name in `contexts:`, a list of names, or the context.", examples=["web"]
    )
    placement: Some = Field(description="Placement, or a list of them.", examples=["home.hero"])
    now: TimestampMs | None = Field(None, description="The moment; absent: the file's.", examples=["2026-11-20T12:00:00Z"])
    slots: int = Field(1, ge=1, le=10, description="How many offers are asked for.", examples=[1])
    candidates: list[Name] | None = Field(None, description="The caller's own list of offers.", examples=[["welcome"]])
    baseline: list[Name] = Field(
        default_factory=list, description="The caller's own choice, which an apprentice placement answers.", examples=[["welcome"]]
    )
    deferred: bool = Field(False, description="The decision counts only once it was seen.", examples=[True])
    draw: Literal["exploit", "explore"] = Field(
        "exploit",
        description="Which part of the probabilities the draw falls in. Absent: exploit, the best offer, or any where all explore.",
        examples=["explore"],
    )
    propensity: dict[Name, Probability] = Field(
        default_factory=dict, description="What the model says of an offer, instead of asking it.", examples=[{"free-shipping": 0.1}]
    )
    store: Literal["up", "down", "profiles_down", "reservations_down"] = Field(
        "up", description="down: neither people nor frequency caps can be read.", examples=["down"]
    )
    models: Literal["up", "down"] = Field("up", description="down: no model gives an answer.", examples=["down"])
    used_in_total: dict[Name, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="By offer: what its total caps, its group's included, count for everybody in the window that runs.",
        examples=[{"free-shipping": 100000}],
    )
    approved: Approved | None = Field(
        None, description="Sensitive offers whose approval stands: `all`, or a list; absent: the file's.", examples=[["loan"]]
    )
    verdicts: dict[Name, Literal["approved", "rejected"]] = Field(
        default_factory=dict,
        description="What a reviewer said of showing offers to this person, where every decision is reviewed.",
        examples=[{"mortgage": "approved"}],
    )
    stopped: list[str] = Field(
        default_factory=list,
        description="What somebody has stopped: `offer/NAME`, `group/NAME`, `model/NAME`, `all`.",
        examples=[["group/credit"]],
    )
    controls: Literal["known", "unknown"] = Field(
        "known", description="unknown: nobody can tell what is stopped and approved.", examples=["unknown"]
    )
    want: Want = Field(description="What must come of it.", examples=[{"allowed": ["welcome"]}])


class CaseFile(Strict):
    """One file of test tables. Names are the file's own."""

    now: TimestampMs | None = Field(None, description="The moment of every case that names none.", examples=["2026-11-20T12:00:00Z"])
    time_zone: str = Field("", description="Time zone of every context that names none.", examples=["Europe/Berlin"])
    approved: Approved = Field(
        default_factory=list, description="Sensitive offers whose approval stands in every case that says nothing: `all`, or a list."
    )
    persons: dict[Name, Person] = Field(default_factory=dict, description="People by name.")
    contexts: dict[Name, Situation] = Field(default_factory=dict, description="Contexts by name.")
    cases: Annotated[list[Case], Field(min_length=1, max_length=10_000)] = Field(
        description="The table.", examples=[[{"person": "ada", "placement": "home.hero", "want": {"answer": "welcome"}}]]
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file of test tables, for editors."""
    schema = CaseFile.model_json_schema(by_alias=True, mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Liftgate bundle tests"
    return schema
