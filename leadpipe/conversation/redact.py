"""Numbers that must not be stored or shown to a model: social security numbers (C35).

What lives here: finding and replacing them. What does not: phones and emails, which the ledger keeps by design.
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re

REDACTED = "[redacted]"
_SSN = re.compile(r"(?<![\d$-])(?!000|666|9\d\d)\d{3}[-. ](?!00)\d{2}[-. ](?!0000)\d{4}(?![\d-])")
# Nine digits in a row may be a listing number; beside these words they are not.
_NAMED = re.compile(
    r"(?P<name>\b(?:ssn|s\.s\.n\.?|social(?: security)?(?: number| num| no\.?| #)?|seguro social|n[uú]mero de seguro|itin|tax id)\b"
    r"[^\d\n]{0,20})\d[\d\-. ]{7,11}\d(?!\d)",
    re.I,
)
_BARE = re.compile(r"(?<![\d$#.,\-+])(?<!mls )(?<!MLS )(?<!listing )(?<!id )\d{9}(?![\d,])")


def redact(text: str) -> str:
    """The text with what looks like a social security number replaced."""
    text = _NAMED.sub(lambda found: found["name"] + REDACTED, text)
    text = _SSN.sub(REDACTED, text)
    return _BARE.sub(REDACTED, text)


def is_redacted(text: str) -> bool:
    """Whether something was taken out of it: a person should look (``sensitive_data``)."""
    return REDACTED in text
