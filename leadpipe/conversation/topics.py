"""Subjects that the assistant leaves to people (C36, C38, C43, C50), whatever else the message means.

What lives here: telling them by stock words, in English and Spanish. What does not: what follows (``decision``).
Unsure means a person looks.
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re

from leadpipe.conversation.plain import plain
from leadpipe.conversation.redact import is_redacted

_TOPICS: tuple[tuple[str, str], ...] = (
    (
        "minor",
        r"\b(i am|im|i just turned|tengo) (only |just |solo )?(8|9|1[0-7])\b(?! ?(bed|bath|mile|min|month|week|day|hour|block|k\b|percent|%|unit|home|house|door|mil\b|mes|semana|dia|hora|"
        r"years? (in|from|of|into|ahead|away)))|"
        r"\b(im|i am) (a minor|underage|under ?age|under 18|in (middle|high) school)\b|\b(soy|somos) menor(es)?( de edad)?\b",
    ),
    (
        "distress",
        r"\b(suicid\w*|kill myself|end my life|hurt myself|want to die|quiero morir\w*|matarme|evict(ed|ion) (tomorrow|today)|"
        r"(he|she) (hits|beats|abuses) me|domestic (violence|abuse)|violencia domestica)\b",
    ),
    (
        "discrimination",
        r"\b(discriminat\w*|discrimina\w*|racis[tm]\w*|fair housing|steer(ed|ing) (me|us)|"
        r"because (i am|im|we are|were) (black|white|asian|latino|hispanic|muslim|jewish|gay|disabled|pregnant))\b",
    ),
    (
        "neighbourhood",
        r"\b(is|are|how) (it|that|this|the \w+|there) (a )?(safe|dangerous|good|bad|nice)( \w+)? ?(area|neighborhood|neighbourhood|part)\b|"
        r"\b(how|is it) safe\b|\bsafe (area|neighborhood|neighbourhood|street)\b|\bcrime( rate)?\b|"
        r"\b(good|best|bad|better) schools?\b|\bhow are the schools\b|\bschools? (is |are )?(any )?(good|bad|nice|decent|great)\b|\bschool (ratings?|rankings?)\b|"
        r"\bwhat (kind|type|sort) of (people|neighbors|neighbours|families)\b|\b(christian|jewish|muslim|hindu|black|white|asian|korean|"
        r"chinese|hispanic|latino|indian) (\w+ )?(neighborhood|neighbourhood|community|area|families|people)\b|"
        r"\b(es|sera) segur[oa]\b|\bzona (segura|peligrosa|tranquila)\b|\bbarrio seguro\b|\bbuenas escuelas\b|\bque tipo de gente\b",
    ),
    (
        "negotiation",
        r"\b(would|will) (they|the (seller|owner)s?) (take|accept|consider|go down|come down)\b|\b(lower|best|final|counter) ?(offer|price)\b|"
        r"\b(make|made|submit|put in|write|put together) (an |a |our |my )?(offer|counter ?offer|bid)\b|\boffer(ed)? (of )?[$]?\d|"
        r"\b(sign|signed|signing) (the |a |an )?(contract|agreement)\b|\b(your|the) commission\b|\bearnest money\b|"
        r"\b(hacer|presentar) una (oferta|contraoferta)\b|\b(aceptan|aceptarian) (menos|una oferta)\b|\bsu comision\b",
    ),
    (
        "advice",
        r"\b(interest|mortgage|loan) rates?\b|\b(pre ?approv\w+|qualify) (for|with|through)\b|\bwhat (rate|loan)\b|\bcapital gains\b|"
        r"\btax (advice|deduct\w*|implications?|consequences?)\b|\b(legal|tax) (advice|question)\b|\b(my )?credit score\b|\bbankruptcy\b|"
        r"\bforeclosure\b|\bdivorce\b|\bprobate\b|\b(tasa|tasas) de interes\b|\b(prestamo|hipoteca)s?\b.*[?]|\bimpuesto sobre (la )?ganancia\b",
    ),
)
# Said before any answer is given: with these nothing is sent by the assistant.
SILENT = frozenset({"minor", "distress", "discrimination"})


def topic_of(text: str) -> str:
    """The subject that needs a person, empty when there is none."""
    words = plain(text)
    for name, pattern in _TOPICS:
        if re.search(pattern, words):
            return name
    return "sensitive_data" if is_redacted(text) else ""
