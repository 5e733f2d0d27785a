"""Words in one plain form, for rules and for the local model.

What lives here: case, accents, quotes, emoji, punctuation and text-message spellings folded away. What does not: what
the words mean (``optout``, ``phrases``).
"""

# ruff: noqa: E501 - one way to say it a line; broken patterns read worse than long ones
from __future__ import annotations

import re
import unicodedata

# Spellings of text messages, one word each; "ur" is left alone, it may be "your" or "you are".
_SPELLINGS = {
    "txt": "text", "txts": "texts", "txting": "texting", "txted": "texted", "msg": "message",
    "msgs": "messages", "msging": "messaging", "pls": "please", "plz": "please", "plse": "please", "pleas": "please",
    "u": "you", "thx": "thanks", "tks": "thanks", "ty": "thanks", "tnx": "thanks", "ppl": "people",
    "dnt": "dont", "donot": "dont", "cannot": "cant", "q": "que", "xq": "por que",
    "pq": "por que", "stpo": "stop", "sotp": "stop", "stp": "stop", "tsop": "stop", "st0p": "stop",
    "stopp": "stop", "stahp": "stop", "stawp": "stop", "stoped": "stopped", "stoping": "stopping", "unsuscribe": "unsubscribe",
    "unsubcribe": "unsubscribe", "unsubscibe": "unsubscribe", "unsubscrib": "unsubscribe", "unsubsribe": "unsubscribe",
    "unsub": "unsubscribe", "nt": "not", "wrongnumber": "wrong number", "harasment": "harassment", "harrassment": "harassment",
    "harrasment": "harassment", "usubscribe": "unsubscribe", "unsubscribed": "unsubscribe", "recieve": "receive",
    "recieving": "receiving", "remvoe": "remove", "remov": "remove", "rmove": "remove", "numbr": "number",
    "nmber": "number", "nubmer": "number", "contcat": "contact", "contacing": "contacting", "mesage": "message",
    "mesages": "messages", "messge": "message", "messeges": "messages", "mensage": "mensaje", "wrng": "wrong",
    "worng": "wrong", "rong": "wrong", "leav": "leave", "aloen": "alone", "emial": "email", "emials": "emails",
}  # fmt: skip
# Signs that stand for the word.
_SIGNS = re.compile("[\U0001f6d1\u26d4\U0001f6ab\u270b]+")
_PHRASES = ((r"\bdo not\b", "dont"), (r"\bdoes not\b", "doesnt"), (r"\bdid not\b", "didnt"), (r"\bcan not\b", "cant"),
            (r"\bwill not\b", "wont"), (r"\be[- ]mail", "email"), (r"\b(u n s u b s c r i b e|un subscribe)\b", "unsubscribe"))  # fmt: skip


def plain(text: str) -> str:
    """Lower case, no accents, no apostrophes, no emoji; other marks become spaces, spellings become words.

    Sentence ends stay as ``.`` and questions as ``?`` so that a rule can keep to one sentence.
    """
    text = unicodedata.normalize("NFKD", text).translate({0x2019: "'", 0x2018: "'", 0x2026: ".", 0x2014: " "})
    text = "".join(letter for letter in text if not unicodedata.combining(letter)).lower()
    text = _SIGNS.sub(" stop ", text)
    text = re.sub(r"['`´\u00b4]", "", text)
    text = re.sub(r"\b(?:[a-z][ .\-*_]){2,}[a-z]\b(?![.]?[a-z])", lambda found: re.sub(r"[^a-z]", "", found[0]), text)
    text = re.sub(r"[!;\n\r]+", ".", text)
    text = re.sub(r"[^\w\s.?$%#]|_", " ", text)
    text = re.sub(r"([a-z])\1{2,}", r"\1", text)
    words: list[str] = re.findall(r"[\w$%#]+|[.?]", text)
    text = " ".join(_SPELLINGS.get(word, word) for word in words)
    for pattern, word in _PHRASES:
        text = re.sub(pattern, word, text)
    return re.sub(r"\s+", " ", text).strip()


def bare(text: str) -> str:
    """``plain`` without any mark: what a whole message is compared with when it may be one keyword."""
    return re.sub(r"\s+", " ", re.sub(r"[^\w\s]", " ", plain(text))).strip()
