"""The steps of a funnel in words."""

from __future__ import annotations

from liftgate.report.shown import Content, Fact

STEPS = {
    "triggered": "an offer was chosen",
    "exposure": "saw it",
    "click": "clicked",
    "cart_action": "used the cart",
    "purchase": "bought",
    "purchase_again": "bought again",
    "email_sent": "mail sent",
    "email_delivered": "mail delivered",
    "email_opened": "mail opened",
    "email_clicked": "clicked in the mail",
}


def named_step(one: Fact) -> Content:
    """Return a step in words, with the column's name."""
    words = STEPS.get(one.value)
    return one.show() if words is None else [words, " (", one.show(), ")"]
