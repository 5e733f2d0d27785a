"""What Twilio's and Amazon's codes mean for a message, as tables.

What lives here: meaning by code, with a default per HTTP status (Twilio splits codes now and then: messaging sheet
1.7). What does not: making calls or writing states.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leadpipe.messaging.channels.base import SendResult


class Kind(StrEnum):
    """What to do about a code."""

    FINAL = "final"  # this message will never go; nothing follows for the address
    LATER = "later"  # certainly not taken; try again later
    PERSON = "person"  # settings, account or registration: stop this provider and tell a person
    OPT_OUT = "opt_out"  # the person refused: suppress the channel until START
    DEAD = "dead"  # no such mailbox or number: suppress and detach
    BLOCKED = "blocked"  # the carrier will not carry to this address: suppress the channel
    ALERT = "alert"  # final for the message, and a person should look at the content


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """One code's meaning."""

    kind: Kind
    wait_seconds: float = 0.0


_FINAL = Meaning(kind=Kind.FINAL)
_PERSON = Meaning(kind=Kind.PERSON)

# Codes of a create call and of later status callbacks share one space.
TWILIO: dict[int, Meaning] = {
    20003: _PERSON,
    20404: _PERSON,
    20429: Meaning(kind=Kind.LATER, wait_seconds=5),
    21211: Meaning(kind=Kind.DEAD),
    21212: _PERSON,
    21408: _FINAL,
    21606: _PERSON,
    21608: _PERSON,
    21610: Meaning(kind=Kind.OPT_OUT),
    21611: Meaning(kind=Kind.LATER, wait_seconds=300),
    21612: _FINAL,
    21614: Meaning(kind=Kind.DEAD),
    21635: Meaning(kind=Kind.DEAD),
    30002: _PERSON,
    30004: Meaning(kind=Kind.BLOCKED),
    30005: Meaning(kind=Kind.DEAD),
    30006: Meaning(kind=Kind.DEAD),
    30007: Meaning(kind=Kind.ALERT),
    30024: _PERSON,
    30032: _PERSON,
    30034: _PERSON,
    30450: Meaning(kind=Kind.LATER, wait_seconds=1800),
    30640: Meaning(kind=Kind.BLOCKED),
    63003: Meaning(kind=Kind.BLOCKED),
    63014: Meaning(kind=Kind.OPT_OUT),
    63018: Meaning(kind=Kind.LATER, wait_seconds=600),
}


def twilio_meaning(code: int | None) -> Meaning:
    """Meaning of a code; a code that is not in the table ends the one message and nothing else."""
    return TWILIO.get(code or 0, _FINAL)


def twilio_refusal(status: int, code: int | None) -> SendResult:
    """What an error answer to a create means: the HTTP status decides first, then the code."""
    name = str(code or status)
    if status == 429:
        return SendResult.not_sent(name)
    if status >= 500:
        return SendResult.unknown(name)
    if status in {401, 403} or 300 <= status < 400:
        return SendResult.misconfigured(name)
    meaning = twilio_meaning(code)
    if meaning.kind is Kind.LATER:
        return SendResult.not_sent(name, retry_after_seconds=meaning.wait_seconds)
    if meaning.kind is Kind.PERSON:
        return SendResult.misconfigured(name)
    return SendResult.refused(name)


_AWS_PERSON = frozenset(
    {
        "MailFromDomainNotVerifiedException",
        "AccountSuspendedException",
        "SendingPausedException",
        "NotFoundException",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "ExpiredTokenException",
    }
)
# Seconds to wait when AWS names none; a daily quota is a rolling window, so ten minutes frees some of it.
_AWS_LATER = {
    "TooManyRequestsException": 1.0,
    "Throttling": 2.0,
    "Throttled": 2.0,
    "ThrottlingException": 2.0,
    "ThrottledException": 2.0,
    "LimitExceededException": 600.0,
}


def aws_refusal(status: int, code: str) -> SendResult:
    """What an error answer of SES v2 or SNS means (messaging sheet 4.3, 5.1)."""
    if code in _AWS_LATER:
        return SendResult.not_sent(code, retry_after_seconds=_AWS_LATER[code])
    if status == 429:
        return SendResult.not_sent(code)
    if status >= 500:
        return SendResult.unknown(code)
    if code in _AWS_PERSON or status in {401, 403} or 300 <= status < 400:
        return SendResult.misconfigured(code)
    return SendResult.refused(code)
