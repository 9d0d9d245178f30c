"""Publishing: what was checked goes live whole, with an author on record, or nothing changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liftgate.adapters.embedded_valkey import EmbeddedValkey
from liftgate.adapters.operators import token_hash
from liftgate.adapters.redis_client import connect
from liftgate.adapters.redis_published import RedisPublished
from liftgate.app.cli.main import make_app
from liftgate.app.publish import sidecar_of
from liftgate.bundle.load import load_bundle
from liftgate.record.audit_verify import read_audit, verify_audit
from tests.app.conftest import Serve

ADA, BEN = "lg_ada", "lg_ben"


@pytest.fixture
def operators(tmp_path: Path) -> Path:
    """Two admins."""
    path = tmp_path / "operators.yaml"
    entries = [f'  {name}: {{roles: [admin], token_sha256: "{token_hash(token)}"}}\n' for name, token in (("ada", ADA), ("ben", BEN))]
    path.write_text("operators:\n" + "".join(entries))
    return path


def run(*arguments: object, token: str = ADA) -> Any:
    """Run `liftgate bundle ...` as a shell would."""
    environment = {"LIFTGATE_TOKEN": token, "LIFTGATE_TARGET": None}
    return CliRunner().invoke(make_app("bundle"), ["bundle", *map(str, arguments)], env=environment)


def edit(bundle: Path, value: float) -> None:
    """Change what the bundle means."""
    path = bundle / "offers.yaml"
    head, _, rest = path.read_text().partition("value: ")
    path.write_text(f"{head}value: {value}\n{rest.partition(chr(10))[2]}")


def tree(directory: Path) -> dict[str, str]:
    """Return every file and link with what it holds, but for the lock."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_file() and name != ".lock":
            found[name] = path.read_bytes().hex()
    return found


def test_publish_and_rollback_without_a_server(bundle: Path, operators: Path, tmp_path: Path) -> None:
    """Two versions by two authors, a rollback and one forth again: links, sidecars, audit chain and the author in Redis agree."""
    shop, log = tmp_path / "shop", tmp_path / "log"
    with EmbeddedValkey() as valkey:
        local = ("--operators", operators, "--log", log, "--redis", valkey.url)
        first = run("publish", bundle, shop, "--reason", "first", *local)
        assert (first.exit_code, "published: small" in first.stdout, "by ada" in first.stdout) == (0, True, True)
        one = load_bundle((shop / "current").resolve()).digest
        again = run("publish", bundle, shop, "--reason", "again", *local)
        assert (again.exit_code, again.stdout.startswith("unchanged")) == (0, True)
        edit(bundle, 7.25)
        second = json.loads(run("publish", bundle, shop, "--reason", "second", "--json", *local, token=BEN).stdout)
        assert (second["author"], second["previous_digest"]) == ("ben", one)
        two = second["digest"]
        assert [run("rollback", shop, "--reason", why, *local).exit_code for why in ("complaints", "all well")] == [0, 0]

        async def authors(digest: str) -> list[tuple[str, str]]:
            client = connect(valkey.url, 2_000)
            try:
                return [(found.author, found.reason) for found in await RedisPublished(client).authors(digest)]
            finally:
                await client.close()

        import asyncio

        assert asyncio.run(authors(one)) == [("ada", "first")]
        assert asyncio.run(authors(two)) == [("ben", "second"), ("ada", "all well")]
    sidecar = sidecar_of(shop / "current")
    assert sidecar is not None
    assert (sidecar.digest, sidecar.author, sidecar.reason, sidecar.previous_digest) == (two, "ben", "second", one)
    assert verify_audit([log / "audit"]).findings == []
    acts = sorted((record for _, record in read_audit(log / "audit")), key=lambda record: record.at_ms)
    assert [(act.actor, act.digest_before, act.digest_after, act.reason) for act in acts] == [
        ("ada", "", one, "first"),
        ("ben", one, two, "second"),
        ("ada", two, one, "complaints"),
        ("ada", one, two, "all well"),
    ]


