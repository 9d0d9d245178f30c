"""A bank and its rules, end to end: review, four eyes, an edit, a stop, a withdrawal, and the proof afterwards.

    make bank

Every step runs the `liftgate` command that a person would type, prints it, and checks what came of it. Starts a store and a service with
two workers on loopback and ends both. Exit codes: 0 every rule held, 1 one did not.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from pathlib import Path

from bank import Bank, Failed
from rich.console import Console

from liftgate.adapters.embedded_valkey import EmbeddedValkey

HERE = Path(__file__).resolve().parent
BUNDLE, PEOPLE = HERE / "bundle", HERE / "people.csv"
DEFAULT_OUT = Path(".liftgate/bank")


def main() -> int:
    """Run everything and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help=f"folder for the log, new or empty (default: {DEFAULT_OUT}, emptied first)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bank: told to stop; the store and the service are stopped"))
    console = Console()
    try:
        run(_out(arguments.out), console)
    except (Failed, OSError, ValueError) as err:
        print(f"bank: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bank: interrupted; the store and the service are stopped", file=sys.stderr)
        return 1
    return 0


def run(out: Path, console: Console) -> None:
    """Do every step in order. Raises Failed at the first that is not right."""
    with EmbeddedValkey() as store:
        bank = Bank(out, store.url, console)
        bank.say("1 The rules are checked and tested before anybody runs them")
        bank.liftgate("bundle", "check", BUNDLE)
        bank.liftgate("bundle", "test", BUNDLE, "--min-coverage", "100", last=2)
        bank.say("2 Three people may act: ada writes the offers, and all three are of compliance")
        bank.hire(ada=("admin", "compliance"), ben=("compliance", "operator"), cleo=("compliance", "operator", "reviewer"))
        bank.liftgate("profiles", "load", PEOPLE, "--bundle", BUNDLE, "--redis", store.url, "--at", bank.now())
        bank.liftgate("lists", "add", "vulnerable", "david", "--bundle", BUNDLE, "--redis", store.url)
        bank.publish(BUNDLE, "the first one")
        with bank.serving():
            _four_eyes(bank)
            _each_case(bank)
            _edit(bank, out)
            _stop(bank)
            _withdraw(bank)
        bank.say("8 Afterwards: nothing of it can be edited away")
        bank.liftgate("log", "verify", bank.log)
        bank.liftgate("audit", "verify", bank.log, "--redis", store.url)


def _four_eyes(bank: Bank) -> None:
    bank.say("3 Credit is sensitive: nobody sees it before two people of compliance have said yes to exactly this offer")
    bank.expect("anna", offered="switch-bonus", refused={"credit-card": "NOT_APPROVED"})
    bank.liftgate("review", "submit", BUNDLE, "--reason", "autumn rates", by="ada")
    item = bank.item("credit-card")
    bank.liftgate("review", "show", item, by="ben")
    bank.refused("review", "approve", item, "--reason", "fine by me", by="ada")
    bank.liftgate("review", "approve", item, "--reason", "rates checked", by="ben")
    bank.liftgate("review", "approve", item, "--reason", "checked again", by="ben", last=2)
    bank.expect("anna", offered="switch-bonus", refused={"credit-card": "NOT_APPROVED"})
    bank.liftgate("review", "approve", item, "--reason", "wording checked", by="cleo")
    bank.expect("anna", offered="credit-card")
    bank.expect("clara", offered="switch-bonus", refused={"credit-card": "NOT_ELIGIBLE"})
    bank.expect("david", refused={"credit-card": "DO_NOT_CONTACT"})
    bank.expect("emil", refused={"credit-card": "NOT_ELIGIBLE", "youth-account": "NOT_APPROVED"})
    bank.expect("fatma", offered="budget-planner", refused={"credit-card": "CONSENT_DENIED"})
    bank.liftgate("explain", bank.decide("anna").decision_id, "--log", bank.log)


def _each_case(bank: Bank) -> None:
    bank.say("4 A loan is looked at case by case: the offer is approved, and still nobody sees it before a person has looked at them")
    item = bank.item("personal-loan")
    bank.liftgate("review", "approve", item, "--reason", "rates checked", by="ben", last=2)
    bank.liftgate("review", "approve", item, "--reason", "wording checked", by="cleo", last=2)
    bank.expect("bruno", offered="switch-bonus", refused={"personal-loan": "AWAITING_REVIEW"})
    bank.decide("bruno")
    bank.liftgate("review", "list", "--decisions", by="cleo")
    bank.liftgate("review", "approve", bank.item("personal-loan", "--decisions"), "--reason", "can afford it", by="cleo")
    bank.expect("bruno", offered="personal-loan")


def _edit(bank: Bank, out: Path) -> None:
    bank.say("5 One character of the offer is edited: what was approved was something else")
    edited = out / "edited"
    shutil.copytree(BUNDLE, edited)
    offers = edited / "offers.yaml"
    offers.write_text(offers.read_text().replace("13.9 %", "13.8 %"))
    bank.liftgate("bundle", "diff", BUNDLE, edited)
    bank.publish(edited, "a tenth less")
    bank.expect("anna", refused={"credit-card": "NOT_APPROVED"})
    bank.expect("emil", refused={"credit-card": "NOT_APPROVED"})
    bank.liftgate("bundle", "rollback", bank.published, "--reason", "the old rate stands", "--target", bank.target, by="ada")
    bank.expect("emil", refused={"credit-card": "NOT_ELIGIBLE"})


def _stop(bank: Bank) -> None:
    bank.say("6 Something is wrong with an offer: one command stops it on every worker; to start it again takes two people")
    bank.liftgate("stop", "offer", "switch-bonus", "--reason", "paid out twice", by="ben")
    bank.expect("clara", offered="savings-account", refused={"switch-bonus": "STOPPED"})
    bank.liftgate("start", "offer", "switch-bonus", "--reason", "mended", by="ben")
    item = bank.item("switch-bonus")
    bank.refused("review", "approve", item, "--reason", "I am sure", by="ben")
    bank.expect("clara", refused={"switch-bonus": "STOPPED"})
    bank.liftgate("review", "approve", item, "--reason", "looked at the payments", by="cleo")
    bank.expect("clara", offered="switch-bonus")


def _withdraw(bank: Bank) -> None:
    bank.say("7 A customer changes her mind: the next decision knows nothing about her")
    bank.liftgate(
        "consent", "set", "--person", "clara", "--purpose", "personalization", "--status", "withdrawn", "--source", "app", by="ben"
    )
    bank.expect("clara", offered="budget-planner", refused={"savings-account": "CONSENT_DENIED"})
    bank.expect("anna", refused={"credit-card": "CONSENT_GPC"}, gpc=True)


def _out(given: Path | None) -> Path:
    """Return an empty folder. Raises Failed rather than empty one that somebody named."""
    if given is None:
        shutil.rmtree(DEFAULT_OUT, ignore_errors=True)
    out = (given or DEFAULT_OUT).absolute()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise Failed(f"{out} is not empty; name a new folder with --out")
    return out


if __name__ == "__main__":
    sys.exit(main())
