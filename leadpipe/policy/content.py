"""What the words themselves may not say, and what they must.

What lives here: the content rules over subject and body (C21, C27, C28, C36, C39-C42, C48). What does not: who may be
written to, reading links, licence texts, states and claims (``links``, ``licences``, ``home_states``, ``claims``), what
has learnt to tell forbidden preferences (``housing``). Lint runs a paragraph at a time and is remembered, since a
campaign repeats its paragraphs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from leadpipe.policy import claims, licences, links
from leadpipe.policy.case import Case, Listing
from leadpipe.policy.home_states import licensed_states
from leadpipe.policy.legible import legible
from leadpipe.policy.pack import Pack, PolicySettings
from leadpipe.policy.patterns import Patterns
from leadpipe.policy.standing import Facts

# A hint at STOP at least so often (C28, project policy).
STOP_HINT_EVERY = timedelta(days=30)
# pattern group -> (decision, code, rule); the first that matters comes first.
_LINT: tuple[tuple[str, str, str, str], ...] = (
    ("fair_housing", "BLOCK", "fair_housing", "C36"),
    ("referral", "BLOCK", "respa_referral", "C39"),
    ("money_block", "BLOCK", "offer_not_approved", "C39"),
    ("money_review", "REVIEW", "respa_affiliated", "C39"),
    ("shaft_block", "BLOCK", "shaft", "C27"),
    ("shaft_review", "REVIEW", "shaft_alcohol", "C27"),
    ("shouted_money", "BLOCK", "shouted_money", "C27"),
    ("public_shorteners", "BLOCK", "public_shortener", "C27"),
    ("agency_fees", "REVIEW", "agency_fees", "C40"),
    ("claims", "REVIEW", "claim_unproven", "C41"),
    ("ai_denial", "BLOCK", "ai_denial", "C42"),
)
# What the model beside the phrases finds as well.
_STEERS = ("BLOCK", "fair_housing", "C36")
RULES = ("C21", "C27", "C28", "C36", "C39", "C40", "C41", "C42", "C48")
_UNSUBSCRIBE_WORDS = ("unsubscribe", "%%unsubscribe_url%%", "darse de baja", "cancelar la suscripci")

# How a text says the way out; "can you stop by?" is none.
_STOP_HINT = re.compile(
    r"\b(reply|text|txt|send|answer|respond|responda|responde|env[ií]e|conteste)\b[^.!?\n]{0,30}\b(stop|alto|parar)\b"
    r"|\bstop\s*(=|2\b|to\s+(opt|end|quit|cancel|unsub|stop)|para\s)"
)
_HYPHEN = re.compile(r"(?<=\w)-(?=\w)")
Found = tuple[str, str, str]


def lint(case: Case, facts: Facts, pack: Pack, settings: PolicySettings) -> list[Found]:
    """Every content rule the words break as (decision, code, rule); an empty list means none.

    ``case.body`` must not be None.
    """
    body = case.body or ""
    for offer in settings.approved_offers:
        # Words that counsel approved are not linted for money again.
        body = body.replace(offer, "")
    parts = (*body.split("\n\n"), case.subject or "")
    read = [_read(part, pack) for part in parts]
    hits = list(chain.from_iterable(each.hits for each in read))
    found = list(dict.fromkeys(hits)) if hits else hits
    found += _rebate(case, facts, pack, settings)
    found += _links(parts, settings)
    if case.offered or body != case.body or any(each.says_available for each in read[:-1]):
        found += _listing(case, pack)
    found += _home(case, body, pack, settings)
    found += _email(case, facts, pack, settings) if case.channel == "email" else _text(case, facts, pack, settings)
    return found


def _rebate(case: Case, facts: Facts, pack: Pack, settings: PolicySettings) -> Iterator[Found]:
    """Money that an approved offer names may not go to a state that bars it, nor for a home there (C39)."""
    states = (*facts.place.states, case.home.state if case.home else "")
    if "rebate" not in pack.patterns or pack.rebate_states.isdisjoint(states):
        return
    body = case.body or ""
    if any(offer in body and pack.patterns["rebate"].are_in(offer) for offer in settings.approved_offers):
        yield "BLOCK", "rebate_state", "C39"


def _links(parts: Iterable[str], settings: PolicySettings) -> Iterator[Found]:
    """Every link leads to a domain of ours, or to one that the team allows; a brokerage's name may look like one."""
    name = settings.brokerage_name
    for part in parts:
        hosts = links.hosts_in(part.replace(name, " ") if "." in name else part)
        if hosts and not all(links.is_own(host, settings.own_domains) for host in hosts):
            yield "BLOCK", "foreign_link", "C27"
            return


def _listing(case: Case, pack: Pack) -> Iterator[Found]:
    """Who offers a home, or says that it can be had, must have looked within a day (C41)."""
    homes = [*case.offered]
    if any(_read(paragraph, pack).says_available for paragraph in (case.body or "").split("\n\n")):
        # Words without a home they could be about are of one that nobody looked at.
        homes += [case.listing] if case.listing or not homes else []
    if not all(_is_available(home, case.now, pack) for home in homes):
        yield "BLOCK", "stale_listing", "C41"


def _is_available(home: Listing | None, now: datetime, pack: Pack) -> bool:
    if home is None or home.checked_at is None or home.status.lower() not in pack.available_statuses:
        return False
    return now - home.checked_at <= timedelta(hours=pack.listing_hours)


