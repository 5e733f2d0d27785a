"""Deterministic refusals: keywords and stock phrases, read the same on every channel and in notes.

What lives here: what a text says about being contacted, and how far that reaches. What does not: the patterns
(``phrases``), the effect in the ledger (``revoke``), refusals in free words (``classify``).

Words that stand for something else are set aside before a phrase is looked for (``lookalikes``). A phrase among words
that have nothing to do with contact is not certain: there the model has a say (``classify``), since "go away" may be a
holiday and "get lost" a street.

Compliance C6: keywords after trimming, case-folding and dropping punctuation and emoji; unsure means revoked.
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from leadpipe.conversation import phrases
from leadpipe.conversation.lookalikes import set_aside
from leadpipe.conversation.plain import bare, plain
from leadpipe.conversation.word_parts import parts_of
from leadpipe.messaging.suppression import ALL, PHONE_CHANNELS

Kind = Literal["stop", "start", "help", "wrong_number", "complaint"]
Scope = Literal["here", "phone", "email", "all"]
Source = Literal["stop_keyword", "phrase"]

_STOP = frozenset(
    {
        "stop", "stopall", "stop all", "unsubscribe", "unsubscribe all", "cancel", "end", "quit", "revoke", "optout",
        "opt out", "remove", "remove me", "alto", "parar", "pare", "paren", "cancelar", "basta", "baja", "detener",
        "no mas", "salir", "terminar", "desuscribir", "eliminar", "unsubscribe me", "stop stop", "stop stop stop",
        "stop texting", "arret", "end all", "cancel all",
    }
)  # fmt: skip
_START = frozenset(
    {"start", "unstop", "optin", "opt in", "resubscribe", "subscribe", "comenzar", "reanudar", "iniciar"}
)
_HELP = frozenset({"help", "info", "ayuda", "aide"})
_YES = frozenset({"yes", "y", "yes please", "si", "yes start"})
_FILLER = frozenset(
    "please thanks thank you ok okay now just hey hi hello sir maam already immediately por favor gracias ya hola "
    "kindly asap dude man bro lol omg ugh and me".split()
)
# One slip away from STOP, and yet words of their own.
_NOT_STOP = frozenset({"shop", "top", "step", "store", "stoop", "sop", "stow", "slop", "swop", "atop", "spot", "stops",
                       "story", "stock", "stomp", "strop", "chop", "tops"})  # fmt: skip
_ALL_CONTACT = re.compile(
    r"\b(all|any|every|no (more|further)|zero) (\w+ )?(contact|communications?|forms?|channels?|lists?|correspondence)\b|"
    r"\bleave (me|us) (the \w+ )?alone\b|\b(stop|quit|cease|dont|never|not) (ever )?(contact|bother|harass|communicat|spam|reach)\w*|"
    r"\b(database|system|everything|completely|altogether|all of (it|them|your)|in any way)\b|\b(delete|erase) my (info|data|contact|details)|"
    r"\b(stop ?all|unsubscribe all|end all|cancel all|en paz|de ninguna forma|por ningun medio|ningun contacto|go away|get lost)\b|"
    r"\bno (me|nos) (vuelvan? a )?(contact|molest)\w+|\bdej\w+ de (contactar|molestar)\w*"
)
_BY_EMAIL = re.compile(r"\b(emails?|emailing|emailed|correos?|newsletters?|inbox|mailing list|mails?)\b")
_BY_PHONE = re.compile(
    r"\b(text|texts|texting|sms|whatsapp\w*|call|calls|calling|phone|cell|mensajes? de texto|textos?|textear\w*|"
    r"llam\w+|telefono|celular)\b"
)
_NUMBER = re.compile(r"\b(number|numero)\b")
_LONG = 600
_PURE_WORDS = 20
_OF_REFUSING = frozenset(
    "stop end drop unsub write bother mails list me i you these not more want phone please told consent threat rude .".split()
)
_BETWEEN = frozenset(
    "the a an to of from for in on at by with and or be am is are was have has had do so all everything both wrong person "
    "guy man lady wo wish will leave let go up name any every make makes making getting here there one away sir maam dear "
    "hear heard from its theres no longer company broker commission board channel channels form forms way kind anywhere "
    "de la el los las del en por con y a al que se lo le un una son persona equivocado equivocada equivoco deme denme demen can could would voy vamos "
    "dame den dar darme darnos denos doy dar solicito hasta".split()
)
_NO_INTEREST = re.compile(r"\b(not|no longer) (at all )?interested\b|\bno (me|nos) interesa\b")
# "Text me, don't call" asks for a channel.
_INVITES = re.compile(r"(^|[.] |please |favor )(text|call|email|message|write|llam|escrib|mand)\w* ?(me|us|nos)\b")


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a text says about being contacted.

    Attributes:
        source: ``stop_keyword`` when the whole message is a keyword, else ``phrase``.
        scope: ``here`` is the channel it came by (a telephone channel stands for all of them, C9); ``phone`` and
            ``email`` are named in the words; ``all`` is every contact.
        keyword: the keyword itself, empty for a phrase.
        is_certain: a keyword, or a phrase among nothing but words of its kind.
    """

    kind: Kind
    source: Source
    scope: Scope = "here"
    keyword: str = ""
    is_certain: bool = True

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that a telephone message with these words covers."""
        return self.covers("sms")

    def covers(self, arrived_by: str) -> tuple[str, ...]:
        """Channels to suppress for words that came by ``arrived_by``; ``("all",)`` for every contact."""
        return covered(self.scope, arrived_by)


def covered(scope: Scope, arrived_by: str) -> tuple[str, ...]:
    """Channels a refusal of this scope ends: at least those it came by, unless it names others."""
    if scope == "all" or (scope == "email" and arrived_by != "email"):
        return (ALL,)
    if scope == "phone" or (scope == "here" and arrived_by != "email"):
        return PHONE_CHANNELS
    return ("email",)


def scope_of(text: str) -> Scope:
    """How far a refusal in these words reaches."""
    words = plain(text)
    by_email = _BY_EMAIL.search(words) is not None
    by_phone = _BY_PHONE.search(words) is not None
    if _ALL_CONTACT.search(words) or (by_email and by_phone):
        return "all"
    if by_email:
        return "email"
    return "phone" if by_phone or _NUMBER.search(words) else "here"


def read_words(text: str) -> Words | None:
    """What the text certainly says about being contacted; None when that needs a reader of free words."""
    alone = bare(text)
    if not alone:
        return None
    keyword = _keyword(alone)
    if keyword is not None:
        return keyword
    return _phrase(text)


def is_yes(text: str) -> bool:
    """Whether the whole message is YES, which lifts an opt-out at the carrier like START (C10)."""
    return bare(text) in _YES


def _keyword(alone: str) -> Words | None:
    if alone in _STOP or _is_slip(alone):
        return Words(kind="stop", source="stop_keyword", scope=scope_of(alone), keyword=alone)
    if alone in _START:
        return Words(kind="start", source="stop_keyword", keyword=alone)
    if alone in _HELP:
        return Words(kind="help", source="stop_keyword", keyword=alone)
    kept = " ".join(word for word in alone.split() if word not in _FILLER)
    if kept != alone and kept not in _START and len(alone.split()) <= 6 and (kept in _STOP or _is_slip(kept)):
        return Words(kind="stop", source="phrase", scope=scope_of(alone), keyword=kept)
    return None


def _phrase(text: str) -> Words | None:
    first = next((line for line in text.splitlines() if line.strip()), "")
    if "\n" in text.strip() and bare(first) in {
        "stop",
        "unsubscribe",
        "stopall",
        "remove",
        "remove me",
        "alto",
        "opt out",
    }:
        return Words(kind="stop", source="phrase", scope=scope_of(text[:_LONG]))
    # In a long mail only its beginning speaks to us; what a signature or a forwarded text says does not.
    words = set_aside(plain(text)[:_LONG])
    kind, scope = _kind_of(words)
    if kind is None:
        return None
    return Words(kind=kind, source="phrase", scope=scope, is_certain=_is_pure(words))


def _kind_of(words: str) -> tuple[Kind | None, Scope]:
    """Which refusal the stock phrases name, and how far it reaches."""
    if phrases.says(words, phrases.WRONG_NUMBER):
        return "wrong_number", "here"
    if phrases.says(words, phrases.NOT_A_REFUSAL):
        return None, "here"
    if phrases.says(words, phrases.COMPLAINT):
        return "complaint", "all"
    return ("stop", scope_of(words)) if phrases.says(words, phrases.OPT_OUT) else (None, "here")


def _is_pure(words: str) -> bool:
    """Whether a text in plain form, look-alikes set aside, holds nothing but words of refusing; a question does not."""
    words = _NO_INTEREST.sub("", words)
    parts = parts_of(words)
    return (
        len(parts) <= _PURE_WORDS
        and "?" not in parts
        and not _INVITES.search(words)
        and all(part in _OF_REFUSING or word in _BETWEEN for part, word in zip(parts, words.split(), strict=True))
    )


def _is_slip(word: str) -> bool:
    """A single word one slip away from STOP, or two from UNSUBSCRIBE."""
    if " " in word or word in _NOT_STOP or not word.isalnum():
        return False
    if len(word) >= 8:
        return _distance(word, "unsubscribe") <= 2
    return 3 <= len(word) <= 6 and word[0] in "sat" and _distance(word, "stop") <= 1


def _distance(left: str, right: str) -> int:
    """Edits between two words; two neighbours exchanged count as one."""
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, start=1):
        row = [i]
        for j, b in enumerate(right, start=1):
            best = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                best = min(best, rows[i - 2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