def test_layers_that_run_keep_what_is_frozen(bundle: Path, operators: Path, tmp_path: Path) -> None:
    """A changed salt and a shrunk share are refused with their line and nothing is written; a new phase is on record and warned of."""
    shop, log = tmp_path / "shop", tmp_path / "log"
    local = ("--operators", operators, "--log", log)
    assert run("publish", bundle, shop, "--reason", "first", *local).exit_code == 0
    path, before = bundle / "bundle.yaml", tree(shop)
    text = path.read_text()
    for old, new, said in (
        ("salt: universal-2026h2,", "salt: universal-2027,", "everybody would be drawn afresh"),
        ("share: 0.05", "share: 0.04", "shrinks from 0.05 to 0.04"),
    ):
        path.write_text(text.replace(old, new))
        refused = run("publish", bundle, shop, "--reason", "second", *local)
        assert (refused.exit_code, said in refused.stderr, "phase: 2" in refused.stderr) == (1, True, True)
        assert tree(shop) == before
    path.write_text(text.replace("salt: universal-2026h2,", "salt: universal-2027, phase: 2,"))
    published = json.loads(run("publish", bundle, shop, "--reason", "second", "--json", *local).stdout)
    assert [caution.partition(":")[0] for caution in published["cautions"]] == ["layers.universal-2026h2.phase"]
    sidecar = sidecar_of(shop / "current")
    assert sidecar is not None
    assert sidecar.reason == "second; opens phase 2 of layer universal-2026h2"
    assert sidecar.reason in [record.reason for _, record in read_audit(log / "audit")]
    assert run("rollback", shop, "--reason", "back", *local).exit_code == 0


def test_publish_through_a_server_that_reloads(serve: Serve, bundle: Path, operators: Path, tmp_path: Path) -> None:
    """A server started on TARGET/current takes what is published and what is rolled back to; a foreign one is told apart."""
    shop = tmp_path / "shop"
    assert run("publish", bundle, shop, "--reason", "first", "--operators", operators, "--log", tmp_path / "log").exit_code == 0
    server = serve(bundle=shop / "current", operators=operators)
    there = ("--target", f"127.0.0.1:{server.port}")
    edit(bundle, 7.25)
    published = json.loads(run("publish", bundle, shop, "--reason", "second", "--json", *there).stdout)
    assert ([one["result"] for one in published["workers"]], server.decide().bundle_digest) == (["swapped"], published["digest"])
    back = json.loads(run("rollback", shop, "--reason", "no", "--json", *there).stdout)
    assert (back["digest"], server.decide().bundle_digest) == (published["previous_digest"], published["previous_digest"])
    elsewhere = run("publish", bundle, tmp_path / "elsewhere", "--reason", "x", *there)
    assert (elsewhere.exit_code, "--bundle" in elsewhere.stderr) == (1, True)
    assert server.end() == 0
    acts = sorted((record for _, record in read_audit(tmp_path / "log/audit")), key=lambda record: (record.at_ms, record.sequence))
    assert [record.act for record in acts] == [1, 1, 2, 1, 2, 1]
    assert verify_audit([tmp_path / "log/audit"]).findings == []


def test_whoever_publishes_what_nobody_handed_in_is_its_author(serve: Serve, bundle: Path, operators: Path, tmp_path: Path) -> None:
    """A sensitive offer that nobody submitted is handed in by the publish: another person must approve it. It is not handed in twice."""
    shop = tmp_path / "shop"
    offers = bundle / "offers.yaml"
    offers.write_text(offers.read_text().replace("value:", "sensitive: true\n    review: {approvers: 1, role: admin}\n    value:", 1))
    assert run("publish", bundle, shop, "--reason", "first", "--operators", operators, "--log", tmp_path / "log").exit_code == 0
    server = serve(bundle=shop / "current", operators=operators)
    there = ("--target", f"127.0.0.1:{server.port}")
    edit(bundle, 7.25)
    published = json.loads(run("publish", bundle, shop, "--reason", "second", "--json", *there).stdout)
    assert len(published["handed_in"]) == 1

    def review(*arguments: str, token: str) -> Any:
        environment = {"LIFTGATE_TOKEN": token, "LIFTGATE_TARGET": there[1]}
        return CliRunner().invoke(make_app("review"), ["review", *arguments], env=environment)

    waiting = [item for item in json.loads(review("list", "--json", token=BEN).stdout)["items"] if item["in_force"]]
    assert [item["authors"] for item in waiting] == [["ada"]]
    refused = review("approve", waiting[0]["review_id"], "--reason", "mine", token=ADA)
    assert (refused.exit_code, "another person" in refused.output) == (2, True)
    assert review("approve", waiting[0]["review_id"], "--reason", "read", token=BEN).exit_code == 0
    edit(bundle, 7.5)
    assert len(json.loads(run("publish", bundle, shop, "--reason", "third", "--json", *there).stdout)["handed_in"]) == 1
    edit(bundle, 7.25)
    assert json.loads(run("publish", bundle, shop, "--reason", "fourth", "--json", *there).stdout)["handed_in"] == []


