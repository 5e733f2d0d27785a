"""What an agent noted of a lead's wish to be left alone: a note, the note of a call, a tag.

What lives here: reading such words, which speak of the lead in the third person. What does not: the lead's own words
(``optout``), the effect (``crm.verbal``).

A note is read sentence by sentence. Unsure is a refusal (C6); what names a time ("do not call before five") or a
condition is an appointment with the agent and none.
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re
from collections.abc import Iterator

from leadpipe.conversation.optout import Scope, read_words, scope_of
from leadpipe.conversation.phrases import first_of, says
from leadpipe.conversation.plain import bare, plain

_ASKED = r"(asked|asks|told|tells|wants?|wanted|said|says|requested|requests|demanded|insists?|insisted|prefers?|would like|wishes|begged|texted|emailed|replied|stated)"
_CONTACT = r"(contact|call|text|email|mail|messag|reach|hear|bother|writ|send|communicat|solicit|spam)\w*"
_LIST = r"(list|lists|database|drip|drips|campaigns?|mailings?|emails|texts|newsletter|system)"

REFUSALS: tuple[str, ...] = (
    r"\bdnc\b",
    rf"\b(dont|never|no longer|no more) (ever )?(be )?{_CONTACT}",
    rf"\bno (further|more|additional) {_CONTACT}",
    r"\bno contact\b",
    rf"\b{_ASKED}( \w+){{0,5}} (stop|quit|cease) (all |any |the |these )?(texting|calling|emailing|contacting|messaging|reaching|sending|bothering|contact|texts|calls|emails|messages|marketing|automated)\b",
    rf"\b{_ASKED}( \w+){{0,5}} (not to|not be|dont|never|no more|no further|no)( \w+){{0,3}} {_CONTACT}",
    r"\b(doesnt|dont|didnt|no longer|not) (want|wants|wish|wishes|care)( \w+){0,4} (contact\w*|calls?|called|texts?|texted|emails?|emailed|messages?|hear|communication)\b",
    rf"\b{_ASKED}( (me|us|that (he|she|they)))?( \w+){{0,2}} to be (removed|taken off|deleted|unsubscribed|opted out|left alone|taken out)\b",
    rf"\b{_ASKED}( \w+){{0,3}} (name|number|info|information|email|phone|contact|details)( \w+){{0,2}} (removed|deleted|taken off|off)\b",
    rf"\b(wants?|wanted|asked) (out|off)( of)?( \w+){{0,2}} {_LIST}\b",
    rf"\b(take|took|taken|taking|remove|removed|removing|get|keep|drop)( \w+){{0,3}} (off|out of|from)( \w+){{0,2}} {_LIST}\b",
    r"\b(leave|left) (him|her|them|me|us) alone\b|\bwants? to be left alone\b",
    r"\bopt(s|ed|ing)? ?out\b(?! of (the |an? |their |his |her )?(hoa|inspection|contract|contingenc|warranty|association|escrow|insurance|pmi|program|deal|lease|offer))",
    r"\bunsubscri\w+",
    r"\b(revoked|revokes|withdrew|withdraws|withdrawn) (\w+ )?(consent|permission)\b",
    r"\bblocked (us|me|our|my)\b",
    # Spanish
    r"\bno (llamar|contactar|escribir|textear|molestar|mandar|enviar)(le|la|lo|les)?\b",
    r"\b(pidio|pide|quiere|quieren|dijo|dice|solicito|solicita|prefiere)( \w+){0,3} (que no|que ya no|no|dejemos de|que dejemos de|que dejen de)( \w+){0,3} (llam|contact|escrib|mand|envi|molest|text)\w+",
    r"\bno quiere(n)?( \w+){0,3} (llamadas?|mensajes?|correos?|contacto|emails?|textos?|publicidad|que (la|lo|le|les|los))\b",
    r"\b(dar|darse|dio|darlo|darla|pidio|quiere)( \w+){0,2} de baja\b|\b(quitar|borrar|sacar|eliminar)(lo|la|le|los)?( \w+){0,2} de (la|las|nuestra|nuestras) (lista|listas|base)\b",
)  # fmt: skip
# A time or a place after it makes it an appointment with the agent.
_ONLY_THEN: tuple[str, ...] = (
    r"\b(before|after|until|till|during|except|weekends?|mornings?|evenings?|afternoons?|nights?|today|tonight|tomorrow|yet|while|"
    r"at work|for now|this (week|month|year)|next (week|month|year)|(mon|tues|wednes|thurs|fri|satur|sun)days?|vacation|[0-9]{1,2} ?(am|pm))\b",
    r"\b(antes|despues|hasta|durante|fin(es)? de semana|hoy|manana|todavia|por ahora)\b",
)  # fmt: skip
# A condition or a negation makes it something else wherever it stands.
_NOT_SO: tuple[str, ...] = (
    r"\b(if|unless|si)\b",
    r"\b(isnt|wasnt|didnt|doesnt|dont|not|never|no longer|wont) (\w+ ){0,3}(dnc|opt|opted|opting|unsubscri\w+|ask|asked|be removed|to be removed|removed from)\b",
    r"\bdnc (list )?(check\w*|scrub\w*|clear\w*|ok|okay|status|registry|negative)\b|\b(check|checked|scrubbed|clear of) (\w+ ){0,3}dnc\b",
    r"\b(back|again) (on|in|into) (the |our |my )?(list|drip|campaign)\b|\bre ?subscrib\w+|\bopt(ed|s)? back in\b",
)  # fmt: skip
_QUOTED = re.compile(r"[\"\u201c\u201d\u00ab]([^\"\u201c\u201d\u00ab\u00bb]{4,300})[\"\u201c\u201d\u00bb]")
# "Called" and "texted" name the channel as "call" and "text" do.
_DONE = re.compile(r"\b(call|text|email|phone)e?d\b")
_TAGS_OF_HTML = re.compile(r"<[^>]{1,200}>")
# FUB puts these where it shows no content (sheet 9.9).
_HIDDEN = "hidden for privacy reasons"
_LONGEST = 4_000


def refusal_in(note: str) -> Scope | None:
    """How far the refusal reaches that an agent's note tells of; None when it tells of none.

    ``here`` is never returned: a lead who told an agent named no channel unless the words do.
    """
    text = _TAGS_OF_HTML.sub(" ", note)[:_LONGEST]
    if not text.strip() or _HIDDEN in text:
        return None
    for sentence in _sentences(text):
        at = first_of(sentence, REFUSALS)
        if at is not None and not says(sentence, _NOT_SO) and not says(sentence[at:], _ONLY_THEN):
            return _named(scope_of(_DONE.sub(r"\1", sentence)))
    for quoted in _QUOTED.findall(text):
        words = read_words(quoted)
        if words is not None and words.kind == "stop":
            return _named(words.scope)
    return None


def tag_scope(tag: str, known: frozenset[str]) -> Scope | None:
    """How far a tag reaches that the team uses for refusals; None for any other tag. ``known`` are in ``bare`` form."""
    return _named(scope_of(tag)) if bare(tag) in known else None


def tags_known(tags: Iterator[str] | tuple[str, ...]) -> frozenset[str]:
    """The team's tags for refusals as ``tag_scope`` compares them: case and marks do not count."""
    return frozenset(bare(tag) for tag in tags if bare(tag))


def _sentences(text: str) -> Iterator[str]:
    for part in re.split(r"[.?!;]\s|[.?!;]$|\n+|\s[-\u2013\u2014]\s", text):
        words = plain(part)
        if words:
            yield words


def _named(scope: Scope) -> Scope:
    return "all" if scope == "here" else scope
