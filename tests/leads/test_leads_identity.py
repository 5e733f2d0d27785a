"""Contact points in one form, with the reason where there is none."""

from __future__ import annotations

import pytest

from leadpipe.leads.identity import normalise_email, normalise_phone

EMAILS = [
    (" Ana@Example.COM ", "ana@example.com", ""),
    ("<ana@example.com>", "ana@example.com", ""),
    ("ana+tag@sub.example.co", "ana+tag@sub.example.co", ""),
    ("ana@example", "", "email_malformed"),
    ("ana..b@example.com", "", "email_malformed"),
    ("ana@exa mple.com", "", "email_malformed"),
    ("ana@example.com, bo@example.com", "", "email_malformed"),
    ("", "", "email_malformed"),
]


@pytest.mark.parametrize(("raw", "address", "reason"), EMAILS, ids=lambda value: value or "none")
def test_an_email_is_trimmed_and_lower_cased_or_says_why_not(raw: str, address: str, reason: str) -> None:
    found = normalise_email(raw)
    assert (found.address, found.reason) == (address, reason)


@pytest.mark.parametrize(
    ("raw", "is_relay", "is_role"),
    [
        ("abc123@convo.zillow.com", True, False),
        ("abc123@mail.convo.zillow.com", True, False),
        ("ana@notconvo.zillow.com", False, False),
        ("noreply@example.com", False, True),
        ("Info+west@example.com", False, True),
        ("information@example.com", False, False),
    ],
)
def test_relays_and_roles_are_no_persons_own(raw: str, is_relay: bool, is_role: bool) -> None:
    found = normalise_email(raw)
    assert (found.is_relay, found.is_role) == (is_relay, is_role)


PHONES = [
    ("(512) 555-0123", "+15125550123", ""),
    ("1-512-555-0123", "+15125550123", ""),
    ("+44 7911 123456", "+447911123456", ""),
    ("tel:+1-512-555-0123", "+15125550123", ""),
    ("1" * 40, "", "phone_too_long"),
    ("call me", "", "phone_unreadable"),
    ("555-01", "", "phone_not_possible"),
]


@pytest.mark.parametrize(("raw", "address", "reason"), PHONES, ids=lambda value: value or "none")
def test_a_phone_is_e164_or_says_why_not(raw: str, address: str, reason: str) -> None:
    found = normalise_phone(raw)
    assert (found.address, found.reason) == (address, reason)