def _home(case: Case, body: str, pack: Pack, settings: PolicySettings) -> Iterator[Found]:
    """What a model says of a home stands in a stored field (C41); who offers it is licensed where it is (C40)."""
    if case.is_model_written:
        features = pack.patterns.get("home_features")
        if (features and features.are_in(body)) or claims.unproven(body, case.home):
            yield "REVIEW", "claim_unproven", "C41"
    states = {case.home.state if case.home else "", *(home.state for home in case.offered)} - {""}
    if states and (licensed := licensed_states(settings)) is not None and not states <= licensed:
        yield "REVIEW", "license_state", "C40"


def _is_licence_missing(case: Case, facts: Facts, pack: Pack, settings: PolicySettings) -> bool:
    """A state they may be in wants a number or a link that the words do not hold (C40)."""
    if settings.licences is None or not pack.licences:
        return False
    wanted = licences.needed(facts.place, pack, settings.licences, settings.licence_links)
    return any(not each.value or each.value not in (case.body or "") for each in wanted)


def _is_silent_about_assistant(case: Case, pack: Pack, settings: PolicySettings) -> bool:
    """Words that do not say that an assistant writes, where the team's assistant does (C42)."""
    if not settings.assistant_name or "ai_disclosure" not in pack.patterns:
        return False
    # It mostly stands in the last lines.
    return not any(_says_assistant(paragraph, pack) for paragraph in reversed((case.body or "").split("\n\n")))


@lru_cache(maxsize=65536)
def _says_assistant(paragraph: str, pack: Pack) -> bool:
    return pack.patterns["ai_disclosure"].are_in(paragraph)


@lru_cache(maxsize=65536)
def _names_way_out(words: str) -> bool:
    return bool(_STOP_HINT.search(words))


class _Paragraph(NamedTuple):
    """What one paragraph or subject says, whoever it is written to."""

    hits: tuple[Found, ...]
    says_available: bool


@lru_cache(maxsize=65536)
def _read(paragraph: str, pack: Pack) -> _Paragraph:
    says_available = "availability" in pack.patterns and pack.patterns["availability"].are_in(paragraph)
    return _Paragraph(hits=_hits(legible(paragraph), pack), says_available=says_available)


@lru_cache(maxsize=16)
def _all_patterns(pack: Pack) -> Patterns:
    """The patterns of every group together: most paragraphs hold none, and one look says so."""
    groups = (pack.patterns[group].patterns for group, *_ in _LINT if group in pack.patterns)
    return Patterns(list(chain.from_iterable(groups)))


def _hits(words: str, pack: Pack) -> tuple[Found, ...]:
    found: list[Found] = []
    if _all_patterns(pack).are_in(words):
        found = [
            (decision, code, rule)
            for group, decision, code, rule in _LINT
            if group in pack.patterns and pack.patterns[group].are_in(words)
        ]
    if _STEERS not in found and _steers(words, pack):
        found.insert(0, _STEERS)
    return tuple(found)


def _steers(words: str, pack: Pack) -> bool:
    """What the list finds once hyphens are gone ("adults-only"), and what the model does."""
    if "-" in words and "fair_housing" in pack.patterns:
        apart = _HYPHEN.sub(" ", words)
        if apart != words and pack.patterns["fair_housing"].are_in(apart):
            return True
    return pack.housing is not None and pack.housing.probability(words) >= pack.housing_from


def _email(case: Case, facts: Facts, pack: Pack, settings: PolicySettings) -> Iterator[Found]:
    body = case.body or ""
    lowered = body.lower()
    is_reply = case.purpose in {"conversation", "optout_confirmation"}
    if case.subject and not is_reply and pack.patterns["deceptive_subject"].are_in(case.subject):
        yield "BLOCK", "deceptive_subject", "C21"
    if not settings.postal_address or settings.postal_address not in body:
        yield "BLOCK", "missing_postal_address", "C21"
    if not any(words in lowered for words in _UNSUBSCRIBE_WORDS):
        yield "BLOCK", "missing_unsubscribe", "C21"
    if not settings.brokerage_name or settings.brokerage_name.lower() not in lowered:
        yield "BLOCK", "missing_brokerage", "C40"
    if _is_licence_missing(case, facts, pack, settings):
        yield "BLOCK", "missing_license", "C40"
    if _is_silent_about_assistant(case, pack, settings):
        yield "BLOCK", "missing_disclosure", "C42"


def _text(case: Case, facts: Facts, pack: Pack, settings: PolicySettings) -> Iterator[Found]:
    if case.purpose == "optout_confirmation":
        return
    body = (case.body or "").lower()
    # What a person of the team wrote by themselves introduces nobody but them.
    sent = [
        item.at
        for item in case.history
        if item.direction == "out" and item.channel == case.channel and item.purpose != "manual"
    ]
    names_brokerage = bool(settings.brokerage_name) and settings.brokerage_name.lower() in body
    if not names_brokerage and case.purpose != "conversation" and pack.identity_states & set(facts.place.states):
        yield "BLOCK", "missing_identity", "C48"
    if not sent and not names_brokerage:
        yield "BLOCK", "missing_brokerage", "C40"
    if not sent and _is_licence_missing(case, facts, pack, settings):
        yield "BLOCK", "missing_license", "C40"
    if not sent and _is_silent_about_assistant(case, pack, settings):
        yield "BLOCK", "missing_disclosure", "C42"
    if case.channel == "sms" and not _names_way_out(body):
        if not sent:
            yield "BLOCK", "first_sms_missing_identity", "C28"
        elif max(sent) < case.now - STOP_HINT_EVERY:
            yield "BLOCK", "stop_hint_due", "C28"
