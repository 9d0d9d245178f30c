"""Telling that a text names somebody by e-mail address or phone number, for what is kept for ever."""

from __future__ import annotations

import re

_MAIL = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")
_PHONE = re.compile(r"(?:\+|\b00)\d(?:[ ()./-]{0,2}\d){6,}")
"""As it is written for strangers, with a country. Bare digits are as likely a ticket."""

NAMES_SOMEBODY = "holds an e-mail address or a phone number, and the audit chain never forgets; name a ticket instead"


def names_somebody(text: str) -> bool:
    """Say whether a text holds an e-mail address, or a phone number with its country."""
    return _MAIL.search(text) is not None or _PHONE.search(text) is not None
