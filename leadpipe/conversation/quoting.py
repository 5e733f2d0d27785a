"""What a person wrote in an email, without what their mail program quoted below it.

What lives here: cutting, of an email and of any text whose channel is not known. What does not: reading the words. An
opt-out hint quoted from our own mail must never read as an opt-out, and an answer that cannot be told from the quote is
kept whole rather than lost.
"""

from __future__ import annotations

import re

# Our mails end in these; whatever stands from there on is ours, however the quote was mangled.
_OURS = re.compile(
    r"^[>\s]*(Unsubscribe: |Cancelar la suscripci\S+: |This message was written by the |Este mensaje lo escribi)", re.M
)
# Headers of a quote that the parser knows only in some shapes (mobile programs, German and Spanish Outlook).
_HEADERS = re.compile(
    r"^\s*(-{2,}\s*(Original Message|Mensaje original|Forwarded message|Mensaje reenviado)\s*-{2,}|_{10,}|"
    r"(On|El|Am|Le) .{5,200}(wrote|escribi\S+|schrieb|a écrit)\s*:|(From|De|Von): .+@.+)\s*$",
    re.M | re.I,
)
_SENT_FROM = re.compile(
    r"^\s*(Sent from my|Sent from Yahoo|Get Outlook for|Enviado desde mi|Enviado desde|-- ?$).*", re.M | re.I | re.S
)


def cut_quoted(text: str) -> str:
    """The newest part of an email, trimmed; the whole text when nothing else would be left."""
    from mailparser_reply import EmailReplyParser

    whole = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not whole:
        return ""
    newest = EmailReplyParser(languages=["en", "es"]).parse_reply(whole) or ""
    for mark in (_HEADERS, _OURS):
        found = mark.search(newest)
        if found:
            newest = newest[: found.start()]
    newest = "\n".join(line for line in newest.splitlines() if not line.lstrip().startswith(">")).strip()
    newest = _SENT_FROM.sub("", newest).strip()
    return newest or _unquoted(whole)


def own_words(text: str) -> str:
    """A text of any channel without what it quotes; one of a single line quotes nothing below itself."""
    if "\n" not in text.strip():
        return text
    return cut_quoted(text)


def _unquoted(whole: str) -> str:
    """An answer written below or between the quoted lines."""
    lines = [line for line in whole.splitlines() if not line.lstrip().startswith(">") and not _HEADERS.match(line)]
    return "\n".join(lines).strip() or whole