def test_what_is_wrong_changes_nothing(bundle: Path, operators: Path, tmp_path: Path) -> None:
    """Mistakes, a failing case, a hostile model, a stranger's token, no reason and a full chain leave target and chain as they were."""
    shop, log = tmp_path / "shop", tmp_path / "log"
    local = ("--reason", "x", "--operators", operators, "--log", log)
    assert run("publish", bundle, shop, *local).exit_code == 0
    edit(bundle, 7.25)
    before, acts = tree(shop), len(list(read_audit(log / "audit")))

    def refused(code: int, said: str, *arguments: object, token: str = ADA) -> None:
        found = run(*arguments, token=token)
        assert found.exit_code == code, found.output
        assert said in found.output
        assert (tree(shop), len(list(read_audit(log / "audit")))) == (before, acts)

    refused(2, "no operator", "publish", bundle, shop, *local, token="lg_stranger")
    refused(2, "LIFTGATE_TOKEN", "publish", bundle, shop, *local, token="")
    refused(2, "--target", "publish", bundle, shop, "--reason", "x")
    refused(2, "why", "publish", bundle, shop, "--reason", " ", "--operators", operators, "--log", log)
    refused(2, "no previous version", "rollback", shop, *local)
    refused(2, "is a bundle's source", "publish", bundle, bundle, *local)
    good = (bundle / "offers.yaml").read_text()
    (bundle / "offers.yaml").write_text(good + "nothing: {}\n")
    refused(1, f"offers.yaml:{len(good.splitlines()) + 1}", "publish", bundle, shop, *local)
    (bundle / "offers.yaml").write_text(good)
    (bundle / "tests").mkdir()
    (bundle / "tests" / "cases.yaml").write_text(
        "people:\n  ada: {}\ncases:\n  - {name: never, person: ada, placement: home.hero, expect: {offered: [no-such-offer]}}\n"
    )
    refused(1, "cases.yaml", "publish", bundle, shop, *local)
    (bundle / "tests" / "cases.yaml").unlink()
    model = next(bundle.glob("models/*/*/model.onnx"))
    raw = model.read_bytes()
    model.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    refused(1, "hashes to", "publish", bundle, shop, *local)
    model.write_bytes(raw)
    refused(1, "cannot be recorded", "publish", bundle, shop, "--reason", "x", "--operators", operators, "--log", operators)
    assert run("publish", bundle, shop, *local).exit_code == 0


def test_two_publishers_at_once_are_one_after_the_other(bundle: Path, operators: Path, tmp_path: Path) -> None:
    """While one publishes, another is told to try again."""
    from liftgate.app.publish import locked

    shop = tmp_path / "shop"
    with locked(shop):
        found = run("publish", bundle, shop, "--reason", "x", "--operators", operators, "--log", tmp_path / "log")
    assert (found.exit_code, "somebody else" in found.output) == (2, True)
    assert run("publish", bundle, shop, "--reason", "x", "--operators", operators, "--log", tmp_path / "log").exit_code == 0


def test_what_needs_an_approval_is_said(bundle: Path, operators: Path, tmp_path: Path) -> None:
    """Sensitive offers of a published bundle are named, with the command that shows where their review stands."""
    (bundle / "more.yaml").write_text("offers: {loan: {value: 3.0, sensitive: true}}\n")
    shop, local = tmp_path / "shop", ("--operators", operators, "--log", tmp_path / "log")
    said = run("publish", bundle, shop, "--reason", "x", *local)
    assert (said.exit_code, "liftgate review list" in said.stdout, "offer/loan" in said.stdout) == (0, True, True)
