"""What is asked: from a file, or of people who need not exist."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from liftgate.load import requests
from liftgate.v1 import decision_pb2

BASE = requests.template("home.hero", channel="web")


def asked(tails: list[bytes], count: int) -> list[decision_pb2.DecideRequest]:
    """Return the first requests of a run."""
    return [decision_pb2.DecideRequest.FromString(body) for body in islice(requests.bodies(tails), count)]


def test_everybody_is_asked_once_a_round_with_ids_of_their_own() -> None:
    """Two rounds ask everybody twice; neighbours of the list are apart; every request_id is new and as long as the others."""
    found = asked(requests.numbered(100, BASE), 200)
    people = [one.person_id for one in found]
    assert sorted(people[:100]) == sorted(people[100:]) == [f"person-{number:06d}" for number in range(100)]
    assert people[:3] == ["person-000000", "person-000061", "person-000022"]
    assert len({one.request_id for one in found}) == 200
    assert {len(one.request_id) for one in found} == {24}
    assert {one.placement_id for one in found} == {"home.hero"}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 61, 1000])
def test_any_number_of_people_takes_turns(count: int) -> None:
    """Nobody is left out, however many there are."""
    assert len({one.person_id for one in asked(requests.numbered(count, BASE), count)}) == count


def test_a_file_holds_ids_or_whole_requests(tmp_path: Path) -> None:
    """A line is an id or a DecideRequest in JSON; what the line says wins over the options; a request_id in it is not used."""
    path = tmp_path / "people.jsonl"
    path.write_text(
        'ada\n\n  bob \n{"personId": "cleo", "placementId": "cart", "requestId": "x", "context": {"channel": "app", "attributes":'
        ' {"basket": {"doubleValue": 12.5}}}}\n'
    )
    found = {one.person_id: one for one in asked(requests.people(path, BASE), 3)}
    assert set(found) == {"ada", "bob", "cleo"}
    assert (found["ada"].placement_id, found["ada"].context.channel) == ("home.hero", "web")
    assert (found["cleo"].placement_id, found["cleo"].context.channel) == ("cart", "app")
    assert found["cleo"].context.attributes["basket"].double_value == 12.5
    assert found["cleo"].request_id != "x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds nobody"),
        ('ada\n{"personId": 5', "people.jsonl:2: not a DecideRequest in JSON"),
        ('{"person": "ada"}', "people.jsonl:1: not a DecideRequest in JSON"),
        ('ada\n{"placementId": "x"}', "people.jsonl:2: names no person"),
        ("a" * 20_000, "people.jsonl:1: the request takes"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(text: str, words: str, tmp_path: Path) -> None:
    """The message names file and line."""
    path = tmp_path / "people.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        requests.people(path, BASE)


def test_dry_runs_say_so() -> None:
    """Requests of a dry run carry the mark."""
    assert all(one.dry_run for one in asked(requests.numbered(3, requests.template("p", dry_run=True)), 3))
